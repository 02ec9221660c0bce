/* altstack.c: sigaltstack per thread: where handlers run, nesting, errors, SS_AUTODISARM, leaving by siglongjmp. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif
#define SIZE 65536

static _Thread_local char *stack;
static _Thread_local int where[4], depth, flags, err;
static _Thread_local sigjmp_buf back;
static _Thread_local int jump;

static void handler(int sig, siginfo_t *info, void *uc)
{
    char here;
    stack_t now, st = {.ss_sp = stack, .ss_size = SIZE};
    (void)info, (void)uc;
    where[depth++] = &here > stack && &here < stack + SIZE;
    sigaltstack(NULL, &now);
    flags = (int)now.ss_flags;
    err = sigaltstack(&st, NULL) ? errno : 0;
    if (sig == SIGUSR1)
        raise(SIGUSR2);
    if (jump)
        siglongjmp(back, 1);
}

static void install(int sig, int f)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = handler;
    sa.sa_flags = f | SA_SIGINFO;
    sigaction(sig, &sa, NULL);
}

static void show(const char *what)
{
    stack_t now;
    sigaltstack(NULL, &now);
    printf("%s: on it %d %d, flags inside %d, change %d, after %d %d\n", what, where[0], where[1], flags, err,
           (int)now.ss_flags, now.ss_sp == stack);
    depth = where[0] = where[1] = 0;
}

static void *thread(void *arg)
{
    stack_t st = {.ss_size = SIZE}, bad;
    (void)arg;
    st.ss_sp = stack = malloc(SIZE);
    install(SIGUSR1, SA_ONSTACK);
    install(SIGUSR2, 0);
    raise(SIGUSR1);
    st.ss_flags = SS_DISABLE;
    sigaltstack(&st, NULL);
    show("none");
    st.ss_flags = 0;
    CHECK(sigaltstack(&st, NULL) == 0);
    raise(SIGUSR1);
    show("outer on it");
    raise(SIGUSR2);
    CHECK(sigaltstack(&st, NULL) == 0);
    show("without SA_ONSTACK");
    install(SIGUSR2, SA_ONSTACK);
    raise(SIGUSR1);
    show("both");
    jump = 1;
    if (!sigsetjmp(back, 1))
        raise(SIGUSR1);
    show("jumped");
    if (!sigsetjmp(back, 1))
        raise(SIGUSR1);
    show("jumped again");
    jump = 0;
    st.ss_flags = (int)SS_AUTODISARM;
    CHECK(sigaltstack(&st, NULL) == 0);
    raise(SIGUSR2);
    show("autodisarm");
    bad = st;
    bad.ss_size = 100;
    bad.ss_flags = 0;
    CHECK_ERRNO(sigaltstack(&bad, NULL), ENOMEM);
    bad.ss_flags = 77;
    CHECK_ERRNO(sigaltstack(&bad, NULL), EINVAL);
    st.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&st, NULL) == 0);
    free(stack);
    return NULL;
}

int main(void)
{
    join(start(thread, NULL));
    join(start(thread, NULL));
    thread(NULL);
    return 0;
}
