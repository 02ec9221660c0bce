/* init.c - getting into the process: constructor and the interposed functions that make threads.
 *
 * The constructor only reads its options: a program that makes no thread runs as if the library were not there. The
 * first pthread_create activates (activate.c), and then glibc's own pthread_create runs, whose clone makes a G.
 */
#include "../runtime/gs.h"
#include "../runtime/runtime.h"
#include "activate.h"
#include "options.h"
#include "spawn.h"
#include <aio.h>
#include <dlfcn.h>
#include <errno.h>
#include <mqueue.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
typedef int thrd_fn(thrd_t *, thrd_start_t, void *);

enum { Undecided, Active, Off };
static int state;

/* Children inherit LD_PRELOAD unless PRELOOM_CHILDREN=0: then take ourselves out of it. */
static void leave_children_alone(void)
{
	const char *v = getenv("PRELOOM_CHILDREN"), *p = getenv("LD_PRELOAD");
	if (!v || strcmp(v, "0") || !p)
		return;
	char kept[4096] = "";
	size_t n = 0;
	while (*p) {
		p += strspn(p, " :");
		size_t len = strcspn(p, " :");
		const char *slash = memrchr(p, '/', len);
		const char *base = slash ? slash + 1 : p;
		bool ours = (size_t)(p + len - base) >= 13 && memcmp(base, "libpreloom.so", 13) == 0;
		if (len && !ours && n + len + 2 < sizeof(kept)) {
			if (n)
				kept[n++] = ':';
			memcpy(kept + n, p, len);
			n += len;
		}
		p += len;
	}
	if (n)
		setenv("LD_PRELOAD", kept, 1);
	else
		unsetenv("LD_PRELOAD");
}

__attribute__((constructor)) static void preloom_init(void)
{
	activate_loaded_by = getpid();
	if (getenv("PRELOOM_CHILDREN"))
		leave_children_alone();
	if (!getenv("PRELOOM"))
		return;
	activate_read_options(false);
	if (options.help) {
		options_help(1);
		_exit(0);
	}
}

static void *next_symbol(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);
	if (!p) {
		static const char text[] = "preloom: the C library has no thread functions\n";
		if (write(2, text, sizeof(text) - 1) < 0)
			_exit(127);
		abort();
	}
	return p;
}

static void before_thread(void)
{
	int saved = errno;
	if (state == Undecided)
		state = activate() ? Active : Off;
	errno = saved;
}

/* What glibc's clone cannot tell: where the program asked for a thread, and what for. NULL: nobody to tell. */
static struct g *announce(void *entry, void *arg, void *site)
{
	struct m *m = state == Active ? gs_m() : NULL;
	struct g *g = m && !m->foreign ? m->curg : NULL;
	struct spawn s;
	if (g) {
		spawn_find((uintptr_t)entry, (uintptr_t)arg, (uintptr_t)site, &s);
		g->spawn_entry = s.entry;
		g->spawn_at = s.at;
		g->spawn_above = s.above;
		g->spawn_through = s.through;
	}
	return g;
}

static void announced(struct g *g)
{
	if (g)
		g->spawn_entry = g->spawn_at = g->spawn_above = g->spawn_through = 0;
}

/* The C library makes threads of its own for these, and its pthread_create does not go through the symbol. Interposed
 * only so that activation comes first. */
#define THREADED(name, result, params, args, makes_thread)                 \
	EXPORT result name params                                          \
	{                                                                  \
		static result(*next) params;                               \
		if (!next)                                                 \
			next = (result(*) params)next_symbol(#name);       \
		if (makes_thread)                                          \
			before_thread();                                   \
		return next args;                                          \
	}

#define NOTIFIES(ev) ((ev) && (ev)->sigev_notify == SIGEV_THREAD)

THREADED(timer_create, int, (clockid_t c, struct sigevent *ev, timer_t *t), (c, ev, t), NOTIFIES(ev))
THREADED(mq_notify, int, (mqd_t q, const struct sigevent *ev), (q, ev), NOTIFIES(ev))
THREADED(getaddrinfo_a, int, (int mode, struct gaicb **list, int n, struct sigevent *ev), (mode, list, n, ev), true)
THREADED(aio_read, int, (struct aiocb *a), (a), true)
THREADED(aio_write, int, (struct aiocb *a), (a), true)
THREADED(aio_fsync, int, (int op, struct aiocb *a), (op, a), true)
THREADED(lio_listio, int, (int mode, struct aiocb *const *list, int n, struct sigevent *ev), (mode, list, n, ev), true)
THREADED(aio_read64, int, (struct aiocb64 *a), (a), true)
THREADED(aio_write64, int, (struct aiocb64 *a), (a), true)
THREADED(aio_fsync64, int, (int op, struct aiocb64 *a), (op, a), true)
THREADED(lio_listio64, int, (int mode, struct aiocb64 *const *list, int n, struct sigevent *ev), (mode, list, n, ev), true)

/* Attributes of a mutex with priority inheritance that processes share: its word holds the owner's thread id, and only among
 * processes on preloom all mean the same by that. The children of this one, which may have it too, will be so from the start. */
static bool shared_pi(const pthread_mutexattr_t *a, int protocol, int shared)
{
	if (protocol != PTHREAD_PRIO_INHERIT && pthread_mutexattr_getprotocol(a, &protocol))
		return false;
	if (shared != PTHREAD_PROCESS_SHARED && pthread_mutexattr_getpshared(a, &shared))
		return false;
	return protocol == PTHREAD_PRIO_INHERIT && shared == PTHREAD_PROCESS_SHARED;
}

THREADED(pthread_mutexattr_setprotocol, int, (pthread_mutexattr_t *a, int p), (a, p),
	 p == PTHREAD_PRIO_INHERIT && shared_pi(a, p, PTHREAD_PROCESS_PRIVATE))
THREADED(pthread_mutexattr_setpshared, int, (pthread_mutexattr_t *a, int s), (a, s),
	 s == PTHREAD_PROCESS_SHARED && shared_pi(a, PTHREAD_PRIO_NONE, s))

/* Both versions, GLIBC_2.2.5 and GLIBC_2.34: an interposed symbol without a version serves every reference. */
EXPORT int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
	static create_fn *next;
	if (!next)
		next = (create_fn *)next_symbol("pthread_create");
	before_thread();
	struct g *self = announce((void *)fn, arg, __builtin_return_address(0));
	int err = next(t, a, fn, arg);
	announced(self);
	return err;
}

/* glibc's thrd_create reaches its pthread_create without going through the symbol. */
EXPORT int thrd_create(thrd_t *t, thrd_start_t fn, void *arg)
{
	static thrd_fn *next;
	if (!next)
		next = (thrd_fn *)next_symbol("thrd_create");
	before_thread();
	struct g *self = announce((void *)fn, arg, __builtin_return_address(0));
	int err = next(t, fn, arg);
	announced(self);
	return err;
}
