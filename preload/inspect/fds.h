/* fds.h - what a descriptor of a process is, in words.
 */
#ifndef PRELOOM_FDS_H
#define PRELOOM_FDS_H

#include <stddef.h>
#include <sys/types.h>

/* "TCP 127.0.0.1:80 from 127.0.0.1:4711", "pipe, other end fd 5", "/var/log/x", "eventfd"; "closed" if there is none. */
void fd_describe(pid_t pid, int fd, char *out, size_t n);

#endif
