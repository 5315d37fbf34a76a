/*
 * The core between transactions and calls. A request finds its dialog by the To
 * tag that we made, then has to match in full. A dialog that its owner has freed
 * may have to live on for a while, alone ("orphan"): its INVITE may still be
 * accepted, its ACK may have to be said again, its BYE may have to wait for an
 * ACK. It is an object like the others, without an owner to tell.
 *
 * What a dialog does as the caller of an INVITE stands in invite.c.
 */
#include "sip/stack/ua.h"

#include <errno.h>

#include "base/alloc.h"
#include "sip/stack/ua_impl.h"

/* ---- Finding --------------------------------------------------------------- */

struct sip_dialog *sip_dialog_find(struct sip_ua *ua, const struct sip_dialog_id *id)
{
	struct pb_map_node *n = pb_map_first(&ua->dialogs, sip_dialog_hash(id->local_tag));

	for (; n; n = pb_map_next(n)) {
		struct sip_dialog *d = pb_container(n, struct sip_dialog, node);

		if (sip_dialog_matches(&d->core, id))
			return d;
	}
	return NULL;
}

/** Of a request in a dialog; that of an early fork turns to it. */
static struct sip_dialog *dialog_of(struct sip_ua *ua, const struct sip_core *c)
{
	struct sip_dialog *d =
		sip_dialog_find(ua, &(struct sip_dialog_id){ .call_id = c->call_id,
							     .local_tag = c->to_tag,
							     .remote_tag = c->from_tag });
	struct pb_map_node *n;

	if (d)
		return d;
	for (n = pb_map_first(&ua->dialogs, sip_dialog_hash(c->to_tag)); n; n = pb_map_next(n)) {
		d = pb_container(n, struct sip_dialog, node);
		if (pb_str_eq(d->core.call_id, c->call_id) &&
		    pb_str_ieq(d->core.local_tag, c->to_tag) && sip_fork_turn(d, c->from_tag))
			return d;
	}
	return NULL;
}

/** By our tag, when the rest has been matched before. */
static struct sip_dialog *dialog_of_server(struct sip_ua *ua, struct sip_txn_id id)
{
	struct pb_str tag = sip_server_tag(ua->stack, id);
	struct pb_map_node *n = tag.p ? pb_map_first(&ua->dialogs, sip_dialog_hash(tag)) : NULL;

	for (; n; n = pb_map_next(n)) {
		struct sip_dialog *d = pb_container(n, struct sip_dialog, node);

		if (pb_str_ieq(d->core.local_tag, tag))
			return d;
	}
	return NULL;
}

/* ---- The path of its requests ---------------------------------------------- */

/** Where the next hop is an address, go there (RFC 3263 section 4); a name is the owner's to
 * resolve. */
void sip_dialog_repath(struct sip_dialog *d, const struct sip_path *from)
{
	struct sip_dialog_hop hop;
	struct sip_path path;
	struct pb_addr addr;
	struct sip_uri uri;

	if (d->symmetric) {
		d->path = *from;
		return;
	}
	sip_dialog_hop(&d->core, &hop);
	if (sip_uri_parse(hop.next, &uri) != 0 || !uri.host.n)
		return;
	if (pb_addr_parse(uri.host, uri.port ? uri.port : 5060, &addr) != 0)
		return;
	if (pb_addr_eq(&addr, &d->path.peer) || pb_addr_eq(&addr, &from->peer)) {
		/* It is where we speak already: by the same listener. */
		d->path = (struct sip_path){ .peer = addr, .listener = from->listener };
		return;
	}
	if (sip_path_choose(sip_stack_transport(d->ua->stack), &addr, &path) == 0)
		d->path = path;
}

/* ---- Our 2xx and its ACK: RFC 3261 section 13.3.1.4 ------------------------ */

static void ack_stop(struct sip_dialog *d)
{
	d->awaiting_ack = false;
	pb_timer_stop(&d->ack_timer);
}

/** A BYE that had to wait may go now. */
static void bye_now(struct sip_dialog *d)
{
	if (d->bye_waits)
		sip_client_start(d->ua->stack, d->bye);
	d->bye_waits = false;
}

/** ... and an orphan with it. */
static void ack_settled(struct sip_dialog *d)
{
	bye_now(d);
	sip_dialog_reap(d);
}

static void on_ack_timer(void *arg)
{
	struct sip_dialog *d = arg;
	struct sip_ua *ua = d->ua;
	uint64_t now = pb_loop_now_ms(ua->args.loop);
	const struct sip_timing *timing = sip_stack_timing(ua->stack);

	if (now < d->ack_until_ms && sip_server_repeat(ua->stack, d->invite_in) == 0) {
		d->ack_ms = d->ack_ms * 2 < timing->t2_ms ? d->ack_ms * 2 : timing->t2_ms;
		if (now + d->ack_ms > d->ack_until_ms)
			d->ack_ms = (unsigned)(d->ack_until_ms - now);
		pb_timer_start(ua->args.loop, &d->ack_timer, d->ack_ms ? d->ack_ms : 1);
		return;
	}
	ack_stop(d);
	sip_transport_counters(sip_ua_transport(ua))[SIP_N_DIALOG_NO_ACK]++;
	if (!d->orphan && !d->bye_waits && d->ops->no_ack)
		d->ops->no_ack(d->arg, d);
	else
		ack_settled(d);
}

static void ack_await(struct sip_dialog *d)
{
	const struct sip_timing *timing = sip_stack_timing(d->ua->stack);

	d->awaiting_ack = true;
	d->ack_ms = timing->t1_ms;
	d->ack_until_ms = pb_loop_now_ms(d->ua->args.loop) + 64ull * timing->t1_ms;
	pb_timer_start(d->ua->args.loop, &d->ack_timer, d->ack_ms);
}

/* ---- What the stack says --------------------------------------------------- */

static void count(struct sip_ua *ua, enum sip_counter c)
{
	sip_transport_counters(sip_ua_transport(ua))[c]++;
}

/** Section 14.2: one INVITE at a time. 0: go on. */
static unsigned busy(struct sip_dialog *d, const struct sip_arrival *in)
{
	struct sip_build *b;
	unsigned char r;

	if (in->msg->method != SIP_INVITE)
		return 0;
	if (d->invite_pending)
		return 491;
	if (!sip_server_open(d->ua->stack, d->invite_in))
		return 0;
	pb_loop_random(d->ua->args.loop, &r, 1);
	sip_reply_begin(sip_ua_transport(d->ua), in, 500, PB_STR_NULL, &b);
	sip_build_number(b, SIP_HDR_RETRY_AFTER, r % 11);
	sip_reply_send(sip_ua_transport(d->ua), PB_STR_NULL, PB_STR_NULL);
	return SIP_ADMIT_DONE;
}

static unsigned on_admit(void *arg, const struct sip_arrival *in)
{
	struct sip_ua *ua = arg;
	struct sip_dialog *d;
	unsigned code;

	if (!in->core->to_tag.p)
		return ua->args.ops->admit ? ua->args.ops->admit(ua->args.arg, in) : 0;
	d = dialog_of(ua, in->core);
	if (!d || (d->orphan && in->msg->method != SIP_BYE)) {
		count(ua, SIP_N_DIALOG_UNKNOWN);
		return 481;
	}
	if (sip_dialog_order(&d->core, in->core) == SIP_ORDER_LATE) {
		count(ua, SIP_N_DIALOG_ORDER);
		return 500;
	}
	code = busy(d, in);
	if (code)
		count(ua, SIP_N_DIALOG_BUSY);
	return code;
}

/** The peer ends it: what is still open of its INVITE is over (section 15.1.2). */
static void on_bye(struct sip_dialog *d, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct sip_ua *ua = d->ua;
	struct sip_txn_id invite = d->invite_in;
	bool orphan = d->orphan;

	d->core.state = SIP_DIALOG_ENDED;
	ack_stop(d);
	bye_now(d); /* they cross */
	if (orphan) {
		sip_server_answer(ua->stack, id, 200, PB_STR_NULL);
		sip_dialog_reap(d);
	} else {
		d->ops->request(d->arg, d, id, in);
	}
	if (sip_server_open(ua->stack, invite))
		sip_server_answer(ua->stack, invite, 487, PB_STR_NULL);
}

static void on_request(void *arg, struct sip_txn_id id, const struct sip_arrival *in)
{
	struct sip_ua *ua = arg;
	struct sip_dialog *d;

	if (!in->core->to_tag.p) {
		ua->args.ops->request(ua->args.arg, id, in);
		return;
	}
	d = dialog_of(ua, in->core); /* there: it was admitted */
	if (!d) {
		sip_server_answer(ua->stack, id, 481, PB_STR_NULL);
		return;
	}
	if (in->msg->method == SIP_BYE) {
		on_bye(d, id, in);
		return;
	}
	if (in->msg->method == SIP_INVITE) {
		ack_stop(d); /* who asks anew has our last answer */
		d->invite_in = id;
		d->invite_in_cseq = in->core->cseq.number;
	}
	if (in->msg->method == SIP_INVITE || in->msg->method == SIP_UPDATE) {
		sip_dialog_refresh(&d->core, in->msg);
		sip_dialog_repath(d, &in->path);
	}
	d->ops->request(d->arg, d, id, in);
}

static void on_cancel(void *arg, struct sip_txn_id invite, const struct sip_arrival *in)
{
	struct sip_ua *ua = arg;
	struct sip_dialog *d = dialog_of_server(ua, invite);

	if (d && !d->orphan && d->ops->cancel)
		d->ops->cancel(d->arg, d, invite, in);
	else if (!d && ua->args.ops->cancel)
		ua->args.ops->cancel(ua->args.arg, invite, in);
	else
		sip_server_answer(ua->stack, invite, 487, PB_STR_NULL);
}

static void on_ack(void *arg, const struct sip_arrival *in)
{
	struct sip_dialog *d = dialog_of(arg, in->core);

	if (!d || !d->awaiting_ack || in->core->cseq.number != d->invite_in_cseq)
		return;
	ack_stop(d);
	if (d->orphan || d->bye_waits)
		ack_settled(d);
	else if (d->ops->ack)
		d->ops->ack(d->arg, d, in);
}

static void on_failed(void *arg, struct sip_txn_id id, enum sip_failure why)
{
	struct sip_ua *ua = arg;
	struct sip_dialog *d = dialog_of_server(ua, id);

	if (d && !d->orphan && d->ops->failed)
		d->ops->failed(d->arg, d, id, why);
	else if (!d && ua->args.ops->failed)
		ua->args.ops->failed(ua->args.arg, id, why);
}

static const struct sip_stack_ops stack_ops = {
	.admit = on_admit,
	.request = on_request,
	.cancel = on_cancel,
	.ack = on_ack,
	.failed = on_failed,
};

/* ---- The user agent -------------------------------------------------------- */

static void on_tap(void *arg, bool out, const struct sip_path *path, struct pb_str bytes)
{
	struct sip_ua *ua = arg;

	ua->args.tap(ua->args.arg, out, path, bytes);
}

int sip_ua_new(const struct sip_ua_args *args, struct sip_ua **out)
{
	struct sip_ua *ua = pb_alloc_zero(1, sizeof(*ua));
	int err;

	*out = NULL;
	if (!ua)
		return -ENOMEM;
	ua->args = *args;
	err = sip_stack_new(
		&(struct sip_stack_args){
			.loop = args->loop,
			.net = args->net,
			.timing = args->timing,
			.server_limit = args->server_limit,
			.ops = &stack_ops,
			.tap = args->tap ? on_tap : NULL,
			.arg = ua,
		},
		&ua->stack);
	if (err)
		pb_free(ua);
	else
		*out = ua;
	return err;
}

void sip_ua_free(struct sip_ua **ua)
{
	struct pb_map_node *n;

	if (!*ua)
		return;
	while ((n = pb_map_each(&(*ua)->dialogs, NULL)))
		sip_dialog_destroy(pb_container(n, struct sip_dialog, node));
	sip_stack_free(&(*ua)->stack);
	pb_map_fini(&(*ua)->dialogs);
	pb_free(*ua);
	*ua = NULL;
}

struct sip_stack *sip_ua_stack(struct sip_ua *ua)
{
	return ua->stack;
}

struct sip_transport *sip_ua_transport(struct sip_ua *ua)
{
	return sip_stack_transport(ua->stack);
}

size_t sip_ua_dialogs(const struct sip_ua *ua)
{
	return ua->dialogs.count;
}

/* ---- Making and freeing dialogs -------------------------------------------- */

/** Our Contact towards a peer, as the listener is seen from there. */
static struct pb_str default_contact(struct sip_ua *ua, const struct sip_path *path, char *buf,
				     size_t size)
{
	struct sip_local local;
	struct pb_text t;

	pb_text_init_buf(&t, buf, size);
	if (sip_path_local(sip_ua_transport(ua), path, &local) != 0)
		return PB_STR_NULL;
	pb_text_lit(&t, "<sip:");
	pb_text_add(&t, local.ip6 ? PB_STR("[") : PB_STR(""));
	pb_text_add(&t, local.host);
	pb_text_add(&t, local.ip6 ? PB_STR("]:") : PB_STR(":"));
	pb_text_addu(&t, local.port);
	pb_text_addc(&t, '>');
	return pb_text_failed(&t) ? PB_STR_NULL : pb_text_str(&t);
}

static struct sip_dialog *dialog_alloc(struct sip_ua *ua, const struct sip_path *path,
				       const struct sip_dialog_args *args)
{
	struct sip_dialog *d = pb_alloc_zero(1, sizeof(*d));

	if (!d)
		return NULL;
	d->ua = ua;
	d->ops = args->ops;
	d->arg = args->arg;
	d->symmetric = args->symmetric;
	d->path = *path;
	pb_list_init(&d->forks);
	pb_timer_init(&d->ack_timer, on_ack_timer, d);
	sip_dialog_init_invite(d);
	return d;
}

/** Into the table; frees it when that fails, or `err` says something has. */
static int dialog_enter(struct sip_dialog *d, int err, struct sip_dialog **out)
{
	if (!err)
		err = pb_map_add(&d->ua->dialogs, &d->node, sip_dialog_hash(d->core.local_tag));
	if (err) {
		sip_dialog_fini(&d->core);
		pb_free(d);
		return err;
	}
	count(d->ua, SIP_N_DIALOG_NEW);
	*out = d;
	return 0;
}

enum { CONTACT_BYTES = 320 }; /* host names have 255 at most */

int sip_dialog_new_uas(struct sip_ua *ua, struct sip_txn_id id, const struct sip_arrival *in,
		       const struct sip_dialog_args *args, struct sip_dialog **out)
{
	struct sip_dialog *d = dialog_alloc(ua, &in->path, args);
	struct pb_str contact = args->contact;
	char buf[CONTACT_BYTES];
	int err;

	*out = NULL;
	if (!d)
		return -ENOMEM;
	if (!contact.n)
		contact = default_contact(ua, &in->path, buf, sizeof(buf));
	err = sip_dialog_init_uas(&d->core, in->msg, in->core, sip_server_tag(ua->stack, id),
				  contact);
	err = dialog_enter(d, err, out);
	if (err)
		return err;
	if (in->msg->method == SIP_INVITE) {
		d->invite_in = id;
		d->invite_in_cseq = in->core->cseq.number;
	}
	sip_dialog_repath(d, &in->path);
	return 0;
}

int sip_dialog_new_uac(struct sip_ua *ua, const struct sip_dialog_target *to,
		       const struct sip_dialog_args *args, struct sip_dialog **out)
{
	struct sip_dialog *d = dialog_alloc(ua, &to->path, args);
	char tag[SIP_ID_BYTES], id[SIP_ID_BYTES], buf[CONTACT_BYTES];
	struct sip_dialog_uac a = {
		.call_id = to->call_id,
		.local_tag = sip_transport_id(sip_ua_transport(ua), tag),
		.local_uri = to->local_uri,
		.remote_uri = to->remote_uri,
		.target = to->target,
		.routes = to->routes,
		.contact = args->contact,
	};

	*out = NULL;
	if (!d)
		return -ENOMEM;
	if (!a.call_id.n)
		a.call_id = sip_transport_id(sip_ua_transport(ua), id);
	if (!a.contact.n)
		a.contact = default_contact(ua, &to->path, buf, sizeof(buf));
	return dialog_enter(d, sip_dialog_init_uac(&d->core, &a), out);
}

void sip_dialog_destroy(struct sip_dialog *d)
{
	sip_dialog_fini_invite(d);
	pb_timer_stop(&d->ack_timer);
	pb_map_remove(&d->ua->dialogs, &d->node);
	sip_dialog_fini(&d->core);
	pb_free(d);
}

void sip_dialog_reap(struct sip_dialog *d)
{
	if (d->orphan && !d->invite_pending && !d->bye_waits && !sip_dialog_lingers(d))
		sip_dialog_destroy(d);
}

void sip_dialog_free(struct sip_dialog **d)
{
	struct sip_dialog *it = *d;

	*d = NULL;
	if (!it)
		return;
	it->orphan = true;
	it->fn = NULL;
	if (!it->bye_waits)
		ack_stop(it);
	if (it->invite_pending)
		sip_dialog_cancel(it);
	sip_dialog_reap(it);
}

/* ---- Looking at one -------------------------------------------------------- */

const struct sip_dialog_core *sip_dialog_core(const struct sip_dialog *d)
{
	return &d->core;
}

const struct sip_path *sip_dialog_path(const struct sip_dialog *d)
{
	return &d->path;
}

void sip_dialog_set_path(struct sip_dialog *d, const struct sip_path *path)
{
	d->path = *path;
}

void sip_dialog_set_hops(struct sip_dialog *d, unsigned hops)
{
	d->core.hops = hops;
}

void *sip_dialog_arg(const struct sip_dialog *d)
{
	return d->arg;
}

struct sip_ua *sip_dialog_ua(const struct sip_dialog *d)
{
	return d->ua;
}

/* ---- Answers --------------------------------------------------------------- */

int sip_dialog_answer_begin(struct sip_dialog *d, struct sip_txn_id id, unsigned code,
			    struct pb_str reason, struct sip_build **b)
{
	enum sip_method method = sip_server_method(d->ua->stack, id);
	int err = sip_server_begin(d->ua->stack, id, code, reason, b);

	if (err)
		return err;
	d->answer = id;
	d->answer_code = code;
	/* Sections 12.1.1 and 14.2; RFC 3311 section 5.2. */
	if (code > 100 && code < 300 && d->core.contact.n && sip_dialog_has_contact(method))
		sip_build_hdr(*b, SIP_HDR_CONTACT, d->core.contact);
	return 0;
}

int sip_dialog_answer_send(struct sip_dialog *d, struct pb_str type, struct pb_str body)
{
	unsigned code = d->answer_code;
	int err;

	/* The dialog is what the answer says before anyone can react to it. */
	err = sip_server_send(d->ua->stack, type, body);
	if (err || code < 200 || !sip_txn_id_eq(d->answer, d->invite_in))
		return err;
	if (code < 300) {
		if (d->core.state == SIP_DIALOG_EARLY)
			d->core.state = SIP_DIALOG_CONFIRMED;
		ack_await(d);
	} else if (d->core.state == SIP_DIALOG_EARLY) {
		d->core.state = SIP_DIALOG_ENDED;
	}
	return 0;
}

int sip_dialog_answer(struct sip_dialog *d, struct sip_txn_id id, unsigned code,
		      struct pb_str reason)
{
	struct sip_build *b;
	int err = sip_dialog_answer_begin(d, id, code, reason, &b);

	return err ? err : sip_dialog_answer_send(d, PB_STR_NULL, PB_STR_NULL);
}
