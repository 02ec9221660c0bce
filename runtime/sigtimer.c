/* sigtimer.c - timers that signal: which G one is for, and that at most one signal of each is pending.
 *
 * The kernel starts a timer's next interval when the signal of the last one is taken. Here the kernel's signal is taken
 * when it reaches preloom's handler, which may be long before a G takes it: the G may block it, for instance because its
 * handler for the one before still runs. Were the timer to go on, one that is faster than a signal is delivered would
 * leave neither that handler nor preloom any time, and signals would pile up where the kernel counts overruns. So a timer
 * has a flag `inflight` from the take-in of a signal until a G takes it. A second signal in that time is merged (counted
 * as an overrun), and the timer is `held`: stopped, until the first is taken; then it goes on in phase, as if it
 * had never been stopped. What the program asks of a held timer is worked out.
 *
 * Handlers that interrupted anything at all do this, so the timers have a lock of their own, and whoever else takes it
 * blocks all signals in earnest. Entries are found without it; they are never freed, only used again in the same bucket.
 * inflight and held: who clears the one looks at the other afterwards, and the other way round; both are seq_cst.
 *
 * The kernel knows no G: timer_create with SIGEV_THREAD_ID becomes one that signals the process, the id leads to the G.
 * ITIMER_REAL is a timer like the others here. Those of a G's CPU time expire in cputimer.c and never in the kernel; they are
 * not held, only merged.
 *
 * Rejected: to block the signal in the M's mask until the handler returns. Other M's take it then, a handler may be left by a
 * jump, and a G that blocks the signal for long would still get one for every interval.
 */
#include "sigimpl.h"

#define NBUCKETS 64
#define NO_TIMER (-1)
#define ITIMER_ID (-2)
#define ITIMER_REAL 0
#define MAX_OVERRUN 0x7fffffff
#define CLOCK_MONOTONIC 1
#define CPUCLOCK_PERTHREAD 4
#define SPINS 100

struct sigtimer {
	_Atomic int id; /* the kernel's; NO_TIMER: none yet */
	_Atomic bool deleted; /* signals may still be under way */
	struct sigtimer *_Atomic next;
	int clock, sig;
	struct g *g; /* NULL: the process */
	uint64_t goid;
	struct cputimer *cpu;
	_Atomic uint32_t inflight, held, ignored, nholds;
	_Atomic int64_t missed; /* expiries since the signal in flight */
	_Atomic int overrun;	/* of the last one that was taken */
	int64_t since, value, interval; /* held: when, what was left, in ns */
};

static struct sigtimer *_Atomic buckets[NBUCKETS];
static struct sigtimer itimer = { .id = ITIMER_ID, .clock = CLOCK_MONOTONIC, .sig = SIGALRM };
static _Atomic uint32_t locked, nignored;
static bool itimer_runs; /* an exec is under way: it must not be held */

/* --- the lock --- */

static void spin_lock(void)
{
	for (unsigned i = 0; atomic_exchange_explicit(&locked, 1, memory_order_acquire); i++) {
		if (i < SPINS)
			arch_pause();
		else
			os_osyield();
	}
}

static void spin_unlock(void)
{
	store_rel(&locked, 0); /* release: pairs with the acquire in spin_lock */
}

uint64_t sig_timers_lock(void)
{
	uint64_t all = SIGALL, old;
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &all, &old, 8);
	spin_lock();
	return old;
}

void sig_timers_unlock(uint64_t mask)
{
	spin_unlock();
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8);
}

/* --- what the kernel does --- */

struct interval { /* the kernel's itimerspec, or itimerval */
	int64_t interval[2], value[2];
};

static int64_t unit(const struct sigtimer *t) /* of the second word, in ns */
{
	return t == &itimer ? NSEC_PER_USEC : 1;
}

static bool kernel_get(struct sigtimer *t, int64_t *value, int64_t *interval)
{
	struct interval i;
	long err = t == &itimer ? sys2(__NR_getitimer, ITIMER_REAL, &i) : sys2(__NR_timer_gettime, load_rlx(&t->id), &i);
	if (err)
		return false;
	*value = i.value[0] * NSEC_PER_SEC + i.value[1] * unit(t);
	*interval = i.interval[0] * NSEC_PER_SEC + i.interval[1] * unit(t);
	return true;
}

static void fill(const struct sigtimer *t, struct interval *i, int64_t value, int64_t interval)
{
	if (value && value < unit(t)) /* 0 would stop it */
		value = unit(t);
	*i = (struct interval){ { interval / NSEC_PER_SEC, interval % NSEC_PER_SEC / unit(t) },
				{ value / NSEC_PER_SEC, value % NSEC_PER_SEC / unit(t) } };
}

static void kernel_set(struct sigtimer *t, int64_t value, int64_t interval)
{
	struct interval i;
	fill(t, &i, value, interval);
	if (t == &itimer)
		sys3(__NR_setitimer, ITIMER_REAL, &i, 0);
	else
		sys4(__NR_timer_settime, load_rlx(&t->id), 0, &i, 0);
}

/* 0 where the clock is a kernel thread's: then it stands still while the timer is held. */
static int64_t now_of(const struct sigtimer *t)
{
	int64_t ts[2] = { 0, 0 };
	int c = t->clock;
	if (c >= 0 || !(c & CPUCLOCK_PERTHREAD))
		sys2(__NR_clock_gettime, c, ts);
	return ts[0] * NSEC_PER_SEC + ts[1];
}

/* --- holding --- */

static void hold_locked(struct sigtimer *t)
{
	if (t->cpu || load_rlx(&t->held) || (itimer_runs && t == &itimer) || !kernel_get(t, &t->value, &t->interval) || !t->interval)
		return;
	if (!t->value) /* less than getitimer's unit */
		t->value = 1;
	t->since = now_of(t);
	atomic_fetch_add(&t->nholds, 1);
	kernel_set(t, 0, 0);
	atomic_store(&t->held, 1);
	atomic_fetch_add(&t->nholds, 1);
}

/* What a held timer would have left now; n: how often it would have expired. */
static int64_t left_locked(const struct sigtimer *t, int64_t *n)
{
	int64_t late = now_of(t) - t->since - t->value;
	*n = late < 0 ? 0 : 1 + late / t->interval;
	return late < 0 ? -late : t->interval - late % t->interval;
}

static void release_locked(struct sigtimer *t)
{
	int64_t n;
	if (!load_rlx(&t->held))
		return;
	int64_t value = left_locked(t, &n);
	atomic_fetch_add(&t->missed, n);
	kernel_set(t, value, t->interval);
	atomic_store(&t->held, 0);
}

static void landed(struct sigtimer *t)
{
	atomic_store(&t->inflight, 0);
	if (likely(!atomic_load(&t->held)))
		return;
	uint64_t mask = sig_timers_lock();
	release_locked(t);
	sig_timers_unlock(mask);
}

/* --- the table --- */

static struct sigtimer *_Atomic *bucket(int id)
{
	return &buckets[(uint32_t)id % NBUCKETS];
}

struct sigtimer *sig_timer_find(int id)
{
	if (id < 0)
		return NULL;
	struct sigtimer *t = load_acq(bucket(id)); /* acquire: pairs with the release in sig_timer_add */
	while (t && load_acq(&t->id) != id)
		t = load_acq(&t->next);
	return t && !load_acq(&t->deleted) ? t : NULL;
}

static struct sigtimer *of_info(const struct ksiginfo *info)
{
	if (info->code == CODE_TIMER)
		return sig_timer_find(info->timer);
	return info->signo == SIGALRM && info->code == CODE_KERNEL ? &itimer : NULL;
}

static struct sigtimer *entry_locked(int id)
{
	struct sigtimer *_Atomic *b = bucket(id), *t = load_rlx(b);
	while (t && load_rlx(&t->id) != id && !load_rlx(&t->deleted))
		t = load_rlx(&t->next);
	if (t)
		return t;
	t = rt_alloc(sizeof(*t));
	store_rlx(&t->id, NO_TIMER);
	store_rlx(&t->deleted, true);
	store_rlx(&t->next, load_rlx(b));
	store_rel(b, t);
	return t;
}

struct sigtimer *sig_timer_add(int id, int clock, int sig, struct g *g, struct cputimer *cpu)
{
	lock(&siglock);
	struct sigtimer *t = entry_locked(id);
	t->clock = clock;
	t->sig = sig;
	t->g = g;
	t->goid = g ? g->goid : 0;
	t->cpu = cpu;
	atomic_store(&t->inflight, 0);
	atomic_store(&t->held, 0);
	sig_timer_restarted(t);
	store_rlx(&t->id, id);
	store_rel(&t->deleted, false);
	unlock(&siglock);
	return t;
}

struct cputimer *sig_timer_cpu(const struct sigtimer *t)
{
	return t->cpu;
}

void sig_timer_del(struct sigtimer *t)
{
	sig_timer_drop(t);
	uint64_t mask = sig_timers_lock();
	sig_timer_restarted(t);
	store_rel(&t->deleted, true);
	sig_timers_unlock(mask);
}

/* A fork's child has no timers. */
void sig_timer_reset(void)
{
	for (int i = 0; i < NBUCKETS; i++)
		for (struct sigtimer *t = load_rlx(&buckets[i]); t; t = load_rlx(&t->next))
			store_rlx(&t->deleted, true), store_rlx(&t->ignored, 0);
	store_rlx(&itimer.inflight, 0);
	store_rlx(&itimer.held, 0);
	store_rlx(&itimer.ignored, 0);
	store_rlx(&nignored, 0);
	store_rlx(&locked, 0);
	itimer_runs = false;
	cputimer_reset();
}

bool sig_timer_target(const struct ksiginfo *info, struct g **to)
{
	struct sigtimer *t = load_acq(bucket(info->timer));
	while (t && load_acq(&t->id) != info->timer)
		t = load_acq(&t->next);
	*to = t ? t->g : NULL;
	return !t || (!load_acq(&t->deleted) && (!t->g || t->g->goid == t->goid));
}

/* --- signals that come and go --- */

/* In a handler: the timer's last signal is still pending, and this one shall be forgotten. */
bool sig_timer_merged(const struct ksiginfo *info)
{
	struct sigtimer *t = of_info(info);
	if (likely(!t) || likely(!atomic_exchange(&t->inflight, 1)))
		return false;
	spin_lock();
	hold_locked(t);
	bool pending = atomic_load(&t->inflight);
	if (!pending) /* it has just been taken */
		release_locked(t);
	spin_unlock();
	if (!pending && !atomic_exchange(&t->inflight, 1))
		return false;
	atomic_fetch_add(&t->missed, 1 + (int64_t)info->overrun);
	return true;
}

/* It expired for the n-th time since. False: its last signal is still pending, and the program shall be told by that one. */
bool sig_timer_fires(struct sigtimer *t, int64_t n)
{
	if (!atomic_exchange(&t->inflight, 1))
		return true;
	atomic_fetch_add(&t->missed, n);
	return false;
}

/* It stands still, as in the kernel, until the signal is not ignored any more. */
void sig_timer_ignored(const struct ksiginfo *info)
{
	struct sigtimer *t = of_info(info);
	if (t && !atomic_exchange(&t->ignored, 1))
		atomic_fetch_add(&nignored, 1);
}

static void heeded(struct sigtimer *t)
{
	if (!load_rlx(&t->ignored) || !atomic_exchange(&t->ignored, 0))
		return;
	atomic_fetch_sub(&nignored, 1);
	landed(t);
}

void sig_timer_heeded(int sig)
{
	if (likely(!load_rlx(&nignored)))
		return;
	for (int i = 0; i < NBUCKETS; i++)
		for (struct sigtimer *t = load_acq(&buckets[i]); t; t = load_acq(&t->next))
			if (t->sig == sig)
				heeded(t);
	if (sig == SIGALRM)
		heeded(&itimer);
}

/* A signal that was taken in will not be pending. */
void sig_timer_dropped(const struct ksiginfo *info)
{
	struct sigtimer *t = of_info(info);
	if (t)
		landed(t);
}

/* A G takes it; siglock. */
void sig_timer_taken(struct ksiginfo *info)
{
	struct sigtimer *t = sig_timer_find(info->timer);
	if (!t)
		return;
	int64_t n = info->overrun + (t->cpu ? cputimer_missed_locked(t->cpu) : 0);
	landed(t);
	n += atomic_exchange(&t->missed, 0);
	info->overrun = n > MAX_OVERRUN ? MAX_OVERRUN : (int)n;
	store_rlx(&t->overrun, info->overrun);
}

/* SIGALRM of the process was taken, wherever it came from. */
void sig_timer_alarm_taken(void)
{
	if (load_rlx(&itimer.inflight))
		landed(&itimer);
}

/* The new program inherits ITIMER_REAL. */
void sig_timer_exec(bool begins)
{
	uint64_t mask = sig_timers_lock();
	itimer_runs = begins;
	release_locked(&itimer);
	sig_timers_unlock(mask);
}

/* --- what the program asks; between sig_timers_lock and unlock --- */

struct sigtimer *sig_timer_itimer(void)
{
	return &itimer;
}

bool sig_timer_is_held(const struct sigtimer *t)
{
	return load_rlx(&t->held) != 0;
}

/* Odd while it is being stopped. If it changes, what the kernel said meanwhile may be wrong. */
uint32_t sig_timer_nholds(const struct sigtimer *t)
{
	return atomic_load(&t->nholds);
}

/* Of a held timer, in the kernel's form. */
void sig_timer_get(const struct sigtimer *t, int64_t spec[4])
{
	struct interval i;
	int64_t n;
	fill(t, &i, left_locked(t, &n), t->interval);
	spec[0] = i.interval[0], spec[1] = i.interval[1], spec[2] = i.value[0], spec[3] = i.value[1];
}

/* It was set anew. */
void sig_timer_restarted(struct sigtimer *t)
{
	if (atomic_exchange(&t->ignored, 0)) {
		atomic_fetch_sub(&nignored, 1);
		store_rlx(&t->inflight, 0);
	}
	store_rlx(&t->held, 0);
	store_rlx(&t->missed, 0);
	store_rlx(&t->overrun, 0);
}

/* It is going to be set anew or deleted: forget what is pending of it. Stopped first, so that nothing comes between. Not
 * under the lock. */
void sig_timer_drop(struct sigtimer *t)
{
	int id = load_rlx(&t->id);
	if (likely(!load_rlx(&t->inflight)))
		return;
	uint64_t mask = sig_timers_lock();
	hold_locked(t);
	sig_timers_unlock(mask);
	sig_drain();
	lock(&siglock);
	bool found = sigq_drop_timer(&sig_shared, id);
	if (t->g && t->g->goid == t->goid)
		found |= sigq_drop_timer(&t->g->sig.pending, id);
	if (found)
		atomic_store(&t->inflight, 0);
	unlock(&siglock);
}

/* -1: only the kernel knows, since the signal stays there. */
int sig_timer_overrun(const struct sigtimer *t)
{
	return !t->cpu && sig_kept() & sigbit(t->sig) ? -1 : load_rlx(&t->overrun);
}
