/* unwind_cursor.c - reads unwind information through the space's callback, a piece of 64 bytes at a time.
 *
 * An error is remembered instead of returned: readers go on with zeros and look at `bad` once in a while.
 */
#include "unwind.h"

#define PE_FORMAT 0x0f
#define PE_APPLICATION 0x70
#define PE_PCREL 0x10

void cursor_init(struct unwind_cursor *c, const struct unwind_space *s, uintptr_t at, uintptr_t end)
{
	c->s = s;
	c->at = at;
	c->end = end;
	c->nhave = 0;
	c->have = 0;
	c->bad = end < at;
}

static uint8_t byte(struct unwind_cursor *c)
{
	if (c->at - c->have >= c->nhave) {
		size_t n = c->end - c->at;
		if (c->bad || c->at >= c->end)
			goto bad;
		n = n < sizeof(c->buf) ? n : sizeof(c->buf);
		if (c->s->read(c->s->ctx, c->buf, c->at, n))
			goto bad;
		c->have = c->at;
		c->nhave = (uint32_t)n;
	}
	return c->buf[c->at++ - c->have];
bad:
	c->bad = true;
	return 0;
}

uint64_t cursor_uint(struct unwind_cursor *c, unsigned bytes)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)byte(c) << 8 * i;
	return v;
}

int64_t cursor_sint(struct unwind_cursor *c, unsigned bytes)
{
	unsigned shift = 64 - 8 * bytes;
	return (int64_t)(cursor_uint(c, bytes) << shift) >> shift;
}

static uint64_t leb(struct unwind_cursor *c, bool is_signed)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b;
	do {
		b = byte(c);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (is_signed && shift < 64 && (b & 0x40))
		v |= ~0ULL << shift;
	return v;
}

uint64_t cursor_uleb(struct unwind_cursor *c)
{
	return leb(c, false);
}

int64_t cursor_sleb(struct unwind_cursor *c)
{
	return (int64_t)leb(c, true);
}

/* DW_EH_PE_*; what an indirect pointer points to is not read: no such pointer matters here. */
uint64_t cursor_encoded(struct unwind_cursor *c, uint8_t enc)
{
	uintptr_t here = c->at;
	uint64_t v;
	switch (enc & PE_FORMAT) {
	case 0x0: /* absptr */
	case 0x4: /* udata8 */
	case 0xc: /* sdata8 */
		v = cursor_uint(c, 8);
		break;
	case 0x1:
		v = cursor_uleb(c);
		break;
	case 0x2:
		v = cursor_uint(c, 2);
		break;
	case 0x3:
		v = cursor_uint(c, 4);
		break;
	case 0x9:
		v = (uint64_t)cursor_sleb(c);
		break;
	case 0xa:
		v = (uint64_t)cursor_sint(c, 2);
		break;
	case 0xb:
		v = (uint64_t)cursor_sint(c, 4);
		break;
	default:
		c->bad = true;
		return 0;
	}
	switch (enc & PE_APPLICATION) {
	case 0:
		return v;
	case PE_PCREL:
		return v + here;
	default:
		c->bad = true;
		return 0;
	}
}

void cursor_skip(struct unwind_cursor *c, uint64_t n)
{
	if (n > c->end - c->at)
		c->bad = true;
	else
		c->at += n;
}
