/* target.h - a process that preloom runs in, seen from outside: finding it, reading its memory.
 */
#ifndef PRELOOM_TARGET_H
#define PRELOOM_TARGET_H

#include "../../runtime/inspect.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A mapping of a file, or of memory without one. */
struct mapping {
	uint64_t lo, hi, offset, inode;
	char perms[5];
	char *path; /* "" if none */
};

struct target {
	pid_t pid;
	bool same_root; /* as ours: its file names are good here */
	struct mapping *maps;
	size_t nmaps;
	uintptr_t base;	 /* of libpreloom.so */
	uintptr_t where; /* of its preloom_inspect */
	struct inspect_header h;
};

/* Finds preloom in the process. NULL: *why says, in one line without newline, what is wrong. */
struct target *target_open(pid_t pid, const char **why);
void target_close(struct target *t);

/* The same from a command line's word; prints the line and returns NULL. */
struct target *target_open_arg(const char *command, const char *word);

/* True when all n bytes were read. */
bool target_read(const struct target *t, uintptr_t addr, void *buf, size_t n);
/* As many as can be had, from the front. */
size_t target_read_some(const struct target *t, uintptr_t addr, void *buf, size_t n);
bool target_write(const struct target *t, uintptr_t addr, const void *buf, size_t n);
/* Many pieces in few system calls. ok[i] says which could be read; returns how many. */
size_t target_read_many(const struct target *t, const uintptr_t *addr, void *const *buf, size_t n, size_t size, bool *ok);

bool target_reload_maps(struct target *t); /* objects come and go */
uint64_t target_objects(const struct target *t); /* a number that stands for the objects in the maps */
const struct mapping *target_mapping(const struct target *t, uintptr_t addr);
/* The mapping's file, for reading: the process's own, whatever mount namespace or chroot it is in, even after its end. -1: none. */
int target_open_object(const struct target *t, const struct mapping *m);

/* In a mapped ELF object that starts at `base`: the address of a dynamic symbol, 0 if it has none. From memory, so it does
 * not matter whether its file is there, or in another mount namespace. */
uintptr_t target_symbol(const struct target *t, uintptr_t base, const char *name);

#endif
