/* vdso.h - symbols of the kernel's vDSO, found in its own dynamic section. */
#ifndef PRELOOM_VDSO_H
#define PRELOOM_VDSO_H

/* NULL if there is no vDSO or no such symbol. */
void *vdso_symbol(const char *name);

#endif
