/* profile_windows.c - for profile_cost.py: does the same work again and again, and prints when each window of it ended (CLOCK_MONOTONIC)
 * and how much CPU time one unit took. `handoff`: two threads in turn by a condition variable; `compute`: calls. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c[2] = { PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER };
static int turn;
static volatile int sink;

static double clock_of(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pass(int me)
{
	pthread_mutex_lock(&m);
	while (turn != me)
		pthread_cond_wait(&c[me], &m);
	turn = !me;
	pthread_cond_signal(&c[!me]);
	pthread_mutex_unlock(&m);
}

static void *other(void *arg)
{
	for (;;)
		pass(1);
	return arg;
}

__attribute__((noinline)) static int fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
	int handoff = argc > 1 && !strcmp(argv[1], "handoff"), n = handoff ? 20000 : 20;
	double end = clock_of(CLOCK_MONOTONIC) + (argc > 2 ? atof(argv[2]) : 10);
	pthread_t t;
	pthread_create(&t, NULL, other, NULL);
	while (clock_of(CLOCK_MONOTONIC) < end) {
		double begin = clock_of(CLOCK_PROCESS_CPUTIME_ID);
		for (int i = 0; i < n; i++)
			if (handoff)
				pass(0);
			else
				sink += fib(22);
		double used = clock_of(CLOCK_PROCESS_CPUTIME_ID) - begin;
		printf("%.4f %.2f\n", clock_of(CLOCK_MONOTONIC), used / n * 1e9);
	}
	exit(0);
}
