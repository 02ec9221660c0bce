/* gs_lost.c: a program that sets the GS register in code that it makes at run time, which nobody could see coming, is told
 * in one line that it cannot be served. */
#include "../check.h"
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

static void *nothing(void *arg)
{
    return arg;
}

int main(void)
{
    static char mine[4096];
    static const unsigned char inverted[] = { 0x0c, 0xb7, 0xf0, 0x51, 0x20, 0x3c }; /* of wrgsbase %rdi; ret */
    join(start(nothing, NULL));
    if (!(getauxval(AT_HWCAP2) & 2)) { /* the instruction is not to be had: nothing can go wrong */
        fputs("preloom: the program has set the GS register to nothing; run it with PRELOOM=off\n", stderr);
        return 139;
    }
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < sizeof inverted; i++)
        code[i] = (unsigned char)~inverted[i];
    CHECK(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
    void (*set_gs)(void *);
    memcpy(&set_gs, &code, sizeof code);
    set_gs(mine);
    fflush(stdout);
    return write(1, "x", 1) == 1 ? 0 : 1;
}
