/* sigprof.c - a program that has use for SIGPROF, interval timers and real-time signals of its own, forks, loads libraries and
 * ends threads by cancellation, while somebody profiles it. Prints "ok" if nothing of that noticed. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Atomic int nprof, nreal, stop, wrong;
static double end;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_prof(int sig, siginfo_t *info, void *uc)
{
	(void)sig, (void)uc;
	if (info->si_code != SI_KERNEL && info->si_code != SI_USER)
		wrong = 1;
	nprof++;
}

static void on_real(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	if (sig != SIGRTMAX - 3 || info->si_value.sival_int != 4711)
		wrong = 2;
	nreal++;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void *computes(void *arg)
{
	char text[256][16];
	while (!stop) {
		for (int i = 0; i < 256; i++)
			snprintf(text[i], sizeof(text[i]), "%d", i * 7919 % 1009);
		qsort(text, 256, sizeof(text[0]), by_text);
	}
	return arg;
}

static void *sleeps(void *arg)
{
	while (!stop) {
		struct timespec ts = { 0, 3000000 };
		if (nanosleep(&ts, NULL) && errno != EINTR)
			wrong = 3;
	}
	return arg;
}

static void *waits(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void forks(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t t;
		if (pthread_create(&t, NULL, sleeps, NULL))
			_exit(1);
		stop = 1;
		pthread_join(t, NULL);
		_exit(7);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			wrong = 4;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
		wrong = 5;
}

static void loads(void)
{
	void *lib = dlopen("libm.so.6", RTLD_NOW), *other = dlopen("libresolv.so.2", RTLD_NOW);
	if (!lib || !other)
		wrong = 6;
	dlclose(other);
	dlclose(lib);
}

static void cancels(void)
{
	pthread_t t;
	void *ret;
	pthread_create(&t, NULL, waits, NULL);
	pthread_cancel(t);
	pthread_join(t, &ret);
	if (ret != PTHREAD_CANCELED)
		wrong = 7;
}

int main(int argc, char **argv)
{
	struct sigaction prof = { .sa_sigaction = on_prof, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction real = { .sa_sigaction = on_real, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct itimerval every = { { 0, 10000 }, { 0, 10000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX - 3, .sigev_value.sival_int = 4711 };
	struct itimerspec spec = { { 0, 5000000 }, { 0, 5000000 } };
	pthread_t t[4];
	timer_t timer;
	int rounds = 0;
	end = now() + (argc > 1 ? atof(argv[1]) : 5);
	sigaction(SIGPROF, &prof, NULL);
	sigaction(SIGRTMAX - 3, &real, NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, i < 2 ? computes : sleeps, NULL);
	setitimer(ITIMER_PROF, &every, NULL);
	timer_create(CLOCK_MONOTONIC, &ev, &timer);
	timer_settime(timer, 0, &spec, NULL);
	printf("ready\n");
	fflush(stdout);
	for (; now() < end; rounds++) {
		forks();
		loads();
		cancels();
	}
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	printf("%s prof=%d real=%d rounds=%d wrong=%d\n", nprof > 0 && nreal > 10 && rounds > 0 && !wrong ? "ok" : "bad", nprof,
	       nreal, rounds, wrong);
	return wrong || !nprof || nreal <= 10;
}
