/* openmp.c: an OpenMP program with 8 threads: loops, reduction, barriers, critical sections, tasks, nested teams. */
#include "check.h"
#include <omp.h>

#define N 100000

static double values[N];

static long fibonacci(int n)
{
    long a, b;
    if (n < 12)
        return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
#pragma omp task shared(a)
    a = fibonacci(n - 1);
#pragma omp task shared(b)
    b = fibonacci(n - 2);
#pragma omp taskwait
    return a + b;
}

int main(void)
{
    double sum = 0;
    long count = 0, ordered = 0, nested = 0, fib = 0;
    int threads = 0, singles = 0, phase[8] = {0};
    omp_set_dynamic(0);
    omp_set_num_threads(8);
    omp_set_max_active_levels(2);

#pragma omp parallel for schedule(static)
    for (int i = 0; i < N; i++)
        values[i] = (i % 100) * 0.5;
#pragma omp parallel for reduction(+ : sum) schedule(dynamic, 100)
    for (int i = 0; i < N; i++)
        sum += values[i];
    printf("sum %.1f\n", sum);

#pragma omp parallel
    {
#pragma omp single
        threads = omp_get_num_threads();
        for (int i = 0; i < 100; i++) {
#pragma omp critical
            count++;
        }
#pragma omp barrier /* a critical section and an atomic update do not exclude each other */
#pragma omp atomic
        count += 1000;
    }
    printf("threads %d, count %ld\n", threads, count);

#pragma omp parallel
    for (int i = 1; i <= 20; i++) {
        phase[omp_get_thread_num()] = i;
#pragma omp barrier
        for (int t = 0; t < 8; t++)
            CHECK(phase[t] == i);
#pragma omp barrier
#pragma omp single
        singles++;
    }
    printf("singles %d\n", singles);

#pragma omp parallel for ordered schedule(dynamic)
    for (int i = 0; i < 50; i++) {
#pragma omp ordered
        {
            CHECK(ordered == i);
            ordered++;
        }
    }
#pragma omp parallel num_threads(3)
#pragma omp parallel num_threads(2)
#pragma omp atomic
    nested++;
    printf("ordered %ld, nested %ld\n", ordered, nested);

#pragma omp parallel
#pragma omp single
    fib = fibonacci(20);
    printf("tasks %ld\n", fib);
    return 0;
}
