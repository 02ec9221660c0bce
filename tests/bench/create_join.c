/* create_join.c: make a thread that does nothing and join it, one after the other.
 * usage: create_join [MS]; prints nanoseconds per thread. */
#include "bench.h"

enum { BATCH = 20 };

static void *nothing(void *arg) { return arg; }

static void batch(void) {
    for (int i = 0; i < BATCH; i++)
        pthread_join(start_thread(nothing, NULL), NULL);
}

int main(int argc, char **argv) {
    uint64_t duration = arg_duration(argc, argv), made = 0, start, spent;
    batch(); /* the first thread pays for activation and for a cold stack */
    start = now_ns();
    do {
        batch();
        made += BATCH;
        spent = now_ns() - start;
    } while (spent < duration);
    report("create_join", (double)spent / (double)made, "ns", "threads=%lu", made);
    return 0;
}
