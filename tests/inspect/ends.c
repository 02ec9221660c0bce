/* ends.c: ends in the way that the first argument names, from a thread called "culprit" in a function called `at_fault`. */
#include "known.h"
#include <signal.h>

static pthread_mutex_t fork_lock[3] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
static pthread_barrier_t all_hold;
static const char *how;
static volatile int zero;

static int recurse(int n)
{
	volatile char frame[300];
	frame[0] = (char)n;
	return n < 0 ? 0 : recurse(n + 1) + frame[0];
}

static void at_fault(void)
{
	if (!strcmp(how, "null"))
		*(volatile int *)16 = 1;
	if (!strcmp(how, "divide"))
		printf("%d\n", 7 / zero);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "overflow"))
		recurse(0);
	if (!strcmp(how, "quit"))
		kill(getpid(), SIGQUIT);
	pause();
}

static void *culprit(void *arg)
{
	usleep(20000);
	at_fault();
	return arg;
}

static void *bystander(void *arg)
{
	pause();
	return arg;
}

static void *philosopher(void *arg)
{
	long i = (long)arg;
	pthread_mutex_lock(&fork_lock[i]);
	pthread_barrier_wait(&all_hold);
	pthread_mutex_lock(&fork_lock[(i + 1) % 3]);
	return arg;
}

/* Another circle of three: a read-write lock with a writer, a join, a mutex. */
static pthread_rwlock_t book = PTHREAD_RWLOCK_INITIALIZER;
static pthread_t last;

static void *reader(void *arg)
{
	pthread_mutex_lock(&fork_lock[0]);
	pthread_barrier_wait(&all_hold);
	pthread_rwlock_rdlock(&book);
	return arg;
}

static void *writer(void *arg)
{
	pthread_rwlock_wrlock(&book);
	pthread_barrier_wait(&all_hold);
	pthread_join(last, NULL);
	return arg;
}

static void *locker(void *arg)
{
	last = pthread_self();
	pthread_barrier_wait(&all_hold);
	pthread_mutex_lock(&fork_lock[0]);
	return arg;
}

static void three_kinds(void)
{
	CHECK0(pthread_barrier_init(&all_hold, NULL, 3));
	start(reader, NULL, "reader");
	start(writer, NULL, "writer");
	start(locker, NULL, "locker");
	for (;;)
		usleep(1000);
}

static void table_of_three(void)
{
	char name[16];
	pthread_t t[3];
	CHECK0(pthread_barrier_init(&all_hold, NULL, 3));
	for (long i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "thinker%ld", i);
		t[i] = start(philosopher, (void *)i, name);
	}
	if (!strcmp(how, "partial"))
		for (;;)
			usleep(1000);
	if (!strcmp(how, "idle"))
		for (char c; read(0, &c, 1) != 0;)
			;
	pthread_join(t[0], NULL);
}

int main(int argc, char **argv)
{
	how = argc > 1 ? argv[1] : "";
	if (argc > 2)
		CHECK0(chroot(argv[2]) || chdir("/"));
	say_ready();
	if (!strcmp(how, "deadlock") || !strcmp(how, "partial") || !strcmp(how, "idle")) {
		table_of_three();
		return 0;
	}
	if (!strcmp(how, "kinds"))
		three_kinds();
	if (!strcmp(how, "main-overflow")) {
		start(bystander, NULL, "bystander");
		recurse(0);
	}
	start(bystander, NULL, "bystander");
	pthread_join(start(culprit, NULL, "culprit"), NULL);
	return 0;
}
