/* parked.c: signals that another process sends end waits for futexes, one by one: while all threads wait, while the main thread computes,
 * while it is in system calls, and while threads hand a semaphore on. Each must be answered before the next is sent, in 20 s. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, SIGNALS = 400, PATIENCE = 20000 };

static int answers[2];
static sem_t never, ping, pong, begun;
static atomic_bool quit;

static void handler(int sig)
{
	char c = (char)sig;
	(void)!write(answers[1], &c, 1);
}

static void block(int how)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(how, &set, NULL);
}

/* sem_wait fails with EINTR after each handler; the signal finds the thread parked or on its way there. */
static void *waits(void *arg)
{
	(void)arg;
	block(SIG_UNBLOCK);
	sem_post(&begun);
	while (sem_wait(&never))
		;
	return NULL;
}

static void *hands_on(void *arg)
{
	(void)arg;
	for (;;) {
		while (sem_wait(&ping))
			;
		if (atomic_load(&quit))
			return NULL;
		sem_post(&pong);
	}
}

static void send_all(pid_t to, int sig)
{
	struct pollfd p = { answers[0], POLLIN, 0 };
	char c;
	for (int i = 0; i < SIGNALS; i++) {
		kill(to, sig);
		if (poll(&p, 1, PATIENCE) != 1 || read(answers[0], &c, 1) != 1) {
			fprintf(stderr, "signal %d of %d was not answered\n", i, SIGNALS);
			kill(to, SIGQUIT);
			_exit(1);
		}
		if (i % 16 == 0)
			usleep(500);
	}
	_exit(0);
}

static void wait_for_child(void)
{
	siginfo_t si;
	waitid(P_ALL, 0, &si, WEXITED | WNOWAIT);
}

static void until_child(void (*work)(void), const char *what, int sig)
{
	pid_t me = getpid(), child = fork();
	int status, done = 0;
	if (child == 0)
		send_all(me, sig);
	while (!done) {
		work();
		done = waitpid(child, &status, WNOHANG) == child;
	}
	printf("%s: %s\n", what, WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "all were answered" : "not all were answered");
	fflush(stdout);
}

static void compute(void)
{
	volatile unsigned x = 0;
	for (int i = 0; i < 2000000; i++)
		x = x + (unsigned)i;
}

static void call(void)
{
	static char buffer[1 << 16];
	int p[2];
	if (pipe(p))
		abort();
	for (int i = 0; i < 20; i++) {
		(void)!write(p[1], buffer, sizeof buffer);
		(void)!read(p[0], buffer, sizeof buffer);
	}
	close(p[0]);
	close(p[1]);
	usleep(200);
}

static void hand_on(void)
{
	for (int i = 0; i < 2000; i++) {
		sem_post(&ping);
		sem_wait(&pong);
	}
}

int main(void)
{
	pthread_t t[THREADS], other;
	struct sigaction sa = { .sa_handler = handler };
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	if (pipe(answers))
		return 1;
	sem_init(&never, 0, 0);
	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	sem_init(&begun, 0, 0);
	block(SIG_BLOCK);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, waits, NULL);
	pthread_create(&other, NULL, hands_on, NULL);
	for (int i = 0; i < THREADS; i++)
		sem_wait(&begun);
	until_child(wait_for_child, "all wait", SIGUSR1);
	until_child(compute, "the main thread computes", SIGUSR2);
	until_child(call, "the main thread makes system calls", SIGUSR1);
	until_child(hand_on, "two threads hand on", SIGUSR2);
	for (int i = 0; i < THREADS; i++)
		sem_post(&never);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	atomic_store(&quit, true);
	sem_post(&ping);
	pthread_join(other, NULL);
	return 0;
}
