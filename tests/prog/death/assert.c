/* assert.c: a failed assertion in a thread says what failed. */
#undef NDEBUG
#include "../check.h"
#include <assert.h>

static void *worker(void *arg)
{
    assert(arg != NULL);
    return arg;
}

int main(void)
{
    join(start(worker, NULL));
    return 0;
}
