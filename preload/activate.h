/* activate.h - from a process that has made no thread yet to one whose threads are G's.
 */
#ifndef PRELOOM_ACTIVATE_H
#define PRELOOM_ACTIVATE_H

#include <stdbool.h>

/* Reads PRELOOM (nothing of it if AT_SECURE); warn: says what it does not understand. */
void activate_read_options(bool warn);

/* The process in which the library's constructor ran. */
extern int activate_loaded_by;

/* Once, before the first thread is made. False: the program's threads stay kernel threads, and the user has been told why. */
bool activate(void);

#endif
