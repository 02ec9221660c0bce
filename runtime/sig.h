/* sig.h - signals as a G sees them: virtual masks, pending sets, handlers.
 *
 * The kernel only ever sees preloom's handler and an empty mask in every M. See sig.c for the model, sigentry.c for
 * what happens when a signal arrives from the kernel.
 */
#ifndef PRELOOM_SIG_H
#define PRELOOM_SIG_H

#include "base.h"

#define NSIG_ALL 64
#define sigbit(s) (1ULL << ((s)-1))

struct g;
struct m;
struct regs;
struct sigq; /* one queued signal with its siginfo */

/* The kernel's siginfo_t, as far as the runtime looks into it. */
struct ksiginfo {
	int32_t signo, err, code, pad;
	union {
		struct {
			int32_t pid;
			uint32_t uid;
			uint64_t value;
		};
		struct {
			int32_t timer, overrun;
			uint64_t timer_value;
		};
		uintptr_t addr;
		uint64_t words[14];
	};
};
_Static_assert(sizeof(struct ksiginfo) == 128, "siginfo");

/* The kernel's struct sigaction. */
struct ksigaction {
	uintptr_t handler; /* 0: default, 1: ignore */
	uint64_t flags;
	uintptr_t restorer;
	uint64_t mask;
};

struct sigpending {
	_Atomic uint64_t set;
	struct sigq *head, *tail; /* in the order of arrival; under siglock */
};

/* Per G; in sig.c's words. */
struct gsig {
	_Atomic uint64_t mask; /* the virtual mask; only the G itself writes */
	uint64_t saved;	       /* mask to restore after sigsuspend, ppoll, pselect, epoll_pwait */
	bool saved_set;
	bool exiting;		   /* takes no signal any more */
	bool owner;		   /* of a descriptor's signals; it is wired */
	bool refused;		   /* seccomp trapped the call that a shim makes for it; only its own M looks */
	int refused_err;	   /* the filter's word, for si_errno */
	uint32_t refused_arch;
	_Atomic uint64_t unlifted; /* while in sigtimedwait: the mask before the awaited signals were let through */
	_Atomic uint64_t waiting;  /* set of a sigtimedwait that is going on */
	struct sigpending pending; /* directed at this G */
	uint64_t exec_shared;	   /* during an exec: which of the pending signals were the process's */
	uintptr_t alt_sp;
	uint64_t alt_size;
	int alt_flags;
};

struct sig_config {
	uintptr_t text_lo, text_hi, data_hi;	/* preloom's own code, and the end of its data behind it */
	bool (*tramp_contains)(uintptr_t ip);
	uintptr_t (*next_ip)(uintptr_t ret);	/* return address in a trampoline -> address behind the site's syscall */
	uintptr_t (*restart_ip)(uintptr_t ret); /* ... -> where the site makes its call again */
	uintptr_t (*resume_ip)(uintptr_t ip);	/* an address in a displaced span -> its copy; others -> themselves */
	/* An address in a trampoline or the entry stub that stands for one of the program's -> that one, and its stack pointer;
	 * 0: there is none. */
	uintptr_t (*program_ip)(uintptr_t ip, uintptr_t *sp);
};

/* sigproc.c: beginnings and ends */
void sig_init(const struct sig_config *c); /* at activation, single-threaded, M 0 and the main G exist */
bool sig_m_alloc(struct m *m);		   /* its signal stack; false: no memory */
void sig_m_free(struct m *m);
void sig_m_init(struct m *m);		   /* on the new M itself */
void sig_m_wired(struct m *m);		   /* on the M, to which a G was wired just now */
uint64_t sig_realmask(const struct m *m); /* what an M's kernel thread blocks while the program runs */
void sig_g_init(struct g *child, struct g *parent);
void sig_g_exit(struct g *g);
void sig_fork_prepare(void); /* takes siglock; real signals are blocked around a fork */
void sig_fork_parent(void);
void sig_lock(void);
void sig_unlock(void);
void sig_end_waits(void);   /* with one P: its holder ends waits of those that were told of a signal where no P was */
void sig_ending_changed(void); /* see ending.h */
void sig_after_fork_child(struct g *self); /* also after a vfork, without sig_fork_prepare */
void sig_before_exec(struct g *g); /* the virtual mask, pending signals and ignored signals become real */
void sig_after_exec_failed(struct g *g);
bool text_is_ours(uintptr_t ip);

/* sig.c: sending, masks, waiting */
int sig_send(struct g *to, int sig, const struct ksiginfo *info); /* to NULL: the process. 0 or -EAGAIN */
void sig_limit_changed(void);	       /* RLIMIT_SIGPENDING */
void sig_drain(void);		       /* takes in what handlers put aside; cheap when there is nothing */
bool sig_inbox_empty(void);
void sig_sleep_begin(struct m *m);     /* the M, without P and locks, sleeps now: handlers take signals in themselves */
void sig_sleep_end(struct m *m);
void sig_kick(struct m *m);	       /* interrupts the kernel thread: a preemption or a signal is due */
void sig_cpu_timers(void);	       /* from sysmon: see cputimer.c */
void sig_tick(void);		       /* from sysmon: repeats kicks that came at the wrong moment */
uint64_t sig_setmask(struct g *g, uint64_t mask); /* of the calling G; returns the old mask */
void sig_swap_mask(struct g *g, uint64_t mask);	  /* ppoll and the like: until the call ends */
void sig_restore_mask(struct g *g);		  /* ... unless it returns a restart code */
bool sig_deliverable(struct g *g);	       /* of the calling G */
bool sig_park(struct g *g, int64_t deadline); /* until a signal is deliverable (true) or the deadline (0: none) */

/* The end of a shim, when g->interrupt is set or ret is a restart code. If a handler must run it does not return. Else it
 * returns ret; a restart code then means: make the call again (the mask of ppoll and the like is restored). */
long sig_deliver_exit(struct regs *r, long ret);

#endif
