/* test_findlocks.c - where lock prefixes are: on the whole of this process's libc, against a decoding of all of it. */
#include <check.h>
#include <stdlib.h>

#include "preload/arch/x86_64/site.h"
#include "preload/decode.h"
#include "preload/findlocks.h"
#include "preload/object.h"

#define MAX 4096
#define PAGE 4096UL

static struct object libc;
static uintptr_t found[MAX];
static size_t nfound;

/* A jump in every page, as far as findlocks is concerned. */
static struct site sites[MAX];
static size_t nsites;

static void find_libc(void)
{
	struct object_list l;

	decode_init();
	ck_assert_int_eq(object_list_get(&l), 0);
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].kind == OBJECT_LIBC)
			libc = l.v[i];
	object_list_free(&l);
	ck_assert_uint_ge(libc.ntext, 1);
}

static void add_site(uintptr_t at)
{
	ck_assert_uint_lt(nsites, MAX);
	sites[nsites++] = (struct site){.addr = at, .span = at, .state = SITE_REWRITTEN};
}

static bool was_found(uintptr_t at)
{
	for (size_t i = 0; i < nfound; i++)
		if (found[i] == at)
			return true;
	return false;
}

/* The instruction at p begins with the prefix. */
static bool is_locked(uintptr_t p)
{
	return *(const uint8_t *)p == 0xf0;
}

/* Every instruction of text; fn for each. */
static void each_instruction(void (*fn)(uintptr_t))
{
	uintptr_t p = libc.text[0].lo, hi = libc.text[0].hi;
	struct insn in;

	while (p < hi) {
		if (!decode_insn(p, hi, &in)) {
			p++;
			continue;
		}
		fn(p);
		p += in.len;
	}
}

static size_t locked;

static void count_locked(uintptr_t p)
{
	if (!is_locked(p))
		return;
	locked++;
	ck_assert_msg(was_found(p), "libc+%#lx was not found", (unsigned long)(p - libc.base));
}

/* All pages are changed: then all are found, and nothing else is. */
START_TEST(all_of_libc)
{
	find_libc();
	for (uintptr_t page = libc.text[0].lo; page < libc.text[0].hi; page += PAGE)
		add_site(page); /* where a jump is written no prefix is taken: see below */
	for (size_t i = 0; i < nsites; i++)
		sites[i].span += is_locked(sites[i].span) ? 1 : 0;
	nfound = findlocks(&libc, sites, nsites, found, MAX);
	each_instruction(count_locked);
	ck_assert_uint_eq(locked, nfound);
	ck_assert_uint_gt(nfound, 300);
}
END_TEST

/* Pages that are not changed keep theirs; so do the bytes of a jump. */
START_TEST(only_where_text_is_changed)
{
	uintptr_t page;

	find_libc();
	for (page = libc.text[0].lo; page < libc.text[0].hi; page += PAGE)
		add_site(page);
	nfound = findlocks(&libc, sites, nsites, found, MAX);
	ck_assert_uint_gt(nfound, 300);
	page = found[nfound / 2] & ~(PAGE - 1);
	nsites = 0;
	add_site(found[nfound / 2] - (JUMP_SIZE - 1));
	if (sites[0].span < page)
		sites[0].span = found[nfound / 2];
	uintptr_t covered = found[nfound / 2];
	nfound = findlocks(&libc, sites, nsites, found, MAX);
	ck_assert(!was_found(covered));
	for (size_t i = 0; i < nfound; i++)
		ck_assert_uint_eq(found[i] & ~(PAGE - 1), page);
	sites[0].state = SITE_NOT_NEEDED;
	ck_assert_uint_eq(findlocks(&libc, sites, nsites, found, MAX), 0);
}
END_TEST

START_TEST(no_more_than_fit)
{
	find_libc();
	for (uintptr_t page = libc.text[0].lo; page < libc.text[0].hi; page += PAGE)
		add_site(page);
	ck_assert_uint_eq(findlocks(&libc, sites, nsites, found, 7), 7);
}
END_TEST

START_TEST(unseen_sites)
{
	struct site s = {.nr = 9, .state = SITE_REWRITTEN};

	ck_assert(!findlocks_unseen(&s));
	s.reason = REASON_BRANCH_TO_SITE;
	ck_assert(findlocks_unseen(&s));
	s.nr = 0; /* read */
	ck_assert(!findlocks_unseen(&s));
	s.reason = REASON_NO_SPAN;
	s.state = SITE_REFUSED;
	ck_assert(!findlocks_unseen(&s));
	s.nr = -1; /* any */
	ck_assert(findlocks_unseen(&s));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("findlocks");
	TCase *t = tcase_create("prefixes");
	SRunner *r;
	int failed;

	tcase_add_test(t, all_of_libc);
	tcase_add_test(t, only_where_text_is_changed);
	tcase_add_test(t, no_more_than_fit);
	tcase_add_test(t, unseen_sites);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
