/* forward.c - signals that come to a recorder and are meant for the program that it runs.
 *
 * What is typed at a terminal, and what is sent to a process group, comes to both; what is sent to us alone has to be handed
 * on; and the program must get each once. The kernel says which ones a terminal sent (SI_KERNEL). It does not say
 * whether a kill was for the group. So a witness is in the group: a process that blocks all signals and answers, when it is
 * asked, whether one has come to it too. The kernel sends to a group under the lock of the table of processes; setpgid
 * takes that lock for writing, so that once it has returned the witness has what we have.
 *
 * Others: perf hands on nothing, and ends the program by SIGTERM; strace relies on the group; gdb gives the program a group and the
 * terminal, after which a shell cannot stop both; sudo looks whether the sender belongs to the program.
 */
#include "forward.h"
#include "command.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP };
#define NFORWARDED (sizeof(forwarded) / sizeof(forwarded[0]))

static struct sigaction before[NFORWARDED];
static volatile sig_atomic_t count;
static volatile pid_t child;
static int witness = -1;

static _Noreturn void bear_witness(int question)
{
	static const struct timespec now = { 0, 0 };
	unsigned char sig;
	sigset_t one;
	while (read(question, &sig, 1) == 1) {
		sigemptyset(&one);
		sigaddset(&one, sig);
		unsigned char came = sigtimedwait(&one, NULL, &now) == sig;
		if (write(question, &came, 1) != 1)
			break;
	}
	_exit(0);
}

static bool came_to_the_group(unsigned char sig)
{
	static atomic_flag asking = ATOMIC_FLAG_INIT;
	unsigned char came = 0;
	if (witness < 0 || getpgid(child) != getpgid(0))
		return false;
	setpgid(0, getpgid(0)); /* changes nothing: see above */
	/* Another thread's handler may be asking, about another signal: it blocks all signals, and comes to its end. */
	while (atomic_flag_test_and_set(&asking))
		sched_yield();
	bool yes = send(witness, &sig, 1, MSG_NOSIGNAL) == 1 && recv(witness, &came, 1, 0) == 1 && came;
	atomic_flag_clear(&asking);
	return yes;
}

static void on_signal(int sig, siginfo_t *info, void *unused)
{
	int e = errno;
	(void)unused;
	count++;
	if (child > 0 && info->si_code <= 0 && !came_to_the_group((unsigned char)sig))
		kill(child, sig);
	errno = e;
}

void forward_catch(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigfillset(&sa.sa_mask);
	for (size_t i = 0; i < NFORWARDED; i++) {
		sigaction(forwarded[i], NULL, &before[i]);
		/* Under nohup nobody is to end. SIGINT is how a recording is ended, also in a shell's background. */
		if (before[i].sa_handler != SIG_IGN || forwarded[i] == SIGINT)
			sigaction(forwarded[i], &sa, NULL);
	}
}

unsigned forward_count(void)
{
	return (unsigned)count;
}

/* It ends when nobody has the other end any more. */
static void make_witness(void)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		for (int fd = 0; fd <= 2; fd++)
			close(fd); /* who reads from us shall see the end with ours */
		bear_witness(ends[1]);
	}
	close(ends[1]);
	witness = ends[0];
}

pid_t forward_fork(void)
{
	sigset_t all, old;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	make_witness();
	pid_t pid = fork();
	if (pid == 0)
		for (size_t i = 0; i < NFORWARDED; i++)
			sigaction(forwarded[i], &before[i], NULL);
	child = pid;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}
