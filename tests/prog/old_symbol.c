/* old_symbol.c: programs linked before glibc 2.34 ask for pthread_create@GLIBC_2.2.5; both versions give a thread. */
#include "check.h"
#include <dlfcn.h>

int create_old(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
__asm__(".symver create_old, pthread_create@GLIBC_2.2.5");

static void *same(void *arg)
{
    sched_yield();
    return arg;
}

typedef int create_fn(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);

static void try_it(const char *name, create_fn *create)
{
    pthread_t threads[10];
    CHECK(create != NULL);
    for (intptr_t i = 0; i < 10; i++)
        CHECK0(create(&threads[i], NULL, same, (void *)i));
    for (intptr_t i = 0; i < 10; i++)
        CHECK(join(threads[i]) == (void *)i);
    puts(name);
}

int main(void)
{
    try_it("linked, GLIBC_2.2.5", create_old);
    try_it("linked, default", pthread_create);
    try_it("by dlsym", (create_fn *)dlsym(RTLD_DEFAULT, "pthread_create"));
    try_it("by dlvsym, GLIBC_2.2.5", (create_fn *)dlvsym(RTLD_DEFAULT, "pthread_create", "GLIBC_2.2.5"));
    try_it("by dlvsym, GLIBC_2.34", (create_fn *)dlvsym(RTLD_DEFAULT, "pthread_create", "GLIBC_2.34"));
    return 0;
}
