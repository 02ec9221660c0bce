/* asleep.c: two threads that sleep until standard input says so; none of the program's signals may come meanwhile: a handler
 * for every signal that can have one counts. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void handler(int sig)
{
	caught = sig;
}

static void *waits(void *arg)
{
	sigset_t set;
	int sig;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &sig);
	return arg;
}

int main(void)
{
	pthread_t t;
	sigset_t set;
	char c;
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (sig != SIGPIPE)
			signal(sig, handler);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_create(&t, NULL, waits, NULL);
	puts("ready");
	fflush(stdout);
	if (read(0, &c, 1) != 1)
		return 3;
	pthread_kill(t, SIGUSR1);
	pthread_join(t, NULL);
	if (caught)
		fprintf(stderr, "signal %d\n", caught);
	return caught ? 1 : 0;
}
