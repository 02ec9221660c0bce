// uncaught.cc: an exception that a thread does not catch ends the process by std::terminate.
#include "../check.h"
#include <stdexcept>
#include <thread>

int main()
{
    puts("about to throw");
    fflush(stdout);
    std::thread([] {
        sched_yield();
        throw std::runtime_error("nobody catches this");
    }).join();
}
