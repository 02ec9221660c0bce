/* scan.h - finds byte patterns in text, at whatever alignment.
 */
#ifndef PRELOOM_SCAN_H
#define PRELOOM_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_WINDOW 64 /* bytes around a syscall within which branch targets matter */

/* Writes the addresses of up to cap `syscall` byte pairs in [lo, hi), ascending; returns their number. Sets *wrgsbase if
 * there is what looks like this instruction. */
size_t scan_syscalls(uintptr_t lo, uintptr_t hi, uintptr_t *out, size_t cap, bool *wrgsbase);

/* Targets of whatever looks like a jump with a 32-bit displacement, if within the windows of the n sites (sorted);
 * writes up to cap of them, ascending, and returns how many there are. */
size_t scan_far_branches(uintptr_t lo, uintptr_t hi, const uintptr_t *sites, size_t n, uintptr_t *out, size_t cap);

/* The next address from *at on that looks like a jump with an 8-bit displacement to target; 0: no more. Start with
 * *at = 0. */
uintptr_t scan_near_branch(uintptr_t lo, uintptr_t hi, uintptr_t target, uintptr_t *at);

#endif
