/*
 * What the main file says of the sniffer: keys of [general].
 */
#ifndef MSGSNIFF_MAINFILE_H
#define MSGSNIFF_MAINFILE_H

#include "bus/conf.h"
#include "msgsniff/filter.h"

/**
 * The rules to start with: msgsniff, filtersniff, agesniff, filtersniffparams,
 * msgsniff:NAME, and sniff_main_dump().
 *
 * @param why  A broken expression, in the rules' arena; absent: none.
 * @return NULL when there is no memory.
 */
struct sniff_rules *sniff_main_rules(const struct pb_conf *main, struct pb_str *why);

/** What to tell of channels: dump_msg_data, dump_msg_data_short. */
struct sniff_dump sniff_main_dump(const struct pb_conf *main);

/** msgsniff_trackname: a boolean word or the name itself; absent: untracked. */
struct pb_str sniff_main_track(const struct pb_conf *main, struct pb_arena *a);

#endif
