/* tls.h: what FS points to; the ABI fixes the place of the two guards. */
#ifndef TLS_H
#define TLS_H
#include <pthreadP.h>
#include <stddef.h>
#include <stdint.h>
#include <sysdep.h>

typedef struct {
    void *tcb, *dtv, *self;
    int multiple_threads, gscope_flag;
    uintptr_t sysinfo, stack_guard, pointer_guard;
} tcbhead_t;
#endif
