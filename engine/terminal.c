/*
 * patchbay console at a terminal: put into raw mode, it is the engine's editor
 * that one types into, as over telnet. What goes to the engine is telnet: keys,
 * and the window's size when it changes; what comes is shown, and WILL LOGOUT
 * says that the session ended as it should.
 *
 * The terminal is put back whatever ends the session: the engine's death, a
 * signal to us, or an engine that does not react to ^C. ^] ends it at once.
 */
#include "program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/text.h"

/** ^C and ^]. */
#define KEY_INTERRUPT 0x03
#define KEY_LEAVE 0x1d
/** How long an engine may take to end a session by ^C. */
#define PATIENCE_MS 2000

/* RFC 854, 727, 1073 */
enum { IAC = 255, DONT = 254, WILL = 251, SB = 250, SE = 240, LOGOUT = 18, NAWS = 31 };

enum ending { GOES_ON, ENDED, LOST, IGNORED, DETACHED, SIGNALLED };

struct session {
	int fd, signals;
	struct termios before;
	unsigned seen; /* of a telnet command: octets behind IAC, and IAC */
	unsigned char verb;
	bool bye; /* the engine said that it ends the session */
	bool leaving; /* ^C was pressed */
	int signal;
};

/* ---- To the engine --------------------------------------------------------------------- */

static enum ending put(const struct session *s, struct pb_str bytes)
{
	ssize_t n;

	/* An engine that takes nothing does not hold us up: keys are lost. */
	do
		n = send(s->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 && errno != EAGAIN ? LOST : GOES_ON;
}

static void window(unsigned *width, unsigned *height)
{
	struct winsize w = { 0 };

	*width = 80;
	*height = 24;
	if (ioctl(0, TIOCGWINSZ, &w) || !w.ws_col || !w.ws_row)
		return;
	*width = w.ws_col;
	*height = w.ws_row;
}

static void add_octet(struct pb_text *t, unsigned c)
{
	if (c == IAC)
		pb_text_addc(t, (char)IAC);
	pb_text_addc(t, (char)c);
}

static enum ending send_window(const struct session *s)
{
	unsigned width, height;
	struct pb_text t;
	char buf[16];

	window(&width, &height);
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "%c%c%c", IAC, SB, NAWS);
	add_octet(&t, width >> 8 & 0xff);
	add_octet(&t, width & 0xff);
	add_octet(&t, height >> 8 & 0xff);
	add_octet(&t, height & 0xff);
	pb_text_addf(&t, "%c%c", IAC, SE);
	return put(s, pb_text_str(&t));
}

static enum ending begin(const struct session *s)
{
	unsigned width, height;
	struct pb_text t;
	char buf[64];

	window(&width, &height);
	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_addf(&t, "%%%%terminal %ux%u\n", width, height);
	return put(s, pb_text_str(&t));
}

static enum ending on_keys(struct session *s)
{
	char keys[1024], twice[2 * sizeof(keys)];
	ssize_t n = read(0, keys, sizeof(keys));
	struct pb_text t;

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN) ? GOES_ON : DETACHED;
	pb_text_init_buf(&t, twice, sizeof(twice));
	for (ssize_t i = 0; i < n; i++) {
		if (keys[i] == KEY_LEAVE)
			return DETACHED;
		s->leaving |= keys[i] == KEY_INTERRUPT;
		add_octet(&t, (unsigned char)keys[i]);
	}
	return put(s, pb_text_str(&t));
}

/* ---- From the engine ---------------------------------------------------------------------- */

/** @return whether `c` is to be shown. */
static bool take(struct session *s, unsigned char c)
{
	if (!s->seen) {
		s->seen = c == IAC;
		return !s->seen;
	}
	if (s->seen == 1) {
		s->verb = c;
		s->seen = c >= WILL && c <= DONT ? 2 : 0;
		return c == IAC;
	}
	s->bye |= s->verb == WILL && c == LOGOUT;
	s->seen = 0;
	return false;
}

static void show(struct pb_str bytes)
{
	while (bytes.n) {
		ssize_t n = write(1, bytes.p, bytes.n);

		if (n < 0 && errno != EINTR)
			return;
		bytes = pb_str_from(bytes, n > 0 ? (size_t)n : 0);
	}
}

static enum ending on_text(struct session *s)
{
	char buf[16384];
	ssize_t n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
	size_t shown = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return GOES_ON;
	if (n <= 0)
		return s->bye ? ENDED : LOST;
	for (ssize_t i = 0; i < n; i++) {
		if (take(s, (unsigned char)buf[i]))
			buf[shown++] = buf[i];
	}
	show(pb_str(buf, shown));
	return GOES_ON;
}

/* ---- Signals, and the whole ------------------------------------------------------------------ */

static enum ending on_signal(struct session *s)
{
	struct signalfd_siginfo si;

	if (read(s->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return GOES_ON;
	if (si.ssi_signo == SIGWINCH)
		return send_window(s);
	s->signal = (int)si.ssi_signo;
	return SIGNALLED;
}

static void block(sigset_t *set)
{
	static const int ours[] = { SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(set, ours[i]);
	sigprocmask(SIG_BLOCK, set, NULL);
}

static enum ending relay(struct session *s)
{
	struct pollfd fds[3] = { { .fd = s->signals, .events = POLLIN }, { .fd = s->fd, .events = POLLIN },
				 { .fd = 0, .events = POLLIN } };
	static enum ending (*const fns[])(struct session *) = { on_signal, on_text, on_keys };
	enum ending how = begin(s);

	while (how == GOES_ON) {
		int n = poll(fds, 3, s->leaving ? PATIENCE_MS : -1);

		if (n == 0)
			return IGNORED;
		if (n < 0 && errno != EINTR)
			return LOST;
		for (int i = 0; i < 3 && n > 0 && how == GOES_ON; i++) {
			if (fds[i].revents)
				how = fns[i](s);
		}
	}
	return how;
}

static int tell(const struct session *s, enum ending how)
{
	static const char *const said[] = {
		[LOST] = "the engine has gone: the connection was lost",
		[IGNORED] = "the engine does not answer: left it",
		[DETACHED] = "left the engine",
	};

	if (how == SIGNALLED) {
		sigset_t set;

		sigfillset(&set);
		signal(s->signal, SIG_DFL);
		raise(s->signal);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
	}
	if (how == ENDED)
		return PB_EXIT_OK;
	fprintf(stderr, "\npatchbay: %s\n", how == SIGNALLED ? "stopped" : said[how]);
	return how == DETACHED ? PB_EXIT_OK : PB_EXIT_FAILED;
}

int pb_attach_terminal(int fd)
{
	struct session s = { .fd = fd };
	struct termios raw;
	enum ending how = LOST;
	sigset_t set;

	block(&set);
	s.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signals >= 0 && !tcgetattr(0, &s.before)) {
		raw = s.before;
		cfmakeraw(&raw);
		tcsetattr(0, TCSANOW, &raw);
		how = relay(&s);
		tcsetattr(0, TCSANOW, &s.before);
	}
	if (s.signals >= 0)
		close(s.signals);
	close(fd);
	return tell(&s, how);
}
