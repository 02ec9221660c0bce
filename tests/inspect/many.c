/* many.c N [move]: N threads that wait for one condition; with `move` they wake each other all the time. */
#include "known.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int move;

static void *waits(void *arg)
{
	pthread_mutex_lock(&lock);
	for (;;) {
		pthread_cond_wait(&cond, &lock);
		if (move)
			pthread_cond_signal(&cond);
	}
	return arg;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 200;
	pthread_attr_t a;
	pthread_t t;
	move = argc > 2;
	CHECK0(pthread_attr_init(&a) || pthread_attr_setstacksize(&a, 65536));
	for (int i = 0; i < n; i++)
		CHECK0(pthread_create(&t, &a, waits, NULL));
	usleep(300000);
	if (move)
		for (int i = 0; i < 50; i++)
			pthread_cond_signal(&cond);
	say_ready();
	for (;;)
		pause();
}
