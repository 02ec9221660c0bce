/* A signal is taken before the program goes on, wherever between a system call and the instruction after it the signal arrives.
 * A tracer steps a child through a call, one instruction further in every round, and injects a signal there. The child
 * then counts in a loop without system calls until the handler has run: a signal that is taken late is seen in the count. */
#include "check.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEPS 110
#define STRIDE 3
#define LATE 300000u	  /* counts; a millisecond or so */
#define NEVER 400000000u

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	(void)sig;
	handled = 1;
}

static long own_instruction(long nr)
{
	long ret;
	__asm__ volatile("syscall\n\tnop\n\tnop\n\tnop" : "=a"(ret) : "a"(nr) : "rcx", "r11", "memory");
	return ret;
}

static void call_gettid(void)
{
	CHECK(gettid() > 0);
}

static void call_yield(void)
{
	CHECK(sched_yield() == 0);
}

static void call_number(void)
{
	CHECK(syscall(SYS_gettid) > 0);
}

static void call_passed(void)
{
	CHECK(syscall(SYS_getppid) > 0);
}

static void call_own(void)
{
	CHECK(own_instruction(SYS_gettid) > 0);
}

static void call_clock(void)
{
	struct timespec ts;
	CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
}

static const struct call {
	const char *name;
	void (*fn)(void);
} calls[] = {
	{ "gettid", call_gettid },	   { "sched_yield", call_yield }, { "syscall(gettid)", call_number },
	{ "syscall(getppid)", call_passed }, { "own instruction", call_own }, { "clock_gettime", call_clock },
};
#define NCALLS (sizeof(calls) / sizeof(calls[0]))

static void *nothing(void *arg)
{
	return arg;
}

static void child(volatile unsigned *count)
{
	pthread_t t;
	struct sigaction sa = { .sa_handler = handler };
	sigaction(SIGUSR1, &sa, NULL);
	CHECK(pthread_create(&t, NULL, nothing, NULL) == 0);
	pthread_join(t, NULL);
	CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
	raise(SIGSTOP);
	for (unsigned c = 0; c < NCALLS; c++)
		for (int k = 0; k < STEPS; k++) {
			unsigned n = 0;
			handled = 0;
			__asm__ volatile("int3" : : : "memory");
			calls[c].fn();
			while (!handled && n < NEVER)
				n++;
			*count = n;
		}
	_exit(0);
}

/* --- the tracer --- */

static pid_t leader;

/* The next stop of any traced thread; false when the child is gone. */
static int next_stop(pid_t *tid, int *sig, int *status)
{
	for (;;) {
		*tid = waitpid(-1, status, __WALL);
		if (*tid < 0)
			return 0;
		if (WIFSTOPPED(*status)) {
			*sig = WSTOPSIG(*status);
			if (*status >> 16) /* the birth of a thread: both stop */
				*sig = 0;
			return 1;
		}
		if (*tid == leader)
			return 0;
	}
}

static long set(int how, pid_t tid, int sig)
{
	return ptrace(how, tid, 0, (long)sig);
}

/* Lets the child run to its next int3 and says in which thread that is; 0 when the child has ended. */
static pid_t run_to_trap(int *status)
{
	pid_t tid;
	int sig;
	while (next_stop(&tid, &sig, status)) {
		if (sig == SIGTRAP)
			return tid;
		set(PTRACE_CONT, tid, sig == SIGSTOP ? 0 : sig);
	}
	return 0;
}

/* k steps of thread t; another thread's int3 means that t no longer has the loop. Returns the thread that stopped last. */
static pid_t step(pid_t t, int k, int *status)
{
	int pass = 0;
	while (k > 0) {
		pid_t tid;
		int sig;
		set(PTRACE_SINGLESTEP, t, pass);
		pass = 0;
		for (;;) {
			if (!next_stop(&tid, &sig, status))
				return 0;
			if (tid == t)
				break;
			if (sig == SIGTRAP)
				return tid;
			set(PTRACE_CONT, tid, sig == SIGSTOP ? 0 : sig);
		}
		if (sig == SIGTRAP)
			k--;
		else
			pass = sig;
	}
	return t;
}

static int judge(volatile unsigned *count, const char *name, int k)
{
	static int told;
	if (*count < LATE)
		return 0;
	if (told++ < 20)
		fprintf(stderr, "%s, after %d instructions: taken %u counts late\n", name, k, *count);
	return 1;
}

int main(void)
{
	volatile unsigned *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, late = 0, rounds = 0;
	leader = fork();
	if (leader == 0)
		child(count);
	CHECK(waitpid(leader, &status, 0) == leader && WIFSTOPPED(status));
	CHECK(ptrace(PTRACE_SETOPTIONS, leader, 0, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) == 0);
	set(PTRACE_CONT, leader, 0);
	pid_t t = run_to_trap(&status);
	while (t) {
		const char *name = calls[rounds / STEPS % NCALLS].name;
		int k = rounds % STEPS * STRIDE + rounds / STEPS % STRIDE;
		*count = 0;
		pid_t stopped = step(t, k, &status);
		if (stopped == t) {
			set(PTRACE_CONT, t, SIGUSR1);
			t = run_to_trap(&status);
			late += judge(count, name, k);
		} else {
			t = stopped;
		}
		rounds++;
	}
	CHECK(rounds == STEPS * (int)NCALLS);
	printf("%s; the child ended with status %d\n", late ? "signals were late" : "every signal was taken at once",
	       WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return late != 0;
}
