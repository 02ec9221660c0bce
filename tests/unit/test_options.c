/* test_options.c - PRELOOM=key=value,… and GOMAXPROCS: good, bad and unknown values, each with at most one line of
 * warning; CPUs from the affinity mask and the cgroup's quota, both faked at the C library's functions. */
#include "options.h"
#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- a file system of a few files, and CPUs --- */

static struct {
	const char *path, *text;
} files[8];
static int cpus = 8;

int __wrap_open(const char *path, int flags, ...);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);

int __wrap_open(const char *path, int flags, ...)
{
	(void)flags;
	for (int i = 0; i < 8 && files[i].path; i++)
		if (strcmp(files[i].path, path) == 0) {
			int fd = memfd_create("file", 0);
			ck_assert_int_eq(write(fd, files[i].text, strlen(files[i].text)), (int)strlen(files[i].text));
			lseek(fd, 0, SEEK_SET);
			return fd;
		}
	return -1;
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	(void)pid;
	memset(set, 0, size);
	for (int i = 0; i < cpus; i++)
		CPU_SET_S(i, size, set);
	return 0;
}

static void file(const char *path, const char *text)
{
	int i = 0;
	while (files[i].path)
		i++;
	files[i].path = path;
	files[i].text = text;
}

/* --- what was said on stderr --- */

static char said[4096];
static int real_stderr, capture;

static void listen(void)
{
	fflush(stderr);
	real_stderr = dup(2);
	capture = memfd_create("stderr", 0);
	dup2(capture, 2);
}

static int lines(void)
{
	ssize_t n = pread(capture, said, sizeof(said) - 1, 0);
	dup2(real_stderr, 2);
	ck_assert_int_ge((int)n, 0);
	said[n] = 0;
	int k = 0;
	for (const char *p = said; *p; p++)
		k += *p == '\n';
	return k;
}

static int read_with(const char *value)
{
	if (value)
		setenv("PRELOOM", value, 1);
	else
		unsetenv("PRELOOM");
	listen();
	options_read(true);
	return lines();
}

START_TEST(defaults)
{
	ck_assert_int_eq(read_with(NULL), 0);
	ck_assert_int_eq(options.off, 0);
	ck_assert_int_eq(options.schedtrace, 0);
	ck_assert_int_eq(options.scheddetail, 0);
	ck_assert_int_eq(options.maxthreads, 10000);
	ck_assert_int_eq(options.deadlock, 1);
	ck_assert_ptr_null(options.log);
}
END_TEST

START_TEST(values)
{
	ck_assert_int_eq(read_with("schedtrace=1000,scheddetail=1,maxthreads=50,chaos=0x10,deadlock=0"), 0);
	ck_assert_int_eq(options.schedtrace, 1000);
	ck_assert_int_eq(options.scheddetail, 1);
	ck_assert_int_eq(options.maxthreads, 50);
	ck_assert_int_eq(options.chaos, 16);
	ck_assert_int_eq(options.deadlock, 0);
}
END_TEST

START_TEST(a_bare_flag_is_on)
{
	ck_assert_int_eq(read_with("off"), 0);
	ck_assert_int_eq(options.off, 1);
}
END_TEST

START_TEST(a_file)
{
	ck_assert_int_eq(read_with("log=/tmp/a=b.txt,off"), 0);
	ck_assert_uint_eq(options.log_len, 12);
	ck_assert(!strncmp(options.log, "/tmp/a=b.txt", 12));
	ck_assert_int_eq(options.off, 1);
}
END_TEST

START_TEST(empty_items_are_nothing)
{
	ck_assert_int_eq(read_with(""), 0);
	ck_assert_int_eq(read_with(",,schedtrace=5,,"), 0);
	ck_assert_int_eq(options.schedtrace, 5);
}
END_TEST

START_TEST(an_unknown_key_is_one_line)
{
	ck_assert_int_eq(read_with("colour=red,schedtrace=7"), 1);
	ck_assert_ptr_nonnull(strstr(said, "unknown option 'colour'"));
	ck_assert_int_eq(options.schedtrace, 7);
}
END_TEST

START_TEST(a_key_must_match_wholly)
{
	ck_assert_int_eq(read_with("schedtrac=1"), 1);
	ck_assert_int_eq(read_with("schedtracer=1"), 1);
	ck_assert_int_eq(read_with("=1"), 1);
	ck_assert_int_eq(options.schedtrace, 0);
}
END_TEST

START_TEST(bad_values_are_one_line_each)
{
	static const char *const bad[] = { "schedtrace=soon", "schedtrace=",  "schedtrace",    "schedtrace=-1",
					   "schedtrace=1x",   "deadlock=2",   "maxthreads=1",  "maxthreads=1000001",
					   "off=yes",	      "schedtrace=99999999999999999999" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(read_with(bad[i]) == 1, "%s: %s", bad[i], said);
		ck_assert_msg(strstr(said, bad[i]) != NULL, "%s: %s", bad[i], said);
		ck_assert_int_eq(options.schedtrace, 0);
		ck_assert_int_eq(options.deadlock, 1);
		ck_assert_int_eq(options.maxthreads, 10000);
		ck_assert_int_eq(options.off, 0);
	}
	ck_assert_int_eq(read_with("schedtrace=x,deadlock=x"), 2);
}
END_TEST

START_TEST(a_very_long_value)
{
	char text[3000] = "schedtrace=";
	memset(text + strlen(text), '1', 2000);
	ck_assert_int_le(read_with(text), 1);
	ck_assert_int_eq(options.schedtrace, 0);
}
END_TEST

START_TEST(in_silence)
{
	setenv("PRELOOM", "colour=red,schedtrace=x", 1);
	listen();
	options_read(false);
	ck_assert_int_eq(lines(), 0);
}
END_TEST

START_TEST(help_names_every_option)
{
	listen();
	options_help(2);
	lines();
#define X(name, kind, dflt, lo, hi, text) ck_assert_ptr_nonnull(strstr(said, "  " #name " "));
	OPTIONS(X)
#undef X
}
END_TEST

/* --- GOMAXPROCS --- */

static int procs_with(const char *value, int nlines)
{
	if (value)
		setenv("GOMAXPROCS", value, 1);
	else
		unsetenv("GOMAXPROCS");
	listen();
	int n = options_gomaxprocs();
	ck_assert_int_eq(lines(), nlines);
	return n;
}

START_TEST(good_numbers)
{
	ck_assert_int_eq(procs_with("1", 0), 1);
	ck_assert_int_eq(procs_with("7", 0), 7);
	ck_assert_int_eq(procs_with("1024", 0), 1024);
}
END_TEST

START_TEST(bad_numbers_mean_the_default_and_one_line)
{
	static const char *const bad[] = { "0", "-1", "1025", "two", "2 ", "2x", "0x2", "1.5", "99999999999999999999" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(procs_with(bad[i], 1), 8);
		char want[64];
		snprintf(want, sizeof(want), "GOMAXPROCS=%s", bad[i]);
		ck_assert_msg(strstr(said, want) != NULL, "%s", said);
		ck_assert_ptr_nonnull(strstr(said, "using 8"));
	}
}
END_TEST

START_TEST(by_default_the_cpus_of_the_mask)
{
	ck_assert_int_eq(procs_with(NULL, 0), 8);
	ck_assert_int_eq(procs_with("", 0), 8);
	cpus = 1;
	ck_assert_int_eq(procs_with(NULL, 0), 1);
	cpus = 0;
	ck_assert_int_eq(procs_with(NULL, 0), 1);
}
END_TEST

#define V2 "/sys/fs/cgroup"

START_TEST(a_quota_caps_it)
{
	file("/proc/self/cgroup", "0::/\n");
	file(V2 "/cpu.max", "300000 100000\n");
	ck_assert_int_eq(procs_with(NULL, 0), 3);
}
END_TEST

START_TEST(a_part_of_a_cpu_is_one)
{
	file("/proc/self/cgroup", "0::/\n");
	file(V2 "/cpu.max", "10000 100000\n");
	ck_assert_int_eq(procs_with(NULL, 0), 1);
}
END_TEST

START_TEST(a_quota_is_rounded_up)
{
	file("/proc/self/cgroup", "0::/\n");
	file(V2 "/cpu.max", "250000 100000\n");
	ck_assert_int_eq(procs_with(NULL, 0), 3);
}
END_TEST

START_TEST(no_quota)
{
	file("/proc/self/cgroup", "0::/a\n");
	file(V2 "/a/cpu.max", "max 100000\n");
	file(V2 "/cpu.max", "max 100000\n");
	ck_assert_int_eq(procs_with(NULL, 0), 8);
}
END_TEST

START_TEST(a_quota_above_the_mask)
{
	file("/proc/self/cgroup", "0::/\n");
	file(V2 "/cpu.max", "6400000 100000\n");
	ck_assert_int_eq(procs_with(NULL, 0), 8);
}
END_TEST

START_TEST(the_least_on_the_way_to_the_root)
{
	file("/proc/self/cgroup", "0::/a/b\n");
	file(V2 "/a/b/cpu.max", "500000 100000\n");
	file(V2 "/a/cpu.max", "200000 100000\n");
	file(V2 "/cpu.max", "max 100000\n");
	ck_assert_int_eq(procs_with(NULL, 0), 2);
}
END_TEST

START_TEST(the_first_version_of_cgroups)
{
	file("/proc/self/cgroup", "12:memory:/x\n5:cpu,cpuacct:/a\n0::/\n");
	file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "400000\n");
	file("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
	ck_assert_int_eq(procs_with(NULL, 0), 4);
}
END_TEST

START_TEST(the_first_version_without_quota)
{
	file("/proc/self/cgroup", "5:cpu,cpuacct:/a\n");
	file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
	file("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
	ck_assert_int_eq(procs_with(NULL, 0), 8);
}
END_TEST

START_TEST(nonsense_in_the_files)
{
	file("/proc/self/cgroup", "what\n0::/a\n::\n");
	file(V2 "/a/cpu.max", "much\n");
	file(V2 "/cpu.max", "");
	ck_assert_int_eq(procs_with(NULL, 0), 8);
}
END_TEST

START_TEST(a_number_beats_the_quota)
{
	file("/proc/self/cgroup", "0::/\n");
	file(V2 "/cpu.max", "100000 100000\n");
	ck_assert_int_eq(procs_with("5", 0), 5);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		defaults, values, a_bare_flag_is_on, a_file, empty_items_are_nothing, an_unknown_key_is_one_line,
		a_key_must_match_wholly, bad_values_are_one_line_each, a_very_long_value, in_silence,
		help_names_every_option, good_numbers, bad_numbers_mean_the_default_and_one_line,
		by_default_the_cpus_of_the_mask, a_quota_caps_it, a_part_of_a_cpu_is_one, a_quota_is_rounded_up,
		no_quota, a_quota_above_the_mask, the_least_on_the_way_to_the_root, the_first_version_of_cgroups,
		the_first_version_without_quota, nonsense_in_the_files, a_number_beats_the_quota,
	};
	Suite *s = suite_create("options");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		TCase *tc = tcase_create(tests[i]->name);
		tcase_add_test(tc, tests[i]);
		suite_add_tcase(s, tc);
	}
	SRunner *sr = srunner_create(s);
	srunner_set_fork_status(sr, CK_FORK);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
