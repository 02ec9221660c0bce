// cxx_barrier.cc: std::barrier, std::latch, std::jthread with stop tokens (C++20).
#include "check.h"
#include <atomic>
#include <barrier>
#include <iostream>
#include <latch>
#include <numeric>
#include <stop_token>
#include <condition_variable>
#include <thread>
#include <vector>

int main()
{
    constexpr int n = 16;
    int completed = 0;
    std::vector<int> cells(n);
    std::barrier sync(n, [&]() noexcept { completed++; });
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < n; i++)
            threads.emplace_back([&, i] {
                for (int round = 1; round <= 50; round++) {
                    cells[static_cast<size_t>(i)] = round;
                    sync.arrive_and_wait();
                    CHECK(std::accumulate(cells.begin(), cells.end(), 0) == n * round);
                    sync.arrive_and_wait();
                }
            });
    }
    std::cout << "completed " << completed << '\n';

    std::latch ready(n), go(1);
    std::atomic<int> started{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < n; i++)
            threads.emplace_back([&] {
                ready.count_down();
                go.wait();
                started++;
            });
        ready.wait();
        CHECK(started == 0);
        go.count_down();
    }
    std::cout << "started " << started << '\n';

    std::atomic<int> turns{0};
    int stopped = 0;
    std::mutex mutex;
    std::condition_variable_any wake;
    {
        std::jthread polls([&](std::stop_token token) {
            while (!token.stop_requested()) {
                turns++;
                std::this_thread::sleep_for(std::chrono::microseconds(100));
            }
        });
        std::jthread waits([&](std::stop_token token) {
            std::unique_lock<std::mutex> lock(mutex);
            wake.wait(lock, token, [] { return false; });
            stopped++;
        });
        while (turns < 3)
            std::this_thread::yield();
    } // both destructors ask to stop, and join
    std::cout << "stopped " << stopped << '\n';
}
