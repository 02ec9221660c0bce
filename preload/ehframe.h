/* ehframe.h - the bounds of the function that covers an address.
 */
#ifndef PRELOOM_EHFRAME_H
#define PRELOOM_EHFRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "object.h"

struct bounds {
	uintptr_t lo, hi; /* decoding may start at lo; the function ends at or before hi */
	uintptr_t mark;	  /* 0, or an address that must turn out to be an instruction boundary */
};

/* From .eh_frame_hdr, else from .dynsym if `symbols` says so (which takes time). False: not known. */
bool function_bounds(const struct object *o, uintptr_t addr, bool symbols, struct bounds *b);

#endif
