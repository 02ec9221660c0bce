/* control.c - having a process do something: the tool's half of ../../runtime/control.h.
 *
 * The block is one request long. Tools lock each other out by a name among the abstract sockets, which vanishes with
 * its holder. The request's number is written last, then sysmon's kernel thread is rung; when the process lives in another
 * pid namespace its thread's id there is looked up in /proc. The wait is bounded, and when it is over /proc says
 * whether the process is stopped. Where others have the CPUs (a control group with a hundred times the shares, real-time
 * threads) that thread may get none for seconds: such time does not count, up to a bound, and is named.
 *
 * The kernel counts how long a thread has waited for CPUs, but a wait only when it is over or the thread changes CPUs;
 * what it waits now is added to that: for how long it has been seen runnable without running.
 */
#include "control.h"
#include "command.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 5000
#define WAIT_STARVED_MS 30000
#define LOOK_MS 10
#define LOCK_WAIT_MS 2000
#define DOORBELL 64 /* the runtime's preempt_signal */

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
}

/* A descriptor that holds the lock, or -1. */
static int lock_out_others(pid_t pid)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "preloom-control-%d", (int)pid);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t end = now_ms() + LOCK_WAIT_MS;
	while (fd >= 0 && bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) != 0) {
		if (errno != EADDRINUSE || now_ms() > end) {
			close(fd);
			return -1;
		}
		pause_a_little();
	}
	return fd;
}

/* The value of "key:" in /proc/PID/status or in that of one of its threads; "" if there is none. */
static void status_field(pid_t pid, const char *task, const char *key, char *value, size_t size)
{
	char name[96], line[256];
	snprintf(name, sizeof(name), "/proc/%d/task/%s/status", (int)pid, task);
	FILE *f = fopen(name, "re");
	*value = 0;
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':') {
			char *p = line + strlen(key) + 1;
			p += strspn(p, " \t");
			p[strcspn(p, "\n")] = 0;
			snprintf(value, size, "%s", p);
			break;
		}
	if (f)
		fclose(f);
}

/* Our number for the thread that calls itself `inner`. */
static pid_t outer_tid(pid_t pid, int inner)
{
	char name[64], value[128];
	pid_t found = 0;
	snprintf(name, sizeof(name), "/proc/%d/task", (int)pid);
	DIR *d = opendir(name);
	for (struct dirent *e; d && !found && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		status_field(pid, e->d_name, "NSpid", value, sizeof(value));
		const char *last = strrchr(value, '\t');
		if (atoi(last ? last + 1 : value) == inner)
			found = atoi(e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

/* How long a thread has waited for a CPU since the first look; see the head of this file. */
struct cpu_wait {
	int64_t looked, since;	   /* ms; since then it has been seen runnable but has not run */
	unsigned long begin, then; /* ns that the kernel had counted: at the first look; when it was last seen to have run */
	unsigned long ran;	   /* ns */
	int64_t total;		   /* ms */
};

static void cpu_wait_look(struct cpu_wait *w, pid_t pid, pid_t tid, int64_t now)
{
	char name[64], state[64];
	unsigned long ran = 0, waited = 0;
	if (!tid || (w->looked && now < w->looked + LOOK_MS))
		return;
	snprintf(name, sizeof(name), "/proc/%d/task/%d/schedstat", (int)pid, (int)tid);
	FILE *f = fopen(name, "re");
	bool known = f && fscanf(f, "%lu %lu", &ran, &waited) == 2 && ran; /* else this kernel does not count */
	if (f)
		fclose(f);
	if (!known)
		return;
	snprintf(name, sizeof(name), "%d", (int)tid);
	status_field(pid, name, "State", state, sizeof(state));
	bool first = !w->looked, has_run = first || ran != w->ran;
	if (first)
		w->begin = waited;
	if (has_run)
		w->then = waited;
	if (has_run || *state != 'R')
		w->since = now;
	w->looked = now;
	w->ran = ran;
	int64_t unfinished = now - w->since, counted = (int64_t)(waited - w->then) / 1000000;
	w->total = (int64_t)(w->then - w->begin) / 1000000 + (counted > unfinished ? counted : unfinished);
}

static bool ring(pid_t pid, pid_t tid, uint64_t token)
{
	siginfo_t info = { .si_signo = DOORBELL, .si_code = SI_QUEUE };
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = (void *)token;
	if (tid && syscall(SYS_rt_tgsigqueueinfo, pid, tid, DOORBELL, &info) == 0)
		return true;
	return syscall(SYS_rt_sigqueueinfo, pid, DOORBELL, &info) == 0;
}

static char state_of(pid_t pid)
{
	char id[24], value[64];
	snprintf(id, sizeof(id), "%d", (int)pid);
	status_field(pid, id, "State", value, sizeof(value));
	return value[0];
}

/* A line on why there is no answer; starved: how many ms of `waited` its thread waited for a CPU. */
static bool no_answer(pid_t pid, const char *when, int64_t waited, int64_t starved)
{
	char s = state_of(pid);
	if (s == 'T' || s == 't')
		fail("process %d: it is stopped (by %s); let it go on first%s", (int)pid,
		     s == 't' ? "a debugger" : "a signal: kill -CONT lets it go on", when);
	else if (s == 0 || s == 'Z' || s == 'X')
		fail("process %d: it has ended", (int)pid);
	else if (2 * starved > waited)
		fail("process %d: it did not answer within %d s, and waited for a CPU for %d s of these: others have them%s", (int)pid,
		     (int)(waited / 1000), (int)(starved / 1000), when);
	else
		fail("process %d: it did not answer within %d s%s", (int)pid, (int)(waited / 1000), when);
	return false;
}

static uintptr_t block(const struct target *t, size_t offset)
{
	return t->h.control + offset;
}

static bool write_request(const struct target *t, struct control *c)
{
	size_t from = offsetof(struct control, command), n = sizeof(*c) - from;
	uint32_t number = load_rlx(&c->request) + 1;
	uint64_t token = load_rlx(&c->token);
	if (!token) {
		if (getrandom(&token, sizeof(token), 0) != (ssize_t)sizeof(token))
			return false;
		token |= 1;
		if (!target_write(t, block(t, offsetof(struct control, token)), &token, sizeof(token)))
			return false;
		store_rlx(&c->token, token);
	}
	store_rlx(&c->request, number);
	return target_write(t, block(t, from), (char *)c + from, n) &&
	       target_write(t, block(t, offsetof(struct control, request)), &number, sizeof(number));
}

static bool wait_done(const struct target *t, struct control *c, pid_t tid, const char *when)
{
	uint32_t number = load_rlx(&c->request);
	struct cpu_wait cpu = { 0 };
	int64_t begin = now_ms(), waited = 0;
	while (target_read(t, block(t, 0), c, sizeof(*c))) {
		if (load_rlx(&c->done) == number)
			return true;
		if (waited > WAIT_STARVED_MS || waited - cpu.total > WAIT_MS)
			return no_answer(t->pid, when, waited, cpu.total);
		pause_a_little();
		waited = now_ms() - begin;
		cpu_wait_look(&cpu, t->pid, tid, begin + waited);
	}
	return no_answer(t->pid, "", waited, 0);
}

static bool can_answer(const struct target *t, struct control *c)
{
	char s = state_of(t->pid);
	if (t->h.control && !target_read(t, block(t, 0), c, sizeof(*c))) {
		fail("process %d: it has ended", (int)t->pid);
		return false;
	}
	if (!t->h.control) {
		fail("process %d: it has no thread that could answer (a child that made none since its fork)", (int)t->pid);
		return false;
	}
	return s == 'T' || s == 't' ? no_answer(t->pid, "", 0, 0) : true;
}

/* Who asked for it gave up, or was killed, perhaps before it rang. */
static bool earlier_done(const struct target *t, struct control *c, pid_t tid)
{
	if (load_rlx(&c->done) == load_rlx(&c->request))
		return true;
	ring(t->pid, tid, load_rlx(&c->token));
	return wait_done(t, c, tid, "; it is still at an earlier request");
}

static bool ask(const struct target *t, struct control *c, pid_t tid)
{
	if (write_request(t, c) && (ring(t->pid, tid, load_rlx(&c->token)) || errno != EPERM))
		return true;
	if (errno == ESRCH)
		fail("process %d: it has ended", (int)t->pid);
	else
		fail("process %d: it cannot be asked: %s", (int)t->pid, strerror(errno));
	return false;
}

bool control_do(const struct target *t, enum control_command command, const int64_t *arg, size_t nargs, const char *text,
		int64_t *result)
{
	struct control c;
	int fd = lock_out_others(t->pid);
	if (fd < 0) {
		fail("process %d: another preloom command is asking it for something", (int)t->pid);
		return false;
	}
	bool ok = can_answer(t, &c);
	pid_t tid = ok ? outer_tid(t->pid, c.sysmon_tid) : 0;
	ok = ok && earlier_done(t, &c, tid);
	if (ok) {
		c.command = (uint32_t)command;
		for (size_t i = 0; i < nelem(c.arg); i++)
			c.arg[i] = i < nargs ? arg[i] : 0;
		snprintf(c.text, sizeof(c.text), "%s", text ? text : "");
		ok = ask(t, &c, tid) && wait_done(t, &c, tid, "; it will do it when it goes on");
	}
	close(fd);
	if (ok)
		*result = c.result;
	return ok;
}
