/*
 * The forks of an INVITE (RFC 3261 section 12.1): several early dialogs that
 * differ in the peer's tag, route set, target and numbering. One dialog object
 * stands for all; it wears the face (struct sip_remote) of one, and keeps the
 * others here.
 */
#include "base/alloc.h"
#include "sip/stack/ua_impl.h"

enum { FORKS_MAX = 32 };

static struct sip_fork *fork_find(const struct sip_dialog *d, struct pb_str tag)
{
	for (struct pb_list *n = d->forks.next; n != &d->forks; n = n->next) {
		struct sip_fork *f = pb_container(n, struct sip_fork, node);

		if (pb_str_ieq(pb_str(f->tag, f->tag_n), tag))
			return f;
	}
	return NULL;
}

static struct sip_fork *fork_new(struct sip_dialog *d, struct pb_str tag)
{
	struct sip_fork *f = d->fork_n < FORKS_MAX ? pb_alloc(sizeof(*f) + tag.n) : NULL;

	if (!f)
		return NULL;
	*f = (struct sip_fork){ .tag_n = tag.n };
	if (tag.n)
		memcpy(f->tag, tag.p, tag.n);
	pb_list_push(&d->forks, &f->node);
	d->fork_n++;
	return f;
}

static void fork_drop(struct sip_dialog *d, struct sip_fork *f)
{
	pb_list_remove(&f->node);
	d->fork_n--;
	sip_remote_fini(&f->remote);
	pb_free(f);
}

struct sip_fork *sip_fork_get(struct sip_dialog *d, struct pb_str tag)
{
	struct sip_fork *f = fork_find(d, tag);

	return f ? f : fork_new(d, tag);
}

/** Keep the present face, wear that of `f`, which is a record no more. */
static bool turn(struct sip_dialog *d, struct sip_fork *f)
{
	struct sip_fork *old = fork_new(d, d->core.remote.tag);

	if (!old)
		return false;
	old->remote = d->core.remote;
	d->core.remote = f->remote;
	f->remote = (struct sip_remote){ 0 };
	fork_drop(d, f);
	return true;
}

bool sip_fork_turn(struct sip_dialog *d, struct pb_str tag)
{
	struct sip_fork *f;

	if (d->core.state != SIP_DIALOG_EARLY || !d->core.uac)
		return false;
	f = fork_find(d, tag);
	return f && turn(d, f);
}

bool sip_fork_face(struct sip_dialog *d, const struct sip_arrival *in)
{
	struct pb_str tag = in->core->to_tag;
	struct sip_fork *old;

	if (pb_str_ieq(tag, d->core.remote.tag) || sip_fork_turn(d, tag))
		return true;
	old = fork_find(d, tag) ? NULL : fork_new(d, d->core.remote.tag);
	if (!old)
		return false;
	old->remote = d->core.remote;
	d->core.remote = (struct sip_remote){ 0 };
	if (sip_dialog_learn(&d->core, in->msg, in->core) == 0)
		return true;
	sip_remote_fini(&d->core.remote);
	d->core.remote = old->remote;
	old->remote = (struct sip_remote){ 0 };
	fork_drop(d, old);
	return false;
}

void sip_forks_fini(struct sip_dialog *d)
{
	while (!pb_list_empty(&d->forks))
		fork_drop(d, pb_container(d->forks.next, struct sip_fork, node));
}
