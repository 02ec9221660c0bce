/* patch.h - writes the jumps into an object's text.
 */
#ifndef PRELOOM_PATCH_H
#define PRELOOM_PATCH_H

#include <stddef.h>

#include "object.h"
#include "rewrite.h"

/* Writes the jump of every rewritten site of v that lies in seg. Returns 0 or -errno; then nothing was written. */
int patch_sites(const struct segment *seg, const struct site *v, size_t n);

#endif
