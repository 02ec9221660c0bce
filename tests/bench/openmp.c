/* openmp.c: an OpenMP program: many parallel loops with a barrier after each, four threads.
 * usage: openmp [ROUNDS]; prints milliseconds. The work is fixed, as in the compressors that it stands beside. */
#include "bench.h"
#include <omp.h>

enum { SIZE = 400000 };

int main(int argc, char **argv) {
    static double x[SIZE];
    long rounds = arg_long(argc, argv, 1, 200);
    double total = 0;
    omp_set_num_threads(4);
    uint64_t start = now_ns();
    for (long r = 0; r < rounds; r++) {
#pragma omp parallel for reduction(+ : total)
        for (int i = 0; i < SIZE; i++) {
            x[i] = x[i] * 0.999 + (double)((i * 31 + r) & 1023);
            total += x[i] / (1.0 + x[i] * x[i]);
        }
    }
    uint64_t spent = now_ns() - start;
    report("openmp", (double)spent / 1e6, "ms", "rounds=%ld total=%.6g", rounds, total);
    return 0;
}
