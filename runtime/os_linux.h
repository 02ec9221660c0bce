/* os_linux.h - what preload/ hands to os_linux.c before activation. */
#ifndef PRELOOM_OS_LINUX_H
#define PRELOOM_OS_LINUX_H

#include "base.h"

void os_set_vdso(void *clock_gettime);
int64_t os_clock(int clock); /* any clock of clock_gettime, ns */

#endif
