/* sigimpl.h - what the files of the signal layer share.
 */
#ifndef PRELOOM_SIGIMPL_H
#define PRELOOM_SIGIMPL_H

#include "runtime.h"
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>

#ifndef ERESTARTSYS
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516
#endif

#define HANDLER_DFL 0
#define HANDLER_IGN 1
#define SIGALL (~0ULL)
#define SIG_REALTIME (~0ULL << 33) /* those that glibc leaves to the program */
#define SIG_UNBLOCKABLE (sigbit(SIGKILL) | sigbit(SIGSTOP))
/* Raised by an instruction; the kernel's own order of delivery puts them first. */
#define SIG_SYNC                                                                                    \
	(sigbit(SIGSEGV) | sigbit(SIGBUS) | sigbit(SIGFPE) | sigbit(SIGILL) | sigbit(SIGTRAP) | sigbit(SIGSYS))
#define SIG_DFL_IGNORED (sigbit(SIGCHLD) | sigbit(SIGCONT) | sigbit(SIGURG) | sigbit(SIGWINCH))
#define SIG_DFL_STOPS (sigbit(SIGTSTP) | sigbit(SIGTTIN) | sigbit(SIGTTOU))
#define SIG_CANCEL 32 /* glibc's own: also SIGTIMER */
#define SIG_SETXID 33
/* A handler for these does not mean that somebody outside may wake a sleeper. */
#define SIG_NOT_WAKEUP                                                                                      \
	(SIG_SYNC | sigbit(SIGABRT) | sigbit(SIGPIPE) | sigbit(SIGXFSZ) | sigbit(SIG_CANCEL) | sigbit(SIG_SETXID))

#ifndef SS_ONSTACK
#define SS_ONSTACK 1
#define SS_DISABLE 2
#endif

/* si_code values (asm-generic/siginfo.h has them, but also a siginfo_t) */
#define CODE_USER 0
#define CODE_KERNEL 0x80
#define CODE_SECCOMP 1 /* of SIGSYS */
#define CODE_QUEUE (-1)
#define CODE_TIMER (-2)
#define CODE_TKILL (-6)

struct sigq {
	struct sigq *next;
	struct ksiginfo info;
};

/* --- sigqueue.c; all but the inbox under siglock --- */
extern struct lock siglock;
extern struct sigpending sig_shared; /* directed at the process */
/* False: the limit on queued signals is reached. One that the kernel has accepted is not refused. */
bool sigq_add(struct sigpending *p, const struct ksiginfo *info, bool accepted);
bool sigq_take(struct sigpending *p, uint64_t set, struct ksiginfo *info);
void sigq_flush(struct sigpending *p, uint64_t set);
bool sigq_drop_timer(struct sigpending *p, int id); /* was there one? */
void sigq_init(void);
void sigq_reset_after_fork(void);

/* What a handler puts aside while it must not take siglock. */
struct inbox_item {
	struct g *to; /* NULL: the process */
	uint64_t goid;
	struct ksiginfo info;
};
bool inbox_put(struct g *to, const struct ksiginfo *info); /* false: full */
bool inbox_get(struct inbox_item *it);

/* --- sigaction.c --- */
struct ksigaction sig_action(int sig);
const struct ksigaction *sig_action_locked(int sig);
bool sig_action_set(int sig, const struct ksigaction *sa, struct ksigaction *old);
bool sig_is_ignored(int sig);	   /* by choice or by default; siglock */
void sig_oneshot(int sig);	   /* SA_RESETHAND; siglock */
void sig_note_blocked(uint64_t set); /* somebody blocks these: from now on they come to us */
void sig_actions_init(void);
void sig_actions_after_fork(void);
void sig_actions_for_exec(void);
void sig_actions_after_exec(void);
void sig_actions_clear(void);
void sig_actions_cleared_foreign(void);
void sig_default_action(int sig, const struct ksiginfo *info); /* as the kernel does it; no lock held */
void sig_set_default(int sig);				       /* in the kernel, for good */
void sig_foreign_action(int sig, struct ksigaction *sa, bool was_set); /* what a vfork child shall see */

/* --- sig.c --- */
bool sig_kicked(struct m *m, int sig, const struct ksiginfo *info); /* the signal is a kick; the next one may be sent */
struct sigdelivery {
	struct ksigaction sa;
	struct ksiginfo info;
	uint64_t restore; /* mask for the frame */
	int sig;
};
/* The next signal for the calling G that has a handler; default actions are taken on the way. The mask is already
 * the handler's. */
bool sig_next(struct g *g, struct sigdelivery *d);
/* A signal that an instruction of g raised; false: default action. */
bool sig_forced(struct g *g, int sig, const struct ksiginfo *info, struct sigdelivery *d);
bool sig_take_waited(struct g *g, uint64_t set, struct ksiginfo *info);
void sig_retarget(uint64_t set); /* signals of the process that the calling G will not take */
uint64_t sig_kept(void); /* signals that stay in the kernel: no M takes them, see sigfd.c */
bool sig_told(struct g *g); /* empties the inbox; must g look at its signals? */
void sig_forget_left(void); /* in the child of a fork */
void sig_inbox_overflowed(void);
bool sig_inbox_overflown(void); /* since then it was not empty */
extern struct sig_config sig_cfg;
extern int sig_pid;
extern _Atomic uint32_t sig_nwaiting; /* G's in sigtimedwait */

/* --- sigfd.c --- */
void sig_want(uint64_t set);	     /* a signalfd reads these */
void sig_keep(uint64_t set);	     /* the calling G has begun to block these */
void sig_unkeep(uint64_t set);
void sig_keep_initial(uint64_t set);
void sig_keep_for_exec(uint64_t mask);
uint64_t sig_kept_after_exec(void); /* it failed: what is kept now */
bool sig_take_kept(uint64_t set, struct ksiginfo *info); /* without waiting */
int sig_give_back(const struct ksiginfo *info); /* -EAGAIN: refused */

/* --- sigentry.c --- */
struct kuc;
void sigentry(int sig, struct ksiginfo *info, struct kuc *uc);

/* What next() gives, called with siglock, until that has no more. */
void sig_send_all(bool (*next)(struct ksiginfo *info, struct g **to));

/* --- cputimer.c: timers of a G's CPU time --- */
struct sigtimer;
struct cputimer *cputimer_new(const struct ksiginfo *info, struct g *owner, struct g *to);
void cputimer_begin(struct cputimer *c, struct sigtimer *t);
void cputimer_free(struct cputimer *c);
void cputimer_get(struct cputimer *c, int64_t *left, int64_t *interval);
void cputimer_stop(struct cputimer *c, int64_t *left, int64_t *interval);
bool cputimer_start(struct cputimer *c, bool absolute, int64_t value, int64_t interval);
int64_t cputimer_missed_locked(struct cputimer *c); /* siglock */
void cputimer_reset(void); /* in the child of a fork */

/* --- sigtimer.c --- */
/* g NULL: the process; cpu: of a G's CPU time, else NULL. */
struct sigtimer *sig_timer_add(int id, int clock, int sig, struct g *g, struct cputimer *cpu);
struct cputimer *sig_timer_cpu(const struct sigtimer *t);
bool sig_timer_fires(struct sigtimer *t, int64_t n);
void sig_timer_del(struct sigtimer *t);
void sig_timer_reset(void);
struct sigtimer *sig_timer_find(int id); /* NULL: not known */
struct sigtimer *sig_timer_itimer(void); /* ITIMER_REAL */
bool sig_timer_target(const struct ksiginfo *info, struct g **to); /* NULL: the process; false: nobody; siglock */
bool sig_timer_merged(const struct ksiginfo *info);
void sig_timer_dropped(const struct ksiginfo *info);
void sig_timer_ignored(const struct ksiginfo *info);
void sig_timer_heeded(int sig);
void sig_timer_taken(struct ksiginfo *info);
void sig_timer_alarm_taken(void);
void sig_timer_exec(bool begins);
void sig_timer_drop(struct sigtimer *t);
int sig_timer_overrun(const struct sigtimer *t);
uint64_t sig_timers_lock(void); /* blocks all signals; the mask to unlock with */
void sig_timers_unlock(uint64_t mask);
bool sig_timer_is_held(const struct sigtimer *t);
uint32_t sig_timer_nholds(const struct sigtimer *t);
void sig_timer_get(const struct sigtimer *t, int64_t spec[4]);
void sig_timer_restarted(struct sigtimer *t);

static inline uint64_t sig_pending_set(struct g *g)
{
	return atomic_load(&g->sig.pending.set) | atomic_load(&sig_shared.set);
}

#endif
