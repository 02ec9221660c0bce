/* shim.h - what each system call means on a G.
 *
 * table.h lists every number that is taken over. A shim runs on the G's own stack, with a P, and returns what the
 * kernel would: a result or -errno. A call that a signal interrupted returns one of the codes below, like the
 * kernel's own functions; dispatch.c turns them into a restart or -EINTR (see signal(7)).
 */
#ifndef PRELOOM_SHIM_H
#define PRELOOM_SHIM_H

#include "../runtime/runtime.h"
#include <asm/unistd.h>
#include <asm/errno.h>

#ifndef ERESTARTSYS
#define ERESTARTSYS 512		  /* restart if the handler has SA_RESTART, else -EINTR */
#define ERESTARTNOINTR 513	  /* always restart */
#define ERESTARTNOHAND 514	  /* -EINTR if a handler ran, else restart */
#define ERESTART_RESTARTBLOCK 516 /* the same, but the restart goes on with what is left of a timeout */
#endif

#define NSYSCALLS 512

typedef long (*shim_fn)(struct regs *r);

/* By number; NULL: not ours, goes to the kernel. */
extern const shim_fn shim_table[NSYSCALLS];
extern uint8_t shim_served[NSYSCALLS]; /* the same as bytes, read by the entry stub */

/* Called by the entry stub for every served number. xstate: extended state that the stub saved, or NULL. */
long shim_dispatch(struct regs *r, void *xstate);
/* Called by arch_leave when there are notes; returns the result. */
long shim_leave(struct regs *r, long ret);

/* Arguments, in the order of the kernel's convention. */
#define A1(r) ((r)->rdi)
#define A2(r) ((r)->rsi)
#define A3(r) ((r)->rdx)
#define A4(r) ((r)->r10)
#define A5(r) ((r)->r8)
#define A6(r) ((r)->r9)

/* The call as it stands, to the kernel, without giving up the P. */
long shim_raw(const struct regs *r);
/* The call as it stands, as one that may block: short ones keep their P until sysmon takes it. */
long shim_may_block(struct regs *r);	      /* SA_RESTART restarts it */
long shim_may_block_nohand(struct regs *r);   /* always -EINTR after a handler */
long shim_setlkw(struct regs *r);	      /* fcntl's locks that wait */
long shim_blocks_long(struct regs *r);	      /* the P goes at once */
long shim_blocks_long_nohand(struct regs *r);

/* Program memory; -EFAULT instead of a fault. */
static inline int user_read(void *dst, uintptr_t src, size_t n)
{
	return arch_user_copy(dst, (const void *)src, n);
}

static inline int user_write(uintptr_t dst, const void *src, size_t n)
{
	return arch_user_copy((void *)dst, src, n);
}

/* poll with no wait. The kernel ends even that with EINTR if a signal is pending, also one that is only preloom's. */
long kernel_poll(const void *fds, size_t n);

struct ktimespec {
	int64_t sec, nsec;
};

/* Reads a struct timespec; *ns is its value (saturated), -EFAULT or -EINVAL otherwise. */
int user_read_timespec(uintptr_t src, int64_t *ns);
int64_t deadline_after(int64_t ns);	  /* from now, or from when the call was first made; monotonic, saturated */
int64_t deadline_of_walltime(int64_t ns); /* CLOCK_REALTIME → monotonic; 1 if it is past */

struct g *clock_owner(struct g *self, int clock);
void time_set_vdso(void *clock_gettime, void *clock_getres, void *syscall);
int time_vdso_clock_gettime(int clock, struct ktimespec *ts);
int time_vdso_clock_getres(int clock, struct ktimespec *ts);

/* A kernel thread or process that shares our memory but is not an M: its calls go to the kernel. */
extern struct m foreign_m;
long shim_foreign(struct regs *r);
long clone_by_foreign(struct regs *r);

extern bool (*shim_is_raw_site)(uintptr_t ret); /* the site is libc's syscall(); set at activation */
void cred_signalled(int sig);
struct ksiginfo;
void sig_before_kill(int sig, const struct ksiginfo *info);
void cred_after_fork(void);

/* ident.c: what a G was told and what processes that it makes shall have */
struct identity {
	uint64_t affinity[16];
	int nice, ioprio, policy, priority;
	uint8_t recorded; /* Recorded… */
	bool named;	  /* the calling kernel thread does not have the G's name */
	int maker;	  /* whose name a child has of the main G: the process's id; 0: another G's */
	uint32_t renames; /* of the maker's so far */
};
void ident_inherit(struct g *g, const struct g *maker);
struct identity ident_for_child(const struct g *g);
struct identity ident_before_fork(struct g *g);
void ident_after_fork(struct g *g, const struct identity *id);
void ident_apply(const struct identity *id);
void ident_before_exec(const struct regs *r, struct identity *before);

long shim_owner(struct regs *r); /* owner.c: fcntl's part that concerns threads */
void shim_wire(const char *why); /* cred.c: before a change of what belongs to the kernel thread */
long cred_no_new_privs(struct regs *r);
long cred_inherited(long ret);
long cred_confined(struct regs *r, const char *why);
long cred_strict(void);
int cred_wired_thread(const struct g *g);
int cred_unchanged_thread(void);
void cred_filters(uint64_t program);
const char *cred_prctl_wires(int option, uint64_t command); /* why; NULL: it does not */

/* futex.c: op with FUTEX_PRIVATE_FLAG, if it is told that the word is private */
bool futex_goes_to_kernel(uintptr_t addr, unsigned op);

/* futexpi.c: words in shared memory */
long futex_lock_pi_shared(struct g *g, uintptr_t addr, int64_t deadline, bool try);
long futex_unlock_pi_shared(struct g *g, uintptr_t addr);

void procfs_closing(int fd); /* procfs.c: before a close */

long sigaction_by_foreign(struct regs *r);
void sigaction_is_shared(void); /* a process is about to be made that shares the table */

#define SYSCALL(nr, fn) long fn(struct regs *r);
#include "table.h"
#undef SYSCALL

#endif
