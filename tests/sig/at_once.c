/* at_once.c: calls that do not wait are not ended by signals, however many come: calls on files, calls that were told not to
 * wait or need not, and waits for a child that has ended. The handlers do not have SA_RESTART. */
#include "../prog/check.h"
#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#define ROUNDS 1000
#define SIGNALS 200
#define CHILDREN 60
#define FSYNC 14 /* takes long where there is a disk */

static atomic_int over, handled, ended;
static pthread_t target;
static int fd, fd2, dir, queue, sems;
static mqd_t mq;
static pid_t child;

static void count(int sig)
{
    *(sig == SIGCHLD ? &ended : &handled) += 1;
}

static void *sender(void *arg)
{
    for (unsigned n = 1; !over; n++) {
        CHECK(pthread_kill(target, SIGUSR1) == 0);
        for (volatile int i = 0; i < 300; i++)
            ;
        if (arg)
            sched_yield();
        if (n % 64 == 0)
            usleep(20);
    }
    return arg;
}

static long call(int which)
{
    static char path[64], buf[512];
    struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct sembuf down = { .sem_op = -1, .sem_flg = IPC_NOWAIT };
    struct { long type; char text[8]; } msg, one = { .type = 1 };
    struct stat st;
    siginfo_t info;
    int n;
    switch (which) {
    case 0: return stat("/etc/passwd", &st);
    case 1: return unlink("/nonexistent");
    case 2: return pread(fd, buf, sizeof(buf), 0);
    case 3: return pwrite(fd, buf, 16, 0);
    case 4: return ftruncate(fd, 512);
    case 5: return mkdir("/", 0700);
    case 6: return readlink("/proc/self/exe", path, sizeof(path));
    case 7: return waitpid(child, NULL, WNOHANG);
    case 8: return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG);
    case 9: return flock(fd2, LOCK_EX | LOCK_NB);
    case 10: return msgrcv(queue, &msg, sizeof(msg.text), 0, IPC_NOWAIT);
    case 11: return semop(sems, &down, 1);
    case 12: return fcntl(fd, F_SETLK, &lk);
    case 13: return ioctl(fd, FIONREAD, &n);
    case FSYNC: return fsync(fd);
    case 15: return access("/nonexistent", F_OK);
    case 16: return lseek(dir, 0, SEEK_SET) | getdents64(dir, buf, sizeof(buf));
    case 17: return n = open("/etc/passwd", O_RDONLY), n < 0 ? n : close(n);
    case 18: return lseek(fd, 0, SEEK_SET) | read(fd, buf, 256);
    case 19: return lseek(fd, 0, SEEK_SET) | write(fd, buf, 256);
    case 20: return fcntl(fd, F_SETLKW, &lk); /* nobody has the lock */
    case 21: return flock(fd, LOCK_EX);
    case 22: return mq_send(mq, buf, 8, 0) | mq_receive(mq, buf, 8, NULL);
    case 23: return msgsnd(queue, &one, 8, 0) | msgrcv(queue, &msg, 8, 0, 0);
    case 24: return semop(sems, (struct sembuf[]){ { .sem_op = 1 }, { .sem_op = -1 } }, 2);
    default: return -1;
    }
}
#define CALLS 25

static void files_and_flags(void)
{
    int interrupted[CALLS] = { 0 };
    for (int i = 0; i < ROUNDS || handled < SIGNALS; i++)
        for (int c = 0; c < CALLS; c++)
            if ((c != FSYNC || i % 50 == 0) && call(c) < 0 && errno == EINTR)
                interrupted[c]++;
    for (int c = 0; c < CALLS; c++)
        if (interrupted[c])
            printf("call %d was interrupted %d times\n", c, interrupted[c]);
}

/* The signal of a child's end comes with the end: there is something to wait for when it does. */
static void children(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            _exit(i);
        int status = 0;
        pid_t got = waitpid(pid, &status, 0);
        if (got != pid) {
            printf("wait: %s\n", strerror(errno));
            CHECK(waitpid(pid, &status, 0) == pid);
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i);
        while (ended <= i) /* another thread may take it, later; it is not to end the next wait */
            usleep(100);
    }
}

static void set_up(void)
{
    char name[32] = "/tmp/at_once.XXXXXX";
    CHECK((fd = mkstemp(name)) >= 0);
    CHECK((fd2 = open(name, O_RDWR)) >= 0);
    CHECK(unlink(name) == 0 && ftruncate(fd, 512) == 0 && flock(fd, LOCK_EX) == 0);
    CHECK((dir = open("/", O_RDONLY | O_DIRECTORY)) >= 0);
    CHECK((queue = msgget(IPC_PRIVATE, 0600)) >= 0);
    struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
    snprintf(name, sizeof(name), "/at_once.%d", getpid());
    CHECK((mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr)) >= 0 && mq_unlink(name) == 0);
    CHECK((sems = semget(IPC_PRIVATE, 1, 0600)) >= 0);
    CHECK((child = fork()) >= 0);
    if (child == 0)
        for (;;)
            pause();
}

int main(void)
{
    struct sigaction sa = { .sa_handler = count };
    pthread_t t[2];
    set_up();
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0 && sigaction(SIGCHLD, &sa, NULL) == 0);
    target = pthread_self();
    t[0] = start(sender, NULL);
    t[1] = start(sender, &over);
    files_and_flags();
    over = 1;
    join(t[0]);
    join(t[1]);
    over = 0;
    children();
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    CHECK(msgctl(queue, IPC_RMID, NULL) == 0 && semctl(sems, 0, IPC_RMID) == 0);
    puts("done");
    return 0;
}
