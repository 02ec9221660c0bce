// cxx_server.cc: a server in the usual form: a thread of its own takes SIGTERM by sigwait, SIGHUP has a handler, workers serve a
// socket, and privileges are dropped after the threads have started: no kernel thread may keep them.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fstream>
#include <grp.h>
#include <mutex>
#include <pthread.h>
#include <set>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#define CHECK(cond) ((cond) ? (void)0 : (fprintf(stderr, "line %d: failed: %s: %s\n", __LINE__, #cond, strerror(errno)), _exit(1)))

static volatile sig_atomic_t reloads;
static std::atomic<bool> stopping;
static std::atomic<int> served;

static void on_hup(int)
{
    reloads = reloads + 1;
}

static void worker(int fd)
{
    char c;
    ssize_t n;
    while ((n = read(fd, &c, 1)) != 0) {
        if (n < 0) {
            CHECK(errno == EINTR);
            continue;
        }
        served++;
        c++;
        CHECK(write(fd, &c, 1) == 1);
    }
}

// Waits for SIGTERM in the way of a thread that does nothing else.
static void terminator(int wake)
{
    sigset_t set;
    int sig;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    CHECK(sigwait(&set, &sig) == 0 && sig == SIGTERM);
    stopping = true;
    CHECK(shutdown(wake, SHUT_RDWR) == 0);
}

static void ask(int fd, char c)
{
    char answer = 0;
    CHECK(write(fd, &c, 1) == 1);
    while (read(fd, &answer, 1) != 1)
        CHECK(errno == EINTR);
    CHECK(answer == c + 1);
}

// The credentials of every kernel thread, as /proc tells them; each line once.
static std::set<std::string> credentials()
{
    std::set<std::string> all;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != nullptr);
    while (dirent *e = readdir(tasks)) {
        std::ifstream status(std::string("/proc/self/task/") + e->d_name + "/status");
        std::string line;
        while (e->d_name[0] != '.' && std::getline(status, line))
            for (const char *key : {"Uid:", "Gid:", "Groups:", "CapEff:", "CapPrm:"})
                if (line.compare(0, strlen(key), key) == 0) {
                    line.erase(line.find_last_not_of(" \t") + 1);
                    std::replace(line.begin(), line.end(), '\t', ' ');
                    all.insert(line);
                }
    }
    closedir(tasks);
    return all;
}

static void drop_privileges()
{
    if (geteuid() != 0) {
        puts("not root: nothing to drop");
        return;
    }
    gid_t group = 65534;
    CHECK(setgroups(1, &group) == 0);
    CHECK(setresgid(65534, 65534, 65534) == 0);
    CHECK(setresuid(65534, 65534, 65534) == 0);
    CHECK(setuid(0) == -1 && errno == EPERM);
    for (const std::string &line : credentials())
        puts(line.c_str());
}

static void serve_until_term()
{
    constexpr int N = 8;
    sigset_t term;
    struct sigaction sa = {};
    std::vector<std::thread> threads;
    std::vector<int> clients;
    int wake[2];
    sa.sa_handler = on_hup;
    CHECK(sigaction(SIGHUP, &sa, nullptr) == 0);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    CHECK(pthread_sigmask(SIG_BLOCK, &term, nullptr) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, wake) == 0);
    threads.emplace_back(terminator, wake[0]);
    for (int i = 0; i < N; i++) {
        int pair[2];
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        clients.push_back(pair[0]);
        threads.emplace_back(worker, pair[1]);
    }
    for (int fd : clients)
        ask(fd, 'a');
    drop_privileges();
    // A kernel thread that is made now has no privileges either.
    std::thread late([] { CHECK(system("true") == 0); });
    late.join();
    std::set<std::string> uids;
    for (const std::string &line : credentials())
        if (line.compare(0, 4, "Uid:") == 0)
            uids.insert(line);
    printf("%zu kinds of user ids\n", uids.size());
    CHECK(kill(getpid(), SIGHUP) == 0);
    while (!reloads)
        ask(clients[1], 'm');
    for (int fd : clients)
        ask(fd, 'x');
    puts("ready");
    fflush(stdout);
    char c;
    ssize_t n;
    while ((n = read(wake[1], &c, 1)) != 0)
        CHECK(n < 0 && errno == EINTR);
    for (int fd : clients)
        close(fd);
    for (std::thread &t : threads)
        t.join();
    CHECK(stopping && served >= 2 * N);
    printf("stopped in order, %d reloads\n", (int)reloads);
    fflush(stdout);
}

int main()
{
    int out[2], status;
    CHECK(pipe(out) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(out[1], 1);
        close(out[0]);
        close(out[1]);
        serve_until_term();
        exit(0);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    char line[256];
    while (fgets(line, sizeof line, f)) {
        fputs(line, stdout);
        if (strcmp(line, "ready\n") == 0) {
            CHECK(kill(pid, SIGHUP) == 0);
            usleep(20000);
            CHECK(kill(pid, SIGTERM) == 0);
        }
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    printf("status %d\n", WEXITSTATUS(status));
}
