/*
 * Telnet: a state for each octet that may follow IAC. An answer is never more
 * than three octets and a prompt for three received; a request to do what we
 * already do is answered again, as the clients of this protocol expect.
 */
#include "console/telnet.h"

/* RFC 854, 857, 858, 727, 1073 */
enum {
	IAC = 255,
	DONT = 254,
	DO = 253,
	WONT = 252,
	WILL = 251,
	SB = 250,
	EL = 248,
	EC = 247,
	IP = 244,
	BREAK = 243,
	SE = 240,
	OPT_ECHO = 1,
	OPT_SGA = 3,
	OPT_LOGOUT = 18,
	OPT_NAWS = 31,
};

enum { PLAIN, GOT_IAC, GOT_VERB, IN_SUB, IN_SUB_IAC };

/** Keys that telnet commands stand for. */
static const struct {
	unsigned char command, key;
} keys[] = {
	{ BREAK, '\\' & 0x1f },
	{ IP, 'C' & 0x1f },
	{ EC, '\b' },
	{ EL, 'U' & 0x1f },
};

static void answer(struct pb_text *out, unsigned char verb, unsigned char option)
{
	pb_text_addc(out, (char)IAC);
	pb_text_addc(out, (char)verb);
	pb_text_addc(out, (char)option);
}

void console_telnet_hello(struct pb_text *out)
{
	answer(out, WILL, OPT_SGA);
	answer(out, WILL, OPT_ECHO);
	answer(out, DO, OPT_NAWS);
}

void console_telnet_bye(struct pb_text *out)
{
	answer(out, WILL, OPT_LOGOUT);
}

static enum console_event on_do(struct console_telnet *t, unsigned char option, struct pb_text *out)
{
	switch (option) {
	case OPT_ECHO:
		t->edit.echo = true;
		answer(out, WILL, OPT_ECHO);
		console_edit_show(&t->edit, out);
		return CONSOLE_MORE;
	case OPT_LOGOUT:
		answer(out, WILL, OPT_LOGOUT);
		return CONSOLE_CLOSE;
	default:
		answer(out, option == OPT_SGA ? WILL : WONT, option);
		return CONSOLE_MORE;
	}
}

static enum console_event on_option(struct console_telnet *t, unsigned char option, struct pb_text *out)
{
	if (t->verb == DO)
		return on_do(t, option, out);
	if (option == OPT_ECHO && (t->verb == WILL || t->verb == DONT)) {
		t->edit.echo = false;
		answer(out, WONT, OPT_ECHO);
	}
	return CONSOLE_MORE;
}

static enum console_event on_command(struct console_telnet *t, unsigned char c, struct pb_text *out)
{
	t->state = PLAIN;
	if (c == IAC)
		return console_edit_char(&t->edit, c, out);
	if (c >= WILL) {
		t->verb = c;
		t->state = GOT_VERB;
	} else if (c == SB) {
		t->sub_n = 0;
		t->state = IN_SUB;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (keys[i].command == c)
			return console_edit_char(&t->edit, keys[i].key, out);
	}
	return CONSOLE_MORE;
}

static void keep_sub(struct console_telnet *t, unsigned char c)
{
	if (t->sub_n < sizeof(t->sub))
		t->sub[t->sub_n] = c;
	t->sub_n += t->sub_n <= sizeof(t->sub);
}

static void end_sub(struct console_telnet *t)
{
	if (t->sub_n != 5 || t->sub[0] != OPT_NAWS)
		return;
	t->width = (unsigned)t->sub[1] << 8 | t->sub[2];
	t->height = (unsigned)t->sub[3] << 8 | t->sub[4];
}

static enum console_event feed_octet(struct console_telnet *t, unsigned char c, struct pb_text *out)
{
	switch (t->state) {
	case GOT_IAC:
		return on_command(t, c, out);
	case GOT_VERB:
		t->state = PLAIN;
		return on_option(t, c, out);
	case IN_SUB:
		if (c == IAC)
			t->state = IN_SUB_IAC;
		else
			keep_sub(t, c);
		return CONSOLE_MORE;
	case IN_SUB_IAC:
		t->state = c == IAC ? IN_SUB : PLAIN;
		if (c == IAC)
			keep_sub(t, c);
		else if (c == SE)
			end_sub(t);
		return CONSOLE_MORE;
	default:
		if (c != IAC)
			return console_edit_char(&t->edit, c, out);
		t->state = GOT_IAC;
		return CONSOLE_MORE;
	}
}

enum console_event console_telnet_feed(struct console_telnet *t, struct pb_str *in, struct pb_text *out)
{
	enum console_event ev = CONSOLE_MORE;

	while (in->n && ev == CONSOLE_MORE) {
		ev = feed_octet(t, (unsigned char)in->p[0], out);
		*in = pb_str_from(*in, 1);
	}
	return ev;
}

int console_telnet_init(struct console_telnet *t, unsigned history_max)
{
	*t = (struct console_telnet){ .height = 24 };
	return console_edit_init(&t->edit, history_max);
}

void console_telnet_fini(struct console_telnet *t)
{
	console_edit_fini(&t->edit);
}
