/* relay.c - a known answer for traces: `first` and `second` wake each other once a millisecond, `sleeper` only sleeps,
 * three `spinner`s share what P's there are, `caller` waits 50 ms at a time in a system call, and main makes a thread
 * `brief` that ends at once, ten times or for ever. With an argument `storm` the first two do nothing else, as fast as they can; with `ends` the program ends after the tenth. */
#include "known.h"
#include <semaphore.h>
#include <sys/wait.h>

static sem_t to_second, to_first;
static volatile int storm;

static void *first(void *arg)
{
	for (;;) {
		sem_post(&to_second);
		sem_wait(&to_first);
		if (!storm)
			usleep(1000);
	}
	return arg;
}

static void *second(void *arg)
{
	for (;;) {
		sem_wait(&to_second);
		sem_post(&to_first);
	}
	return arg;
}

static void *sleeper(void *arg)
{
	for (;;)
		usleep(20000);
	return arg;
}

static void *spinner(void *arg)
{
	volatile unsigned long n = 0;
	for (;;)
		n++;
	return arg;
}

static void *caller(void *arg)
{
	for (;;) {
		pid_t child = fork();
		if (child == 0) {
			usleep(50000);
			_exit(7);
		}
		int status;
		if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7)
			_exit(98);
		usleep(1000);
	}
	return arg;
}

static void *brief(void *arg)
{
	return arg;
}

int main(int argc, char **argv)
{
	storm = argc > 1 && !strcmp(argv[1], "storm");
	sem_init(&to_second, 0, 0);
	sem_init(&to_first, 0, 0);
	start(first, NULL, "first");
	start(second, NULL, "second");
	if (!storm) {
		start(sleeper, NULL, "sleeper");
		for (int i = 0; i < 3; i++)
			start(spinner, NULL, "spinner");
		start(caller, NULL, "caller");
	}
	say_ready();
	for (int i = 0; i < 10 || argc < 2 || storm; i++) {
		usleep(30000);
		pthread_t t;
		CHECK0(pthread_create(&t, NULL, brief, NULL));
		CHECK0(pthread_join(t, NULL));
	}
	return 5;
}
