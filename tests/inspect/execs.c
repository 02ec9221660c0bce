/* execs.c: two threads compute, main tries to execute a program that is not there, again and again. SIGRTMAX, which is what
 * interrupts threads that compute, is ignored by the program: the kernel throws those away that are pending when it
 * learns that. */
#include "known.h"
#include <signal.h>

static volatile unsigned long n[2];

static void *computes(void *arg)
{
	for (volatile unsigned long *p = arg;; ++*p)
		;
}

int main(void)
{
	char *argv[] = { "none", NULL };
	signal(SIGRTMAX, SIG_IGN);
	start(computes, (void *)&n[0], "computes0");
	start(computes, (void *)&n[1], "computes1");
	for (int i = 0; i < 5000; i++)
		execv("/nonexistent/none", argv);
	say_ready();
	for (;;)
		pause();
}
