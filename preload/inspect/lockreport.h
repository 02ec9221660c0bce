/* lockreport.h - prints what PRELOOM=lockcheck found. */
#ifndef PRELOOM_LOCKREPORT_H
#define PRELOOM_LOCKREPORT_H

#include "symbols.h"
#include <stdio.h>

/* A struct lockcheck_report at this address in the process; false: it cannot be read. */
bool lockreport_print(FILE *f, const struct target *t, struct symbols *sym, uintptr_t at);

#endif
