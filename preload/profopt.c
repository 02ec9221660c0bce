/* profopt.c - profiles that PRELOOM asks for: opens their files and starts them.
 *
 * A file is made as the user and not through a link, and not at all in a setuid program, where PRELOOM is not read. Its name says
 * in which format it is written. Child processes that make threads profile themselves too: a %p in the name keeps them apart.
 */
#include "profopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../runtime/prof.h"
#include "../runtime/runtime.h"
#include "options.h"

/* Copies the name with %p replaced; false: too long. */
static bool expand(char *to, const char *name, unsigned len)
{
	size_t n = 0;

	for (unsigned i = 0; i < len; i++) {
		if (n + 16 > OPTION_FILE_LEN)
			return false;
		if (name[i] == '%' && i + 1 < len && name[i + 1] == 'p') {
			n += (size_t)snprintf(to + n, 16, "%d", (int)getpid());
			i++;
		} else {
			to[n++] = name[i];
		}
	}
	to[n] = 0;
	return n > 0;
}

static const char *format_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (dot && !strcmp(dot, ".svg"))
		return "svg";
	if (dot && !strcmp(dot, ".folded"))
		return "folded";
	return dot && !strcmp(dot, ".txt") ? "top" : "pprof";
}

int option_file(const char *key, const char *name, unsigned len, char *path)
{
	int fd = expand(path, name, len) ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644) : -1;

	if (fd < 0) {
		rt_printf(2, "preloom: PRELOOM=%s=%s: cannot be written (error %d)\n", key,
			  len && len < OPTION_FILE_LEN - 16 ? path : "", errno);
		return -1;
	}
	return privfd_take(fd);
}

static void start(enum prof_type t, const char *key, const char *name, unsigned len, int64_t rate)
{
	char path[OPTION_FILE_LEN];
	int fd = name ? option_file(key, name, len, path) : -1;

	if (fd < 0)
		return;
	if (prof_start(t, (uint32_t)rate, 0) != 0) {
		rt_printf(2, "preloom: PRELOOM=%s: out of memory; no such profile\n", key);
		close(fd);
		return;
	}
	prof_write_at_exit(t, fd, format_of(path));
}

void profopt_start(void)
{
	start(ProfCpu, "cpuprofile", options.cpuprofile, options.cpuprofile_len, options.cpurate);
	start(ProfBlock, "blockprofile", options.blockprofile, options.blockprofile_len, options.blockrate);
	start(ProfMutex, "mutexprofile", options.mutexprofile, options.mutexprofile_len, options.blockrate);
	start(ProfThreads, "threadprofile", options.threadprofile, options.threadprofile_len, 0);
	start(ProfWall, "wallprofile", options.wallprofile, options.wallprofile_len, options.wallrate);
}
