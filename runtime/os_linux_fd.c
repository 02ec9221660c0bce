/* os_linux_fd.c - the part of os.h that deals with descriptors of the runtime's own. */
#include "runtime.h"
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <linux/poll.h>
#include <linux/resource.h>
#include <linux/stat.h>

int os_read(int fd, void *p, size_t n)
{
	return (int)sys3(__NR_read, fd, p, n);
}

bool os_readable(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	return sys3(__NR_poll, &p, 1, 0) != 0;
}

/* What is new in a file of /proc (mounts, pressure, a sysctl), a cgroup's pressure or a perf event is new to the first that polls. */
bool os_tells_once(int fd)
{
	struct stat st;
	uint64_t id;
	if (sys2(__NR_fstat, fd, &st) < 0)
		return false;
	if ((st.st_mode & S_IFMT) == 0)
		return sys3(__NR_ioctl, fd, PERF_EVENT_IOC_ID, &id) == 0;
	/* Without a size or a disk: not what statfs would have to ask a server for. */
	struct statfs fs;
	return (st.st_mode & S_IFMT) == S_IFREG && st.st_size == 0 && st.st_blocks == 0 && (st.st_dev >> 8 & 0xfff) == 0 &&
	       sys2(__NR_fstatfs, fd, &fs) == 0 && (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC);
}

int os_close(int fd)
{
	return (int)sys1(__NR_close, fd);
}

int os_dupfd(int fd, int min)
{
	return (int)sys3(__NR_fcntl, fd, F_DUPFD_CLOEXEC, min);
}

int os_fd_limit(void)
{
	struct rlimit64 l;
	if (sys4(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, &l) < 0 || l.rlim_cur > INT32_MAX)
		return INT32_MAX;
	return (int)l.rlim_cur;
}

int64_t os_raise_fd_limit(void)
{
	struct rlimit64 l;
	if (sys4(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, &l) < 0 || l.rlim_cur >= l.rlim_max)
		return -1;
	int64_t old = (int64_t)l.rlim_cur;
	l.rlim_cur = l.rlim_max;
	return sys4(__NR_prlimit64, 0, RLIMIT_NOFILE, &l, 0) < 0 ? -1 : old;
}

void os_restore_fd_limit(int64_t old)
{
	struct rlimit64 l;
	if (old < 0 || sys4(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, &l) < 0)
		return;
	l.rlim_cur = (uint64_t)old;
	sys4(__NR_prlimit64, 0, RLIMIT_NOFILE, &l, 0);
}
