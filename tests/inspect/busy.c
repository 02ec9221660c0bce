/* busy.c SECONDS [STRANGE] (0: until standard input ends): threads that do all that threads do, checked: what they count must be right at the end, however often
 * somebody looks at them. With a second argument also: children, signal handlers, libraries that come and go. */
#include "known.h"
#include <dlfcn.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define PAIRS 8

static _Atomic int stop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static unsigned long counter, added[PAIRS], handled, children, libraries;
static _Atomic unsigned long born;
static sem_t ping, pong;

static unsigned long deep(int n, unsigned long x)
{
	volatile unsigned long here = x;
	return n ? deep(n - 1, here * 3 + 1) + here : here;
}

static void *counts(void *arg)
{
	unsigned long *mine = arg;
	while (!stop) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		(*mine)++;
		if (*mine % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void *computes(void *arg)
{
	unsigned long x = 1;
	while (!stop)
		x += deep(50, x);
	return (void *)(x * 0 + (unsigned long)arg);
}

static void *pings(void *arg)
{
	while (!stop) {
		sem_post(&ping);
		sem_wait(&pong);
	}
	sem_post(&ping);
	return arg;
}

static void *pongs(void *arg)
{
	while (!stop) {
		sem_wait(&ping);
		sem_post(&pong);
	}
	sem_post(&pong);
	return arg;
}

static void *naps(void *arg)
{
	while (!stop) {
		struct timespec ts;
		usleep(500);
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec = (ts.tv_nsec + 1000000) % 1000000000;
		pthread_mutex_lock(&lock);
		pthread_cond_timedwait(&turn, &lock, &ts);
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void *echo(void *arg)
{
	int fd = *(int *)arg;
	char b;
	while (read(fd, &b, 1) == 1)
		if (write(fd, &b, 1) != 1)
			break;
	return NULL;
}

static void *asks(void *arg)
{
	int fd = *(int *)arg;
	char b = 0, c;
	while (!stop) {
		b++;
		if (write(fd, &b, 1) != 1 || read(fd, &c, 1) != 1 || b != c) {
			fprintf(stderr, "echo is wrong\n");
			_exit(98);
		}
	}
	shutdown(fd, SHUT_RDWR);
	return NULL;
}

static void *short_life(void *arg)
{
	born++;
	return arg;
}

static void *breeds(void *arg)
{
	while (!stop) {
		pthread_t t;
		CHECK0(pthread_create(&t, NULL, short_life, NULL));
		CHECK0(pthread_join(t, NULL));
	}
	return arg;
}

static void handler(int sig)
{
	(void)sig;
	handled++;
}

static void *strange(void *arg)
{
	while (!stop) {
		raise(SIGUSR1);
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t t;
			pthread_create(&t, NULL, short_life, NULL);
			pthread_join(t, NULL);
			_exit(7);
		}
		int status;
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7) {
			fprintf(stderr, "a child ended wrongly: %#x\n", status);
			_exit(97);
		}
		children++;
		void *h = dlopen("libutil.so.1", RTLD_NOW), *z = dlopen("libz.so.1", RTLD_NOW);
		if (z) {
			unsigned long (*crc)(unsigned long, const char *, unsigned) =
				(unsigned long (*)(unsigned long, const char *, unsigned))dlsym(z, "crc32");
			libraries += crc && crc(0, "a", 1) == 0xe8b7be43;
			dlclose(z);
		}
		if (h)
			dlclose(h);
	}
	return arg;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	pthread_t t[PAIRS + 16];
	int n = 0, sv[2];
	unsigned long sum = 0;
	signal(SIGUSR1, handler);
	CHECK0(sem_init(&ping, 0, 0) || sem_init(&pong, 0, 0) || socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	for (int i = 0; i < PAIRS; i++)
		t[n++] = start(counts, &added[i], "counts");
	t[n++] = start(computes, NULL, "computes");
	t[n++] = start(pings, NULL, "pings");
	t[n++] = start(pongs, NULL, "pongs");
	t[n++] = start(naps, NULL, "naps");
	t[n++] = start(echo, &sv[0], "echo");
	t[n++] = start(asks, &sv[1], "asks");
	t[n++] = start(breeds, NULL, "breeds");
	if (argc > 2)
		t[n++] = start(strange, NULL, "strange");
	say_ready();
	char byte;
	if (seconds > 0)
		usleep((useconds_t)(seconds * 1e6));
	else if (read(0, &byte, 1) < 0) /* until standard input ends */
		return 2;
	stop = 1;
	for (int i = 0; i < n; i++)
		CHECK0(pthread_join(t[i], NULL));
	for (int i = 0; i < PAIRS; i++)
		sum += added[i];
	if (sum != counter || born == 0) {
		fprintf(stderr, "counted %lu, is %lu\n", sum, counter);
		return 1;
	}
	if (argc > 2 && (!handled || !children)) {
		fprintf(stderr, "handled %lu, children %lu\n", handled, children);
		return 1;
	}
	printf("done: counted %lu, born %lu, handled %lu, children %lu, libraries %lu\n", counter, born, handled, children,
	       libraries);
	return 0;
}
