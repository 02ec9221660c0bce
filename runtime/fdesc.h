/* fdesc.h - what iowait.c and fdesc.c share. Functions in _locked hold the descriptor's lock. */
#ifndef PRELOOM_FDESC_H
#define PRELOOM_FDESC_H

#include "netpoll.h"

void fdesc_lock(struct fdesc *e);
void fdesc_touch(int fd);
void fdesc_reset_locked(struct fdesc *e);
void pipe_reader_is(struct fdesc *e, int fd);

static inline bool fdesc_is_waited(const struct fdesc *e)
{
	return e->waiters[DirRead] || e->waiters[DirWrite];
}

#endif
