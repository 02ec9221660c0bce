// cxx_call_once.cc: std::call_once, also when the first calls throw, and function-local statics raced for by many threads.
#include "check.h"
#include <atomic>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

static std::atomic<int> constructed{0};

struct Slow {
    Slow()
    {
        sleep_ms(2);
        value = ++constructed;
    }
    int value;
};

static Slow &instance()
{
    static Slow slow;
    return slow;
}

static Slow &third_time()
{
    static std::atomic<int> attempts{0};
    static Slow slow = [] {
        if (++attempts < 3)
            throw std::runtime_error("not yet");
        return Slow();
    }();
    return slow;
}

template <typename F> static void in_threads(int n, F f)
{
    std::vector<std::thread> threads;
    for (int i = 0; i < n; i++)
        threads.emplace_back(f);
    for (auto &t : threads)
        t.join();
}

int main()
{
    std::once_flag flag, throwing;
    int calls = 0, attempts = 0;
    std::atomic<int> caught{0};
    in_threads(30, [&] {
        std::call_once(flag, [&] {
            sleep_ms(2);
            calls++;
        });
        CHECK(calls == 1);
    });
    in_threads(30, [&] {
        try {
            std::call_once(throwing, [&] {
                std::this_thread::yield();
                if (++attempts < 4)
                    throw std::runtime_error("again");
            });
        } catch (const std::runtime_error &) {
            caught++;
        }
    });
    std::cout << "calls " << calls << ", attempts " << attempts << ", caught " << caught << '\n';

    in_threads(30, [&] { CHECK(instance().value == 1); });
    caught = 0;
    in_threads(30, [&] {
        try {
            CHECK(third_time().value == 2);
        } catch (const std::runtime_error &) {
            caught++;
        }
    });
    std::cout << "constructed " << constructed << ", caught " << caught << '\n';
}
