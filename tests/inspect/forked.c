/* forked.c: a process with a thread forks a child that makes none. Prints "ready" and the child's id. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *nothing(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t t;
	int fds[2];
	char c;
	if (pipe(fds) != 0)
		return 1;
	pthread_create(&t, NULL, nothing, NULL);
	pthread_join(t, NULL);
	pid_t child = fork();
	if (child == 0) {
		close(fds[1]);
		return read(fds[0], &c, 1) < 0;
	}
	printf("ready\n%d\n", (int)child);
	fflush(stdout);
	return read(0, &c, 1) < 0;
}
