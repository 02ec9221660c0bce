/* spinners.c: more threads that compute than there are processors for them. Prints "ready" after all have begun. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_barrier_t begun;
volatile unsigned long count;

void *compute_for_ever(void *arg)
{
	pthread_setname_np(pthread_self(), "spinner");
	pthread_barrier_wait(&begun);
	for (;;)
		count++;
	return arg;
}

int main(void)
{
	pthread_t t;
	char c;
	pthread_barrier_init(&begun, NULL, 5);
	for (int i = 0; i < 4; i++)
		pthread_create(&t, NULL, compute_for_ever, NULL);
	pthread_barrier_wait(&begun);
	usleep(200000);
	puts("ready");
	fflush(stdout);
	return read(0, &c, 1) < 0;
}
