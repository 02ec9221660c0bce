/* options.c - reading PRELOOM and GOMAXPROCS. A mistake costs one line on stderr, never the program. */
#include "options.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAXPROCS 1024

enum kind { FLAG, NUMBER, FILE_NAME };
#define FILE FILE_NAME

struct option {
	const char *name;
	enum kind kind;
	int64_t dflt, lo, hi;
	void *field;
	const char *text;
};

struct options options;

static const struct option table[] = {
#define X(name, kind, dflt, lo, hi, text) { #name, kind, dflt, lo, hi, &options.name, text },
	OPTIONS(X)
#undef X
};
#undef FILE
#define NOPTIONS (sizeof(table) / sizeof(table[0]))

static void say(const char *fmt, const char *a, int alen, const char *b)
{
	char line[512];
	int n = snprintf(line, sizeof(line), fmt, alen, a, b);
	if (n > (int)sizeof(line) - 1)
		n = sizeof(line) - 1;
	if (write(2, line, (size_t)n) < 0)
		return;
}

static const struct option *find(const char *key, size_t len)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (strlen(table[i].name) == len && memcmp(table[i].name, key, len) == 0)
			return &table[i];
	return NULL;
}

static void set(const struct option *o, const char *item, size_t len, const char *value, size_t vlen, bool warn)
{
	char text[32], range[96], *end;
	if (o->kind == FILE_NAME) {
		*(const char **)o->field = value;
		*(unsigned *)((const char **)o->field + 1) = (unsigned)vlen;
		return;
	}
	if (!value && o->kind == FLAG) {
		*(int64_t *)o->field = 1;
		return;
	}
	bool ok = value && vlen > 0 && vlen < sizeof(text);
	int64_t v = 0;
	if (ok) {
		memcpy(text, value, vlen);
		text[vlen] = 0;
		errno = 0;
		v = strtoll(text, &end, 0);
		ok = errno == 0 && *end == 0 && v >= o->lo && v <= o->hi;
	}
	if (ok) {
		*(int64_t *)o->field = v;
	} else if (warn) {
		snprintf(range, sizeof(range), "%lld to %lld", (long long)o->lo, (long long)o->hi);
		say("preloom: PRELOOM: bad value in '%.*s': it takes a number from %s; ignored\n", item, (int)len, range);
	}
}

void options_read(bool warn)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (table[i].kind != FILE_NAME)
			*(int64_t *)table[i].field = table[i].dflt;
	const char *p = getenv("PRELOOM");
	while (p && *p) {
		size_t len = strcspn(p, ",");
		const char *eq = memchr(p, '=', len);
		size_t klen = eq ? (size_t)(eq - p) : len;
		const struct option *o = find(p, klen);
		if (o)
			set(o, p, len, eq ? eq + 1 : NULL, eq ? len - klen - 1 : 0, warn);
		else if (len && warn)
			say("preloom: PRELOOM: unknown option '%.*s'; PRELOOM=help lists them%s\n", p, (int)klen, "");
		p += len;
		p += *p == ',';
	}
}

void options_help(int fd)
{
	char line[256];
	const char head[] = "PRELOOM=key=value,…   (GOMAXPROCS=1…1024 sets the number of CPUs that run threads;\n"
			    "                       PRELOOM_CHILDREN=0 keeps preloom out of child processes)\n";
	int n = snprintf(line, sizeof(line), "%s", head);
	for (size_t i = 0; i < NOPTIONS + 1; i++) {
		if (write(fd, line, (size_t)n) < 0)
			return;
		if (i == NOPTIONS)
			break;
		const struct option *o = &table[i];
		char dflt[24] = "";
		if (o->kind != FILE_NAME)
			snprintf(dflt, sizeof(dflt), "%lld", (long long)o->dflt);
		n = snprintf(line, sizeof(line), "  %-14s %-6s %s\n", o->name, dflt, o->text);
	}
}

/* --- GOMAXPROCS --- */

static long read_file(const char *path, char *buf, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t r = read(fd, buf, n - 1);
	close(fd);
	if (r >= 0)
		buf[r] = 0;
	return r;
}

/* "quota period" of one cgroup in CPUs, rounded up; 0: no limit. */
static int cpus_of_quota(const char *dir)
{
	char path[600], text[64];
	long long quota = -1, period = 100000;
	snprintf(path, sizeof(path), "%s/cpu.max", dir);
	if (read_file(path, text, sizeof(text)) > 0) {
		if (sscanf(text, "%lld %lld", &quota, &period) < 1)
			return 0;
	} else {
		snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);
		if (read_file(path, text, sizeof(text)) <= 0 || sscanf(text, "%lld", &quota) != 1)
			return 0;
		snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
		if (read_file(path, text, sizeof(text)) > 0 && sscanf(text, "%lld", &period) != 1)
			return 0;
	}
	if (quota <= 0 || period <= 0)
		return 0;
	return (int)((quota + period - 1) / period);
}

/* The least quota from the process's cgroup up to the root. */
static int quota_along(char *dir, size_t root, int best)
{
	for (;;) {
		int n = cpus_of_quota(dir);
		if (n > 0 && (best == 0 || n < best))
			best = n;
		char *slash = strrchr(dir, '/');
		if (!slash || (size_t)(slash - dir) < root)
			return best;
		*slash = 0;
	}
}

static int cgroup_cpus(void)
{
	char text[4096], dir[512];
	int best = 0;
	if (read_file("/proc/self/cgroup", text, sizeof(text)) <= 0)
		return 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *ctl = strchr(line, ':'), *path = ctl ? strchr(ctl + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = 0;
		ctl++;
		const char *base = *ctl ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup";
		if (*ctl && strcmp(ctl, "cpu") && strcmp(ctl, "cpu,cpuacct") && strcmp(ctl, "cpuacct,cpu"))
			continue;
		snprintf(dir, sizeof(dir), "%s%s", base, strcmp(path, "/") ? path : "");
		best = quota_along(dir, strlen(base), best);
	}
	return best;
}

int options_cpus(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static int default_procs(void)
{
	int n = options_cpus(), quota = cgroup_cpus();
	if (quota > 0 && quota < n)
		n = quota;
	return n < 1 ? 1 : n > MAXPROCS ? MAXPROCS : n;
}

int options_gomaxprocs(void)
{
	const char *s = getenv("GOMAXPROCS");
	char *end;
	if (!s || !*s)
		return default_procs();
	errno = 0;
	long v = strtol(s, &end, 10);
	if (errno == 0 && *end == 0 && v >= 1 && v <= MAXPROCS)
		return (int)v;
	char dflt[16];
	int n = default_procs();
	snprintf(dflt, sizeof(dflt), "%d", n);
	say("preloom: GOMAXPROCS=%.*s is not a number from 1 to 1024; using %s\n", s, (int)strlen(s), dflt);
	return n;
}
