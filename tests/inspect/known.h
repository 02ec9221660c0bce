/* known.h - what the programs with a known answer share. */
#ifndef KNOWN_H
#define KNOWN_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK0(e)                                                                      \
	do {                                                                           \
		int err_ = (e);                                                        \
		if (err_) {                                                            \
			fprintf(stderr, "%s:%d: %s: %d\n", __FILE__, __LINE__, #e, err_); \
			_exit(99);                                                     \
		}                                                                      \
	} while (0)

/* A thread that has its name from its first instruction on: it inherits the name of the thread that makes it. */
static inline pthread_t start(void *(*fn)(void *), void *arg, const char *name)
{
	char own[16];
	pthread_t t;
	CHECK0(pthread_getname_np(pthread_self(), own, sizeof(own)));
	CHECK0(pthread_setname_np(pthread_self(), name));
	CHECK0(pthread_create(&t, NULL, fn, arg));
	CHECK0(pthread_setname_np(pthread_self(), own));
	return t;
}

/* The test waits for this line. */
static inline void say_ready(void)
{
	printf("ready\n");
	fflush(stdout);
}

#endif
