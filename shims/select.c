/* select.c - select and pselect6, by way of poll's set.
 *
 * The three bit sets are copied, as the kernel does, and turned into a list of descriptors; poll answers, and its answer
 * is translated by the kernel's own table (POLLIN_SET and so on), so that an event nobody asked for (a hang-up, with
 * only the write side asked) does not end the wait. Results are written back only at the end.
 */
#include "pollset.h"
#include <linux/fcntl.h>
#include <linux/poll.h>

#define IN_SET (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define OUT_SET (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define EX_SET POLLPRI
#define WANT_IN (POLLRDNORM | POLLRDBAND | POLLIN)
#define WANT_OUT (POLLWRBAND | POLLWRNORM | POLLOUT)
#define FD_SETSIZE 1024
#define SMALLWORDS (FD_SETSIZE / 64)

struct fdsets {
	uintptr_t user[3];
	uint64_t *word[3]; /* in, out, ex; the program's, then the result */
	size_t words, n;
	uint64_t small[3 * SMALLWORDS];
};

/* The kernel looks no further than its own table of descriptors, and programs that pass a huge number with a set of the
 * usual size rely on it. Its length is a power of two above the highest number that was ever open: of those that we know,
 * and those in the sets. What is no set but the memory behind one has many numbers that are not open: not all are asked. */
static long sets_end(const struct regs *r, long n)
{
	const uintptr_t user[3] = { A2(r), A3(r), A4(r) };
	long top = fdesc_highest(), end = FD_SETSIZE;
	int ask = 64;
	if (n > FDTAB_LEN)
		n = FDTAB_LEN;
	for (int i = 0; i < 3; i++) {
		uint64_t w;
		long fd = FD_SETSIZE;
		for (; ask && user[i] && fd < n && !user_read(&w, user[i] + (uintptr_t)fd / 8, 8); fd += 64)
			for (; w && ask; w &= w - 1) {
				long k = fd + __builtin_ctzl(w);
				if (k <= top || k >= n)
					continue;
				if (sys3(__NR_fcntl, k, F_GETFD, 0) >= 0)
					top = k;
				else
					ask--;
			}
	}
	while (end <= top)
		end *= 2;
	return end < n ? end : n;
}

static long sets_read(struct fdsets *f, struct regs *r)
{
	long n = (int)A1(r);
	if (n < 0)
		return -EINVAL;
	if (n > FD_SETSIZE)
		n = sets_end(r, n);
	f->n = (size_t)n;
	f->words = ((size_t)n + 63) / 64;
	uint64_t *w = f->small;
	if (f->words > SMALLWORDS)
		w = rt_alloc(3 * f->words * 8);
	f->user[0] = A2(r);
	f->user[1] = A3(r);
	f->user[2] = A4(r);
	for (int i = 0; i < 3; i++) {
		f->word[i] = w + (size_t)i * f->words;
		for (size_t k = 0; k < f->words; k++)
			f->word[i][k] = 0;
		if (f->user[i] && f->words && user_read(f->word[i], f->user[i], f->words * 8))
			return -EFAULT;
	}
	if (f->words && f->n % 64)
		for (int i = 0; i < 3; i++)
			f->word[i][f->words - 1] &= (1ULL << f->n % 64) - 1;
	return 0;
}

static void sets_free(struct fdsets *f)
{
	if (f->words > SMALLWORDS)
		rt_free(f->word[0], 3 * f->words * 8);
}

static int bit(const uint64_t *w, size_t fd)
{
	return (int)(w[fd / 64] >> fd % 64 & 1);
}

static size_t sets_count(const struct fdsets *f)
{
	size_t n = 0;
	for (size_t k = 0; k < f->words; k++)
		for (uint64_t any = f->word[0][k] | f->word[1][k] | f->word[2][k]; any; any &= any - 1)
			n++;
	return n;
}

static void sets_to_poll(const struct fdsets *f, struct pollset *s)
{
	size_t n = 0;
	for (size_t fd = 0; fd < f->n; fd++) {
		if (!(f->word[0][fd / 64] | f->word[1][fd / 64] | f->word[2][fd / 64])) {
			fd |= 63;
			continue;
		}
		int want = (bit(f->word[0], fd) ? WANT_IN : 0) | (bit(f->word[1], fd) ? WANT_OUT : 0) |
			   (bit(f->word[2], fd) ? EX_SET : 0);
		if (want)
			s->p[n++] = (struct kpollfd){ (int)fd, (short)want, 0 };
	}
}

static int answers(const struct kpollfd *p)
{
	int in = p->events & WANT_IN && p->revents & (IN_SET | POLLNVAL);
	int out = p->events & WANT_OUT && p->revents & (OUT_SET | POLLNVAL);
	int ex = p->events & EX_SET && p->revents & (EX_SET | POLLNVAL);
	return in | out << 1 | ex << 2;
}

static long count_select(const struct pollset *s, void *arg)
{
	long n = 0;
	(void)arg;
	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i].revents & POLLNVAL && !s->again)
			return -EBADF;
		int a = answers(&s->p[i]);
		n += (a & 1) + (a >> 1 & 1) + (a >> 2);
	}
	return n;
}

/* Numbers of the descriptors as the program knows them: in ascending order of the sets. */
static long sets_write(struct fdsets *f, const struct pollset *s)
{
	size_t n = 0;
	for (size_t fd = 0; fd < f->n; fd++) {
		int want = bit(f->word[0], fd) | bit(f->word[1], fd) | bit(f->word[2], fd);
		int ans = want ? answers(&s->p[n++]) : 0;
		for (int i = 0; i < 3; i++)
			if (!(ans >> i & 1))
				f->word[i][fd / 64] &= ~(1ULL << fd % 64);
	}
	for (int i = 0; i < 3; i++)
		if (f->user[i] && f->words && user_write(f->user[i], f->word[i], f->words * 8))
			return -EFAULT;
	return 0;
}

static long select_until(struct regs *r, const struct polltimeout *t)
{
	struct fdsets f = { .words = 0 };
	struct pollset s;
	long ret = sets_read(&f, r);
	if (ret == 0) {
		pollset_init(&s, sets_count(&f));
		sets_to_poll(&f, &s);
		if (t->ns == 0) {
			ret = kernel_poll(s.p, s.n);
			if (ret >= 0)
				ret = polled_once(count_select(&s, NULL));
		} else {
			ret = pollset_wait(&s, t->deadline, count_select, NULL);
		}
		if (ret >= 0) {
			long err = sets_write(&f, &s);
			ret = err ? err : ret;
		}
		pollset_free(&s);
	}
	sets_free(&f);
	return ret;
}

/* Without the mask, which is in force already. */
static long select_hand_off(struct regs *r)
{
	const long a[6] = { (long)A1(r), (long)A2(r), (long)A3(r), (long)A4(r), (long)A5(r), 0 };
	return blocking_syscall_long(getg(), (long)r->rax, a);
}

static long select_any(struct regs *r, bool usec)
{
	struct polltimeout t;
	long ret = polltimeout_read(&t, A5(r), usec);
	if (ret)
		return ret;
	ret = select_until(r, &t);
	if (ret == IO_HANDOFF)
		return select_hand_off(r);
	polltimeout_update(&t);
	return ret;
}

long shim_select(struct regs *r)
{
	return select_any(r, true);
}

long shim_pselect6(struct regs *r)
{
	struct {
		uintptr_t mask;
		size_t size;
	} m = { 0, 0 };
	if (A6(r) && user_read(&m, A6(r), sizeof(m)))
		return -EFAULT;
	long swapped = sigmask_begin(m.mask, m.size);
	if (swapped < 0)
		return swapped;
	return sigmask_end(swapped, select_any(r, false));
}
