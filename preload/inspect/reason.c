/* reason.c - what a G does or waits for, in words.
 *
 * The runtime sees a futex; which pthread object that word belongs to is told by the function of libc that the program
 * called, the last one of libc's frames on top of the stack (its name is in .dynsym, so a stripped libc will do). Where in
 * the object the word lies, and who owns it, are glibc's layouts since 2.25, which are ABI for statically initialised
 * objects. A word that is some G's clear_child_tid needs no name: that is a join.
 */
#include "reason.h"
#include "../arch/x86_64/sysname.h"
#include "fds.h"
#include <asm/unistd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define MUTEX_OWNER 8
#define RWLOCK_WRPHASE 8
#define RWLOCK_WRITERS 12
#define RWLOCK_CUR_WRITER 24
#define COND_SIGNALS 40
#define BARRIER_ROUND 4
#define TID_MASK 0x3fffffffu
#define MAX_POLL 4

static const struct {
	const char *function; /* a beginning */
	enum reason_kind kind;
	const char *state;
} calls[] = {
	{ "pthread_mutex_", ReasonMutex, "sync.Mutex wait" },
	{ "__pthread_mutex_", ReasonMutex, "sync.Mutex wait" },
	{ "mtx_", ReasonMutex, "sync.Mutex wait" },
	{ "pthread_cond_", ReasonCond, "sync.Cond wait" },
	{ "__pthread_cond_", ReasonCond, "sync.Cond wait" },
	{ "cnd_", ReasonCond, "sync.Cond wait" },
	{ "sem_", ReasonSem, "semaphore wait" },
	{ "__new_sem_", ReasonSem, "semaphore wait" },
	{ "pthread_rwlock_rd", ReasonRead, "sync.RWMutex read wait" },
	{ "pthread_rwlock_timedrd", ReasonRead, "sync.RWMutex read wait" },
	{ "pthread_rwlock_clockrd", ReasonRead, "sync.RWMutex read wait" },
	{ "pthread_rwlock_wr", ReasonWrite, "sync.RWMutex write wait" },
	{ "pthread_rwlock_timedwr", ReasonWrite, "sync.RWMutex write wait" },
	{ "pthread_rwlock_clockwr", ReasonWrite, "sync.RWMutex write wait" },
	{ "pthread_barrier_", ReasonBarrier, "barrier wait" },
	{ "pthread_once", ReasonOnce, "sync.Once wait" },
	{ "call_once", ReasonOnce, "sync.Once wait" },
	{ "pthread_join", ReasonJoin, "join" },
	{ "pthread_timedjoin", ReasonJoin, "join" },
	{ "pthread_clockjoin", ReasonJoin, "join" },
	{ "thrd_join", ReasonJoin, "join" },
};

static bool in_libc(const char *object)
{
	const char *slash = strrchr(object, '/');
	slash = slash ? slash + 1 : object;
	return !strncmp(slash, "libc.so", 7) || !strncmp(slash, "libpthread", 10) || !strncmp(slash, "libc-", 5);
}

/* The function of libc that the program called; NULL if it is not in libc, or has no name. */
static const char *libc_call(struct symbols *sym, const struct stack *st, bool *in)
{
	const char *name = NULL;
	*in = false;
	for (size_t i = 0; i < st->n; i++) {
		const struct symbol *s;
		if (st->f[i].ours)
			continue;
		size_t n = symbols_at(sym, st->f[i].pc, st->f[i].is_return, &s);
		if (!in_libc(s[n - 1].object))
			break;
		*in = true;
		name = s[n - 1].function;
	}
	return name;
}

void reason_time(int64_t ns, char *out, size_t n)
{
	double s = (double)ns / NSEC_PER_SEC;
	if (ns < 0)
		snprintf(out, n, "unknown time");
	else if (s >= 60)
		snprintf(out, n, "%ld minute%s", (long)(s / 60), s >= 120 ? "s" : "");
	else if (s >= 1)
		snprintf(out, n, "%.1f s", s);
	else if (s >= 0.001)
		snprintf(out, n, "%ld ms", (long)(s * 1e3));
	else
		snprintf(out, n, "%ld us", (long)(s * 1e6));
}

void reason_place(struct symbols *sym, uintptr_t at, char *out, size_t n)
{
	const struct symbol *s;
	size_t k = symbols_at(sym, at, false, &s);
	if (s[k - 1].function && s[k - 1].offset == 0)
		snprintf(out, n, "%s (%#lx)", s[k - 1].function, (long)at);
	else if (s[k - 1].function && s[k - 1].offset < 65536)
		snprintf(out, n, "%s+%#lx (%#lx)", s[k - 1].function, (long)s[k - 1].offset, (long)at);
	else
		snprintf(out, n, "%#lx", (long)at);
}

/* --- futexes --- */

static bool near_word(const struct captured *x, int offset, uint32_t *v)
{
	return capture_near(x, offset, v, sizeof(*v));
}

static uint32_t rwlock_writer(const struct captured *x, int base)
{
	uint32_t v;
	return near_word(x, base + RWLOCK_CUR_WRITER, &v) ? v : 0;
}

static void own(const struct capture *c, struct reason *r, uint32_t tid)
{
	r->owner_tid = tid & TID_MASK;
	r->owner = r->owner_tid ? snapshot_g_by_tid(&c->s, r->owner_tid) : NULL;
}

static void find_object(const struct capture *c, const struct captured *x, const struct g *g, struct reason *r)
{
	uintptr_t at = g->wait_addr;
	uint32_t v;
	int base = 0;
	switch (r->kind) {
	case ReasonMutex:
		if (near_word(x, MUTEX_OWNER, &v))
			own(c, r, v);
		break;
	case ReasonRead:
	case ReasonWrite:
		base = at % 8 == 4 ? -RWLOCK_WRITERS : -RWLOCK_WRPHASE;
		if (at % 8 == 0 && !snapshot_g_by_tid(&c->s, rwlock_writer(x, base)) &&
		    snapshot_g_by_tid(&c->s, rwlock_writer(x, 0)))
			base = 0; /* readers that let writers go first wait on the first word */
		own(c, r, rwlock_writer(x, base));
		break;
	case ReasonCond:
		base = at % 8 == 4 ? -(COND_SIGNALS + 4) : -COND_SIGNALS;
		break;
	case ReasonBarrier:
		base = at % 8 == 4 ? -BARRIER_ROUND : 0;
		break;
	default:
		break;
	}
	r->object = at + (uintptr_t)(intptr_t)base;
}

static void tell_object(struct symbols *sym, struct reason *r, const char *noun)
{
	char place[160];
	size_t n;
	reason_place(sym, r->object, place, sizeof(place));
	n = (size_t)snprintf(r->detail, sizeof(r->detail), "%s %s", noun, place);
	if (n >= sizeof(r->detail))
		return;
	if (r->owner)
		snprintf(r->detail + n, sizeof(r->detail) - n, ", held by goroutine %lu \"%.*s\", thread %u",
			 (unsigned long)r->owner->g.goid, GNAME_LEN, r->owner->g.name, r->owner->g.tid);
	else if (r->owner_tid)
		snprintf(r->detail + n, sizeof(r->detail) - n, ", held by thread %u, which is none of this process's",
			 r->owner_tid);
	else if (r->kind == ReasonMutex || r->kind == ReasonWrite)
		snprintf(r->detail + n, sizeof(r->detail) - n, ", which has no single owner now");
}

/* A function without a name (static, in a stripped libc). The word and its neighbours tell: a contended mutex is 2 and has
 * a living owner; a semaphore that is waited for is 0 with a number of waiters behind it. */
static const char *guess(const struct capture *c, const struct captured *x)
{
	uint32_t v, next, third;
	if (!near_word(x, 0, &v) || !near_word(x, 4, &next) || !near_word(x, 8, &third))
		return NULL;
	if (v == 2 && snapshot_g_by_tid(&c->s, third))
		return "pthread_mutex_";
	if (v == 0 && next > 0 && next <= c->s.ng && (third == 0 || third == 128))
		return "sem_";
	return NULL;
}

static bool known_call(const char *name, struct reason *r)
{
	for (size_t i = 0; name && i < nelem(calls); i++)
		if (!strncmp(name, calls[i].function, strlen(calls[i].function))) {
			r->kind = calls[i].kind;
			snprintf(r->state, sizeof(r->state), "%s", calls[i].state);
			return true;
		}
	return false;
}

static void join_reason(const struct capture *c, const struct snap_g *who, struct reason *r)
{
	(void)c;
	r->kind = ReasonJoin;
	r->owner = who;
	snprintf(r->state, sizeof(r->state), "join of goroutine %lu", (unsigned long)who->g.goid);
	snprintf(r->detail, sizeof(r->detail), "waits for the end of thread %u \"%.*s\"", who->g.tid, GNAME_LEN, who->g.name);
}

static const struct snap_g *joined(const struct capture *c, const struct captured *x, const struct g *g)
{
	uint32_t tid;
	const struct snap_g *who = near_word(x, 0, &tid) ? snapshot_g_by_tid(&c->s, tid) : NULL;
	return who && who->g.clear_tid == g->wait_addr ? who : NULL;
}

static void futex_reason(const struct capture *c, struct symbols *sym, const struct snap_g *sg, const struct stack *st,
			 struct reason *r)
{
	static const char *const nouns[] = { [ReasonMutex] = "mutex", [ReasonRead] = "rwlock",  [ReasonWrite] = "rwlock",
					     [ReasonCond] = "condition variable", [ReasonSem] = "semaphore",
					     [ReasonBarrier] = "barrier", [ReasonOnce] = "once control",
					     [ReasonJoin] = "thread id at" };
	const struct g *g = &sg->g;
	const struct captured *x = captured_of(c, sg);
	const struct snap_g *who = joined(c, x, g);
	uint32_t v;
	if (who) {
		join_reason(c, who, r);
		return;
	}
	r->object = g->wait_addr;
	if (g->waitreason == WaitFutexPI) {
		r->kind = ReasonMutex;
		snprintf(r->state, sizeof(r->state), "sync.Mutex wait (priority inheritance)");
		if (near_word(x, 0, &v))
			own(c, r, v);
		tell_object(sym, r, "mutex");
		return;
	}
	bool in_libc_now;
	const char *name = libc_call(sym, st, &in_libc_now);
	if (known_call(name, r) || (in_libc_now && known_call(guess(c, x), r))) {
		find_object(c, x, g, r);
		tell_object(sym, r, nouns[r->kind]);
		return;
	}
	r->kind = ReasonFutex;
	if (name && strcmp(name, "syscall"))
		snprintf(r->state, sizeof(r->state), "futex wait in %.60s", name);
	else
		snprintf(r->state, sizeof(r->state), "futex wait");
	tell_object(sym, r, "word");
}

/* --- descriptors --- */

static const char *io_verb(const struct captured *x, bool write)
{
	switch (x->has_regs ? (int)x->regs.rax : -1) {
	case __NR_accept:
	case __NR_accept4:
		return "accept on";
	case __NR_connect:
		return "connect of";
	case __NR_recvfrom:
	case __NR_recvmsg:
	case __NR_recvmmsg:
		return "receive from";
	case __NR_sendto:
	case __NR_sendmsg:
	case __NR_sendmmsg:
		return "send to";
	default:
		return write ? "write to" : "read of";
	}
}

static void io_reason(const struct capture *c, const struct snap_g *sg, struct reason *r)
{
	char what[256];
	bool write = sg->g.waitreason == WaitIOWrite;
	r->kind = ReasonIO;
	fd_describe(c->fds, sg->g.wait_fd, what, sizeof(what));
	snprintf(r->state, sizeof(r->state), "IO wait, %s fd %d", io_verb(captured_of(c, sg), write), sg->g.wait_fd);
	snprintf(r->detail, sizeof(r->detail), "fd %d: %s", sg->g.wait_fd, what);
}

/* The descriptors of a poll. */
static void poll_fds(const struct capture *c, const struct regs *regs, struct reason *r)
{
	struct pollfd p[MAX_POLL];
	uint64_t n = regs->rsi;
	size_t k = n < MAX_POLL ? n : MAX_POLL, at = 0;
	if (!target_read(c->t, regs->rdi, p, k * sizeof(*p)))
		return;
	for (size_t i = 0; i < k && at < sizeof(r->detail); i++) {
		char what[128];
		fd_describe(c->fds, p[i].fd, what, sizeof(what));
		at += (size_t)snprintf(r->detail + at, sizeof(r->detail) - at, "%sfd %d: %.60s", i ? "; " : "", p[i].fd, what);
	}
	if (n > k && at < sizeof(r->detail))
		snprintf(r->detail + at, sizeof(r->detail) - at, "; and %lu more", (unsigned long)(n - k));
}

static void poll_reason(const struct capture *c, const struct snap_g *sg, struct reason *r)
{
	const struct captured *x = captured_of(c, sg);
	int nr = x->has_regs ? (int)x->regs.rax : -1;
	char what[128];
	r->kind = ReasonPoll;
	if (nr == __NR_select || nr == __NR_pselect6) {
		snprintf(r->state, sizeof(r->state), "select");
	} else if (nr == __NR_epoll_wait || nr == __NR_epoll_pwait || nr == __NR_epoll_pwait2) {
		fd_describe(c->fds, (int)x->regs.rdi, what, sizeof(what));
		snprintf(r->state, sizeof(r->state), "epoll wait, fd %d", (int)x->regs.rdi);
		snprintf(r->detail, sizeof(r->detail), "fd %d: %s", (int)x->regs.rdi, what);
	} else {
		snprintf(r->state, sizeof(r->state), "poll");
		if (nr == __NR_poll || nr == __NR_ppoll) {
			snprintf(r->state, sizeof(r->state), "poll, %lu fds", (unsigned long)x->regs.rsi);
			poll_fds(c, &x->regs, r);
		}
	}
}

/* --- */

static bool first_is_fd(int nr)
{
	switch (nr) {
	case __NR_read: case __NR_write: case __NR_pread64: case __NR_pwrite64: case __NR_readv: case __NR_writev:
	case __NR_fsync: case __NR_fdatasync: case __NR_flock: case __NR_fcntl: case __NR_ioctl: case __NR_ftruncate:
	case __NR_getdents64: case __NR_fallocate: case __NR_preadv: case __NR_pwritev: case __NR_preadv2:
	case __NR_pwritev2: case __NR_accept: case __NR_accept4: case __NR_connect: case __NR_recvfrom:
	case __NR_sendto: case __NR_sync_file_range: case __NR_fstat:
		return true;
	default:
		return false;
	}
}

static void syscall_reason(const struct capture *c, const struct snap_g *sg, struct reason *r)
{
	const struct captured *x = captured_of(c, sg);
	char what[256];
	r->kind = ReasonSyscall;
	snprintf(r->state, sizeof(r->state), "syscall, %s", sysname(sg->g.syscall_nr));
	if (!x->has_regs || (int)x->regs.rax != sg->g.syscall_nr || !first_is_fd(sg->g.syscall_nr))
		return;
	fd_describe(c->fds, (int)x->regs.rdi, what, sizeof(what));
	snprintf(r->detail, sizeof(r->detail), "fd %d: %s", (int)x->regs.rdi, what);
}

static void sleep_reason(const struct capture *c, const struct g *g, struct reason *r)
{
	char left[48];
	int64_t ns = g->timer.when - c->s.now;
	r->kind = ReasonSleep;
	reason_time(ns > 0 ? ns : 0, left, sizeof(left));
	snprintf(r->state, sizeof(r->state), "sleep");
	if (load_rlx(&g->timer.pp))
		snprintf(r->detail, sizeof(r->detail), "wakes in %s", left);
}

void reason_of(const struct capture *c, struct symbols *sym, const struct snap_g *sg, const struct stack *st,
	       struct reason *r)
{
	const struct g *g = &sg->g;
	uint32_t status = load_rlx(&g->status);
	*r = (struct reason){ .kind = ReasonOther };
	if (status == Grunning || status == Grunnable) {
		r->kind = status == Grunning ? ReasonRunning : ReasonRunnable;
		snprintf(r->state, sizeof(r->state), status == Grunning ? "running" : "runnable");
		return;
	}
	if (status == Gsyscall) {
		syscall_reason(c, sg, r);
		return;
	}
	switch (g->waitreason) {
	case WaitFutex:
	case WaitFutexPI:
		futex_reason(c, sym, sg, st, r);
		break;
	case WaitSleep:
		sleep_reason(c, g, r);
		break;
	case WaitIORead:
	case WaitIOWrite:
		io_reason(c, sg, r);
		break;
	case WaitPoll:
	case WaitEpoll:
		poll_reason(c, sg, r);
		break;
	case WaitSignal:
		r->kind = ReasonSignal;
		snprintf(r->state, sizeof(r->state), "signal wait");
		break;
	default:
		snprintf(r->state, sizeof(r->state), "%s", g->waitreason == WaitM ? "waiting for a kernel thread" : "waiting");
	}
}
