/* sysname.h - names of system calls, for people.
 */
#ifndef PRELOOM_SYSNAME_H
#define PRELOOM_SYSNAME_H

/* "?" if the number is not known. */
const char *sysname(int nr);

#endif
