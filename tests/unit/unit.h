/* unit.h - what the unit tests of the runtime share: G's in a wanted state, and main. */
#ifndef PRELOOM_UNIT_H
#define PRELOOM_UNIT_H

#include <check.h>
#include "fake_os.h"

#define USEC NSEC_PER_USEC
#define MSEC NSEC_PER_MSEC

/* Runs each test in a process of its own. */
int unit_main(const char *name, const TTest *const tests[], int n);
int unit_loop(const char *name, const TTest *test, int n); /* one test with _i from 0 to n - 1 */
#define UNIT_MAIN(name, ...)                                                       \
	int main(void)                                                             \
	{                                                                          \
		const TTest *const tests[] = { __VA_ARGS__ };                      \
		return unit_main(name, tests, (int)(sizeof(tests) / sizeof(tests[0]))); \
	}

struct g *unit_runnable(void);		   /* on no queue yet */
struct g *unit_parked(enum waitreason why); /* ready() and the wait record take it for a G that parked */
uint32_t unit_seq(const struct g *g);	   /* number of its wait record */
struct g *unit_spawn(void);		   /* a new G that computes on an M of its own; needs an idle P */
void unit_net_event(struct g *g);	   /* the descriptor that g waits for is ready; netpoll will say so */
void unit_park(void *unused);		   /* for fake_call: the G waits, until its wait record is claimed */
void unit_yield(void *unused);		   /* for fake_call: goyield */
void unit_exit(void *unused);		   /* for fake_call: the thread ends */
struct g *unit_take(void);		   /* what M 0, or whom fake_on named, would run next without sleeping */
struct g *unit_curg(int m);		   /* what the m-th M runs */

#endif
