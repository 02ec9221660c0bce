/* pidfd.c - pidfds and threads. pidfd_send_signal to this process: as kill, it delivers before it returns, which only the sender's own
 * queues can promise: the kernel would give the signal to any M.
 *
 * Rejected: comparing inode numbers with a pidfd of our own. Before Linux 6.9 all pidfds have the same one.
 */
#include "shim.h"
#include "sigimpl.h"
#include <asm/stat.h>
#include <linux/fcntl.h>

#define PIDFD_THREAD O_EXCL /* Linux 6.9 */

/* A folder /proc/PID also serves as a pidfd. */
static bool is_own_folder(int fd)
{
	struct stat a, b;
	return sys4(__NR_newfstatat, fd, "", &a, AT_EMPTY_PATH) == 0 && sys4(__NR_newfstatat, AT_FDCWD, "/proc/self", &b, 0) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool says_own_pid(const char *text)
{
	char want[24];
	rt_snprintf(want, sizeof(want), "\nPid:\t%d\n", sig_pid);
	for (; *text; text++) {
		const char *p = text, *w = want;
		while (*w && *p == *w)
			p++, w++;
		if (!*w)
			return true;
	}
	return false;
}

static bool is_own_pidfd(int fd)
{
	char path[40], text[512];
	rt_snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	long info = sys3(__NR_open, path, O_RDONLY | O_CLOEXEC, 0);
	if (info < 0)
		return false;
	int n = os_read((int)info, text, sizeof(text) - 1);
	os_close((int)info);
	text[n > 0 ? n : 0] = 0;
	return says_own_pid(text);
}

long shim_pidfd_send_signal(struct regs *r)
{
	int fd = (int)A1(r), sig = (int)A2(r);
	struct ksiginfo info = { .signo = sig, .code = CODE_USER, .pid = sig_pid };
	if (sig <= 0 || sig > NSIG_ALL || sig == SIGSTOP || A4(r))
		return shim_raw(r);
	if (!is_own_pidfd(fd) && !is_own_folder(fd))
		return shim_raw(r);
	info.uid = (uint32_t)sys0(__NR_getuid);
	if (A3(r)) {
		if (user_read(&info, A3(r), sizeof(info)))
			return -EFAULT;
		if (info.signo != sig)
			return -EINVAL;
	}
	if (sig != SIGKILL)
		return sig_send(NULL, sig, &info);
	sig_before_kill(sig, A3(r) ? &info : NULL);
	return shim_raw(r);
}

/* Not for the process of another thread than the first; which error that is depends on the kernel, so one of its threads is named.
 * Of a thread alone there can be none: as on a kernel that does not know the flag. */
long shim_pidfd_open(struct regs *r)
{
	int id = (int)A1(r);
	if (id <= 0 || id == sig_pid || !g_by_tid((uint32_t)id))
		return shim_raw(r);
	int thread = cred_unchanged_thread();
	return A2(r) & PIDFD_THREAD || !thread ? -EINVAL : sys2(__NR_pidfd_open, thread, (long)A2(r));
}
