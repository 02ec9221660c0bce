/* fake_sig.c - the signal layer for unit tests that are not about signals: it only counts. */
#include "fake_os.h"

const char preloom_sigreturn[1];

bool sig_m_alloc(struct m *m)
{
	(void)m;
	return true;
}

void sig_m_free(struct m *m)
{
	(void)m;
}

void sig_m_wired(struct m *m)
{
	(void)m;
}

void sig_kick(struct m *m)
{
	if (load_rlx(&m->look))
		fake.looks++;
	else
		fake.kicks++;
	fake.kicked = m;
}

void sig_drain(void)
{
}

void sig_sleep_begin(struct m *m)
{
	store_rlx(&m->waitsig, 1);
}

void sig_sleep_end(struct m *m)
{
	store_rlx(&m->waitsig, 0);
}

void sig_cpu_timers(void)
{
}

void sig_tick(void)
{
	fake.ticks++;
}

void sig_g_init(struct g *child, struct g *parent)
{
	store_rlx(&child->sig.mask, load_rlx(&parent->sig.mask));
}

void sig_g_exit(struct g *g)
{
	g->sig.exiting = true;
}

void sig_fork_prepare(void)
{
}

void sig_fork_parent(void)
{
}

void sig_after_fork_child(struct g *self)
{
	store_rlx(&self->interrupt, 0);
}

void sig_lock(void)
{
}

void sig_unlock(void)
{
}

void sig_end_waits(void)
{
	fake.ended_waits++;
}

void sig_ending_changed(void)
{
}

bool sig_deliverable(struct g *g)
{
	return load_acq(&g->interrupt) != 0;
}
