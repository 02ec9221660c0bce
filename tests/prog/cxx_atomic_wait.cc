// cxx_atomic_wait.cc: std::atomic wait and notify, atomic_flag, counting_semaphore: libstdc++'s own use of futexes.
#include "check.h"
#include <atomic>
#include <chrono>
#include <iostream>
#include <semaphore>
#include <thread>
#include <vector>

static void ping_pong()
{
    std::atomic<int> ball{0};
    auto player = [&](int me) {
        for (int i = 0; i < 2000; i++) {
            for (int seen; (seen = ball.load()) % 2 != me;)
                ball.wait(seen);
            ball++;
            ball.notify_one();
        }
    };
    std::thread one(player, 0), two(player, 1);
    one.join();
    two.join();
    std::cout << "ball " << ball << '\n';
}

static void generations()
{
    std::atomic<long> generation{0}; // eight bytes: libstdc++ waits through a proxy word
    std::atomic<int> passed{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 20; i++)
        threads.emplace_back([&] {
            for (long g = 0; g < 50; g++) {
                generation.wait(g);
                passed++;
                passed.notify_all();
            }
        });
    for (int g = 0; g < 50; g++) {
        for (int seen; (seen = passed.load()) < 20 * g;)
            passed.wait(seen);
        generation++;
        generation.notify_all();
    }
    for (auto &t : threads)
        t.join();
    std::cout << "passed " << passed << '\n';
}

static void flags_and_semaphores()
{
    std::atomic_flag flag;
    std::counting_semaphore<10> places(3);
    std::binary_semaphore done(0);
    std::atomic<int> inside{0}, visits{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 20; i++)
        threads.emplace_back([&] {
            flag.wait(false);
            for (int n = 0; n < 50; n++) {
                places.acquire();
                CHECK(++inside <= 3);
                if (n % 8 == 0)
                    std::this_thread::yield();
                inside--;
                places.release();
            }
            if (++visits == 20)
                done.release();
        });
    flag.test_and_set();
    flag.notify_all();
    done.acquire();
    for (auto &t : threads)
        t.join();
    std::binary_semaphore never(0);
    auto before = std::chrono::steady_clock::now();
    CHECK(!never.try_acquire_for(std::chrono::milliseconds(10)));
    CHECK(std::chrono::steady_clock::now() - before >= std::chrono::milliseconds(10));
    std::cout << "visits " << visits << '\n';
}

int main()
{
    ping_pong();
    generations();
    flags_and_semaphores();
}
