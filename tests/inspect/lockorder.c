/* lockorder.c: takes lock_a then lock_b in `forwards`, and lock_b then lock_a in `backwards`, one after the other, so that nobody ever
 * waits; three locks in a circle; holds lock_c too long in `hogs`; and does much that is right. */
#include "known.h"
#include <dlfcn.h>
#include <time.h>

static pthread_mutex_t lock_a = PTHREAD_MUTEX_INITIALIZER, lock_b = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock_c = PTHREAD_MUTEX_INITIALIZER, ring[3];
static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void *forwards(void *arg)
{
	pthread_mutex_lock(&lock_a);
	pthread_mutex_lock(&lock_b);
	pthread_mutex_unlock(&lock_b);
	pthread_mutex_unlock(&lock_a);
	return arg;
}

static void *backwards(void *arg)
{
	pthread_mutex_lock(&lock_b);
	pthread_mutex_lock(&lock_a);
	pthread_mutex_unlock(&lock_a);
	pthread_mutex_unlock(&lock_b);
	return arg;
}

static void *third(void *arg)
{
	long i = (long)arg;
	pthread_mutex_lock(&ring[i]);
	pthread_mutex_lock(&ring[(i + 1) % 3]);
	pthread_mutex_unlock(&ring[(i + 1) % 3]);
	pthread_mutex_unlock(&ring[i]);
	return NULL;
}

static void *hogs(void *arg)
{
	pthread_mutex_lock(&lock_c);
	usleep(300000);
	pthread_mutex_unlock(&lock_c);
	return arg;
}

/* Recursive, read twice, tried the wrong way round, waited on: nothing of this is wrong. */
static void *correct(void *arg)
{
	pthread_mutexattr_t a;
	pthread_mutex_t r;
	struct timespec ts;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&r, &a);
	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&r);
		pthread_mutex_lock(&r);
		pthread_rwlock_rdlock(&table_lock);
		pthread_rwlock_rdlock(&table_lock);
		pthread_rwlock_unlock(&table_lock);
		pthread_rwlock_unlock(&table_lock);
		pthread_mutex_unlock(&r);
		pthread_mutex_unlock(&r);
		pthread_rwlock_wrlock(&table_lock);
		if (pthread_mutex_trylock(&r) == 0)
			pthread_mutex_unlock(&r);
		pthread_rwlock_unlock(&table_lock);
	}
	/* The same memory, other locks: the order of those before does not count. */
	for (int i = 0; i < 4; i++) {
		pthread_mutex_t m[2];
		pthread_mutex_init(&m[0], NULL);
		pthread_mutex_init(&m[1], NULL);
		pthread_mutex_lock(&m[i % 2]);
		pthread_mutex_lock(&m[!(i % 2)]);
		pthread_mutex_unlock(&m[0]);
		pthread_mutex_unlock(&m[1]);
		pthread_mutex_destroy(&m[0]);
		pthread_mutex_destroy(&m[1]);
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec++;
	pthread_mutex_lock(&lock_c);
	pthread_cond_timedwait(&cond, &lock_c, &ts); /* longer than lockheld, but not held */
	pthread_mutex_unlock(&lock_c);
	return arg;
}

static void one(void *(*fn)(void *), void *arg, const char *name)
{
	pthread_join(start(fn, arg, name), NULL);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	say_ready();
	for (int i = 0; i < 3; i++)
		pthread_mutex_init(&ring[i], NULL);
	one(correct, NULL, "correct");
	if (!strcmp(what, "correct"))
		return 0;
	one(forwards, NULL, "forwards");
	one(backwards, NULL, "backwards");
	one(backwards, NULL, "backwards"); /* known by now */
	for (long i = 0; i < 3; i++)
		one(third, (void *)i, "third");
	one(hogs, NULL, "hogs");
	one(hogs, NULL, "hogs");
	puts("done");
	return 0;
}
