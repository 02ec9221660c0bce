/* identity.c: names, affinity, policy and CPU clocks of threads: what is set is reported back. */
#include "check.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define N 8

static pthread_barrier_t barrier;

static double cpu_seconds(clockid_t clock)
{
    return (double)now_ns(clock) / 1e9;
}

static void *worker(void *arg)
{
    int id = (int)(intptr_t)arg;
    char name[16], want[16];
    CHECK0(pthread_getname_np(pthread_self(), name, sizeof name));
    CHECK(strcmp(name, "maker") == 0); /* inherited */
    snprintf(want, sizeof want, "worker-%d", id);
    CHECK0(pthread_setname_np(pthread_self(), want));
    pthread_barrier_wait(&barrier);
    CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, want) == 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* main has given us another name */
    CHECK0(pthread_getname_np(pthread_self(), name, sizeof name));
    CHECK(strncmp(name, "renamed-", 8) == 0 && atoi(name + 8) == id);

    cpu_set_t set;
    int policy;
    struct sched_param param;
    CPU_ZERO(&set);
    CHECK0(pthread_getaffinity_np(pthread_self(), sizeof set, &set));
    CHECK(CPU_COUNT(&set) > 0);
    CHECK0(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
    CHECK0(pthread_getschedparam(pthread_self(), &policy, &param));
    CHECK(policy == SCHED_OTHER && param.sched_priority == 0);
    return NULL;
}

/* Half of the threads compute, half sleep: their CPU clocks must tell which. */
static void *uses_cpu(void *arg)
{
    int computes = arg != NULL;
    double before = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    if (computes)
        while (cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - before < 0.01)
            ;
    else
        sleep_ms(100);
    clockid_t clock;
    CHECK0(pthread_getcpuclockid(pthread_self(), &clock));
    double used = cpu_seconds(clock) - before;
    CHECK(computes ? used >= 0.01 : used < 0.05);
    struct rusage usage;
    CHECK(getrusage(RUSAGE_THREAD, &usage) == 0);
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    char name[16], want[16];
    CHECK0(pthread_setname_np(pthread_self(), "maker"));
    CHECK(pthread_setname_np(pthread_self(), "a name that is too long") == ERANGE);
    CHECK0(pthread_barrier_init(&barrier, NULL, N + 1));
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < N; i++) {
        CHECK0(pthread_getname_np(threads[i], name, sizeof name));
        snprintf(want, sizeof want, "worker-%d", i);
        CHECK(strcmp(name, want) == 0);
        snprintf(want, sizeof want, "renamed-%d", i);
        CHECK0(pthread_setname_np(threads[i], want));
    }
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    puts("named");
    for (int i = 0; i < N; i++)
        threads[i] = start(uses_cpu, i % 2 ? &barrier : NULL);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    puts("CPU time told apart");
    return 0;
}
