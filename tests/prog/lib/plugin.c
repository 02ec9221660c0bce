/* plugin.c: a shared object with thread-local data and a system call of its own, for dlopen.c to load. */
#include <pthread.h>
#include <stdint.h>
#include <time.h>

static __thread long counter = 1000;
static __thread char space[8192];
static int constructed;

__attribute__((constructor)) static void construct(void)
{
    constructed = 1;
}

int plugin_constructed(void)
{
    return constructed;
}

long plugin_count(void)
{
    space[counter % (long)sizeof space]++;
    return ++counter;
}

/* nanosleep by an instruction of its own (35 is its number on x86-64). */
long plugin_sleep(long ns)
{
    struct timespec ts = {0, ns};
    long result;
    __asm__ volatile("mov $35, %%eax\n\tsyscall"
                     : "=a"(result)
                     : "D"(&ts), "S"(0L)
                     : "rcx", "r11", "memory");
    return result;
}

static void *plugin_thread(void *arg)
{
    return (void *)(plugin_count() + (intptr_t)arg);
}

long plugin_in_thread(long add)
{
    pthread_t thread;
    void *result;
    if (pthread_create(&thread, 0, plugin_thread, (void *)add) != 0 || pthread_join(thread, &result) != 0)
        return -1;
    return (long)(intptr_t)result;
}
