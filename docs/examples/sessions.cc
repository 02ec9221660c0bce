// sessions.cc: 3,000 threads: sessions that wait for requests, workers that share a registry under one lock, a slow log.
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>
#include <map>

struct Queue {
    std::mutex lock;
    std::condition_variable filled;
    std::queue<int> jobs;
    void put(int j) { { std::lock_guard<std::mutex> l(lock); jobs.push(j); } filled.notify_one(); }
    int get() { std::unique_lock<std::mutex> l(lock); filled.wait(l, [this] { return !jobs.empty(); }); int j = jobs.front(); jobs.pop(); return j; }
};
static std::mutex registry_lock;
static std::map<int, int> registry;
static int log_pipe[2];

static void session(Queue *q) { for (;;) { int j = q->get(); if (write(log_pipe[1], &j, sizeof j) < 0) return; } }
static int checksum(int x) { for (int i = 0; i < 20000; i++) x = x * 1664525 + 1013904223; return x; }
static void update_registry(int x) { std::lock_guard<std::mutex> l(registry_lock); for (int i = 0; i < 20; i++) registry[(x + i) % 1000] += checksum(x + i) & 1; }
static void worker(int n, std::vector<Queue> *sessions)
{
    for (unsigned i = (unsigned)n;; i++) {
        update_registry((int)i);
        (*sessions)[i % sessions->size()].put((int)i);
        usleep(2000);
    }
}
static void logger() { int j; for (long n = 0; read(log_pipe[0], &j, sizeof j) > 0; n++) if (n % 64 == 0) usleep(1000); }

int main(int argc, char **argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 30;
    if (pipe(log_pipe)) return 1;
    std::vector<Queue> sessions(2900);
    for (auto &q : sessions) std::thread(session, &q).detach();
    for (int i = 0; i < 99; i++) std::thread(worker, i * 31, &sessions).detach();
    std::thread(logger).detach();
    puts("ready"); fflush(stdout);
    sleep((unsigned)seconds);
    _exit(0);
}
