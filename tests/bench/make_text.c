/* make_text.c: writes N MiB that compress about as well as prose, the same on every machine.
 * usage: make_text MIB > FILE */
#include "bench.h"

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

int main(int argc, char **argv) {
    enum { WORDS = 4096, LONGEST = 12 };
    static char words[WORDS][LONGEST + 1];
    long left = arg_long(argc, argv, 1, 8) << 20;
    for (int i = 0; i < WORDS; i++) {
        int len = 2 + (int)(next_random() % (LONGEST - 2));
        for (int j = 0; j < len; j++)
            words[i][j] = (char)('a' + next_random() % 26);
    }
    while (left > 0) {
        /* the product of two draws prefers low numbers, as a language prefers some words */
        uint64_t which = (next_random() % 64) * (next_random() % 64);
        int len = printf("%s%c", words[which], next_random() % 12 ? ' ' : '\n');
        if (len < 0)
            die("write");
        left -= len;
    }
    return fflush(stdout) ? 1 : 0;
}
