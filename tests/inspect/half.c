/* half.c - computes for as long as it writes to a file in memory, in turn. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include "known.h"

static char data[1 << 16];

static long cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void compute(void)
{
	static volatile unsigned long x;
	for (int i = 0; i < 300000; i++)
		x += (unsigned long)i;
}

static void save(int fd)
{
	for (int i = 0; i < 20; i++)
		if (pwrite(fd, data, sizeof(data), 0) != sizeof(data))
			_exit(98);
}

/* Until each has had its share. */
static void *worker(void *seconds)
{
	int fd = memfd_create("half", 0);
	long computed = 0, saved = 0, most = (long)(atof(seconds) * 5e8);
	while (computed < most || saved < most) {
		long t = cpu_ns();
		if (computed <= saved) {
			compute();
			computed += cpu_ns() - t;
		} else {
			save(fd);
			saved += cpu_ns() - t;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	say_ready();
	pthread_join(start(worker, argc > 1 ? argv[1] : "1", "worker"), NULL);
	return 0;
}
