// cxx_shared_mutex.cc: shared_mutex, shared_timed_mutex, scoped_lock of several, condition_variable_any.
#include "check.h"
#include <atomic>
#include <condition_variable>
#include <iostream>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

static void cache()
{
    std::shared_mutex mutex;
    std::map<int, int> squares;
    std::vector<std::thread> threads;
    std::atomic<long> hits{0};
    for (int t = 0; t < 16; t++)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 500; i++) {
                int n = (i * 7 + t) % 100;
                {
                    std::shared_lock<std::shared_mutex> lock(mutex);
                    auto found = squares.find(n);
                    if (found != squares.end()) {
                        CHECK(found->second == n * n);
                        hits++;
                        continue;
                    }
                }
                std::unique_lock<std::shared_mutex> lock(mutex);
                squares[n] = n * n;
                hits++;
            }
        });
    for (auto &t : threads)
        t.join();
    std::cout << "squares " << squares.size() << ", answers " << hits << '\n';
}

static void transfers()
{
    struct Account {
        std::mutex mutex;
        long amount = 1000;
    };
    std::vector<Account> accounts(5);
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < 10; t++)
        threads.emplace_back([&, t] {
            uint32_t state = t + 1;
            for (int i = 0; i < 1000; i++) {
                Account &from = accounts[random_next(&state) % 5], &to = accounts[random_next(&state) % 5];
                if (&from == &to)
                    continue;
                std::scoped_lock lock(from.mutex, to.mutex);
                from.amount -= i;
                to.amount += i;
            }
        });
    for (auto &t : threads)
        t.join();
    long sum = 0;
    for (auto &a : accounts)
        sum += a.amount;
    std::cout << "sum " << sum << '\n';
}

static void any_condition()
{
    std::shared_timed_mutex mutex;
    std::condition_variable_any changed;
    int stage = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++)
        threads.emplace_back([&] {
            std::shared_lock<std::shared_timed_mutex> lock(mutex);
            changed.wait(lock, [&] { return stage == 1; });
        });
    {
        std::unique_lock<std::shared_timed_mutex> lock(mutex);
        stage = 1;
        changed.notify_all();
    }
    for (auto &t : threads)
        t.join();
    mutex.lock();
    std::thread([&] { CHECK(!mutex.try_lock_shared_for(std::chrono::milliseconds(5))); }).join();
    mutex.unlock();
    std::cout << "stage " << stage << '\n';
}

int main()
{
    cache();
    transfers();
    any_condition();
}
