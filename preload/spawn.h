/* spawn.h - where the program asked for a thread, and what for.
 */
#ifndef PRELOOM_SPAWN_H
#define PRELOOM_SPAWN_H

#include <stdint.h>

struct spawn {
	uintptr_t entry;   /* the function that the thread was made for */
	uintptr_t at;	   /* behind the call that asked for it */
	uintptr_t above;   /* the same one frame further out, if a library passed it on; else 0 */
	uintptr_t through; /* where a library passed that on to pthread_create; 0: nobody did */
};

/* Of pthread_create(…, entry, arg), called before `site`. */
void spawn_find(uintptr_t entry, uintptr_t arg, uintptr_t site, struct spawn *s);

#endif
