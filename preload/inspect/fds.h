/* fds.h - what a descriptor of a process is, in words.
 */
#ifndef PRELOOM_FDS_H
#define PRELOOM_FDS_H

#include <stddef.h>
#include <sys/types.h>

/* Reads the kernel's tables when they are first needed, and once: for one look at a process. */
struct fds;
struct fds *fds_open(pid_t pid); /* NULL: out of memory */
void fds_close(struct fds *f);

/* "TCP 127.0.0.1:80, peer 127.0.0.1:4711", "pipe, other end fd 5", "/var/log/x", "eventfd"; "closed" if there is none. */
void fd_describe(struct fds *f, int fd, char *out, size_t n);

#endif
