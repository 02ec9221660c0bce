/* stackinfo.h: stacks of x86-64. */
#include <elf.h>
#define _STACK_GROWS_DOWN 1
#define DEFAULT_STACK_PERMS (PF_R | PF_W | PF_X)
#define stackinfo_get_sp()                                  \
    ({                                                      \
        void *sp_;                                          \
        __asm__("mov %%rsp, %0" : "=r"(sp_));               \
        sp_;                                                \
    })
