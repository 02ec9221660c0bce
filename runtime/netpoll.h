/* netpoll.h - descriptors as the runtime knows them, and how a G waits for one.
 *
 * A shim tries its call in a form that does not block. If that says "not now", it waits with an iowait and tries
 * again. See netpoll.c for the events' way in and iowait.c for the waiting side.
 */
#ifndef PRELOOM_NETPOLL_H
#define PRELOOM_NETPOLL_H

#include "runtime.h"

/* What a descriptor is, which decides how its calls are tried without blocking. Found at the first use. */
enum fdkind {
	KindUnknown,
	KindTCP,     /* stream socket whose short read means that nothing is left */
	KindStream,  /* other stream sockets: MSG_DONTWAIT; a send goes on until all is sent */
	KindMsg,     /* message sockets: MSG_DONTWAIT; all or nothing */
	KindSeq,     /* the same, and write() ends a record */
	KindUnixMsg, /* message sockets of AF_UNIX: epoll does not say when the peer's queue has room */
	KindLowat,   /* a stream socket with SO_RCVLOWAT, which a read that does not block disregards: recvheld.c */
	KindPipe,    /* RWF_NOWAIT both ways */
	KindEvent,   /* RWF_NOWAIT for reads; writes do not block in practice (eventfd, timerfd) */
	KindPoll,    /* a poll before the call (FIFO by name, inotify, signalfd, character device) */
	KindTty,     /* the same, with job control and VMIN */
	KindFile,    /* cannot be polled: hand off */
	KindEndless, /* the same, and a read is short only if a signal made it so (zero, random, urandom) */
};

enum {
	FD_REG = 1,	  /* epoll knows it under the present generation */
	FD_HUP = 2,	  /* an end, an error or urgent data was reported: never skip a try */
	FD_PRIVATE = 4,	  /* preloom's own: the program sees EBADF */
	FD_NONBLOCK = 8,  /* O_NONBLOCK was seen, at `epoch` */
	FD_BLOCKING = 16, /* no O_NONBLOCK and no SO_*TIMEO were seen, at `epoch` */
	FD_POKED = 64,	  /* fdesc_poke saw to what epoll is yet to report */
	FD_MOVING = 32,	  /* waiters are on their way to it: not closed by the first that leaves */
};

enum iodir { DirRead, DirWrite };

struct iowait;

/* One per descriptor number; the table is reserved address space, touched on demand. */
struct fdesc {
	struct lock lock;
	_Atomic uint32_t seq[2];  /* events per direction; an event between a try and the park shows as a change */
	_Atomic uint32_t drained; /* seq[DirRead] + 1 at a read that took all there was */
	_Atomic uint32_t gen;	  /* goes into epoll's data: a late event of an earlier file is recognised */
	_Atomic uint32_t epoch;	  /* value of fd_epoch when FD_NONBLOCK or FD_BLOCKING was found out */
	_Atomic uint8_t kind;
	_Atomic uint8_t flags;
	_Atomic uint16_t closing; /* closes under way: nothing may be remembered about the number */
	_Atomic uint32_t ino;	  /* with KindPipe: both ends have the same */
	_Atomic uint32_t born;	  /* fd_shares + 1 when this program made the file; 0: not known */
	_Atomic uint32_t own;	  /* the same with fd_leaks */
	struct iowait *waiters[2];
} __attribute__((aligned(64)));

/* A G that waits for one direction of one descriptor; on its stack, linked from the first park to iowait_end. */
struct iowait {
	struct iowait *next, *prev;
	struct fdesc *_Atomic e;
	struct g *g;
	int64_t deadline; /* 0: none */
	uint32_t seq;	  /* of g's wait record */
	_Atomic int fd;	  /* what to use: another G's close moves the waiter to a private duplicate */
	_Atomic uint32_t state;
	uint8_t dir;
	uint8_t reason;
	bool level; /* wants every event, because it consumes none (poll) */
	bool linked;
	bool moved;
};

#define FDTAB_LEN (1 << 20)

extern struct fdesc *_Atomic fdtab;
extern _Atomic uint32_t fd_epoch; /* grows when the program changes O_NONBLOCK or a socket timeout anywhere */
extern _Atomic uint32_t fd_shares; /* times that open files got other numbers or went to other processes */
extern _Atomic uint32_t fd_leaks;  /* times that open files went to other processes */
struct fdesc *fdtab_init(void);

/* NULL: beyond the table; such calls are handed off. */
static inline struct fdesc *fdesc_get(int fd)
{
	struct fdesc *t = load_acq(&fdtab);
	if (unlikely(!t))
		t = fdtab_init();
	return likely((unsigned)fd < FDTAB_LEN) ? &t[fd] : NULL;
}

/* An open file gets another number in this process. */
static inline void fd_share(void)
{
	atomic_fetch_add(&fd_shares, 1);
}

/* Open files may get into another process now. */
static inline void fd_leak(void)
{
	fd_share();
	atomic_fetch_add(&fd_leaks, 1);
}

/* Nobody else can have the open file: made here, and nothing was doubled or handed on since. */
static inline bool fdesc_sole(struct fdesc *e)
{
	return load_rlx(&e->born) == load_acq(&fd_shares) + 1;
}

/* What fd_shares and fd_leaks were before the call that made a file. */
struct fdorigin {
	uint32_t shares, leaks;
};

static inline struct fdorigin fd_origin(void)
{
	return (struct fdorigin){ load_acq(&fd_shares), load_acq(&fd_leaks) };
}

static inline void fdesc_made(struct fdesc *e, struct fdorigin o)
{
	store_rlx(&e->born, o.shares + 1);
	store_rlx(&e->own, o.leaks + 1);
}

/* No other process can have the open file, as far as is known. */
static inline bool fdesc_own(struct fdesc *e)
{
	uint32_t leaks = load_acq(&fd_leaks);
	return likely(leaks == 0) || load_rlx(&e->own) == leaks + 1;
}

static inline uint32_t fdesc_seen(struct fdesc *e, enum iodir dir)
{
	return load_acq(&e->seq[dir]);
}

/* How iowait_sleep ended. */
enum iowake { IoRetry, IoTimeout, IoSignal, IoHandoff };

void iowait_init(struct iowait *w, struct g *g, struct fdesc *e, int fd, enum iodir dir, enum waitreason why);
enum iowake iowait_sleep(struct iowait *w, uint32_t seen);
void iowait_end(struct iowait *w);

/* All who wait for it in this direction are to try again: something changed that the kernel has no event for. */
void fdesc_try_again(struct fdesc *e, enum iodir dir);
/* All waits for it are made in the kernel from now on. */
void fdesc_leave_to_kernel(struct fdesc *e, int fd);

/* The program itself made e readable: its waiters need not wait for epoll to say so. */
void fdesc_poke(struct fdesc *e);
/* The descriptor on which a G waits to read from the pipe that e writes to, if one of this process's does; else NULL. */
struct fdesc *pipe_reader(struct fdesc *e);

/* The parts of iowait_sleep, for a G that waits for several descriptors (poll). */
int iowait_arm(struct iowait *w, uint32_t wait_seq, uint32_t seen); /* 0 armed, 1 there was an event, or -errno */
enum iowake iowait_park(struct g *g, uint32_t wait_seq, int64_t deadline);

void fdesc_set_kind(struct fdesc *e, enum fdkind kind);
void fdesc_set_pipe(struct fdesc *e, uint32_t ino);
void fdesc_set_flags(struct fdesc *e, uint8_t set, uint32_t epoch);
void fdesc_forget(struct fdesc *e);	 /* what was remembered turned out wrong */
int fdesc_highest(void);
bool fdesc_close_begin(struct fdesc *e, int fd); /* true: somebody waits on it, see fdesc_move */
void fdesc_close_end(struct fdesc *e);
void fdesc_move(struct fdesc *e, int fd, int dup);
void fdesc_set_private(struct fdesc *e, bool on);

/* privfd.c: preloom's own descriptors */
int privfd_take_not_inherited(int fd);
int privfd_dup(int fd);
void privfd_close(int fd);
bool privfd_is(int fd);
int privfd_next(int from);
void privfd_after_fork(void);

void netpoll_after_fork(void);
int netpoll_register(int fd, uint32_t gen);
long netpoll_number_left(void);
void netpoll_unregister(int fd);
extern _Atomic uint32_t netpoll_nwait;

/* iowait.c and fdesc.c for netpoll.c */
void fdesc_prefetch(int fd, bool waiter);
void fdesc_event(int fd, uint32_t gen, uint32_t events, struct gqueue *out);
void fdtab_after_fork(void);

#endif
