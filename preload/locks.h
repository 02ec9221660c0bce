/* locks.h - stands before the C library's lock functions, for PRELOOM=lockcheck=1.
 */
#ifndef PRELOOM_LOCKS_H
#define PRELOOM_LOCKS_H

/* At activation, single-threaded. Returns NULL, or what is in the way. */
const char *locks_watch(void);

#endif
