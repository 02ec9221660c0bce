/* leak.c - a known answer for profiles of threads: `leaking_request` makes a thread that never ends, `tidy_request` ten that
 * do. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *forgotten(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void *ends(void *arg)
{
	return arg;
}

__attribute__((noinline)) static void leaking_request(void)
{
	pthread_t t;
	pthread_create(&t, NULL, forgotten, NULL);
	pthread_detach(t);
	__asm__ volatile("");
}

__attribute__((noinline)) static void tidy_request(void)
{
	pthread_t t[10];
	for (int i = 0; i < 10; i++)
		pthread_create(&t[i], NULL, ends, NULL);
	for (int i = 0; i < 10; i++)
		pthread_join(t[i], NULL);
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	double end = now() + (argc > 1 ? atof(argv[1]) : 1e9);
	tidy_request();
	printf("ready\n");
	fflush(stdout);
	for (int i = 0; i < 1000 && now() < end; i++) {
		leaking_request();
		tidy_request();
		usleep(5000);
	}
	while (now() < end)
		usleep(10000);
	exit(0);
}
