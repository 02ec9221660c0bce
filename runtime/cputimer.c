/* cputimer.c - timers that expire by the CPU time of a G.
 *
 * The kernel's timers of CPU time belong to kernel threads, which a G changes all the time. So such a timer is kept here:
 * armed ones are in a list with the CPU time at which they expire. One cannot expire before that much time has passed
 * while its G runs, so sysmon looks at the list when the first of those whose G runs at present could, and every few
 * milliseconds for the sake of the others, as the kernel does at its ticks. Nothing is done where G's are switched. A
 * timer of the kernel's that is never set stands behind each: it has the id, and counts against the program's limits.
 *
 * What becomes of a signal that is sent is told by sigtimer.c, as for all timers. All here is under siglock.
 */
#include "sigimpl.h"

#define LOOK (4 * NSEC_PER_MSEC)
#define LOOK_LEAST (20 * NSEC_PER_USEC)
#define SOON (10 * NSEC_PER_MSEC) /* sysmon may sleep that long */
#define DOUBT NSEC_PER_MSEC
#define DOUBTS 5

struct cputimer {
	struct cputimer *next, *prev; /* armed; next also in the free list */
	struct sigtimer *t;
	struct g *owner, *to; /* whose time; who gets the signal, NULL: the process */
	uint64_t owner_goid, to_goid;
	struct ksiginfo info;	/* signo 0: it only counts */
	int64_t when, interval; /* CPU time, ns; when 0: not armed */
	int doubts;
};

static struct cputimer *armed, *unused;

static bool lives(const struct g *g, uint64_t goid)
{
	return g->goid == goid && load_acq(&g->status) != Gdead;
}

static void disarm_locked(struct cputimer *c)
{
	if (!c->when)
		return;
	c->when = 0;
	if (c->prev)
		c->prev->next = c->next;
	else
		armed = c->next;
	if (c->next)
		c->next->prev = c->prev;
}

static void arm_locked(struct cputimer *c, int64_t when)
{
	c->when = when > 0 ? when : 1;
	c->doubts = 0;
	c->prev = NULL;
	c->next = armed;
	if (armed)
		armed->prev = c;
	armed = c;
}

/* A G that is just leaving its CPU has counted its run, but may still look as if it ran; so does one that another M took over
 * very soon. If the first M has lost its CPU right there the run would count twice: see once more, a little later. */
static bool is_doubtful(struct cputimer *c)
{
	struct g *g = c->owner;
	struct m *m = getm();
	if (m && m->curg == g)
		return false;
	return *(volatile uint64_t *)&g->wait_ticks > g->run_start && c->doubts++ < DOUBTS;
}

/* What is left, in ns; *look: not before this has passed need anybody look again. */
static int64_t left_locked(struct cputimer *c, int64_t *look)
{
	bool runs = cputime_goes_on(c->owner);
	int64_t left = c->when - g_cputime(c->owner);
	if (left <= 0 && runs && is_doubtful(c))
		left = DOUBT;
	*look = runs && left < LOOK ? left : LOOK;
	return left;
}

/* It has expired: how often by now? */
static int64_t expiries_locked(struct cputimer *c)
{
	int64_t n = 1, late = g_cputime(c->owner) - c->when;
	c->doubts = 0;
	if (c->interval) {
		n += late > 0 ? late / c->interval : 0;
		c->when += n * c->interval;
	} else {
		disarm_locked(c);
	}
	return n;
}

/* A G takes its signal, which tells of all the times until now: sysmon need not have seen them all. */
int64_t cputimer_missed_locked(struct cputimer *c)
{
	return c->when && lives(c->owner, c->owner_goid) && g_cputime(c->owner) >= c->when ? expiries_locked(c) : 0;
}

static bool send_locked(struct cputimer *c, struct ksiginfo *info, struct g **to)
{
	int64_t n = expiries_locked(c);
	if (!c->info.signo || (c->to && !lives(c->to, c->to_goid)) || !sig_timer_fires(c->t, n))
		return false;
	*info = c->info;
	info->overrun = n > INT32_MAX ? INT32_MAX : (int32_t)n - 1;
	*to = c->to;
	return true;
}

/* The next signal of a timer that has expired; if there is none, sysmon is told when to look again. */
static bool next_expired_locked(struct ksiginfo *info, struct g **to)
{
	int64_t least = LOOK, look;
	struct cputimer *next;
	for (struct cputimer *c = armed; c; c = next) {
		next = c->next;
		if (!lives(c->owner, c->owner_goid)) {
			disarm_locked(c);
			continue;
		}
		if (left_locked(c, &look) <= 0 && send_locked(c, info, to))
			return true;
		if (c->when && look < least)
			least = look;
	}
	store_rlx(&sched.cpulook, armed ? os_nanotime() + (least > LOOK_LEAST ? least : LOOK_LEAST) : 0);
	return false;
}

void sig_cpu_timers(void)
{
	sig_send_all(next_expired_locked);
}

/* --- what the program asks --- */

struct cputimer *cputimer_new(const struct ksiginfo *info, struct g *owner, struct g *to)
{
	lock(&siglock);
	struct cputimer *c = unused;
	if (c)
		unused = c->next;
	unlock(&siglock);
	if (!c)
		c = rt_alloc(sizeof(*c));
	*c = (struct cputimer){ .owner = owner, .to = to, .owner_goid = owner->goid, .to_goid = to ? to->goid : 0, .info = *info };
	return c;
}

void cputimer_begin(struct cputimer *c, struct sigtimer *t)
{
	c->t = t;
}

void cputimer_free(struct cputimer *c)
{
	lock(&siglock);
	disarm_locked(c);
	c->next = unused;
	unused = c;
	unlock(&siglock);
}

static void get_locked(const struct cputimer *c, int64_t *left, int64_t *interval)
{
	bool runs = c->when && lives(c->owner, c->owner_goid);
	*interval = c->interval;
	*left = runs ? c->when - g_cputime(c->owner) : 0;
	if (runs && *left <= 0)
		*left = 1;
}

void cputimer_get(struct cputimer *c, int64_t *left, int64_t *interval)
{
	lock(&siglock);
	get_locked(c, left, interval);
	unlock(&siglock);
}

/* Says what was left. */
void cputimer_stop(struct cputimer *c, int64_t *left, int64_t *interval)
{
	lock(&siglock);
	get_locked(c, left, interval);
	disarm_locked(c);
	unlock(&siglock);
}

/* False: the thread whose time it is has ended. */
bool cputimer_start(struct cputimer *c, bool absolute, int64_t value, int64_t interval)
{
	lock(&siglock);
	bool alive = lives(c->owner, c->owner_goid);
	int64_t now = alive ? g_cputime(c->owner) : 0;
	c->interval = interval;
	if (alive && value)
		arm_locked(c, absolute ? value : value > INT64_MAX - now ? INT64_MAX : now + value);
	unlock(&siglock);
	if (!alive || !value)
		return alive;
	sig_cpu_timers(); /* it may have expired */
	if ((absolute ? value - now : value) < SOON)
		sysmon_nudge();
	return true;
}

void cputimer_reset(void)
{
	armed = unused = NULL;
	store_rlx(&sched.cpulook, 0);
}
