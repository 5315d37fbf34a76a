/*
 * What a message is made of, for the files of the bus only.
 *
 * The body is the content, exchanged as a whole by pb_msg_swap; the walk is the
 * dispatch it is in, and stays with the object.
 */
#ifndef PB_BUS_MSG_IMPL_H
#define PB_BUS_MSG_IMPL_H

#include "bus/bus.h"

struct pbi_bus_loop;
struct pbi_table_ref;
struct pbi_list;
struct pbi_slot;
struct pbi_visit;
struct pb_reg;

struct pbi_body {
	struct pb_arena *arena;
	struct pb_str name, retval;
	struct pb_param *params;
	uint32_t count, room;
	uint32_t renamed; /* how often the name was set */
	bool broadcast, failed;
	uint64_t time_us;
	uint64_t enqueued_us, dispatched_us; /* when times are traced */
	struct pb_handle chan;
	struct pb_handle flight; /* the record its walks are written to */
	uint64_t touched; /* parameters set since they were last written there; bit 63: all from the 64th on */
	uint64_t deadline_us; /* of the loop clock; 0: set at dispatch */
	/* the tracking parameter's name, once there is one; its text grows in place: */
	struct pb_str tracked;
	char *track;
	uint32_t track_n, track_room;
};

enum pbi_walk_state { PBI_IDLE, PBI_QUEUED, PBI_WALKING, PBI_PARKED };

struct pbi_walk {
	enum pbi_walk_state state;
	bool handled, cancelled;
	bool hold_refused; /* no memory for a slot */
	bool care; /* timed, or a trial: there is something to do when a handler has spoken */
	bool timed, sampled; /* the clock is read for this walk; and counts in histograms */
	uint16_t stat;	     /* row of its name in the statistics */
	uint16_t label;	     /* of its name */
	struct pbi_bus_loop *on;
	struct pbi_table_ref *table;
	const struct pbi_list *list;
	uint32_t pos;
	uint32_t renamed; /* body.renamed when `list` was looked up */
	uint32_t track_at; /* timed: end of the present handler's entry in the tracking text */
	uint64_t began_us, called_us; /* timed: the walk, the present handler */
	struct pb_reg *trial; /* the handler that this message tries again for the breaker */
	struct pb_reg *reg; /* whose handler has it */
	struct pbi_slot *slot; /* where it is parked, or about to be */
	struct pbi_visit *visit; /* this is a copy on another loop */
	struct pb_list asked; /* in the asker's pb_questions */
	bool notice; /* of those in one: not to be cancelled */
	pb_done_fn done;
	void *arg;
	pb_done_fn noticed; /* of a line of notices */
	void *noticed_arg;
	uint32_t flight_no; /* of this walk in the record; 0: not written */
	bool flight_secret; /* its return value, by the name it began with */
	uint64_t flight_us, flight_began_us; /* end of the last step, begin of the walk */
	struct pb_loop *back; /* dispatched for a script loop: where `done` belongs */
	struct pb_work work;
};

struct pb_msg {
	struct pbi_body b;
	struct pbi_walk w;
	struct pb_msg *next; /* in a queue, or in the cache of free ones */
};

/** `by`'s content in place of m's; what the walk relies on stays. */
void pbi_msg_take_over(struct pb_msg *m, struct pb_msg *by);
/** Microseconds since 1970, by the thread's loop if it has one. */
uint64_t pbi_wall_us(void);
/** A thread that ends gives back the messages it keeps for reuse. */
void pbi_msg_cache_drop(void);
/** Append `text` ("name:priority") to parameter `param`. */
void pbi_msg_track(struct pb_msg *m, struct pb_str param, struct pb_str text);
/** Insert "#MSEC.UUU" at offset `at` of its value. */
void pbi_msg_track_time(struct pb_msg *m, struct pb_str param, uint32_t at, uint64_t took_us);

#endif
