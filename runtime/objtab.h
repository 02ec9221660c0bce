/* objtab.h - what is loaded, for the unwinder: kept by preload/, read by signal handlers and from outside.
 */
#ifndef PRELOOM_OBJTAB_H
#define PRELOOM_OBJTAB_H

#include "unwind.h"

/* Read from outside: version, n, v; again version; if it was odd or changed, again. */
struct objtab {
	_Atomic uint32_t version; /* odd: being changed */
	_Atomic uint32_t n;
	uint32_t cap;
	struct unwind_object *_Atomic v; /* sorted by lo */
};
extern struct objtab objtab;

/* Replaces all. The caller serialises the calls and takes no signal meanwhile. v is put into order. */
void objtab_set(struct unwind_object *v, uint32_t n);
bool objtab_find(uintptr_t pc, struct unwind_object *o);

/* This process. */
extern struct unwind_space unwind_self;

#endif
