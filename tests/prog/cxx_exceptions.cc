// cxx_exceptions.cc: exceptions thrown and caught in 64 threads at once, nested, rethrown, and handed to other threads.
#include "check.h"
#include <atomic>
#include <exception>
#include <future>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::atomic<int> unwound{0};

struct Guard {
    ~Guard()
    {
        unwound++;
        if (unwound % 64 == 0)
            sched_yield();
    }
};

static void descend(int depth, int id)
{
    Guard guard;
    if (depth == 0)
        throw std::runtime_error("from " + std::to_string(id));
    descend(depth - 1, id);
}

static void throw_and_catch(int id)
{
    for (int i = 0; i < 50; i++) {
        try {
            descend(10, id);
            CHECK(!"came back");
        } catch (const std::runtime_error &e) {
            std::string what = e.what();
            sched_yield(); // the exception in flight belongs to this thread
            CHECK(what == "from " + std::to_string(id) && what == e.what());
            CHECK(std::uncaught_exceptions() == 0);
            try {
                std::throw_with_nested(std::logic_error("outer"));
            } catch (const std::logic_error &outer) {
                sched_yield();
                try {
                    std::rethrow_if_nested(outer);
                    CHECK(!"nothing nested");
                } catch (const std::runtime_error &inner) {
                    CHECK(inner.what() == what);
                }
            }
        }
    }
}

static int across_threads()
{
    std::vector<std::exception_ptr> pointers(20);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < pointers.size(); i++)
        threads.emplace_back([&pointers, i] {
            try {
                descend(3, static_cast<int>(i));
            } catch (...) {
                pointers[i] = std::current_exception();
            }
        });
    for (auto &t : threads)
        t.join();
    int sum = 0;
    for (auto &p : pointers) {
        try {
            std::rethrow_exception(p);
        } catch (const std::runtime_error &e) {
            sum += std::stoi(std::string(e.what()).substr(5));
        }
    }
    auto failing = std::async(std::launch::async, [] { descend(2, 1000); });
    try {
        failing.get();
    } catch (const std::runtime_error &e) {
        sum += std::stoi(std::string(e.what()).substr(5));
    }
    return sum;
}

int main()
{
    std::vector<std::thread> threads;
    for (int i = 0; i < 64; i++)
        threads.emplace_back(throw_and_catch, i);
    for (auto &t : threads)
        t.join();
    std::cout << "unwound " << unwound << '\n';
    std::cout << "across threads " << across_threads() << '\n';
}
