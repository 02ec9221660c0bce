/* pollset.h - waiting for one of several descriptors; see poll.c. */
#ifndef PRELOOM_SHIMS_POLLSET_H
#define PRELOOM_SHIMS_POLLSET_H

#include "io.h"

struct kpollfd {
	int fd;
	short events, revents;
};

struct pollnode {
	struct iowait w;
	uint32_t seen;
	int number; /* by which the program knows it */
	bool used;
};

#define POLLSET_SMALL 4

struct pollset {
	struct kpollfd *p;
	struct pollnode *node; /* two for each descriptor: read and write side */
	size_t n;
	bool again; /* this is not the first question */
	struct kpollfd small_p[POLLSET_SMALL];
	struct pollnode small_node[2 * POLLSET_SMALL];
};

/* In milliseconds, for ever if the deadline is 0. */
static inline long ms_left(int64_t deadline)
{
	int64_t ns = deadline - os_nanotime(), ms = (ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	return !deadline ? -1 : ns <= 0 ? 0 : ms < INT32_MAX ? (long)ms : INT32_MAX;
}

/* How many entries count as ready after a poll; < 0: -errno for the program. */
typedef long (*pollset_count)(const struct pollset *s, void *arg);

void pollset_init(struct pollset *s, size_t n);
void pollset_free(struct pollset *s);
/* What count says once it is not 0; 0 at the deadline (0: none); -ERESTARTNOHAND; IO_HANDOFF if epoll refuses. */
long pollset_wait(struct pollset *s, int64_t deadline, pollset_count count, void *arg);

/* The timeout of select, ppoll and the like: none, or a struct at `ptr` that is updated at the end. */
struct polltimeout {
	uintptr_t ptr;
	bool usec;
	int64_t ns;	  /* < 0: none */
	int64_t deadline; /* 0: none */
};
long polltimeout_read(struct polltimeout *t, uintptr_t ptr, bool usec);
void polltimeout_update(const struct polltimeout *t);

/* The signal mask of ppoll and the like. */
long polled_once(long ret);
long sigmask_begin(uintptr_t mask, size_t size);
long sigmask_end(bool swapped, long ret);
/* Of calls whose mask stays for the handler of what is pending at their end, whatever else they return. */
long sigmask_end_late(bool swapped, long ret);

#endif
