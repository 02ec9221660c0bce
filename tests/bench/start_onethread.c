/* start_onethread.c: a program that makes one thread and joins it; startup.c starts it. */
#include "bench.h"

static void *nothing(void *arg) { return arg; }

int main(void) {
    pthread_join(start_thread(nothing, NULL), NULL);
    return 0;
}
