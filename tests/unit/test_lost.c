/* test_lost.c - a kernel thread that the kernel ended of its own is noticed. */
#include "unit.h"
#include "lost.h"

static struct g *worker;

static void with_worker(void)
{
	fake_start(2);
	worker = unit_spawn();
	ck_assert(!lost_look(fake.now, true));
}

static void m_abandon(struct m *m)
{
	lock(&sched.lock);
	m_abandon_locked(m);
	unlock(&sched.lock);
}

static void look(void *at_once)
{
	lost_look(fake.now, at_once != NULL);
}

static const char *look_after(int64_t ns, bool at_once)
{
	fake.now += ns;
	return fake_throw(look, at_once ? worker : NULL);
}

START_TEST(it_is_seen_twice_before_the_process_ends)
{
	with_worker();
	store_rlx(&worker->m->lives, 0);
	ck_assert_ptr_null(look_after(100 * MSEC, false));
	ck_assert(lost_look(fake.now, true));
	ck_assert_ptr_null(look_after(99 * MSEC, true));
	const char *thrown = look_after(MSEC, true);
	ck_assert_ptr_nonnull(thrown);
	ck_assert_ptr_nonnull(strstr(thrown, "preloom: fatal error: the kernel ended thread "));
}
END_TEST

START_TEST(it_looks_every_100_ms)
{
	with_worker();
	store_rlx(&worker->m->lives, 0);
	ck_assert(!lost_look(fake.now + 99 * MSEC, false));
	ck_assert(lost_look(fake.now + 100 * MSEC, false));
}
END_TEST

START_TEST(each_is_seen_twice)
{
	with_worker();
	struct m *m = worker->m;
	store_rlx(&m->lives, 0);
	ck_assert_ptr_null(look_after(100 * MSEC, false));
	store_rlx(&m->lives, 1);
	ck_assert_ptr_null(look_after(100 * MSEC, false));
	store_rlx(&m->lives, 0);
	ck_assert_ptr_null(look_after(100 * MSEC, false));
	ck_assert_ptr_nonnull(look_after(100 * MSEC, false));
}
END_TEST

START_TEST(one_that_is_being_made_or_runs_nothing_more)
{
	with_worker();
	struct m *m = worker->m;
	store_rlx(&m->lives, 0);
	m->tainted = true;
	ck_assert(!lost_look(fake.now, true));
	m->tainted = false;
	m->procid = 0;
	ck_assert(!lost_look(fake.now, true));
}
END_TEST

/* The kernel clears the word when it has left its last instruction behind, which is after it has given itself back. */
START_TEST(a_structure_waits_for_the_end_of_its_kernel_thread)
{
	with_worker();
	struct m *m = m_new(), *other;
	store_rlx(&m->lives, 1);
	m_abandon(m);
	other = m_new();
	ck_assert_ptr_ne(other, m);
	m_abandon(other);
	store_rlx(&m->lives, 0);
	ck_assert_ptr_eq(m_new(), other);
	ck_assert_ptr_eq(m_new(), m);
}
END_TEST

UNIT_MAIN("lost", it_is_seen_twice_before_the_process_ends, it_looks_every_100_ms, each_is_seen_twice,
	  one_that_is_being_made_or_runs_nothing_more, a_structure_waits_for_the_end_of_its_kernel_thread)
