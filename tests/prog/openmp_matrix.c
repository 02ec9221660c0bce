/* openmp_matrix.c: a product of integer matrices by an OpenMP team: NAME [SIZE]; pure computing. */
#include "check.h"
#include <omp.h>

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 200;
    size_t cells = (size_t)n * (size_t)n;
    uint32_t *a = malloc(cells * sizeof *a), *b = malloc(cells * sizeof *b), *c = calloc(cells, sizeof *c);
    uint32_t sum = 0;
    CHECK(a != NULL && b != NULL && c != NULL);
    omp_set_dynamic(0);
    omp_set_num_threads(8);
#pragma omp parallel for
    for (int i = 0; i < n * n; i++) {
        a[i] = (uint32_t)i * 2654435761u;
        b[i] = (uint32_t)i ^ 0x55555555u;
    }
#pragma omp parallel for schedule(dynamic, 4)
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            for (int j = 0; j < n; j++)
                c[i * n + j] += a[i * n + k] * b[k * n + j];
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < n * n; i++)
        sum += c[i] * (uint32_t)(i + 1);
    printf("size %d, sum %u\n", n, sum);
    free(a);
    free(b);
    free(c);
    return 0;
}
