/* vdso.h - symbols of the kernel's vDSO, found in its own dynamic section. */
#ifndef PRELOOM_VDSO_H
#define PRELOOM_VDSO_H

#include <stdbool.h>

/* NULL if there is no vDSO or no such symbol. */
void *vdso_symbol(const char *name);

/* Makes glibc call `to` where it called the vDSO's `from`; false if it does not keep such a pointer. */
bool vdso_replace(void *from, void *to);

#endif
