// cxx_thread_local.cc: thread_local objects: constructed at first use, destroyed in reverse at thread end, own per thread.
#include "check.h"
#include <atomic>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

static std::atomic<int> made{0}, destroyed{0};
static thread_local std::string trace;

struct Tracked {
    explicit Tracked(char name) : name_(name)
    {
        made++;
        trace += name_;
    }

    ~Tracked()
    {
        destroyed++;
        trace += static_cast<char>(name_ - 'a' + 'A');
        if (name_ == 'a')
            last() = trace;
    }

    static std::string &last()
    {
        static std::string text;
        return text;
    }

    char name_;
    int value = 0;
};

static thread_local Tracked a('a'), b('b');
static thread_local std::map<int, std::string> table;

static Tracked &lazy()
{
    static thread_local Tracked c('c');
    return c;
}

static void work(int id)
{
    for (int i = 0; i < 100; i++) {
        a.value += id;
        table[i % 10] = std::to_string(id);
        if (i % 10 == 0)
            sched_yield();
        CHECK(table[i % 10] == std::to_string(id));
    }
    CHECK(a.value == id * 100 && b.value == 0);
    if (id % 2)
        lazy().value = id;
}

int main()
{
    std::thread(work, 1).join();
    std::cout << "order " << Tracked::last() << '\n';
    made = destroyed = 0;
    // The destructors write to the one static string: one thread after the other, but for their work.
    std::vector<std::thread> threads;
    std::atomic<int> turn{0};
    for (int i = 0; i < 20; i++)
        threads.emplace_back([i, &turn] {
            work(i);
            while (turn != i)
                sched_yield();
        });
    for (int i = 0; i < 20; i++) {
        turn = i;
        threads[static_cast<size_t>(i)].join();
    }
    std::cout << "made " << made << ", destroyed " << destroyed << '\n';

    // Ended by pthread_exit, a thread destroys them all the same.
    join(start([](void *) -> void * {
        a.value = 1;
        pthread_exit(nullptr);
    }, nullptr));
    std::cout << "made " << made << ", destroyed " << destroyed << '\n';
}
