/* stdio.c: many threads write to one stream: lines stay whole, flockfile keeps groups together, nothing is lost. */
#include "check.h"

#define N 20
#define LINES 200

static FILE *file;

static void *writes(void *arg)
{
    int id = (int)(intptr_t)arg;
    for (int i = 0; i < LINES; i++) {
        if (i % 2) {
            CHECK(fprintf(file, "%d %d begin\n%d %d end\n", id, i, id, i) > 0);
        } else {
            flockfile(file);
            CHECK(fprintf(file, "%d %d begin\n", id, i) > 0);
            if (i % 16 == 0)
                sched_yield();
            CHECK(fprintf(file, "%d %d end\n", id, i) > 0);
            funlockfile(file);
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    int next[N] = {0}, id, i, id2, i2, pairs = 0;
    CHECK((file = tmpfile()) != NULL);
    for (intptr_t t = 0; t < N; t++)
        threads[t] = start(writes, (void *)t);
    for (int t = 0; t < N; t++)
        join(threads[t]);

    rewind(file);
    while (fscanf(file, "%d %d begin %d %d end ", &id, &i, &id2, &i2) == 4) {
        CHECK(id == id2 && i == i2 && id >= 0 && id < N);
        CHECK(next[id]++ == i); /* each thread's lines are in its order */
        pairs++;
    }
    CHECK(feof(file));
    CHECK(fclose(file) == 0);
    printf("pairs %d\n", pairs);
    return 0;
}
