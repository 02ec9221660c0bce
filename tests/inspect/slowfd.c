/* slowfd.c - a known answer for profiles of waiting: `slow_reader` waits for a pipe that is written to every 50 ms,
 * `quick_reader` for one that is written to every 2 ms. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int slow_pipe[2], quick_pipe[2];
static double end;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

__attribute__((noinline)) static void slow_reader(void)
{
	char c;
	while (read(slow_pipe[0], &c, 1) == 1 && c == 'x')
		;
	__asm__ volatile("");
}

/* It also computes between its reads: it waits for less of the time. */
__attribute__((noinline)) static void quick_reader(void)
{
	char c;
	while (read(quick_pipe[0], &c, 1) == 1 && c == 'x')
		for (volatile int i = 0; i < 1000000; i++)
			;
	__asm__ volatile("");
}

static void *reader(void *slow)
{
	if (slow)
		slow_reader();
	else
		quick_reader();
	return NULL;
}

static void *writer(void *slow)
{
	int fd = slow ? slow_pipe[1] : quick_pipe[1];
	while (now() < end) {
		usleep(slow ? 50000 : 2000);
		if (write(fd, "x", 1) != 1)
			break;
	}
	if (write(fd, "q", 1) != 1)
		return NULL;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[4];
	end = now() + (argc > 1 ? atof(argv[1]) : 1e9);
	if (pipe(slow_pipe) || pipe(quick_pipe))
		return 1;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, i < 2 ? reader : writer, i % 2 ? "slow" : NULL);
	printf("ready\n");
	fflush(stdout);
	while (now() < end) /* sleeps are not counted, joins would be */
		usleep(10000);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return 0;
}
