/*
 * Between the bus and one script: the handlers it installed, the messages it
 * watches, those that wait for its answer, and those it made itself.
 */
#ifndef EXTMODULE_DELIVERY_H
#define EXTMODULE_DELIVERY_H

#include "extmodule/protocol.h"
#include "extmodule/script.h"

/** %%>install and %%>uninstall, with their answers. */
void ext_install(struct ext_script *s, const struct ext_install *in);
void ext_uninstall(struct ext_script *s, struct pb_str name);
/** %%>watch and %%>unwatch, with their answers; the empty name is every message. */
void ext_watch(struct ext_script *s, struct pb_str name);
void ext_unwatch(struct ext_script *s, struct pb_str name);

/**
 * Hand `m` to the script and hold it until the answer, the script's timeout or
 * its end. `last_word`: a refusal or the lack of an answer ends the script
 * (the call.execute that a channel script was started for).
 *
 * @return PB_HOLD, or PB_PASS when it could not be handed over.
 */
enum pb_verdict ext_deliver(struct ext_script *s, struct pb_msg *m, bool last_word);
/** %%<message; false: there is no such message, or the line is malformed. */
bool ext_answer(struct ext_script *s, struct pb_str rest);

/**
 * The channel for a message that the script makes with this id: that of the
 * message which waits under it, else the script's own.
 */
struct pb_handle ext_pending_chan(struct ext_script *s, struct pb_str id);

/** %%>message: put it on its way. false: malformed. */
bool ext_enqueue(struct ext_script *s, struct pb_str rest);
/** Did the script make this message, and asked for its result? On the host's loop. */
bool ext_is_own(struct ext_script *s, const struct pb_msg *m);

/** Take back everything, for a script that ends. */
void ext_delivery_end(struct ext_script *s);

#endif
