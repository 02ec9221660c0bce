/* scan.c - finds byte patterns in text, at whatever alignment.
 *
 * Decoding all of a library takes 50 ms. Looking at its bytes takes a tenth of a millisecond and finds a superset: every
 * direct branch of the text is among the places that look like one. So the scans here answer "certainly not" at
 * once, and only the few hits are decoded (site.c). Jumps with a 32-bit displacement are counted as real without a second
 * look, since four random bytes do not hit a window by chance.
 */
#include "scan.h"

#include <emmintrin.h>
#include <string.h>

#define BLOOM_SHIFT 5
#define BLOOM_BITS 65536

static int32_t rel32_at(uintptr_t p)
{
	int32_t v;
	memcpy(&v, (const void *)p, sizeof v);
	return v;
}

size_t scan_syscalls(uintptr_t lo, uintptr_t hi, uintptr_t *out, size_t cap)
{
	const __m128i first = _mm_set1_epi8(0x0f), second = _mm_set1_epi8(0x05);
	size_t n = 0;
	uintptr_t p = lo;

	for (; p + 17 <= hi; p += 16) {
		__m128i a = _mm_loadu_si128((const __m128i *)p), b = _mm_loadu_si128((const __m128i *)(p + 1));
		unsigned m = (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, second)));

		for (; m; m &= m - 1) {
			if (n == cap)
				return n;
			out[n++] = p + (unsigned)__builtin_ctz(m);
		}
	}
	for (; p + 2 <= hi; p++) {
		const uint8_t *c = (const uint8_t *)p;
		if (c[0] == 0x0f && c[1] == 0x05 && n < cap)
			out[n++] = p;
	}
	return n;
}

static unsigned bloom_bit(uintptr_t addr)
{
	return (unsigned)(addr >> BLOOM_SHIFT) % BLOOM_BITS;
}

/* Is addr within SCAN_WINDOW of one of the sites? */
static bool in_window(const uintptr_t *sites, size_t n, uintptr_t addr)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (sites[mid] + SCAN_WINDOW < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && sites[lo] < addr + SCAN_WINDOW;
}

static void sort(uintptr_t *v, size_t n)
{
	for (size_t gap = n / 2; gap; gap /= 2)
		for (size_t i = gap; i < n; i++) {
			uintptr_t x = v[i];
			size_t j = i;
			for (; j >= gap && v[j - gap] > x; j -= gap)
				v[j] = v[j - gap];
			v[j] = x;
		}
}

/* One bit for each of the 16 bytes at p that may begin a jump. */
static inline uint64_t jump_mask(uintptr_t p)
{
	const __m128i esc = _mm_set1_epi8(0x0f), jmp = _mm_set1_epi8((char)0xe9);
	const __m128i high = _mm_set1_epi8((char)0xf0), jcc = _mm_set1_epi8((char)0x80);
	__m128i a = _mm_loadu_si128((const __m128i *)p), b = _mm_loadu_si128((const __m128i *)(p + 1));
	__m128i cond = _mm_and_si128(_mm_cmpeq_epi8(a, esc), _mm_cmpeq_epi8(_mm_and_si128(b, high), jcc));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(a, jmp), cond));
}

/* 64 bytes at a time: one jump in 40 bytes of code, so that the loop over the bits is predicted more often than not. */
size_t scan_far_branches(uintptr_t lo, uintptr_t hi, const uintptr_t *sites, size_t n, uintptr_t *out, size_t cap)
{
	uint64_t bloom[BLOOM_BITS / 64] = {0};
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		for (uintptr_t a = sites[i] - SCAN_WINDOW; a <= sites[i] + SCAN_WINDOW; a += 1 << BLOOM_SHIFT)
			bloom[bloom_bit(a) / 64] |= 1ull << bloom_bit(a) % 64;
	for (uintptr_t p = lo; p + 6 <= hi; p += 64) {
		uint64_t m = UINT64_MAX;

		if (p + 70 <= hi)
			m = jump_mask(p) | jump_mask(p + 16) << 16 | jump_mask(p + 32) << 32 | jump_mask(p + 48) << 48;
		for (; m; m &= m - 1) {
			uintptr_t at = p + (unsigned)__builtin_ctzll(m), target;

			if (at + 6 > hi)
				break;
			at += *(const uint8_t *)at == 0xe9 ? 1 : 2;
			target = at + 4 + (uintptr_t)(intptr_t)rel32_at(at);
			if (!(bloom[bloom_bit(target) / 64] >> bloom_bit(target) % 64 & 1) || !in_window(sites, n, target))
				continue;
			if (found < cap)
				out[found] = target;
			found++;
		}
	}
	sort(out, found < cap ? found : cap);
	return found;
}

static bool is_near_branch(uintptr_t p, uintptr_t target)
{
	uint8_t op = *(const uint8_t *)p;

	if (op != 0xeb && (op & 0xf0) != 0x70 && (op & 0xfc) != 0xe0)
		return false;
	return p + 2 + (uintptr_t)(intptr_t)*(const int8_t *)(p + 1) == target;
}

uintptr_t scan_near_branch(uintptr_t lo, uintptr_t hi, uintptr_t target, uintptr_t *at)
{
	const __m128i step = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	uintptr_t p = target - 129 > lo ? target - 129 : lo, end = target + 127 < hi - 1 ? target + 127 : hi - 1;

	if (*at >= p)
		p = *at + 1;
	/* At distance target - (p + 2) the second byte of such a jump is the distance itself. */
	for (; p + 16 <= end; p += 16) {
		__m128i want = _mm_sub_epi8(_mm_set1_epi8((char)(target - p - 2)), step);
		unsigned m = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 1)), want));

		for (; m; m &= m - 1)
			if (is_near_branch(p + (unsigned)__builtin_ctz(m), target))
				return *at = p + (unsigned)__builtin_ctz(m);
	}
	for (; p < end; p++)
		if (is_near_branch(p, target))
			return *at = p;
	return 0;
}
