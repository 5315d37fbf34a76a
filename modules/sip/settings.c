/*
 * ysipchan.conf: the rows of its keys, the listeners, and the Allow list.
 */
#include "sip/sip.h"

#include <errno.h>

#include "loop/world.h"

#define AT(field) offsetof(struct sip_settings, field)
#define ACCEPTED(type, key, text) { type, key, 0, .flags = PB_OPT_ACCEPTED, .doc = text }

static const char *const transports[] = { "udp", "tcp", "tls", NULL };
static const char *const digests[] = { "md5", "sha-256", "both", NULL };

#define L(field) offsetof(struct sip_listener_conf, field)
#define LISTENER "listener *"

const struct pb_opt sip_options[] = {
	{ PB_OPT_ADDR, "addr", AT(addr), .defs = "", .doc = "Address of the listener \"general\"; empty: all." },
	{ PB_OPT_INT, "port", AT(port), .def = 5060, .lo = 0, .hi = 65535, .doc = "Its port." },
	{ PB_OPT_INT, "maxpkt", AT(maxpkt), .def = 1500, .lo = 524, .hi = 65528, .unit = "bytes",
	  .doc = "Longest datagram that is received whole." },
	{ PB_OPT_INT, "buffer", AT(buffer), .def = 0, .lo = 0, .hi = 1 << 30, .unit = "bytes",
	  .doc = "Receive buffer of the sockets; 0: the system's." },
	{ PB_OPT_STR, "tos", AT(tos), .defs = "0",
	  .doc = "Type of service of packets sent: a number, lowdelay, throughput, reliability, mincost, cs0..cs7, af11..af43, expedited, voice." },
	{ PB_OPT_INT, "maxforwards", AT(maxforwards), .def = 20, .lo = 1, .hi = 255,
	  .doc = "Upper bound of antiloop, and Max-Forwards of what we send." },
	{ PB_OPT_STR, "useragent", AT(useragent), .defs = "Patchbay/" PACKAGE_VERSION,
	  .doc = "Value of User-Agent and Server." },
	{ PB_OPT_STR, "realm", AT(realm), .defs = "Yate", .doc = "Digest realm." },
	{ PB_OPT_WORD, "digest", AT(digest), .def = SIP_OFFER_MD5, .words = digests,
	  .doc = "Algorithms that challenges offer (RFC 8760); some phones refuse what names SHA-256." },
	{ PB_OPT_INT, "t1", AT(t1), .def = 500, .lo = 100, .hi = 5000, .unit = "ms", .flags = PB_OPT_STRICT,
	  .doc = "Timer T1, RFC 3261 section 17.1.1.1." },
	{ PB_OPT_INT, "t4", AT(t4), .def = 5000, .lo = 1000, .hi = 25000, .unit = "ms", .flags = PB_OPT_STRICT,
	  .doc = "Timer T4." },
	{ PB_OPT_INT, "maxchans", AT(maxchans), .def = 0, .lo = 0, .hi = 10000000,
	  .doc = "Channels at once, divided among the loops; 0: no limit." },
	{ PB_OPT_BOOL, "generate", AT(generate), .def = 0, .doc = "Send requests for xsip.generate." },
	{ PB_OPT_BOOL, "info", AT(info), .def = 1, .doc = "Take INFO." },
	{ PB_OPT_BOOL, "options", AT(options), .def = 1, .doc = "Answer OPTIONS; older spelling of [options] enable." },
	{ PB_OPT_BOOL, "registrar", AT(registrar), .def = 1,
	  .doc = "Be a registrar; older spelling of [registrar] enable." },
	{ PB_OPT_BOOL, "nat", AT(nat), .def = 1, .doc = "Contacts from behind NAT are reached where they came from." },
	{ PB_OPT_STR, "nat_address", AT(nat_address), .defs = "", .doc = "Host that Via and Contact name." },
	{ PB_OPT_INT, "flags", AT(flags), .def = 0, .lo = 0, .hi = 255,
	  .doc = "2: no Allow; 4: no User-Agent and Server." },
	{ PB_OPT_STR, "transfer", AT(transfer_mode), .defs = "yes",
	  .doc = "Take REFER: a boolean or chan-disable; calls refuse it (603)." },
	{ PB_OPT_BOOL, "update", AT(update), .def = 0, .doc = "Take UPDATE; calls refuse it (488)." },
	{ PB_OPT_BOOL, "prack", AT(prack), .def = 0, .doc = "Take PRACK; no call awaits one (481)." },
	{ PB_OPT_BOOL, "progress", AT(progress), .def = 0, .doc = "Send 183 as soon as a call is routed." },
	{ PB_OPT_BOOL, "enable", AT(registrar_enable), .def = 1, .section = "registrar", .doc = "Take REGISTER." },
	{ PB_OPT_BOOL, "auth_required", AT(auth_required), .def = 1, .section = "registrar",
	  .doc = "Challenge registrations." },
	{ PB_OPT_INT, "expires_min", AT(expires_min), .def = 60, .lo = 1, .hi = 86400, .unit = "s",
	  .section = "registrar", .doc = "Shorter registrations are answered 423." },
	{ PB_OPT_INT, "expires_def", AT(expires_def), .def = 600, .lo = 1, .hi = 86400, .unit = "s",
	  .section = "registrar", .doc = "When the phone does not say." },
	{ PB_OPT_INT, "expires_max", AT(expires_max), .def = 3600, .lo = 1, .hi = 604800, .unit = "s",
	  .section = "registrar", .doc = "Longer ones are shortened." },
	{ PB_OPT_INT, "nat_refresh", AT(nat_refresh), .def = 25, .lo = -1, .hi = 3600, .unit = "s",
	  .section = "registrar", .doc = "P-NAT-Refresh; 0 omits it." },
	{ PB_OPT_BOOL, "async_process", 0, .flags = PB_OPT_ACCEPTED, .section = "registrar",
	  .doc = "Nothing waits here." },
	{ PB_OPT_BOOL, "enable", AT(options_enable), .def = 1, .section = "options", .doc = "Answer OPTIONS." },
	{ PB_OPT_OTHER, "", 0, .flags = PB_OPT_PREFIX, .section = "methods",
	  .doc = "METHOD=BOOL: becomes the message sip.METHOD; the value says whether to challenge it." },
	{ PB_OPT_OTHER, "", 0, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED, .section = "codecs",
	  .doc = "Formats; the engine passes media through." },
	{ PB_OPT_OTHER, "", 0, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED, .section = "hacks", .doc = "Work-arounds." },
	{ PB_OPT_OTHER, "", 0, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED, .section = "sip-t", .doc = "ISUP bodies." },
	{ PB_OPT_OTHER, "", 0, .flags = PB_OPT_PREFIX | PB_OPT_ACCEPTED, .section = "message",
	  .doc = "Built-in routing of MESSAGE." },
	{ PB_OPT_WORD, "type", L(type), .def = 0, .words = transports, .section = LISTENER, .doc = "Transport." },
	{ PB_OPT_BOOL, "enable", L(enable), .def = 1, .section = LISTENER, .doc = "Listen." },
	{ PB_OPT_BOOL, "default", L(fallback), .def = 0, .section = LISTENER,
	  .doc = "Send by it when nothing says which." },
	{ PB_OPT_ADDR, "addr", L(addr), .defs = "", .section = LISTENER, .doc = "Address; empty: all." },
	{ PB_OPT_INT, "port", L(port), .def = 5060, .lo = 0, .hi = 65535, .section = LISTENER, .doc = "Port." },
	{ PB_OPT_INT, "maxpkt", L(maxpkt), .def = 0, .lo = 0, .hi = 65528, .unit = "bytes", .section = LISTENER,
	  .doc = "As in [general]." },
	{ PB_OPT_INT, "buffer", L(buffer), .def = 0, .lo = 0, .hi = 1 << 30, .unit = "bytes", .section = LISTENER,
	  .doc = "As in [general]." },
	{ PB_OPT_STR, "tos", L(tos_text), .defs = "", .section = LISTENER, .doc = "As in [general]." },
	{ PB_OPT_BOOL, "ipv6", L(ipv6), .def = 0, .section = LISTENER, .doc = "IPv6 when no address says so." },
	{ PB_OPT_STR, "role", L(role), .defs = "", .section = LISTENER,
	  .doc = "Parameter `role` of messages about what came in here." },
	{ PB_OPT_STR, "nat_address", L(advertised), .defs = "", .section = LISTENER,
	  .doc = "Host that Via and Contact name." },
	ACCEPTED(PB_OPT_BOOL, "ipv6_support", "IPv6 listens by [listener] sections."),
	ACCEPTED(PB_OPT_INT, "floodevents", "Overload is judged otherwise."),
	ACCEPTED(PB_OPT_BOOL, "floodprotection", "Overload is judged otherwise."),
	ACCEPTED(PB_OPT_INT, "congestion_retry", "Retry-After is drawn at random."),
	ACCEPTED(PB_OPT_BOOL, "refer_update", "REFER."),
	ACCEPTED(PB_OPT_BOOL, "fork", "Forked answers follow RFC 3261."),
	ACCEPTED(PB_OPT_BOOL, "fork_early", "Forked answers follow RFC 3261."),
	ACCEPTED(PB_OPT_BOOL, "ignorevia", "Answers go to where the packet came from."),
	ACCEPTED(PB_OPT_BOOL, "lazy100", "100 Trying follows RFC 4320."),
	ACCEPTED(PB_OPT_INT, "sip_req_trans_count", "Requests are repeated as RFC 3261 says."),
	ACCEPTED(PB_OPT_INT, "sip_rsp_trans_count", "Answers are repeated as RFC 3261 says."),
	ACCEPTED(PB_OPT_STR, "dtmfmethods", "DTMF by INFO."),
	ACCEPTED(PB_OPT_STR, "rfc2833", "Media pass through."),
	ACCEPTED(PB_OPT_BOOL, "privacy", "Privacy headers."),
	ACCEPTED(PB_OPT_BOOL, "secure", "Media pass through."),
	ACCEPTED(PB_OPT_STR, "forward_sdp", "SDP is always passed through."),
	ACCEPTED(PB_OPT_BOOL, "multi_ringing", "Every 1xx is reported."),
	ACCEPTED(PB_OPT_BOOL, "preventive_bye", "CANCEL alone is sent."),
	ACCEPTED(PB_OPT_BOOL, "async_generic", "Nothing waits here."),
	ACCEPTED(PB_OPT_BOOL, "printmsg", "debug sip level 9 prints messages."),
	ACCEPTED(PB_OPT_INT, "tcp_idle", "TCP."),
	ACCEPTED(PB_OPT_BOOL, "udp_force_bind", "A taken port is an error."),
	{ PB_OPT_END },
};

/* ---- The Allow list --------------------------------------------------------------------- */

const struct sip_method_conf *sip_settings_method(const struct sip_settings *s, struct pb_str method)
{
	for (size_t i = 0; i < s->method_count; i++) {
		if (pb_str_eq(s->methods[i].name, method))
			return &s->methods[i];
	}
	return NULL;
}

bool sip_settings_allows(const struct sip_settings *s, struct pb_str method)
{
	struct pb_str list = s->allow, item;

	while (pb_str_cut(&list, ',', &item)) {
		if (pb_str_eq(pb_str_trim(item), method))
			return true;
	}
	return false;
}

static void make_allow(struct sip_settings *s, struct pb_arena *a)
{
	struct pb_text t;
	char buf[4096];

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_lit(&t, "ACK, INVITE, BYE, CANCEL");
	if (s->registrar_enable)
		pb_text_lit(&t, ", REGISTER");
	if (s->transfer)
		pb_text_lit(&t, ", REFER");
	if (s->options_enable)
		pb_text_lit(&t, ", OPTIONS");
	if (s->update)
		pb_text_lit(&t, ", UPDATE");
	if (s->prack)
		pb_text_lit(&t, ", PRACK");
	if (s->info)
		pb_text_lit(&t, ", INFO");
	s->allow = pb_arena_str(a, pb_text_str(&t));
	for (size_t i = 0; i < s->method_count; i++) {
		if (sip_settings_allows(s, s->methods[i].name))
			continue;
		pb_text_lit(&t, ", ");
		pb_text_add(&t, s->methods[i].name);
		s->allow = pb_arena_str(a, pb_text_str(&t));
	}
}

static struct pb_str with_case(struct pb_arena *a, struct pb_str s, const char *prefix, char (*fn)(char))
{
	struct pb_str r = pb_arena_printf(a, "%s%.*s", prefix, PB_STR_F(s));
	char *p = (char *)(uintptr_t)r.p;

	for (size_t i = strlen(prefix); i < r.n; i++)
		p[i] = fn(p[i]);
	return r;
}

static int read_methods(const struct pb_conf *c, struct sip_settings *s, struct pb_arena *a)
{
	const struct pb_conf_section *sec = pb_conf_section(c, PB_STR("methods"));

	if (!sec)
		return 0;
	s->methods = pb_arena_alloc(a, sec->count * sizeof(*s->methods));
	if (!s->methods)
		return sec->count ? -ENOMEM : 0;
	for (size_t i = 0; i < sec->count; i++) {
		struct sip_method_conf *m = &s->methods[s->method_count++];

		m->name = with_case(a, sec->entries[i].key, "", pb_to_upper);
		m->message = with_case(a, sec->entries[i].key, "sip.", pb_to_lower);
		m->auth = pb_str_to_bool(sec->entries[i].value, true);
	}
	return 0;
}

/* ---- Listeners ------------------------------------------------------------------------------ */

static bool same_place(const struct sip_listener_conf *a, const struct sip_listener_conf *b)
{
	return a->type == b->type && a->port == b->port && a->port && pb_str_eq(a->addr, b->addr) &&
	       a->ipv6 == b->ipv6;
}

static int add_listener(struct sip_settings *s, struct sip_listener_conf *l, struct pb_findings *f)
{
	for (size_t i = 0; i < s->listener_count; i++) {
		if (!same_place(&s->listeners[i], l))
			continue;
		pb_findings_add(f, l->at, PB_SEV_ERROR, "sip-020",
				"listener '%.*s' has the address and port of listener '%.*s'", PB_STR_F(l->name),
				PB_STR_F(s->listeners[i].name));
		return -EINVAL;
	}
	if (pb_tos_parse(l->tos_text, &l->tos))
		pb_findings_add(f, l->at, PB_SEV_WARNING, "sip-022",
				"listener '%.*s': '%.*s' is no type of service: packets go out without one",
				PB_STR_F(l->name), PB_STR_F(l->tos_text));
	if (l->type != 0) {
		pb_findings_add(f, l->at, PB_SEV_WARNING, "sip-021",
				"listener '%.*s': only udp is supported, it does not listen", PB_STR_F(l->name));
		return 0;
	}
	s->listeners[s->listener_count++] = *l;
	return 0;
}

static struct sip_listener_conf general(const struct sip_settings *s, struct pb_pos at)
{
	return (struct sip_listener_conf){
		.name = PB_STR("general"),
		.addr = s->addr,
		.advertised = s->nat_address,
		.port = s->port,
		.maxpkt = s->maxpkt,
		.buffer = s->buffer,
		.tos_text = s->tos,
		.enable = true,
		.fallback = true,
		.at = at,
	};
}

static int read_listeners(const struct pb_conf *c, struct sip_settings *s, struct pb_arena *a, struct pb_findings *f)
{
	const struct pb_conf_section *gen = pb_conf_section(c, PB_STR("general"));
	struct sip_listener_conf l = general(s, gen ? gen->at : (struct pb_pos){ 0 });
	size_t n = pb_conf_sections(c);
	int err = 0, one;

	s->listeners = pb_arena_alloc(a, (n + 1) * sizeof(*s->listeners));
	if (!s->listeners)
		return -ENOMEM;
	if (!pb_conf_section(c, PB_STR("listener general")))
		err = add_listener(s, &l, f);
	for (size_t i = 0; i < n; i++) {
		const struct pb_conf_section *sec = pb_conf_section_at(c, i);
		struct pb_str name = sec->name;

		if (!pb_str_skip_word(&name, PB_STR("listener")) || !name.n)
			continue;
		l = (struct sip_listener_conf){ 0 };
		one = pb_opt_read_section(sip_options, LISTENER, sec, &l, a, f);
		l.name = name;
		l.at = sec->at;
		l.maxpkt = l.maxpkt ? l.maxpkt : s->maxpkt;
		l.buffer = l.buffer ? l.buffer : s->buffer;
		l.tos_text = l.tos_text.n ? l.tos_text : s->tos;
		if (!one && l.enable && s->listener_count < SIP_LISTENERS_MAX)
			one = add_listener(s, &l, f);
		err = err ? err : one;
	}
	return err;
}

int sip_settings_read(const struct pb_conf *c, void *settings, struct pb_arena *a, struct pb_findings *f)
{
	struct sip_settings *s = settings;
	const struct pb_conf_section *reg = pb_conf_section(c, PB_STR("registrar"));
	const struct pb_conf_section *opt = pb_conf_section(c, PB_STR("options"));
	int err;

	if (!reg || !pb_conf_find(reg, PB_STR("enable")))
		s->registrar_enable = s->registrar;
	if (!opt || !pb_conf_find(opt, PB_STR("enable")))
		s->options_enable = s->options;
	s->transfer = pb_str_to_bool(s->transfer_mode, pb_str_eq(s->transfer_mode, PB_STR("chan-disable")));
	if (s->t4 < 3 * s->t1)
		s->t4 = 3 * s->t1;
	err = read_methods(c, s, a);
	if (!err)
		err = read_listeners(c, s, a, f);
	make_allow(s, a);
	return err;
}
