/* sigtimer.c - which G a POSIX timer notifies.
 *
 * The kernel knows no G, so timer_create with SIGEV_THREAD_ID becomes one that signals the process; the id in its siginfo
 * leads to the G. Few programs have more than one such timer (glibc's SIGEV_THREAD helper): a short table does.
 */
#include "sigimpl.h"

static struct entry {
	int id;
	struct g *g;
	uint64_t goid;
} *table;
static uint32_t used, room;

void sig_timer_add(int id, struct g *g)
{
	lock(&siglock);
	if (used == room) {
		uint32_t n = room ? room * 2 : 64;
		table = rt_grow(table, room * sizeof(*table), n * sizeof(*table));
		room = n;
	}
	table[used++] = (struct entry){ id, g, g->goid };
	unlock(&siglock);
}

void sig_timer_del(int id)
{
	lock(&siglock);
	for (uint32_t i = 0; i < used; i++)
		if (table[i].id == id) {
			table[i] = table[--used];
			break;
		}
	unlock(&siglock);
}

/* A fork's child has no timers. */
void sig_timer_reset(void)
{
	used = 0;
}

struct g *sig_timer_target(int id)
{
	for (uint32_t i = 0; i < used; i++)
		if (table[i].id == id)
			return table[i].g->goid == table[i].goid ? table[i].g : NULL;
	return NULL;
}
