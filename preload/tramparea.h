/* tramparea.h - memory for trampolines, within reach of the text that jumps to it.
 */
#ifndef PRELOOM_TRAMPAREA_H
#define PRELOOM_TRAMPAREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object;

/* Whole pages, readable and writable, within +-2 GiB of all of o. 0: no room. */
uintptr_t tramparea_take(const struct object *o, size_t size);

/* Ends the writing of what tramparea_take gave: keeps `used` bytes, executable, and takes the rest back. */
int tramparea_seal(uintptr_t at, size_t size, size_t used);

bool tramparea_contains(uintptr_t ip);

#endif
