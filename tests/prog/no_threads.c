/* no_threads.c: a program that never makes a thread: waiting, locks, signals, children and exit status as ever. */
#include "check.h"
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

static volatile int handled;

static void handler(int sig)
{
    handled = sig;
}

int main(void)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    sem_t sem;
    char line[16] = "";
    CHECK0(pthread_mutex_lock(&mutex));
    CHECK0(pthread_mutex_unlock(&mutex));
    struct timespec when = deadline(CLOCK_REALTIME, 10);
    CHECK(sem_init(&sem, 0, 0) == 0);
    CHECK_ERRNO(sem_timedwait(&sem, &when), ETIMEDOUT);
    sleep_ms(2);
    CHECK(gettid() == getpid());
    CHECK(signal(SIGUSR1, handler) == SIG_DFL);
    CHECK(raise(SIGUSR1) == 0 && handled == SIGUSR1);
    FILE *in = popen("echo child", "r");
    CHECK(in != NULL && fgets(line, sizeof line, in) != NULL && pclose(in) == 0);
    fputs(line, stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(3);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
    puts("no thread needed");
    return 5;
}
