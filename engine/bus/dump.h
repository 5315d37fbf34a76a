/*
 * Every value of the configuration and where it comes from: for `patchbay config
 * dump` and the command `config dump`.
 */
#ifndef PB_BUS_DUMP_H
#define PB_BUS_DUMP_H

#include "bus/engine.h"

enum pb_value_from { PB_FROM_FILE, PB_FROM_DEFAULT, PB_FROM_COMMAND_LINE };

struct pb_value {
	struct pb_str conf;   /* "ysipchan.conf", "engine.cfg" */
	struct pb_str module; /* "sip"; "engine": the two files of its own */
	struct pb_str section, name;
	struct pb_str value;   /* in force; a secret as "(hidden)" */
	struct pb_str written; /* what the file says, where that is another text; else absent */
	enum pb_value_from from;
	struct pb_pos at; /* FROM_FILE */
};

struct pb_dump_args {
	struct pb_str which; /* a module, a file with or without ".conf", "engine.cfg"; empty: all */
	bool effective;	     /* with defaults and only what has an effect; else what the files say */
	/** What is told is valid until it returns. */
	void (*fn)(void *arg, const struct pb_value *v);
	void *arg;
};

/**
 * @thread  The control thread of an engine that was only made, or call loop 0.
 * @return 0, -ENOENT (`which` is nothing), -ENOMEM.
 */
int pb_engine_dump(struct pb_engine *e, const struct pb_dump_args *args);

/** One line of text, or one JSON object. */
void pb_value_print(const struct pb_value *v, struct pb_text *t);
void pb_value_print_json(const struct pb_value *v, struct pb_text *t);

#endif
