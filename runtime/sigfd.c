/* sigfd.c - signals that stay in the kernel because every G blocks them and a signalfd may want them.
 *
 * A signalfd reads what is pending in the kernel, and its readiness is the kernel's business, so such a signal must not
 * come to our handler. It is `kept`: every M really blocks it. That is right as long as all G's block it virtually; the
 * first G that does not (also by awaiting it with sigtimedwait) gives it up, and what the kernel has pending comes to
 * the handler of that G's M.
 *
 * Which signals? Those of every signalfd that is made while we are active, and, if a descriptor is one at activation, those
 * that the main thread blocked then. M's take the mask over when they next return from a handler; all are kicked for that.
 * A signal that reaches an M before is sent back to the process. Rejected: to keep whatever was blocked at activation,
 * since without /proc nobody can tell. Kept signals lose their thread, so those of threads that await them came to others.
 */
#include "sigimpl.h"
#include <linux/fcntl.h>

#define MANY_FDS 1000 /* too many to look at: one of them may be a signalfd */

struct dirent64 {
	uint64_t ino, off;
	uint16_t length;
	uint8_t type;
	char name[];
};

static _Atomic uint64_t wanted; /* by a signalfd, perhaps */
static _Atomic uint64_t kept;

uint64_t sig_kept(void)
{
	return load_acq(&kept);
}

/* Real-time signals come to the first kernel thread alone: of two that the kernel had in its queue, taken by two M's at once,
 * the second might be put into ours before the first. The M of a wired G takes its own: the kernel may send them to just
 * this thread (a timer of its CPU time, a descriptor that it owns). */
uint64_t sig_realmask(const struct m *m)
{
	uint64_t others = m == sched.firstm || m->lockedg ? 0 : SIG_REALTIME & ~sigbit(preempt_signal);
	return load_acq(&kept) | others;
}

static bool all_block(uint64_t bit)
{
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		enum gstatus s = g ? load_acq(&g->status) : Gdead;
		if (s != Gdead && !g->sig.exiting && !(atomic_load(&g->sig.mask) & bit))
			return false;
	}
	return true;
}

void sig_keep(uint64_t set)
{
	uint64_t new = 0;
	set &= load_rlx(&wanted) & ~load_rlx(&kept);
	while (set) {
		uint64_t bit = set & -set;
		set ^= bit;
		/* seq_cst: pairs with the mask change and the look at `kept` in sig_setmask */
		atomic_fetch_or(&kept, bit);
		if (all_block(bit))
			new |= bit;
		else
			atomic_fetch_and(&kept, ~bit);
	}
	if (!new)
		return;
	sys4(__NR_rt_sigprocmask, SIG_BLOCK, &new, 0, 8);
	struct m *self = getm();
	lock(&sched.lock);
	for (struct m *m = sched.allm; m; m = m->alllink)
		if (m != self)
			sig_kick(m);
	unlock(&sched.lock);
}

/* The calling G no longer blocks these. */
void sig_unkeep(uint64_t set)
{
	set &= load_rlx(&kept);
	if (!set)
		return;
	atomic_fetch_and(&kept, ~set);
	sys4(__NR_rt_sigprocmask, SIG_UNBLOCK, &set, 0, 8);
	if (sig_realmask(getm()) & set) /* those that come later */
		sig_kick(sched.firstm);
}

/* What is pending at the calling G or the process already, for the kernel to keep. */
static void move_pending(struct g *g, uint64_t set)
{
	struct ksiginfo info;
	while (sig_take_waited(g, set, &info))
		sig_give_back(&info);
}

void sig_want(uint64_t set)
{
	set &= ~(SIG_UNBLOCKABLE | SIG_SYNC | sigbit(preempt_signal));
	atomic_fetch_or(&wanted, set);
	sig_keep(set);
	move_pending(getg(), set & load_rlx(&kept));
}

/* What is kept and pending in the kernel already, for a G that awaits it. */
bool sig_take_kept(uint64_t set, struct ksiginfo *info)
{
	int64_t none[2] = { 0, 0 };
	set &= load_acq(&kept);
	if (!set)
		return false;
	sys4(__NR_rt_sigprocmask, SIG_BLOCK, &set, 0, 8);
	return sys4(__NR_rt_sigtimedwait, &set, info, none, 8) > 0;
}

/* To the process, for the signalfd or another M. Only the kernel's main thread may claim that somebody else, or tgkill, sent
 * it; from others a real-time signal of tgkill's comes as queued, which the kernel refuses at the limit as it would there. */
int sig_give_back(const struct ksiginfo *info)
{
	long err = sys3(__NR_rt_sigqueueinfo, sig_pid, info->signo, info);
	if (err == -EPERM && info->code == CODE_TKILL && info->signo >= SIGRTMIN) {
		struct ksiginfo queued = *info;
		queued.code = CODE_QUEUE;
		err = sys3(__NR_rt_sigqueueinfo, sig_pid, info->signo, &queued);
	}
	if (err == -EAGAIN && info->code != CODE_USER)
		return -EAGAIN;
	if (err < 0)
		sys2(__NR_kill, sig_pid, info->signo);
	return 0;
}

static uint64_t kept_before;

void sig_keep_for_exec(uint64_t mask)
{
	mask &= ~(SIG_UNBLOCKABLE | SIG_SYNC | sigbit(preempt_signal) | sigbit(SIG_CANCEL));
	kept_before = atomic_fetch_or(&kept, mask);
}

uint64_t sig_kept_after_exec(void)
{
	atomic_fetch_and(&kept, kept_before);
	return load_rlx(&kept);
}

static bool is_signalfd(int dir, const char *name)
{
	static const char want[] = "anon_inode:[signalfd]";
	char link[sizeof(want)];
	long n = sys4(__NR_readlinkat, dir, name, link, sizeof(link));
	if (n != sizeof(want) - 1)
		return false;
	for (long i = 0; i < n; i++)
		if (link[i] != want[i])
			return false;
	return true;
}

/* Also where nobody can tell. */
static bool may_have_signalfd(void)
{
	uint64_t buf[256];
	long n, count = 0, dir = sys4(__NR_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	bool found = dir < 0;
	while (!found && (n = sys3(__NR_getdents64, dir, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n && !found;) {
			const struct dirent64 *d = (const struct dirent64 *)((const char *)buf + at);
			at += d->length;
			found = ++count > MANY_FDS || is_signalfd((int)dir, d->name);
		}
	if (dir >= 0)
		sys1(__NR_close, dir);
	return found;
}

/* At activation: nothing needs to change, the only thread blocks them already. */
void sig_keep_initial(uint64_t set)
{
	if (!set || !may_have_signalfd())
		return;
	set &= ~(SIG_UNBLOCKABLE | SIG_SYNC | sigbit(preempt_signal));
	store_rlx(&wanted, set);
	store_rlx(&kept, set);
}
