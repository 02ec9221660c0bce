/* objtab.h - what is loaded, for the unwinder: kept by preload/, read by signal handlers and from outside.
 */
#ifndef PRELOOM_OBJTAB_H
#define PRELOOM_OBJTAB_H

#include "unwind.h"

struct objview {
	uint32_t n, cap;
	struct unwind_object v[]; /* sorted by lo */
};

/* Read from outside: version, view, what it leads to; if version has changed by more than one meanwhile, again. */
struct objtab {
	_Atomic uint32_t version; /* how often it was changed */
	struct objview *_Atomic view;
};
extern struct objtab objtab;

/* Replaces all. The caller serialises the calls and takes no signal meanwhile. v is put into order. */
void objtab_set(struct unwind_object *v, uint32_t n);
bool objtab_find(uintptr_t pc, struct unwind_object *o);

/* This process. */
extern struct unwind_space unwind_self;

#endif
