/* dlhook.h - being told when ld.so has mapped new objects. */
#ifndef PRELOOM_DLHOOK_H
#define PRELOOM_DLHOOK_H

/* Calls fn, on the thread that loads, after new objects are mapped and before their code can run. */
void dlhook_install(void (*fn)(void));

#endif
