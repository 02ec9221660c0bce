/* mixed.c: threads of known names that compute, sleep, wait for a mutex, read a pipe, and hand off to each other; for tools
 * to tell apart. Arguments: how many that sleep. Prints "ready", ends with its standard input. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static int fds[2];
static sem_t ping, pong;
static pthread_barrier_t begun;
volatile unsigned long count;

static void named(const char *name)
{
	pthread_setname_np(pthread_self(), name);
	pthread_barrier_wait(&begun);
}

void *compute_for_ever(void *arg)
{
	named("spinner");
	for (;;)
		count++;
	return arg;
}

void *sleep_for_ever(void *arg)
{
	named("sleeper");
	for (;;)
		sleep(1000);
	return arg;
}

void *wait_for_mutex(void *arg)
{
	named("locker");
	pthread_mutex_lock(&held);
	return arg;
}

void *read_pipe(void *arg)
{
	char c;
	named("reader");
	while (read(fds[0], &c, 1) == 1)
		;
	return arg;
}

void *answer(void *arg)
{
	named("answerer");
	for (;;) {
		sem_wait(&ping);
		sem_post(&pong);
	}
	return arg;
}

void *ask(void *arg)
{
	named("asker");
	for (;;) {
		sem_post(&ping);
		sem_wait(&pong);
		usleep(100);
	}
	return arg;
}

int main(int argc, char **argv)
{
	void *(*const kinds[])(void *) = { compute_for_ever, wait_for_mutex, read_pipe, answer, ask };
	int kinds_n = sizeof(kinds) / sizeof(kinds[0]), sleepers = argc > 1 ? atoi(argv[1]) : 3;
	pthread_attr_t attr;
	pthread_t t;
	char c;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	if (pipe(fds) != 0)
		return 1;
	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	pthread_barrier_init(&begun, NULL, (unsigned)(kinds_n + sleepers + 1));
	pthread_mutex_lock(&held);
	for (int i = 0; i < kinds_n; i++)
		pthread_create(&t, &attr, kinds[i], NULL);
	for (int i = 0; i < sleepers; i++)
		if (pthread_create(&t, &attr, sleep_for_ever, NULL) != 0)
			return 1;
	pthread_barrier_wait(&begun);
	puts("ready");
	fflush(stdout);
	return read(0, &c, 1) < 0;
}
