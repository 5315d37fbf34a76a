/*
 * What a message about one leg says of the other one, wherever that lives.
 */
#ifndef CDRBUILD_OTHER_H
#define CDRBUILD_OTHER_H

#include "cdrbuild/cdrbuild.h"

/** Note the event at the leg that peerid, else targetid, names. */
void cdr_other_tell(struct cdr_state *st, enum cdr_event ev, const struct pb_msg *m);

#endif
