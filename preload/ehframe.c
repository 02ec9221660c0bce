/* ehframe.c - finds the function that covers an address by the search table of .eh_frame_hdr.
 *
 * The table is sorted by start address: a binary search gives the FDE, the FDE the length, its CIE how the length is
 * encoded. Assembly may leave the FDE just before its system call, so that unwinders stop there (glibc's clone does): an
 * address shortly behind an FDE and before the next one is taken to belong to the function before, provided that
 * decoding from its start meets the end of the FDE exactly (`mark`). Objects without a table fall back on .dynsym.
 */
#include "ehframe.h"

#include <string.h>

#define PE_ABSPTR 0x00
#define PE_UDATA4 0x03
#define PE_SDATA4 0x0b
#define PE_SDATA8 0x0c
#define PE_PCREL 0x10
#define PE_DATAREL 0x30
#define GAP_MAX 128

struct hdr {
	uint8_t version, eh_frame_enc, count_enc, table_enc;
	int32_t eh_frame;
	uint32_t count;
	struct {
		int32_t start, fde;
	} table[];
};

static uint32_t get32(uintptr_t p)
{
	uint32_t v;
	memcpy(&v, (const void *)p, sizeof v);
	return v;
}

static uint64_t get64(uintptr_t p)
{
	uint64_t v;
	memcpy(&v, (const void *)p, sizeof v);
	return v;
}

static uintptr_t skip_leb(uintptr_t p)
{
	while (*(const uint8_t *)p++ & 0x80)
		;
	return p;
}

/* How the CIE says that pointers of its FDEs are encoded; -1 if that is not understood. */
static int cie_encoding(uintptr_t cie)
{
	uintptr_t p = cie + 8;
	uint8_t version = *(const uint8_t *)p++;
	const char *aug = (const char *)p;

	if (get32(cie) == 0xffffffff)
		return -1;
	p += strlen(aug) + 1;
	p = skip_leb(skip_leb(p)); /* code and data alignment */
	p = version == 1 ? p + 1 : skip_leb(p);
	if (aug[0] == '\0')
		return PE_ABSPTR;
	if (aug[0] != 'z')
		return -1;
	p = skip_leb(p);
	for (const char *a = aug + 1; *a; a++) {
		uint8_t enc = *(const uint8_t *)p;

		if (*a == 'R')
			return enc;
		if (*a == 'L')
			p++;
		else if (*a == 'P' && (enc & 0x0f) == PE_SDATA4)
			p += 5;
		else if (*a == 'P' && ((enc & 0x0f) == PE_SDATA8 || enc == PE_ABSPTR))
			p += 9;
		else if (*a != 'S' && *a != 'B')
			return -1;
	}
	return PE_ABSPTR;
}

/* The end of the function that starts at lo, or 0. */
static uintptr_t fde_end(uintptr_t fde, uintptr_t lo)
{
	uintptr_t cie = fde + 4 - get32(fde + 4), at = fde + 8;
	int enc;

	if (get32(fde) == 0xffffffff || get32(fde + 4) == 0)
		return 0;
	enc = cie_encoding(cie);
	switch (enc) {
	case PE_PCREL | PE_SDATA4:
		return at + (intptr_t)(int32_t)get32(at) == lo ? lo + get32(at + 4) : 0;
	case PE_PCREL | PE_SDATA8:
		return at + get64(at) == lo ? lo + get64(at + 8) : 0;
	case PE_ABSPTR:
		return get64(at) == lo ? lo + get64(at + 8) : 0;
	}
	return 0;
}

static const struct hdr *table_of(const struct object *o)
{
	const struct hdr *h = (const struct hdr *)o->eh_frame_hdr;

	if (!h || o->eh_frame_hdr_size < sizeof *h || h->version != 1 || h->count_enc != PE_UDATA4 ||
	    h->table_enc != (PE_DATAREL | PE_SDATA4) || h->count == 0)
		return NULL;
	if (h->count > (o->eh_frame_hdr_size - sizeof *h) / sizeof h->table[0])
		return NULL;
	return h;
}

static bool bounds_by_fde(const struct object *o, uintptr_t addr, struct bounds *b)
{
	const struct hdr *h = table_of(o);
	uintptr_t base = o->eh_frame_hdr, end, following;
	uint32_t lo = 0, hi;

	if (!h || addr < base + h->table[0].start)
		return false;
	for (hi = h->count; hi - lo > 1;) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (addr >= base + h->table[mid].start)
			lo = mid;
		else
			hi = mid;
	}
	b->lo = base + h->table[lo].start;
	following = hi < h->count ? base + h->table[hi].start : UINTPTR_MAX;
	end = fde_end(base + h->table[lo].fde, b->lo);
	if (!end)
		return false;
	b->hi = end;
	b->mark = 0;
	if (addr < end)
		return true;
	b->hi = end + GAP_MAX < following ? end + GAP_MAX : following;
	b->mark = end;
	return addr < b->hi;
}

bool function_bounds(const struct object *o, uintptr_t addr, bool symbols, struct bounds *b)
{
	const struct segment *text = object_text(o, addr);
	const Elf64_Sym *s;

	if (!text)
		return false;
	if (!bounds_by_fde(o, addr, b)) {
		s = symbols ? object_symbol(o, addr, true) : NULL;
		if (!s)
			return false;
		*b = (struct bounds){o->base + s->st_value, o->base + s->st_value + s->st_size, 0};
	}
	if (b->lo < text->lo)
		return false;
	if (b->hi > text->hi)
		b->hi = text->hi;
	return true;
}
