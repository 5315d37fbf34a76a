/*
 * A process that dies tells where: the signal, the message and handler that the
 * loop was at, and a backtrace, each line into the log and to standard error.
 *
 * What runs in the handler takes no lock and no memory, with one exception: the
 * names in the backtrace come from dladdr(), which asks the loader. An alarm of
 * five seconds ends a process that hangs over it. The default action follows, so
 * that the exit status and a core are those of the signal. Under a sanitizer its
 * own report is the better one, and nothing is installed.
 */
#include "bus/engine_impl.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/text.h"

#define FRAMES_MAX 64
#define PATIENCE_S 5

static struct pb_engine *_Atomic watched;
static atomic_flag dying = ATOMIC_FLAG_INIT;

static const struct {
	int number;
	const char *name;
} signals[] = {
	{ SIGSEGV, "SIGSEGV" }, { SIGBUS, "SIGBUS" },   { SIGFPE, "SIGFPE" },
	{ SIGILL, "SIGILL" },   { SIGABRT, "SIGABRT" },
};

static void add_z(struct pb_text *t, const char *z)
{
	pb_text_add(t, pb_str_z(z));
}

static void add_address(struct pb_text *t, uint64_t v)
{
	static const char hex[] = "0123456789abcdef";
	int shift = 60;

	while (shift && !(v >> shift & 15))
		shift -= 4;
	pb_text_lit(t, "0x");
	for (; shift >= 0; shift -= 4)
		pb_text_addc(t, hex[v >> shift & 15]);
}

static void last_words(const struct pb_text *t)
{
	pb_log_last_words(&pbi_engine_log, &pbi_engine_rows[PBI_ENG_CRASH], pb_text_str(t));
}

/* ---- The lines ----------------------------------------------------------------- */

static void say_signal(int sig, const siginfo_t *si)
{
	char buf[256];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_lit(&t, "Patchbay (");
	pb_text_addu(&t, (uint64_t)getpid());
	pb_text_lit(&t, ") dies of signal ");
	pb_text_addu(&t, (uint64_t)sig);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (signals[i].number == sig) {
			pb_text_lit(&t, " ");
			add_z(&t, signals[i].name);
		}
	}
	if (si->si_code > 0 && sig != SIGABRT) {
		pb_text_lit(&t, " at address ");
		add_address(&t, (uint64_t)(uintptr_t)si->si_addr);
	}
	last_words(&t);
}

static void say_loop(struct pb_engine *e)
{
	struct pb_loop *l = pb_loop_current();
	struct pb_bus_doing d;
	char buf[256];
	struct pb_text t;

	pb_text_init_buf(&t, buf, sizeof(buf));
	if (!l) {
		pb_text_lit(&t, "on no loop");
		last_words(&t);
		return;
	}
	pb_text_lit(&t, "on loop ");
	pb_text_addu(&t, pb_loop_index(l));
	if (e && e->bus && pb_bus_doing(e->bus, pb_loop_index(l), &d)) {
		pb_text_lit(&t, " in handler '");
		add_z(&t, d.handler);
		pb_text_lit(&t, "' of message '");
		add_z(&t, d.message);
		pb_text_lit(&t, "'");
	} else {
		pb_text_lit(&t, " in no message");
	}
	last_words(&t);
}

/* "#3 /usr/lib/patchbay/sip.so+0x1a2b3 sip_leg_end+0x43": what addr2line wants, and a name where
 * there is one. */
static void say_frame(unsigned number, void *at)
{
	char buf[512];
	struct pb_text t;
	Dl_info info;

	pb_text_init_buf(&t, buf, sizeof(buf));
	pb_text_lit(&t, "#");
	pb_text_addu(&t, number);
	pb_text_lit(&t, " ");
	if (!dladdr(at, &info) || !info.dli_fname) {
		add_address(&t, (uint64_t)(uintptr_t)at);
		last_words(&t);
		return;
	}
	add_z(&t, info.dli_fname);
	pb_text_lit(&t, "+");
	add_address(&t, (uint64_t)((char *)at - (char *)info.dli_fbase));
	if (info.dli_sname) {
		pb_text_lit(&t, " ");
		add_z(&t, info.dli_sname);
		pb_text_lit(&t, "+");
		add_address(&t, (uint64_t)((char *)at - (char *)info.dli_saddr));
	}
	last_words(&t);
}

static void *crash_address(const ucontext_t *u)
{
#if defined(__x86_64__)
	return (void *)(uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (void *)(uintptr_t)u->uc_mcontext.pc;
#else
	(void)u;
	return NULL;
#endif
}

/* From where it happened: what lies above is this handler. */
static void say_frames(const ucontext_t *u)
{
	static void *frames[FRAMES_MAX];
	int n = backtrace(frames, FRAMES_MAX), first = 0;
	void *at = crash_address(u);

	for (int i = 0; i < n && at && !first; i++)
		first = frames[i] == at ? i : 0;
	if (!first && at)
		say_frame(0, at);
	for (int i = first; i < n; i++) {
		/* A recursion is told once. */
		if (i < first + 2 || frames[i] != frames[i - 1])
			say_frame((unsigned)(i - first) + (!first && at), frames[i]);
	}
}

/* ---- The handler ------------------------------------------------------------------ */

static void limit_patience(void)
{
	sigset_t set;

	signal(SIGALRM, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	alarm(PATIENCE_S);
}

static void on_crash(int sig, siginfo_t *si, void *context)
{
	struct pb_engine *e = atomic_load(&watched);

	if (atomic_flag_test_and_set(&dying)) {
		for (;;)
			pause(); /* another thread is telling */
	}
	if (sig != SIGABRT || !e || e->yate.abortinfo) {
		limit_patience();
		say_signal(sig, si);
		say_loop(e);
		say_frames(context);
		alarm(0);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

void pb_engine_watch_crashes(struct pb_engine *e)
{
	struct sigaction sa = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	void *first[1];

	atomic_store(&watched, e);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return;
#endif
	if (!e)
		return;
	backtrace(first, 1); /* loads the unwinder now */
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i].number, &sa, NULL);
}
