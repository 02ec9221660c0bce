/* fds.c - what a descriptor of a process is, in words: from /proc/PID/fd and, for sockets, the tables in /proc/PID/net, which
 * are those of the process's own network namespace.
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

static bool inet_socket(pid_t pid, const char *table, const char *kind, unsigned long inode, char *out, size_t n)
{
	char name[64], line[512], local[33], remote[33], a[80], b[80];
	bool found = false;
	snprintf(name, sizeof(name), "/proc/%d/net/%s", (int)pid, table);
	FILE *f = fopen(name, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned lport, rport, state;
		unsigned long ino;
		if (sscanf(line, " %*d: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x %*s %*s %*s %*s %*s %lu", local, &lport, remote,
			   &rport, &state, &ino) != 6 ||
		    ino != inode)
			continue;
		address(local, lport, a, sizeof(a));
		address(remote, rport, b, sizeof(b));
		found = true;
		if (!strncmp(table, "tcp", 3) && state == TCP_LISTEN)
			snprintf(out, n, "%s listening on %s", kind, a);
		else if (rport)
			snprintf(out, n, "%s %s, peer %s", kind, a, b);
		else
			snprintf(out, n, "%s %s", kind, a);
	}
	if (f)
		fclose(f);
	return found;
}

static bool unix_socket(pid_t pid, unsigned long inode, char *out, size_t n)
{
	char name[64], line[512];
	bool found = false;
	snprintf(name, sizeof(name), "/proc/%d/net/unix", (int)pid);
	FILE *f = fopen(name, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned long ino;
		char path[256] = "";
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %lu %255s", &ino, path) < 1 || ino != inode)
			continue;
		found = true;
		snprintf(out, n, "Unix socket%s%s", path[0] ? " " : "", path);
	}
	if (f)
		fclose(f);
	return found;
}

/* The pipe's other end, if this process has it. */
static void pipe_peer(pid_t pid, int fd, const char *self, char *out, size_t n)
{
	char name[64], link[64];
	snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
	DIR *d = opendir(name);
	snprintf(out, n, "pipe");
	for (struct dirent *e; d && (e = readdir(d));)
		if (atoi(e->d_name) != fd && link_of(pid, e->d_name, link, sizeof(link)) && !strcmp(link, self)) {
			snprintf(out, n, "pipe, other end fd %s", e->d_name);
			break;
		}
	if (d)
		closedir(d);
}

static bool has_ended(pid_t pid)
{
	char name[64], link[PATH_MAX];
	snprintf(name, sizeof(name), "/proc/%d/exe", (int)pid);
	return readlink(name, link, sizeof(link)) < 0 && (errno == ENOENT || errno == ESRCH);
}

void fd_describe(pid_t pid, int fd, char *out, size_t n)
{
	char number[16], link[PATH_MAX];
	unsigned long inode;
	snprintf(number, sizeof(number), "%d", fd);
	if (!link_of(pid, number, link, sizeof(link))) {
		snprintf(out, n, has_ended(pid) ? "not known, the process has ended since" : "closed");
	} else if (sscanf(link, "socket:[%lu]", &inode) == 1) {
		if (!inet_socket(pid, "tcp", "TCP", inode, out, n) && !inet_socket(pid, "tcp6", "TCP", inode, out, n) &&
		    !inet_socket(pid, "udp", "UDP", inode, out, n) && !inet_socket(pid, "udp6", "UDP", inode, out, n) &&
		    !unix_socket(pid, inode, out, n))
			snprintf(out, n, "socket");
	} else if (!strncmp(link, "pipe:", 5)) {
		pipe_peer(pid, fd, link, out, n);
	} else if (!strncmp(link, "anon_inode:", 11)) {
		char *word = link + 11;
		word += *word == '[';
		word[strcspn(word, "]")] = 0;
		snprintf(out, n, "%s", word);
	} else {
		snprintf(out, n, "%s", link);
	}
}
