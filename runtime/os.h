/* os.h - the contract with the kernel.
 *
 * runtime/ asks for everything through these functions. os_linux.c serves them with raw system calls; the unit
 * tests link a fake instead (fake clock, kernel threads that are only recorded). Errors are -errno.
 */
#ifndef PRELOOM_OS_H
#define PRELOOM_OS_H

#include "base.h"

struct m;

int64_t os_nanotime(void); /* CLOCK_MONOTONIC, ns */
int64_t os_walltime(void); /* CLOCK_REALTIME, ns */
int64_t os_cputime(int tid); /* what the kernel thread has used, ns; 0: the calling one; -1: there is none */

/* Sleeps while *addr == val, at most ns (< 0: for ever). Returns 0, -EAGAIN, -EINTR or -ETIMEDOUT. */
int os_futex_sleep(_Atomic uint32_t *addr, uint32_t val, int64_t ns);
void os_futex_wake(_Atomic uint32_t *addr, int n);
void os_futex_wake_shared(uintptr_t addr, int n); /* also wakes other processes */

void os_timer_slack(int64_t ns); /* of the calling kernel thread: how late sleeps may end; 0: as when it began */
void os_usleep(int64_t ns);
void os_osyield(void);

/* Starts a kernel thread that runs m_start(m) on m's g0 stack. Returns its kernel id or -errno. */
int os_newm(struct m *m);
_Noreturn void os_exit_process(int status);
_Noreturn void os_abort(void);
int os_getpid(void);
int os_gettid(void);
int os_tgkill(int tid, int sig);

void *os_mmap(size_t size);		/* private, zero, readable and writable; NULL when there is no memory */
void *os_reserve(size_t size);		/* the same without a commit charge and without huge pages */
int os_renew(void *p, size_t size);	/* the same in the place of what is mapped there */
void os_munmap(void *p, size_t size);
int os_madvise(void *p, size_t size, int advice);
struct os_range {
	void *p;
	size_t size;
};
long os_madvise_ranges(const struct os_range *v, uint32_t n, int advice); /* bytes done, in order, or -errno */
int os_mprotect(void *p, size_t size, int prot);
/* Writes a byte to n places that are not writable. False: there is no /proc, or it does not let us; some may be written. */
bool os_poke(const uintptr_t *at, size_t n, uint8_t byte);

/* Gives the calling kernel thread its pointer to m (GS base), timer slack and alternate signal stack. */
void os_thread_init(struct m *m);

/* True unless mmap shows that the page at addr is private to the process. */
bool os_is_shared_memory(uintptr_t addr);

int os_write(int fd, const void *p, size_t n);

/* os_linux_fd.c: descriptors of the runtime's own. */
int os_read(int fd, void *p, size_t n);
int os_close(int fd);
int os_dupfd(int fd, int min); /* the lowest free number >= min, close-on-exec */
int os_fd_limit(void);
int64_t os_raise_fd_limit(void); /* soft limit to the hard one; what to hand to os_restore_fd_limit */
void os_restore_fd_limit(int64_t old);

/* The descriptor behind netpoll: epoll and the eventfd that ends its wait. */
int os_epoll_create(void);
int os_eventfd(void);
int os_epoll_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data);
struct os_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));
bool os_readable(int fd); /* without waiting */
bool os_tells_once(int fd); /* perhaps a file of which poll tells what is new once; any of /proc is taken for one */
int os_epoll_wait(int epfd, struct os_event *ev, int n, int64_t ns); /* ns < 0: for ever */

#endif
