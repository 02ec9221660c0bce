/* onecpu.h: for tests of what happens on a single CPU. */
#ifndef ONECPU_H
#define ONECPU_H

#include "check.h"
#include <sched.h>

/* Before the first thread: then it holds for every kernel thread. */
static inline void use_one_cpu(void)
{
    cpu_set_t may, one;
    CHECK(sched_getaffinity(0, sizeof(may), &may) == 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &may))
            CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
}

#endif
