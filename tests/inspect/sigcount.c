/* sigcount.c - waits until so many kinds of signal have come (SIGINT, SIGTERM, SIGHUP), and says how often it got each. One for
 * which SIGHUP is ignored from the start says so and ends. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include "known.h"

static volatile sig_atomic_t count[65];

static void on_signal(int sig)
{
	count[sig]++;
}

static void pause_ms(int ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000L };
	while (nanosleep(&left, &left))
		;
}

static void *worker(void *unused)
{
	(void)unused;
	for (;;)
		pause_ms(5);
}

int main(int argc, char **argv)
{
	static const int which[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction old;
	pthread_t t;
	sigaction(SIGHUP, NULL, &old);
	pthread_create(&t, NULL, worker, NULL);
	if (old.sa_handler == SIG_IGN) {
		puts("ready SIGHUP is ignored");
		return 3;
	}
	for (int i = 0; i < 3; i++)
		sigaction(which[i], &(struct sigaction){ .sa_handler = on_signal }, NULL);
	puts("ready");
	fflush(stdout);
	while (!!count[SIGINT] + !!count[SIGTERM] + !!count[SIGHUP] < (argc > 1 ? atoi(argv[1]) : 1))
		pause_ms(5);
	pause_ms(300); /* for a second one */
	printf("%d %d %d\n", count[SIGINT], count[SIGTERM], count[SIGHUP]);
	return 0;
}
