/* internal-signals.h: the two signals that glibc keeps for itself. */
#ifndef INTERNAL_SIGNALS_H
#define INTERNAL_SIGNALS_H
#include <signal.h>
#define SIGCANCEL 32
#define SIGTIMER SIGCANCEL
#define SIGSETXID 33
#define __NSIG_BYTES 8

static inline _Bool is_internal_signal(int sig)
{
    return sig == SIGCANCEL || sig == SIGSETXID;
}
#endif
