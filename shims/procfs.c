/* procfs.c - /proc/self/task/TID/comm of a G.
 *
 * pthread_setname_np and pthread_getname_np of another thread go through this file, which the kernel does not have for
 * a G's id. Opening it gives a memory file with the name; what was written there becomes the name at close.
 */
#include "shim.h"
#include <linux/fcntl.h>
#include <linux/memfd.h>

#define NCOMM 32

struct comm {
	int fd; /* number + 1; 0: free */
	uint32_t tid;
	char name[GNAME_LEN];
};

static struct lock comm_lock = LOCK_INIT(RankNetpoll);
static struct comm comms[NCOMM];
static _Atomic uint32_t ncomms;

static const char *skip(const char *p, const char *word)
{
	while (*word)
		if (*p++ != *word++)
			return NULL;
	return p;
}

static const char *number(const char *p, uint32_t *n)
{
	if (*p < '0' || *p > '9')
		return NULL;
	for (*n = 0; *p >= '0' && *p <= '9'; p++)
		*n = *n * 10 + (uint32_t)(*p - '0');
	return p;
}

/* The G whose comm file the path names; NULL: another file, or a thread that the kernel knows. */
static struct g *owner_of(const char *path)
{
	uint32_t pid, tid;
	const char *p = skip(path, "/proc/");
	if (!p)
		return NULL;
	const char *rest = skip(p, "self/task/");
	if (!rest && (rest = number(p, &pid)) && pid == (uint32_t)os_getpid())
		rest = skip(rest, "/task/");
	rest = rest ? number(rest, &tid) : NULL;
	rest = rest ? skip(rest, "/comm") : NULL;
	struct g *g = rest && !*rest ? g_by_tid(tid) : NULL;
	return g == main_g ? NULL : g;
}

static bool remember(int fd, const struct g *g)
{
	bool done = false;
	lock(&comm_lock);
	for (int i = 0; i < NCOMM && !done; i++)
		if (!comms[i].fd) {
			comms[i] = (struct comm){ .fd = fd + 1, .tid = g->tid };
			for (int j = 0; j < GNAME_LEN; j++)
				comms[i].name[j] = g->name[j];
			done = true;
		}
	unlock(&comm_lock);
	if (done)
		atomic_fetch_add(&ncomms, 1);
	return done;
}

static long open_comm(struct g *g, int flags)
{
	char line[GNAME_LEN + 1];
	int fd = (int)sys2(__NR_memfd_create, "comm", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd < 0)
		return fd;
	int n = rt_snprintf(line, sizeof(line), "%s\n", g->name);
	sys3(__NR_write, fd, line, n);
	sys3(__NR_lseek, fd, 0, 0);
	if ((flags & O_ACCMODE) != O_RDONLY && !remember(fd, g)) {
		sys1(__NR_close, fd);
		return -EMFILE;
	}
	return fd;
}

/* Before the descriptor is closed: if it is a comm file that was written to, the G gets its new name. */
void procfs_closing(int fd)
{
	struct comm c = { 0 };
	if (likely(load_rlx(&ncomms) == 0))
		return;
	lock(&comm_lock);
	for (int i = 0; i < NCOMM; i++)
		if (comms[i].fd == fd + 1) {
			c = comms[i];
			comms[i].fd = 0;
		}
	unlock(&comm_lock);
	if (!c.fd)
		return;
	atomic_fetch_sub(&ncomms, 1);
	char text[GNAME_LEN] = "";
	long n = sys3(__NR_lseek, fd, 0, 1);
	struct g *g = g_by_tid(c.tid);
	if (!g || n <= 0)
		return;
	sys4(__NR_pread64, fd, text, n < GNAME_LEN ? n : GNAME_LEN - 1, 0);
	for (int i = 0; i < GNAME_LEN; i++)
		g->name[i] = text[i] == '\n' ? 0 : text[i];
}

static long open_path(struct regs *r, uintptr_t path, int flags)
{
	char name[48] = "";
	/* Most paths are told apart by a few bytes. */
	if (user_read(name, path, 6) == 0 && skip(name, "/proc/")) {
		for (size_t i = 6; i < sizeof(name) - 1; i++)
			if (user_read(&name[i], path + i, 1) || !name[i])
				break;
		struct g *g = owner_of(name);
		if (g)
			return open_comm(g, flags);
	}
	return shim_may_block(r);
}

long shim_open(struct regs *r)
{
	return open_path(r, A1(r), (int)A2(r));
}

long shim_openat(struct regs *r)
{
	return open_path(r, A2(r), (int)A3(r));
}
