/* hot.c - a known answer for profiles of CPU time: three threads, of which `hot_function` uses most; `warm_function` a fifth. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t sink;
static double seconds;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

__attribute__((noinline)) static void hot_function(int n)
{
	uint64_t x = 1;
	for (int i = 0; i < 4 * n; i++)
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
	sink += x;
}

__attribute__((noinline)) static void warm_function(int n)
{
	uint64_t x = 1;
	for (int i = 0; i < n; i++)
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
	sink += x;
}

static void *worker(void *name)
{
	double end = now() + seconds;
	pthread_setname_np(pthread_self(), name);
	unsigned seed = 1;
	while (now() < end) {
		/* Of changing length: a period of its own would beat with the profiler's. */
		int n = 50000 + rand_r(&seed) % 100000;
		hot_function(n);
		warm_function(n);
	}
	return NULL;
}

static void *sleeper(void *name)
{
	pthread_setname_np(pthread_self(), name);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pthread_t t[3];
	seconds = argc > 1 ? atof(argv[1]) : 1e9;
	pthread_create(&t[2], NULL, sleeper, "sleeper");
	pthread_create(&t[0], NULL, worker, "worker-a");
	pthread_create(&t[1], NULL, worker, "worker-b");
	printf("ready\n");
	fflush(stdout);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	return 0;
}
