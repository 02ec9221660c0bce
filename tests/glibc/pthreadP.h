/* pthreadP.h: what the tests use of the inside of threads; of the descriptor only the area of restartable sequences, which
 * glibc tells the place of. */
#ifndef PTHREADP_H
#define PTHREADP_H
#include <atomic.h>
#include <internal-signals.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <internaltypes.h> /* it needs the types of pthread.h and sched.h */

struct pthread {
    struct rseq rseq_area;
};
#define THREAD_SELF ((struct pthread *)((char *)__builtin_thread_pointer() + __rseq_offset))
#define THREAD_GETMEM_VOLATILE(thread, member) (*(volatile __typeof((thread)->member) *)&(thread)->member)
#define __pthread_mutex_timedlock pthread_mutex_timedlock
#endif
