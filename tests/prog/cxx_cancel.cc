// cxx_cancel.cc: cancellation and pthread_exit unwind the stack of a C++ thread, through destructors and catch (...).
#include "check.h"
#include <atomic>
#include <iostream>
#include <mutex>
#include <semaphore.h>

static std::atomic<int> destroyed{0}, caught{0};
static std::mutex mutex;
static sem_t never;

struct Guard {
    ~Guard() { destroyed++; }
};

static void wait_for_ever()
{
    Guard guard;
    for (;;)
        sem_wait(&never);
}

static void *is_cancelled(void *)
{
    Guard guard;
    std::lock_guard<std::mutex> lock(mutex);
    try {
        Guard inner;
        wait_for_ever();
    } catch (...) {
        caught++;
        throw; // cancellation must go on
    }
    return nullptr;
}

static void *exits(void *arg)
{
    Guard guard;
    try {
        Guard inner;
        pthread_exit(arg);
    } catch (...) {
        caught++;
        throw;
    }
}

int main()
{
    CHECK(sem_init(&never, 0, 0) == 0);
    for (int i = 0; i < 10; i++) {
        pthread_t thread = start(is_cancelled, nullptr);
        while (mutex.try_lock()) { // until the thread holds it
            mutex.unlock();
            sched_yield();
        }
        CHECK0(pthread_cancel(thread));
        CHECK(join(thread) == PTHREAD_CANCELED);
        CHECK(join(start(exits, &never)) == &never);
    }
    CHECK(mutex.try_lock());
    mutex.unlock();
    std::cout << "destroyed " << destroyed << ", caught " << caught << '\n';
}
