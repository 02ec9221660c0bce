/* snapshot.c - the scheduler's state in a process, copied once into plain arrays.
 *
 * G's lie side by side in slabs, and one call reads hundreds: a million G's take a fraction of a second.
 */
#include "snapshot.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_MS 100000
#define MAX_SLOTS (1u << 21)
#define CLOCK_TRIES 3

static bool read_ps(const struct target *t, struct snapshot *s)
{
	int n = s->sched.gomaxprocs;
	if (n < 1 || n > MAXPROCS)
		return false;
	s->np = n;
	if (posix_memalign((void **)&s->p, 64, (size_t)n * sizeof(*s->p)))
		return false;
	return target_read(t, t->h.allp, s->p, (size_t)n * sizeof(*s->p));
}

static bool read_ms(const struct target *t, struct snapshot *s)
{
	size_t room = 0;
	for (uintptr_t at = (uintptr_t)s->sched.allm; at && s->nm < MAX_MS;) {
		if (s->nm == room) {
			size_t more = room ? 2 * room : 64;
			struct snap_m *p = realloc(s->m, more * sizeof(*p));
			if (!p)
				return false;
			s->m = p;
			room = more;
		}
		struct snap_m *m = &s->m[s->nm];
		m->addr = at;
		if (!target_read(t, at, &m->m, sizeof(m->m)))
			break;
		s->nm++;
		at = (uintptr_t)m->m.alllink;
	}
	return s->nm > 0;
}

/* Addresses of all G's ever made. */
static uintptr_t *read_table(const struct target *t, uint32_t count)
{
	uint32_t piece = t->h.gpiece;
	uintptr_t *addr = calloc(count ? count : 1, sizeof(*addr));
	if (!addr || !piece)
		return addr;
	for (uint32_t i = 0; i < count; i += piece) {
		uintptr_t at;
		uint32_t n = count - i < piece ? count - i : piece;
		if (target_read(t, t->h.gtable + (size_t)(i / piece) * sizeof(at), &at, sizeof(at)) && at)
			target_read_some(t, at, addr + i, n * sizeof(*addr));
	}
	return addr;
}

static int by_goid(const void *a, const void *b)
{
	uint64_t x = ((const struct snap_g *)a)->g.goid, y = ((const struct snap_g *)b)->g.goid;
	return x < y ? -1 : x > y;
}

static int by_tid(const void *a, const void *b)
{
	uint32_t x = ((const struct snap_tid *)a)->tid, y = ((const struct snap_tid *)b)->tid;
	return x < y ? -1 : x > y;
}

static bool read_gs(const struct target *t, struct snapshot *s)
{
	uint32_t count, n = 0;
	if (!target_read(t, t->h.gcount, &count, sizeof(count)) || count > MAX_SLOTS)
		return false;
	uintptr_t *addr = read_table(t, count);
	void **buf = calloc(count + 1, sizeof(*buf));
	bool *ok = calloc(count + 1, sizeof(*ok));
	s->g = calloc(count + 1, sizeof(*s->g));
	bool good = addr && buf && ok && s->g;
	for (uint32_t i = 0; good && i < count; i++) {
		if (!addr[i])
			continue;
		addr[n] = addr[i];
		s->g[n].addr = addr[i];
		buf[n] = &s->g[n].g;
		n++;
	}
	if (good)
		target_read_many(t, addr, buf, n, sizeof(struct g), ok);
	for (uint32_t i = 0; good && i < n; i++) {
		uint32_t st = load_rlx(&s->g[i].g.status);
		if (ok[i] && st != Gdead && st != Gidle)
			s->g[s->ng++] = s->g[i];
	}
	s->by_tid = good ? calloc(s->ng + 1, sizeof(*s->by_tid)) : NULL;
	good = s->by_tid != NULL;
	if (good)
		qsort(s->g, s->ng, sizeof(*s->g), by_goid);
	for (size_t i = 0; good && i < s->ng; i++)
		s->by_tid[i] = (struct snap_tid){ s->g[i].g.tid, (uint32_t)i };
	if (good)
		qsort(s->by_tid, s->ng, sizeof(*s->by_tid), by_tid);
	free(addr);
	free(buf);
	free(ok);
	return good;
}

/* Of the same moment: what the kernel took of the CPU between the two would make the ratio wrong. */
static void read_clocks(struct snapshot *s)
{
	uint64_t apart = UINT64_MAX;
	for (int i = 0; i < CLOCK_TRIES; i++) {
		struct timespec ts;
		uint64_t before = arch_cputicks();
		clock_gettime(CLOCK_MONOTONIC, &ts);
		uint64_t took = arch_cputicks() - before;
		if (took >= apart)
			continue;
		apart = took;
		s->now = ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
		s->now_ticks = before + took / 2;
	}
}

bool snapshot_take(const struct target *t, struct snapshot *s)
{
	memset(s, 0, sizeof(*s));
	if (!target_read(t, t->h.sched, &s->sched, sizeof(s->sched)) || !read_ps(t, s) || !read_ms(t, s) || !read_gs(t, s)) {
		snapshot_free(s);
		return false;
	}
	read_clocks(s);
	uint64_t ticks = s->now_ticks - s->sched.start_ticks;
	s->ns_per_tick = ticks ? (double)(s->now - s->sched.start_ns) / (double)ticks : 0;
	return true;
}

void snapshot_free(struct snapshot *s)
{
	free(s->p);
	free(s->m);
	free(s->g);
	free(s->by_tid);
	memset(s, 0, sizeof(*s));
}

const struct snap_g *snapshot_g_at(const struct snapshot *s, uintptr_t addr)
{
	for (size_t i = 0; addr && i < s->ng; i++)
		if (s->g[i].addr == addr)
			return &s->g[i];
	return NULL;
}

const struct snap_g *snapshot_g_by_tid(const struct snapshot *s, uint32_t tid)
{
	struct snap_tid key = { tid, 0 };
	const struct snap_tid *found = s->ng ? bsearch(&key, s->by_tid, s->ng, sizeof(key), by_tid) : NULL;
	return found ? &s->g[found->at] : NULL;
}

const struct snap_g *snapshot_g_by_goid(const struct snapshot *s, uint64_t goid)
{
	size_t lo = 0, hi = s->ng;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (s->g[mid].g.goid < goid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->ng && s->g[lo].g.goid == goid ? &s->g[lo] : NULL;
}

const struct snap_m *snapshot_m_at(const struct snapshot *s, uintptr_t addr)
{
	for (size_t i = 0; addr && i < s->nm; i++)
		if (s->m[i].addr == addr)
			return &s->m[i];
	return NULL;
}

const struct snap_m *snapshot_m_by_procid(const struct snapshot *s, int procid)
{
	for (size_t i = 0; i < s->nm; i++)
		if (s->m[i].m.procid == procid)
			return &s->m[i];
	return NULL;
}

/* It may have given up its CPU while it was read: then that is the later of the two times. */
static bool on_cpu(const struct g *g)
{
	uint32_t st = load_rlx(&g->status);
	return (st == Grunning && g->wait_ticks <= g->run_start) || (st == Gsyscall && g->run_start);
}

int64_t snapshot_since(const struct snapshot *s, const struct g *g)
{
	uint64_t from = on_cpu(g) ? g->run_start : g->wait_ticks;
	if (load_rlx(&g->status) == Gsyscall && load_rlx(&g->retaken) > from)
		from = load_rlx(&g->retaken);
	if (!from || s->now_ticks < from || s->ns_per_tick <= 0)
		return from ? 0 : -1;
	return (int64_t)((double)(s->now_ticks - from) * s->ns_per_tick);
}

uint64_t snapshot_ticks(const struct snapshot *s, const struct g *g)
{
	uint64_t ticks = g->cputicks, until = s->now_ticks;
	if (!on_cpu(g))
		return ticks;
	/* In a system call it has a CPU until its P is taken away. */
	if (load_rlx(&g->status) == Gsyscall && load_rlx(&g->retaken) > g->run_start)
		until = load_rlx(&g->retaken);
	return until > g->run_start ? ticks + until - g->run_start : ticks;
}

int64_t snapshot_cpu(const struct snapshot *s, const struct g *g)
{
	return (int64_t)((double)snapshot_ticks(s, g) * s->ns_per_tick);
}
