/* sig.c - who gets a signal, and how it learns of it. The model is the kernel's.
 *
 * A signal is pending at one G or at the process (sig_shared); any G that does not block it may take it. Sending puts
 * it into the set, picks a G that could take it now - for the process: the main G, else round robin, first one that
 * runs or has nothing else to deliver - and sets that G's `interrupt`. This is a hint: the G looks at both sets
 * itself, and when it finds that it cannot take a signal of the process after all, it passes the hint on.
 *
 * How a G sees the hint: a parked one is woken through its wait record; one that runs or is in a system call on another
 * M gets a kick, so that user code comes to the handler and a raw call returns -EINTR; a shim looks at its end.
 *
 * siglock protects the sets, the queues and the table of actions. It is never taken by a handler that interrupted
 * preloom's own code; such a handler uses the inbox, which is emptied at the end of every shim and wherever an M would
 * go to sleep, and at last by sysmon.
 */
#include "sigimpl.h"

struct sig_config sig_cfg;
int sig_pid;

_Atomic uint32_t sig_nwaiting;
static uint32_t next_target; /* slot: where the search for a G begins */

bool text_is_ours(uintptr_t ip)
{
	return (ip >= sig_cfg.text_lo && ip < sig_cfg.text_hi) ||
	       (sig_cfg.tramp_contains && sig_cfg.tramp_contains(ip));
}

void sig_kick(struct m *m)
{
	int id = m->procid;
	/* One at a time: the kernel queues a real-time signal as often as it is sent, out of a limit that all processes of the
	 * user share. seq_cst: pairs with sig_kicked; what the kick is for was stored before, so that who takes the one
	 * that is under way sees it. */
	if (id && !atomic_exchange(&m->kicked, 1) && os_tgkill(id, preempt_signal) < 0)
		store_rel(&m->kicked, 0);
}

bool sig_kicked(struct m *m, int sig, const struct ksiginfo *info)
{
	if ((sig != preempt_signal && sig != SIG_CANCEL) || info->code != CODE_TKILL || info->pid != sig_pid)
		return false;
	if (sig == preempt_signal)
		atomic_exchange(&m->kicked, 0);
	return true;
}

/* --- choosing and waking --- */

static bool wants(struct g *g, int sig)
{
	enum gstatus s = load_acq(&g->status);
	if (s == Gdead || s == Gidle || g->sig.exiting)
		return false;
	if (atomic_load(&g->sig.mask) & sigbit(sig))
		return false;
	return s == Grunning || !(load_acq(&g->interrupt) & IntrSignal);
}

/* The kernel offers SIGCHLD first to the thread that made the child. We do not know it, but a thread that forks and then
 * waits with sigwait is the case that matters: it must not be thrown away because the main G does not block it. */
static struct g *awaiting_child(void)
{
	if (!load_rlx(&sig_nwaiting))
		return NULL;
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		if (g && atomic_load(&g->sig.waiting) & sigbit(SIGCHLD) && wants(g, SIGCHLD))
			return g;
	}
	return NULL;
}

static struct g *choose(int sig)
{
	struct g *waiter = sig == SIGCHLD ? awaiting_child() : NULL;
	if (waiter)
		return waiter;
	if (main_g && wants(main_g, sig))
		return main_g;
	uint32_t n = g_count();
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = (next_target + i) % n;
		struct g *g = g_at(slot);
		if (g && wants(g, sig)) {
			next_target = slot;
			return g;
		}
	}
	return NULL;
}

/* With one P a wait may be its holder's to end (wait.h). G's that were told of a signal from where there is no P are left to
 * it: it ends those that wait. siglock. */
static struct g *left[32];
static _Atomic uint32_t nleft; /* more than fit: look at all */

static void leave_to_p(struct g *g)
{
	uint32_t n = load_rlx(&nleft);
	if (n < nelem(left))
		left[n] = g;
	store_rlx(&nleft, n + 1);
}

/* siglock. False: the G does not wait. */
static bool end_wait(struct g *g, struct gqueue *woken)
{
	uint64_t wait = atomic_load(&g->wait);
	enum waitstate state = wait & WAIT_STATE_MASK;
	if (state != WaitPrepared && state != WaitParked)
		return false;
	if (wait_claim(g, (uint32_t)(wait >> WAIT_SEQ_SHIFT), WakeSignal) == ClaimParked)
		gqueue_push(woken, g);
	return true;
}

/* siglock. G's whose wait ended here go to `woken`. */
static void wake_target(struct g *g, struct gqueue *woken)
{
	/* seq_cst: pairs with the look at interrupt after wait_begin, and in arch_blocking_syscall */
	bool told = atomic_fetch_or(&g->interrupt, IntrSignal) & IntrSignal;
	struct m *self = getm();
	if (self && self->curg == g)
		return;
	if (unlikely(one_p && !(self && self->p)))
		leave_to_p(g);
	else if (end_wait(g, woken))
		return;
	if (told) /* a kick is under way; if it meets the wrong moment, sysmon repeats it */
		return;
	enum gstatus s = load_acq(&g->status);
	struct m *m = g->m;
	if ((s == Grunning || s == Gsyscall) && m && m != self)
		sig_kick(m);
}

static void complete(int sig, struct g *to, struct gqueue *woken)
{
	struct g *g = to ? (wants(to, sig) ? to : NULL) : choose(sig);
	if (g)
		wake_target(g, woken);
}

/* A G that was told of signals of the process cannot take these any more: tell another one. */
static void retarget_locked(uint64_t set, struct gqueue *woken)
{
	set &= load_rlx(&sig_shared.set);
	while (set) {
		int sig = __builtin_ctzll(set) + 1;
		set &= set - 1;
		complete(sig, NULL, woken);
	}
}

/* Has P 0's holder look at those that were left to it, or makes somebody its holder. */
static void call_p(void)
{
	struct p *pp = &allp[0], *idle = NULL;
	lock(&sched.lock);
	bool one = one_p; /* else who made it several has looked, and an idle P 0 would seem to have work for good */
	if (one) {
		atomic_fetch_or(&pp->outside, LookSignals);
		idle = pidleget_locked();
	}
	unlock(&sched.lock);
	if (idle)
		startm(idle, false);
	else if (one)
		preempt_one(pp);
}

/* After siglock was let go. */
static void wake_all(struct gqueue *woken)
{
	struct g *g;
	struct m *self;
	while ((g = gqueue_pop(woken)))
		ready(g);
	if (unlikely(load_rlx(&nleft)) && !((self = getm()) && self->p))
		call_p();
}

void sig_end_waits(void)
{
	struct gqueue woken = { 0 };
	if (likely(!load_acq(&nleft)))
		return;
	lock(&siglock);
	uint32_t n = load_rlx(&nleft);
	store_rlx(&nleft, 0);
	for (uint32_t i = 0; i < (n <= nelem(left) ? n : g_count()); i++) {
		struct g *g = n <= nelem(left) ? left[i] : g_at(i);
		if (g && load_acq(&g->interrupt))
			end_wait(g, &woken);
	}
	unlock(&siglock);
	wake_all(&woken);
}

void sig_forget_left(void)
{
	store_rlx(&nleft, 0);
}

void sig_retarget(uint64_t set)
{
	struct gqueue woken = { 0 };
	lock(&siglock);
	retarget_locked(set, &woken);
	unlock(&siglock);
	wake_all(&woken);
}

/* A default action that ends or stops the process is taken at once, whoever would have received the signal. */
static bool acts_at_once(struct g *to, int sig)
{
	if (sig_action_locked(sig)->handler != HANDLER_DFL || (sigbit(sig) & SIG_DFL_IGNORED))
		return false;
	struct g *g = to ? to : choose(sig);
	if (!g || (atomic_load(&g->sig.mask) & sigbit(sig)))
		return false;
	return !(atomic_load(&g->sig.waiting) & sigbit(sig));
}

enum sent { SentOk, SentFull, SentDefault, SentKept };

static enum sent send_locked(struct g *to, const struct ksiginfo *info, bool accepted, struct gqueue *woken)
{
	int sig = info->signo;
	uint64_t bit = sigbit(sig);
	struct g *gate = to ? to : main_g, *waiter;
	if (!to && sig == SIGCHLD && (waiter = awaiting_child()))
		gate = waiter;
	struct sigpending *p = to ? &to->sig.pending : &sig_shared;
	if (to && (to->sig.exiting || load_acq(&to->status) == Gdead)) {
		sig_timer_dropped(info);
		return SentOk;
	}
	/* Stop and continue cancel each other. */
	if (bit & SIG_DFL_STOPS)
		sigq_flush(p, sigbit(SIGCONT));
	else if (sig == SIGCONT)
		sigq_flush(p, SIG_DFL_STOPS);
	if (sig_is_ignored(sig) && gate &&
	    !((atomic_load(&gate->sig.mask) | atomic_load(&gate->sig.unlifted)) & bit)) {
		sig_timer_ignored(info);
		return SentOk;
	}
	if (acts_at_once(to, sig))
		return SentDefault;
	if (sig_kept() & bit)
		return SentKept;
	if (!sigq_add(p, info, accepted))
		return SentFull;
	complete(sig, to, woken);
	return SentOk;
}

/* What must not be done under siglock. */
static int after_send(enum sent s, const struct ksiginfo *info)
{
	int err = s == SentFull ? -EAGAIN : 0;
	if (s == SentDefault)
		sig_default_action(info->signo, info);
	else if (s == SentKept)
		err = sig_give_back(info);
	if (s != SentOk)
		sig_timer_dropped(info);
	return err;
}

int sig_send(struct g *to, int sig, const struct ksiginfo *info)
{
	struct gqueue woken = { 0 };
	struct ksiginfo copy = *info;
	copy.signo = sig;
	lock(&siglock);
	enum sent s = send_locked(to, &copy, false, &woken);
	unlock(&siglock);
	wake_all(&woken);
	return after_send(s, &copy);
}

static _Atomic uint32_t overflowed;

void sig_inbox_overflowed(void)
{
	store_rel(&overflowed, 1);
}

bool sig_inbox_overflown(void)
{
	return load_acq(&overflowed) != 0;
}

/* M's that found the inbox full block a signal; any other signal makes them unblock it. A kick would not do: the program may
 * have sent that very signal. glibc's own for pthread_cancel is never sent in earnest, since tgkill is a shim. */
static void after_overflow(void)
{
	if (!atomic_exchange(&overflowed, 0))
		return;
	lock(&sched.lock);
	for (struct m *m = sched.allm; m; m = m->alllink)
		if (m->procid && !load_acq(&m->execs))
			os_tgkill(m->procid, SIG_CANCEL);
	unlock(&sched.lock);
}

/* Where a signal from the kernel goes whose handler could not tell; false: nowhere. */
static bool route(const struct inbox_item *it, struct g **to)
{
	*to = it->to;
	if (it->to)
		return it->to->goid == it->goid && load_acq(&it->to->status) != Gdead;
	return it->info.code != CODE_TIMER || sig_timer_target(&it->info, to);
}

void sig_drain(void)
{
	while (unlikely(!sig_inbox_empty())) {
		struct inbox_item it;
		struct gqueue woken = { 0 };
		struct g *to;
		enum sent s = SentOk;
		bool got = true;
		lock(&siglock);
		while (s <= SentFull && (got = inbox_get(&it)))
			s = route(&it, &to) ? send_locked(to, &it.info, true, &woken) : SentOk;
		unlock(&siglock);
		wake_all(&woken);
		after_send(s, &it.info);
		if (!got)
			break;
	}
	if (unlikely(load_acq(&overflowed)))
		after_overflow();
}

/* A G that only came by the inbox must not take a signal of the process from the one that was chosen for it, which may be
 * the only one that its handler tells anything. */
bool sig_told(struct g *g)
{
	uint32_t was = atomic_fetch_and(&g->interrupt, ~(uint32_t)IntrInbox);
	sig_drain();
	/* Another M may have taken our signal out of the inbox, but not told us yet: SIGPIPE shall come before the call returns. */
	if (was == IntrInbox && !load_acq(&g->interrupt)) {
		lock(&siglock);
		unlock(&siglock);
	}
	return load_acq(&g->interrupt) != 0;
}

void sig_send_all(bool (*next)(struct ksiginfo *info, struct g **to))
{
	bool any;
	do {
		struct gqueue woken = { 0 };
		struct ksiginfo info;
		struct g *to;
		enum sent s = SentOk;
		lock(&siglock);
		any = next(&info, &to);
		if (any)
			s = send_locked(to, &info, true, &woken);
		unlock(&siglock);
		wake_all(&woken);
		after_send(s, &info);
	} while (any);
}

void sig_sleep_begin(struct m *m)
{
	for (;;) {
		sig_drain(); /* takes siglock: a handler must not do so now */
		store_rlx(&m->waitsig, 1);
		atomic_signal_fence(memory_order_seq_cst);
		if (likely(sig_inbox_empty()))
			return;
		store_rlx(&m->waitsig, 0);
		atomic_signal_fence(memory_order_seq_cst);
	}
}

void sig_sleep_end(struct m *m)
{
	atomic_signal_fence(memory_order_seq_cst);
	store_rlx(&m->waitsig, 0);
	atomic_signal_fence(memory_order_seq_cst);
}

/* A kick that met its M between the last look at `interrupt` and the first instruction of the program is lost. */
void sig_tick(void)
{
	sig_drain();
	for (int i = 0; i < sched.nprocs; i++) {
		struct m *m = allp[i].m;
		struct g *g = m ? m->curg : NULL;
		if (g && load_rlx(&g->interrupt) && !load_rlx(&g->inshim))
			sig_kick(m);
	}
}

/* For the runtime, which changes the number of P's: who sends signals looks whether it is one. */
void sig_lock(void)
{
	lock(&siglock);
}

void sig_unlock(void)
{
	unlock(&siglock);
}

/* --- taking --- */

/* siglock. Fills in d->sa, d->restore and puts the handler's mask in force. */
static void begin_handler(struct g *g, struct sigdelivery *d, const struct ksigaction *sa)
{
	uint64_t mask = load_rlx(&g->sig.mask);
	d->sa = *sa;
	d->restore = g->sig.saved_set ? g->sig.saved : mask;
	g->sig.saved_set = false;
	mask |= sa->mask | (sa->flags & SA_NODEFER ? 0 : sigbit(d->sig));
	atomic_store(&g->sig.mask, mask & ~SIG_UNBLOCKABLE);
	if (sa->flags & SA_ONESHOT)
		sig_oneshot(d->sig);
}

bool sig_next(struct g *g, struct sigdelivery *d)
{
	for (;;) {
		struct gqueue woken = { 0 };
		lock(&siglock);
		uint64_t mask = load_rlx(&g->sig.mask);
		if (!sigq_take(&g->sig.pending, ~mask, &d->info) && !sigq_take(&sig_shared, ~mask, &d->info)) {
			/* Not the other hint: a handler may have put something aside just now. */
			atomic_fetch_and(&g->interrupt, ~(uint32_t)IntrSignal);
			retarget_locked(mask, &woken);
			unlock(&siglock);
			wake_all(&woken);
			return false;
		}
		d->sig = d->info.signo;
		const struct ksigaction *sa = sig_action_locked(d->sig);
		bool dfl = sa->handler == HANDLER_DFL, handler = !dfl && sa->handler != HANDLER_IGN;
		if (handler)
			begin_handler(g, d, sa);
		unlock(&siglock);
		if (handler)
			return true;
		if (dfl)
			sig_default_action(d->sig, &d->info);
	}
}

bool sig_forced(struct g *g, int sig, const struct ksiginfo *info, struct sigdelivery *d)
{
	lock(&siglock);
	const struct ksigaction *sa = sig_action_locked(sig);
	bool handler = sa->handler != HANDLER_DFL && sa->handler != HANDLER_IGN &&
		       !(load_rlx(&g->sig.mask) & sigbit(sig));
	if (handler) {
		d->sig = sig;
		d->info = *info;
		begin_handler(g, d, sa);
	}
	unlock(&siglock);
	return handler;
}

/* Something of the set that is pending at the G or the process: sigtimedwait's share. */
bool sig_take_waited(struct g *g, uint64_t set, struct ksiginfo *info)
{
	lock(&siglock);
	bool got = sigq_take(&g->sig.pending, set, info) || sigq_take(&sig_shared, set, info);
	unlock(&siglock);
	return got;
}
