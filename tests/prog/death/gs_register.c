/* gs_register.c: a program that sets the GS register for itself is told in one line that it cannot be served. */
#include "../check.h"
#include <sys/auxv.h>

static void *nothing(void *arg)
{
    return arg;
}

int main(void)
{
    static char mine[4096];
    join(start(nothing, NULL));
    if (!(getauxval(AT_HWCAP2) & 2)) { /* the instruction is not to be had: nothing can go wrong */
        fputs("preloom: the program has set the GS register to nothing; run it with PRELOOM=off\n", stderr);
        return 139;
    }
    __asm__ volatile("wrgsbase %0" : : "r"(mine));
    fflush(stdout);
    return write(1, "x", 1) == 1 ? 0 : 1;
}
