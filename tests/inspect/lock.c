/* lock.c - a known answer for profiles of locks: `slow_holder` keeps a mutex for 5 ms at a time, `quick_holder` hardly at
 * all, both in contention with threads that come for it all the time. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double end;

__attribute__((noinline)) static void slow_holder(void)
{
	pthread_mutex_lock(&m);
	usleep(5000);
	pthread_mutex_unlock(&m);
	__asm__ volatile("");
}

__attribute__((noinline)) static void quick_holder(void)
{
	pthread_mutex_lock(&m);
	usleep(50);
	pthread_mutex_unlock(&m);
	__asm__ volatile("");
}

static void *slow(void *arg)
{
	while (now() < end) {
		slow_holder();
		usleep(100);
	}
	return arg;
}

static void *quick(void *arg)
{
	while (now() < end) {
		quick_holder();
		usleep(100);
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t[5];
	end = now() + (argc > 1 ? atof(argv[1]) : 1e9);
	for (int i = 0; i < 5; i++)
		pthread_create(&t[i], NULL, i ? quick : slow, NULL);
	printf("ready\n");
	fflush(stdout);
	for (int i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	return 0;
}
