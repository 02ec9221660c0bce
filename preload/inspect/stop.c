/* stop.c - holds a process still for a moment.
 *
 * PTRACE_SEIZE and PTRACE_INTERRUPT for every kernel thread, until a look at /proc/PID/task finds no new one. Seizing sends
 * no signal, leaves a process that is stopped by SIGSTOP stopped, and everything ends by itself when the tracer does:
 * that is why all of it runs on a thread of its own, which ends at once after the look. Even a kernel thread that did not
 * stop in time (it sleeps uninterruptibly) is then no longer traced.
 *
 * A thread that had a signal on its way stops for that instead; the signal is handed over when it is let go.
 */
#include "stop.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#define PATIENCE_NS 1000000000L /* for threads that do not stop: they sleep in the kernel, or get no CPU */
#define NAP_NS 1000000L
#define PASSES 20

struct job {
	pid_t pid;
	void (*look)(const struct stop *, void *);
	void *arg;
	struct stop s;
	size_t room;
	int64_t from, to; /* first stop, last release */
};

static bool known(const struct stop *s, pid_t tid)
{
	return stop_thread(s, tid) != NULL;
}

const struct stopped *stop_thread(const struct stop *s, pid_t tid)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->t[i].tid == tid)
			return &s->t[i];
	return NULL;
}

static bool add(struct job *j, pid_t tid)
{
	if (j->s.n == j->room) {
		size_t more = j->room ? 2 * j->room : 64;
		struct stopped *p = realloc(j->s.t, more * sizeof(*p));
		if (!p)
			return false;
		j->s.t = p;
		j->room = more;
	}
	j->s.t[j->s.n++] = (struct stopped){ .tid = tid };
	return true;
}

static const char *refusal(int err)
{
	static char text[128];
	snprintf(text, sizeof(text), "not permitted to stop it (%s)", strerror(err));
	return err == EPERM ? "not permitted to stop it (a debugger holds it, or kernel.yama.ptrace_scope forbids it)" : text;
}

/* One pass over the threads; the number of new ones. */
static int seize_new(struct job *j)
{
	char name[64];
	int fresh = 0;
	snprintf(name, sizeof(name), "/proc/%d/task", (int)j->pid);
	DIR *d = opendir(name);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		pid_t tid = atoi(e->d_name);
		if (tid <= 0 || known(&j->s, tid))
			continue;
		if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0) {
			if (errno != ESRCH && !j->s.why)
				j->s.why = refusal(errno);
			continue;
		}
		if (!add(j, tid))
			break;
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
		fresh++;
	}
	closedir(d);
	return fresh;
}

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static void take(struct stopped *t, int status)
{
	if (!WIFSTOPPED(status))
		return;
	if (status >> 16 != PTRACE_EVENT_STOP)
		t->signal = WSTOPSIG(status);
	t->still = ptrace(PTRACE_GETREGS, t->tid, NULL, &t->regs) == 0;
}

/* SIGCHLD says that one has stopped. Several are one signal, so the nap has an end. */
static void wait_for_all(struct job *j, int64_t until)
{
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (size_t i = 0; i < j->s.n; i++) {
		struct stopped *t = &j->s.t[i];
		int status;
		if (t->still)
			continue;
		for (;;) {
			pid_t r = waitpid(t->tid, &status, __WALL | WNOHANG);
			if (r == t->tid)
				take(t, status);
			if (r != 0 || now_ns() > until)
				break;
			sigtimedwait(&child, NULL, &(struct timespec){ .tv_nsec = NAP_NS });
		}
	}
}

static void *tracer(void *arg)
{
	struct job *j = arg;
	j->from = now_ns();
	int64_t until = j->from + PATIENCE_NS;
	for (int pass = 0; pass < PASSES && seize_new(j); pass++)
		wait_for_all(j, until);
	if (j->s.n)
		j->s.why = NULL;
	j->look(&j->s, j->arg);
	for (size_t i = 0; i < j->s.n; i++)
		if (j->s.t[i].still)
			ptrace(PTRACE_DETACH, j->s.t[i].tid, NULL, (void *)(long)j->s.t[i].signal);
	j->to = now_ns();
	return NULL;
}

int64_t stop_run(pid_t pid, void (*look)(const struct stop *s, void *arg), void *arg)
{
	struct job j = { .pid = pid, .look = look, .arg = arg };
	pthread_t t;
	sigset_t child, old;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &child, &old);
	if (pthread_create(&t, NULL, tracer, &j) == 0)
		pthread_join(t, NULL);
	else
		look(&j.s, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	free(j.s.t);
	return j.s.n ? j.to - j.from : 0;
}
