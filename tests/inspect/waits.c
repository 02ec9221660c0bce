/* waits.c: a thread for every kind of waiting, each named after what it waits for. */
#include "known.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/file.h>
#include <fcntl.h>
#include <sched.h>

static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER, cond_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t the_cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t the_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t the_barrier;
static sem_t the_sem;
static int pipe_fd[2], tcp_fd, listen_fd, lock_fd, epoll_fd;
static pthread_t spinner;

static void *holder(void *arg)
{
	pthread_mutex_lock(&the_lock);
	pthread_barrier_wait(arg);
	sleep(1000);
	return NULL;
}

static void *spins(void *arg)
{
	volatile unsigned long n = 0;
	for (;;)
		n++;
	return arg;
}

static void *mutex(void *arg) { pthread_mutex_lock(&the_lock); return arg; }
static void *cond(void *arg) { pthread_mutex_lock(&cond_lock); pthread_cond_wait(&the_cond, &cond_lock); return arg; }
static void *semaphore(void *arg) { sem_wait(&the_sem); return arg; }
static void *rdlock(void *arg) { pthread_rwlock_rdlock(&the_rwlock); return arg; }
static void *wrlock(void *arg) { pthread_rwlock_wrlock(&the_rwlock); return arg; }
static void *barrier(void *arg) { pthread_barrier_wait(&the_barrier); return arg; }
static void *joiner(void *arg) { pthread_join(spinner, NULL); return arg; }
static void *sleeper(void *arg) { sleep(500); return arg; }
static void *reader(void *arg) { char b; (void)!read(pipe_fd[0], &b, 1); return arg; }
static void *receiver(void *arg) { char b; recv(tcp_fd, &b, 1, 0); return arg; }
static void *acceptor(void *arg) { accept(listen_fd, NULL, NULL); return arg; }
static void *poller(void *arg) { struct pollfd p[2] = { { pipe_fd[0], POLLIN, 0 }, { tcp_fd, POLLIN, 0 } }; poll(p, 2, -1); return arg; }
static void *selector(void *arg) { fd_set s; FD_ZERO(&s); FD_SET(pipe_fd[0], &s); select(pipe_fd[0] + 1, &s, NULL, NULL, NULL); return arg; }
static void *epoller(void *arg) { struct epoll_event e; epoll_wait(epoll_fd, &e, 1, -1); return arg; }
static void *flocker(void *arg) { flock(lock_fd, LOCK_EX); return arg; }
static void *sigwaiter(void *arg) { sigset_t s; int n; sigemptyset(&s); sigaddset(&s, SIGUSR2); sigwait(&s, &n); return arg; }
static void *wired(void *arg) { CHECK0(unshare(CLONE_FS)); sleep(500); return arg; }

static void make_sockets(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK0(bind(listen_fd, (void *)&a, n));
	CHECK0(listen(listen_fd, 5));
	getsockname(listen_fd, (void *)&a, &n);
	tcp_fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK0(connect(tcp_fd, (void *)&a, n));
	accept(listen_fd, NULL, NULL);
	printf("port %d pipe %d tcp %d listen %d ", ntohs(a.sin_port), pipe_fd[0], tcp_fd, listen_fd);
}

static void make_file_lock(void)
{
	char name[] = "/tmp/known-lock-XXXXXX", link[64];
	int first = mkstemp(name);
	CHECK0(flock(first, LOCK_EX));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", first);
	lock_fd = open(link, O_RDWR);
	unlink(name);
}

int main(void)
{
	pthread_barrier_t held;
	CHECK0(pthread_barrier_init(&held, NULL, 2));
	CHECK0(pthread_barrier_init(&the_barrier, NULL, 2));
	CHECK0(pipe(pipe_fd));
	epoll_fd = epoll_create1(0);
	make_sockets();
	make_file_lock();
	pthread_rwlock_wrlock(&the_rwlock);
	start(holder, &held, "holder");
	pthread_barrier_wait(&held);
	spinner = start(spins, NULL, "spins");
	start(mutex, NULL, "mutex");
	start(cond, NULL, "cond");
	start(semaphore, NULL, "semaphore");
	start(rdlock, NULL, "rdlock");
	start(wrlock, NULL, "wrlock");
	start(barrier, NULL, "barrier");
	start(joiner, NULL, "joiner");
	start(sleeper, NULL, "sleeper");
	start(reader, NULL, "reader");
	start(receiver, NULL, "receiver");
	start(acceptor, NULL, "acceptor");
	start(poller, NULL, "poller");
	start(selector, NULL, "selector");
	start(epoller, NULL, "epoller");
	start(flocker, NULL, "flocker");
	start(sigwaiter, NULL, "sigwaiter");
	start(wired, NULL, "wired");
	usleep(200000);
	say_ready();
	for (;;)
		pause();
}
