/* print.c - formatted output without libc: %s %d %u %x %p %c, with l and ll, width and 0; and the end by throw. */
#include "crash.h"
#include "runtime.h"
#include <stdarg.h>

struct out {
	char *p;
	size_t n, cap;
};

static void put(struct out *o, char c)
{
	if (o->n + 1 < o->cap)
		o->p[o->n++] = c;
}

static void put_number(struct out *o, uint64_t v, unsigned base, bool neg, int width, char pad)
{
	char tmp[24];
	int n = 0;
	do {
		tmp[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	int len = n + neg;
	if (neg && pad == '0')
		put(o, '-');
	for (; width > len; width--)
		put(o, pad);
	if (neg && pad != '0')
		put(o, '-');
	while (n)
		put(o, tmp[--n]);
}

static void put_string(struct out *o, const char *s, int width)
{
	int n = 0;
	for (s = s ? s : "(null)"; *s; s++, n++)
		put(o, *s);
	for (; n < width; n++)
		put(o, ' ');
}

static uint64_t next_arg(va_list *ap, int longs, bool is_signed)
{
	if (longs)
		return va_arg(*ap, uint64_t);
	return is_signed ? (uint64_t)(int64_t)va_arg(*ap, int) : va_arg(*ap, unsigned);
}

static int format(char *buf, size_t cap, const char *f, va_list *ap)
{
	struct out o = { buf, 0, cap };
	for (; *f; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		int width = 0, longs = 0;
		char pad = ' ';
		f++;
		if (*f == '-')
			f++;
		if (*f == '0')
			pad = *f++;
		for (; *f >= '0' && *f <= '9'; f++)
			width = width * 10 + *f - '0';
		for (; *f == 'l' || *f == 'z'; f++)
			longs++;
		switch (*f) {
		case 's':
			put_string(&o, va_arg(*ap, const char *), width);
			break;
		case 'c':
			put(&o, (char)va_arg(*ap, int));
			break;
		case 'd': {
			int64_t v = (int64_t)next_arg(ap, longs, true);
			put_number(&o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, v < 0, width, pad);
			break;
		}
		case 'u':
			put_number(&o, next_arg(ap, longs, false), 10, false, width, pad);
			break;
		case 'x':
			put_number(&o, next_arg(ap, longs, false), 16, false, width, pad);
			break;
		case 'p':
			put(&o, '0');
			put(&o, 'x');
			put_number(&o, (uint64_t)va_arg(*ap, void *), 16, false, 0, ' ');
			break;
		default:
			put(&o, *f);
		}
	}
	o.p[o.n] = 0;
	return (int)o.n;
}

int rt_snprintf(char *buf, size_t n, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = format(buf, n, fmt, &ap);
	va_end(ap);
	return r;
}

void rt_printf(int fd, const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	va_start(ap, fmt);
	int n = format(buf, sizeof(buf), fmt, &ap);
	va_end(ap);
	os_write(fd, buf, (size_t)n);
}

_Noreturn void throw(const char *rule)
{
	static _Atomic uint32_t once;
	if (atomic_exchange(&once, 1))
		for (;;)
			os_usleep(NSEC_PER_SEC);
	rt_printf(2, "preloom: fatal error: %s\n", rule);
	crash_throw();
	os_abort();
}
