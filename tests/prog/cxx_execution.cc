// cxx_execution.cc: the parallel algorithms of C++17, which run on the threads of libtbb.
#include "check.h"
#include <algorithm>
#include <execution>
#include <iostream>
#include <numeric>
#include <vector>

int main()
{
    std::vector<uint32_t> v(200000);
    uint32_t state = 1;
    for (auto &x : v)
        x = random_next(&state) % 1000000;
    std::vector<uint32_t> sorted = v;
    std::sort(sorted.begin(), sorted.end());
    std::sort(std::execution::par, v.begin(), v.end());
    CHECK(v == sorted);
    std::cout << "sum " << std::reduce(std::execution::par, v.begin(), v.end(), uint64_t{0}) << '\n';
    std::for_each(std::execution::par_unseq, v.begin(), v.end(), [](uint32_t &x) { x = x / 7 + 1; });
    std::cout << "squares "
              << std::transform_reduce(std::execution::par, v.begin(), v.end(), uint64_t{0}, std::plus<>(),
                                       [](uint32_t x) { return uint64_t{x} * x; })
              << '\n';
    std::cout << "even " << std::count_if(std::execution::par, v.begin(), v.end(), [](uint32_t x) { return x % 2 == 0; })
              << '\n';
}
