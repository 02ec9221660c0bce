/* fds.c - what a descriptor of a process is, in words: from /proc/PID/fd and, for sockets, the tables in /proc/PID/net, which
 * are those of the process's own network namespace.
 *
 * A server's threads wait on thousands of sockets, and the kernel takes its time for such a table. So each table is read
 * once, when the first socket (or pipe) is asked about, and kept as pairs of inode and words until all is forgotten.
 */
#include "fds.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTEN 10

static bool link_of(pid_t pid, const char *fd, char *out, size_t n)
{
	char name[320];
	snprintf(name, sizeof(name), "/proc/%d/fd/%s", (int)pid, fd);
	ssize_t len = readlink(name, out, n - 1);
	out[len > 0 ? len : 0] = 0;
	return len > 0;
}

/* The kernel prints addresses as words in the machine's order. */
static void address(const char *hex, unsigned port, char *out, size_t n)
{
	uint32_t w[4] = { 0 };
	char text[INET6_ADDRSTRLEN] = "?";
	size_t words = strlen(hex) / 8;
	for (size_t i = 0; i < words && i < 4; i++)
		sscanf(hex + 8 * i, "%8x", &w[i]);
	inet_ntop(words == 4 ? AF_INET6 : AF_INET, w, text, sizeof(text));
	snprintf(out, n, words == 4 ? "[%s]:%u" : "%s:%u", text, port);
}

/* --- what is kept --- */

struct known {
	unsigned long inode;
	size_t order; /* of those with the same inode, in which it was found */
	int fd;	      /* of a pipe's end */
	char *words;  /* of a socket */
};

struct known_list {
	struct known *v;
	size_t n, room;
	bool read;
};

struct fds {
	pid_t pid;
	struct known_list sockets, pipes;
};

static void know(struct known_list *l, unsigned long inode, int fd, const char *words)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct known *v = realloc(l->v, room * sizeof(*v));
		if (!v)
			return;
		l->v = v;
		l->room = room;
	}
	l->v[l->n] = (struct known){ inode, l->n, fd, words ? strdup(words) : NULL };
	l->n++;
}

static int by_inode(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void sort(struct known_list *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_inode);
	l->read = true;
}

/* The first with this inode, or where it would be. */
static size_t first_of(const struct known_list *l, unsigned long inode)
{
	size_t lo = 0, hi = l->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (l->v[mid].inode < inode)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void forget(struct known_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].words);
	free(l->v);
}

struct fds *fds_open(pid_t pid)
{
	struct fds *f = calloc(1, sizeof(*f));
	if (f)
		f->pid = pid;
	return f;
}

void fds_close(struct fds *f)
{
	if (!f)
		return;
	forget(&f->sockets);
	forget(&f->pipes);
	free(f);
}

/* --- sockets --- */

static FILE *open_table(pid_t pid, const char *table)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/net/%s", (int)pid, table);
	return fopen(name, "re");
}

static void read_inet(struct fds *s, const char *table, const char *kind)
{
	char line[512], local[33], remote[33], a[80], b[80], words[200];
	FILE *f = open_table(s->pid, table);
	while (f && fgets(line, sizeof(line), f)) {
		unsigned lport, rport, state;
		unsigned long inode;
		if (sscanf(line, " %*d: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x %*s %*s %*s %*s %*s %lu", local, &lport, remote,
			   &rport, &state, &inode) != 6)
			continue;
		address(local, lport, a, sizeof(a));
		address(remote, rport, b, sizeof(b));
		if (!strncmp(table, "tcp", 3) && state == TCP_LISTEN)
			snprintf(words, sizeof(words), "%s listening on %s", kind, a);
		else if (rport)
			snprintf(words, sizeof(words), "%s %s, peer %s", kind, a, b);
		else
			snprintf(words, sizeof(words), "%s %s", kind, a);
		know(&s->sockets, inode, -1, words);
	}
	if (f)
		fclose(f);
}

static void read_unix(struct fds *s)
{
	char line[512], words[280];
	FILE *f = open_table(s->pid, "unix");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long inode;
		char path[256] = "";
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %lu %255s", &inode, path) < 1)
			continue;
		snprintf(words, sizeof(words), "Unix socket%s%s", path[0] ? " " : "", path);
		know(&s->sockets, inode, -1, words);
	}
	if (f)
		fclose(f);
}

static void describe_socket(struct fds *s, unsigned long inode, char *out, size_t n)
{
	if (!s->sockets.read) {
		read_inet(s, "tcp", "TCP");
		read_inet(s, "tcp6", "TCP");
		read_inet(s, "udp", "UDP");
		read_inet(s, "udp6", "UDP");
		read_unix(s);
		sort(&s->sockets);
	}
	size_t i = first_of(&s->sockets, inode);
	bool found = i < s->sockets.n && s->sockets.v[i].inode == inode && s->sockets.v[i].words;
	snprintf(out, n, "%s", found ? s->sockets.v[i].words : "socket");
}

/* --- pipes --- */

static void read_pipes(struct fds *s)
{
	char name[64], link[64];
	unsigned long inode;
	snprintf(name, sizeof(name), "/proc/%d/fd", (int)s->pid);
	DIR *d = opendir(name);
	for (struct dirent *e; d && (e = readdir(d));)
		if (link_of(s->pid, e->d_name, link, sizeof(link)) && sscanf(link, "pipe:[%lu]", &inode) == 1)
			know(&s->pipes, inode, atoi(e->d_name), NULL);
	if (d)
		closedir(d);
	sort(&s->pipes);
}

/* The pipe's other end, if this process has it. */
static void describe_pipe(struct fds *s, int fd, unsigned long inode, char *out, size_t n)
{
	if (!s->pipes.read)
		read_pipes(s);
	snprintf(out, n, "pipe");
	for (size_t i = first_of(&s->pipes, inode); i < s->pipes.n && s->pipes.v[i].inode == inode; i++)
		if (s->pipes.v[i].fd != fd) {
			snprintf(out, n, "pipe, other end fd %d", s->pipes.v[i].fd);
			break;
		}
}

/* --- */

static bool has_ended(pid_t pid)
{
	char name[64], link[PATH_MAX];
	snprintf(name, sizeof(name), "/proc/%d/exe", (int)pid);
	return readlink(name, link, sizeof(link)) < 0 && (errno == ENOENT || errno == ESRCH);
}

void fd_describe(struct fds *s, int fd, char *out, size_t n)
{
	char number[16], link[PATH_MAX];
	unsigned long inode;
	snprintf(number, sizeof(number), "%d", fd);
	if (!s) {
		snprintf(out, n, "not known, out of memory");
	} else if (!link_of(s->pid, number, link, sizeof(link))) {
		snprintf(out, n, has_ended(s->pid) ? "not known, the process has ended since" : "closed");
	} else if (sscanf(link, "socket:[%lu]", &inode) == 1) {
		describe_socket(s, inode, out, n);
	} else if (sscanf(link, "pipe:[%lu]", &inode) == 1) {
		describe_pipe(s, fd, inode, out, n);
	} else if (!strncmp(link, "anon_inode:", 11)) {
		char *word = link + 11;
		word += *word == '[';
		word[strcspn(word, "]")] = 0;
		snprintf(out, n, "%s", word);
	} else {
		snprintf(out, n, "%s", link);
	}
}
