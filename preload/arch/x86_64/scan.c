/* scan.c - finds byte patterns in text, at whatever alignment.
 *
 * Decoding all of a library takes 50 ms. Looking at its bytes takes a tenth of a millisecond and finds a superset: every
 * direct branch of the text is among the places that look like one. So the scans here answer "certainly not" at
 * once, and only the few hits are decoded (site.c). Jumps with a 32-bit displacement are counted as real without a second
 * look, since four random bytes do not hit a window by chance.
 *
 * Text is looked at in blocks of 64 bytes: a mask says where in the block something may begin. With AVX2 the search for
 * system calls runs at the speed of memory, which is what counts for programs with tens of megabytes of code.
 */
#include "scan.h"

#include <immintrin.h>
#include <string.h>
#include <sys/platform/x86.h>

#define BLOCK 64
#define AHEAD 2
#define BLOOM_SHIFT 5
#define BLOOM_BITS 65536
#define PENDING 1024 /* places that look like jumps and have not been looked at */
#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline))

static int32_t rel32_at(uintptr_t p)
{
	int32_t v;
	memcpy(&v, (const void *)p, sizeof v);
	return v;
}

static bool has_avx2(void)
{
	return CPU_FEATURE_ACTIVE(AVX2);
}

/* --- masks: one bit for each of the 64 bytes at p; AHEAD more are read --- */

/* 0f 05, and 0f ae: if d8 to df follows and f3 is before it, that is wrgsbase */
INLINE uint64_t syscalls_16(uintptr_t p)
{
	__m128i a = _mm_loadu_si128((const __m128i *)p), b = _mm_loadu_si128((const __m128i *)(p + 1));
	__m128i second = _mm_or_si128(_mm_cmpeq_epi8(b, _mm_set1_epi8(0x05)), _mm_cmpeq_epi8(b, _mm_set1_epi8((char)0xae)));

	return (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8(0x0f)), second));
}

INLINE uint64_t syscalls_sse2(uintptr_t p)
{
	return syscalls_16(p) | syscalls_16(p + 16) << 16 | syscalls_16(p + 32) << 32 | syscalls_16(p + 48) << 48;
}

AVX2 INLINE __m256i syscalls_32(uintptr_t p)
{
	__m256i a = _mm256_loadu_si256((const __m256i *)p), b = _mm256_loadu_si256((const __m256i *)(p + 1));
	__m256i second = _mm256_or_si256(_mm256_cmpeq_epi8(b, _mm256_set1_epi8(0x05)),
					 _mm256_cmpeq_epi8(b, _mm256_set1_epi8((char)0xae)));

	return _mm256_and_si256(_mm256_cmpeq_epi8(a, _mm256_set1_epi8(0x0f)), second);
}

AVX2 INLINE uint64_t mask_of(__m256i low, __m256i high)
{
	return (unsigned)_mm256_movemask_epi8(low) | (uint64_t)(unsigned)_mm256_movemask_epi8(high) << 32;
}

AVX2 INLINE uint64_t syscalls_avx2(uintptr_t p)
{
	__m256i low = syscalls_32(p), high = syscalls_32(p + 32);

	return _mm256_testz_si256(_mm256_or_si256(low, high), _mm256_set1_epi8(-1)) ? 0 : mask_of(low, high);
}

/* e9, or 0f 80 to 0f 8f */
INLINE uint64_t jumps_16(uintptr_t p)
{
	__m128i a = _mm_loadu_si128((const __m128i *)p), b = _mm_loadu_si128((const __m128i *)(p + 1));
	__m128i high = _mm_and_si128(b, _mm_set1_epi8((char)0xf0));
	__m128i jcc = _mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8(0x0f)), _mm_cmpeq_epi8(high, _mm_set1_epi8((char)0x80)));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8((char)0xe9)), jcc));
}

INLINE uint64_t jumps_sse2(uintptr_t p)
{
	return jumps_16(p) | jumps_16(p + 16) << 16 | jumps_16(p + 32) << 32 | jumps_16(p + 48) << 48;
}

AVX2 INLINE __m256i jumps_32(uintptr_t p)
{
	__m256i a = _mm256_loadu_si256((const __m256i *)p), b = _mm256_loadu_si256((const __m256i *)(p + 1));
	__m256i high = _mm256_and_si256(b, _mm256_set1_epi8((char)0xf0));
	__m256i jcc = _mm256_and_si256(_mm256_cmpeq_epi8(a, _mm256_set1_epi8(0x0f)),
				       _mm256_cmpeq_epi8(high, _mm256_set1_epi8((char)0x80)));

	return _mm256_or_si256(_mm256_cmpeq_epi8(a, _mm256_set1_epi8((char)0xe9)), jcc);
}

AVX2 INLINE uint64_t jumps_avx2(uintptr_t p)
{
	return mask_of(jumps_32(p), jumps_32(p + 32));
}

/* --- system calls --- */

struct found {
	uintptr_t *out;
	size_t n, cap;
};

static void add_masked(struct found *f, uintptr_t p, uint64_t m)
{
	for (; m && f->n < f->cap; m &= m - 1)
		f->out[f->n++] = p + (unsigned)__builtin_ctzll(m);
}

/* Is 0f ae d8 at p the rest of a wrgsbase? The prefix is f3, perhaps with a REX between. */
static bool is_wrgsbase(uintptr_t lo, uintptr_t p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (p > lo && b[-1] == 0xf3) || (p > lo + 1 && b[-2] == 0xf3 && (b[-1] & 0xf0) == 0x40);
}

static void take(struct found *f, uintptr_t lo, uintptr_t p, uint64_t m, bool *wrgsbase)
{
	for (; m; m &= m - 1) {
		uintptr_t at = p + (unsigned)__builtin_ctzll(m);
		if (((const uint8_t *)at)[1] == 0x05)
			add_masked(f, at, 1);
		else if ((((const uint8_t *)at)[2] & 0xf8) == 0xd8 && is_wrgsbase(lo, at))
			*wrgsbase = true;
	}
}

static uintptr_t syscalls_by_sse2(uintptr_t lo, uintptr_t hi, struct found *f, bool *wrgsbase)
{
	uintptr_t p = lo;

	for (; p + BLOCK + AHEAD <= hi; p += BLOCK) {
		uint64_t m = syscalls_sse2(p);
		if (__builtin_expect(m != 0, 0))
			take(f, lo, p, m, wrgsbase);
	}
	return p;
}

AVX2 static uintptr_t syscalls_by_avx2(uintptr_t lo, uintptr_t hi, struct found *f, bool *wrgsbase)
{
	uintptr_t p = lo;

	for (; p + BLOCK + AHEAD <= hi; p += BLOCK) {
		uint64_t m = syscalls_avx2(p);
		if (__builtin_expect(m != 0, 0))
			take(f, lo, p, m, wrgsbase);
	}
	return p;
}

size_t scan_syscalls(uintptr_t lo, uintptr_t hi, uintptr_t *out, size_t cap, bool *wrgsbase)
{
	struct found f = {out, 0, cap};
	uintptr_t p = has_avx2() ? syscalls_by_avx2(lo, hi, &f, wrgsbase) : syscalls_by_sse2(lo, hi, &f, wrgsbase);

	for (; p + 2 <= hi; p++) {
		const uint8_t *b = (const uint8_t *)p;
		if (b[0] == 0x0f && (b[1] == 0x05 || (b[1] == 0xae && p + 3 <= hi)))
			take(&f, lo, p, 1, wrgsbase);
	}
	return f.n;
}

/* --- jumps with a 32-bit displacement --- */

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

struct far_scan {
	const uintptr_t *sites;
	size_t nsites;
	struct found found; /* n counts on beyond cap */
	uint32_t npending;
	uintptr_t pending[PENDING];
	uint64_t bloom[BLOOM_BITS / 64];
};

static void look_at(struct far_scan *s, uintptr_t at)
{
	uintptr_t disp = at + (*(const uint8_t *)at == 0xe9 ? 1 : 2), target = disp + 4 + (uintptr_t)(intptr_t)rel32_at(disp);
	unsigned bit = bloom_bit(target);

	if (!(s->bloom[bit / 64] >> bit % 64 & 1) || !in_window(s->sites, s->nsites, target))
		return;
	if (s->found.n < s->found.cap)
		s->found.out[s->found.n] = target;
	s->found.n++;
}

static void look_at_pending(struct far_scan *s)
{
	for (uint32_t i = 0; i < s->npending; i++)
		look_at(s, s->pending[i]);
	s->npending = 0;
}

/* Two places per block are written down whether there are two or not: one jump in 40 bytes of code is as often two in a
 * block as none, and no branch predictor knows which. */
INLINE void add_pending(struct far_scan *s, uintptr_t p, uint64_t m)
{
	uintptr_t *out = s->pending + s->npending;

	s->npending += (unsigned)(m != 0) + (unsigned)((m & (m - 1)) != 0);
	out[0] = p + (unsigned)__builtin_ctzll(m | 1ull << 63);
	m &= m - 1;
	out[1] = p + (unsigned)__builtin_ctzll(m | 1ull << 63);
	m &= m - 1;
	if (__builtin_expect(m != 0, 0))
		for (; m; m &= m - 1)
			s->pending[s->npending++] = p + (unsigned)__builtin_ctzll(m);
	if (__builtin_expect(s->npending > PENDING - BLOCK - 2, 0))
		look_at_pending(s);
}

/* Up to where a jump of 6 bytes in the block ends within the text. */
static uintptr_t jumps_by_sse2(struct far_scan *s, uintptr_t p, uintptr_t hi)
{
	for (; p + BLOCK + 6 <= hi; p += BLOCK)
		add_pending(s, p, jumps_sse2(p));
	return p;
}

AVX2 static uintptr_t jumps_by_avx2(struct far_scan *s, uintptr_t p, uintptr_t hi)
{
	for (; p + BLOCK + 6 <= hi; p += BLOCK)
		add_pending(s, p, jumps_avx2(p));
	return p;
}

size_t scan_far_branches(uintptr_t lo, uintptr_t hi, const uintptr_t *sites, size_t n, uintptr_t *out, size_t cap)
{
	static struct far_scan s; /* the caller's stack may be small; rewriting is one at a time */
	uintptr_t p;

	s.sites = sites;
	s.nsites = n;
	s.found = (struct found){out, 0, cap};
	s.npending = 0;
	memset(s.bloom, 0, sizeof s.bloom);
	for (size_t i = 0; i < n; i++)
		for (uintptr_t a = sites[i] - SCAN_WINDOW; a <= sites[i] + SCAN_WINDOW; a += 1 << BLOOM_SHIFT)
			s.bloom[bloom_bit(a) / 64] |= 1ull << bloom_bit(a) % 64;
	p = has_avx2() ? jumps_by_avx2(&s, lo, hi) : jumps_by_sse2(&s, lo, hi);
	look_at_pending(&s);
	for (; p + 6 <= hi; p++) {
		const uint8_t *c = (const uint8_t *)p;
		if (c[0] == 0xe9 || (c[0] == 0x0f && (c[1] & 0xf0) == 0x80))
			look_at(&s, p);
	}
	sort(out, s.found.n < cap ? s.found.n : cap);
	return s.found.n;
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
