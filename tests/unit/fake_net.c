/* fake_net.c - the netpoller for the unit tests: events are what the test put into fake.net. */
#include "fake_os.h"

void netpoll_init(void)
{
}

bool netpoll_inited(void)
{
	return true;
}

bool netpoll_waiters(void)
{
	return fake.net_waiting || fake.net.n;
}

void netpoll_break(void)
{
	fake.net_breaks++;
	fake.net_broken = true;
}

bool netpoll(int64_t delay_ns, struct gqueue *out)
{
	struct g *g;
	fake.net_polls++;
	fake.net_delay = delay_ns;
	if (delay_ns != 0 && fake.net.n == 0 && !fake.net_broken) {
		fake.running->until = delay_ns < 0 ? -1 : fake.now + delay_ns;
		fake_suspend(MPolling);
	}
	bool broken = delay_ns != 0 && fake.net_broken;
	if (broken)
		fake.net_broken = false;
	while ((g = gqueue_pop(&fake.net)))
		gqueue_push(out, g);
	return broken;
}

void netpoll_after_fork(void)
{
	fake.net = (struct gqueue){ 0 };
	fake.net_waiting = fake.net_broken = false;
}
