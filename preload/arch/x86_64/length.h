/* length.h - lengths of common instructions by table.
 */
#ifndef PRELOOM_LENGTH_H
#define PRELOOM_LENGTH_H

#include <stdint.h>

/* Length of the instruction at addr, if it is one of the common ones and ends before end; else 0: ask Zydis. */
unsigned length_by_table(uintptr_t addr, uintptr_t end);

#endif
