/* thread_pointer.h: the thread's own address in the TLS register. */
#include <pthreadP.h>

static inline void *__thread_pointer(void)
{
    return __builtin_thread_pointer();
}
