/* test_smplocks.c - libc's lock prefixes are out while there is one P, and back before anybody else may see the memory. */
#include "unit.h"
#include "smplocks.h"
#include <string.h>
#include <sys/mman.h>

#define N 3

static uint8_t text[4096] __attribute__((aligned(4096)));
static const uintptr_t at[N] = { (uintptr_t)text, (uintptr_t)text + 100, (uintptr_t)text + 4095 };

static bool text_is_fixed;

static void with(int procs)
{
	fake_start(procs);
	fake.mprotect_fails = text_is_fixed;
	memset(text, 0x90, sizeof(text));
	for (int i = 0; i < N; i++)
		*(uint8_t *)at[i] = 0xf0;
	smplocks_init(at, N, (uintptr_t)text, (uintptr_t)text + sizeof(text), PROT_READ | PROT_EXEC);
}

/* All of them, and nothing else was written. */
static bool out(void)
{
	const char *why;
	uint8_t byte = text[0];
	int n = 0;
	ck_assert(byte == 0xf0 || byte == 0x3e);
	for (size_t i = 0; i < sizeof(text); i++)
		n += text[i] != 0x90;
	ck_assert_int_eq(n, N);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(*(uint8_t *)at[i], byte);
	ck_assert_uint_eq(smplocks_out(&why), byte == 0x3e ? N : 0);
	return byte == 0x3e;
}

static bool step(int n)
{
	bool done;
	fake_on(NULL);
	done = procresize_step(n, fake.now);
	fake_on(&fake.ms[0]);
	return done;
}

START_TEST(out_with_one_p)
{
	with(1);
	ck_assert(out());
}
END_TEST

START_TEST(left_with_two)
{
	with(2);
	ck_assert(!out());
}
END_TEST

START_TEST(back_for_shared_memory_and_for_good)
{
	const char *why;
	with(1);
	smplocks_keep("a test");
	ck_assert(!out());
	smplocks_keep("another");
	smplocks_follow();
	ck_assert(!out());
	smplocks_out(&why);
	ck_assert_str_eq(why, "a test");
}
END_TEST

/* Only when the one P has been stopped: its G might be about to use what a second one is to use. */
START_TEST(follows_gomaxprocs)
{
	with(1);
	ck_assert(!step(2));
	ck_assert(out());
	fake_call(main_g, (void (*)(void *))preempt_park, NULL);
	ck_assert(step(2));
	ck_assert(!out());
}
END_TEST

START_TEST(nothing_is_changed_where_text_cannot_be_written)
{
	const char *why;
	text_is_fixed = true;
	with(1);
	ck_assert(!out());
	smplocks_out(&why);
	ck_assert_str_eq(why, "mprotect");
}
END_TEST

/* The program has used up its RLIMIT_DATA meanwhile. */
START_TEST(back_where_text_cannot_become_writable)
{
	with(1);
	ck_assert(out());
	fake.mprotect_fails = fake.poke_works = true;
	smplocks_keep("a test");
	ck_assert(!out());
}
END_TEST

UNIT_MAIN("lock prefixes", out_with_one_p, left_with_two, back_for_shared_memory_and_for_good, follows_gomaxprocs,
	  back_where_text_cannot_become_writable, nothing_is_changed_where_text_cannot_be_written)
