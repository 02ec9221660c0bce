/* image.c - links the image of libZydis that scripts/embed-library put into our text.
 *
 * The image's code finds its data at a fixed distance, so pages are kept free for that; they become memory of their own
 * here, get the data and the addresses in it, and are closed for writing again. Until the first thread is made none
 * of this is touched.
 */
#include "image.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The names are those of embed-library's output. */
struct layout {
	uint32_t pages, pages_size; /* where memory is wanted, from the image's start */
	uint32_t data, data_size;   /* what comes there */
	uint32_t nrelocs, nimports;
};
struct import {
	uint16_t at; /* in the data */
	uint16_t what;
};
typedef uint64_t __attribute__((aligned(1), may_alias)) word; /* a packed structure of the library has pointers */
extern const struct layout zydis_layout;
extern uint8_t zydis_image[];
extern const uint8_t zydis_data[];
extern const uint16_t zydis_relocs[];
extern const struct import zydis_imports[];

/* What the image imports besides belongs to its formatter, which nobody calls. */
static void not_linked(void)
{
	abort();
}

static uintptr_t import(unsigned what)
{
	switch (what) {
	case 1:
		return (uintptr_t)memset;
	case 2:
		return (uintptr_t)memcpy;
	case 3:
		return (uintptr_t)memmove;
	default:
		return (uintptr_t)not_linked;
	}
}

int image_link(void)
{
	static int done;
	const struct layout *l = &zydis_layout;
	uint8_t *data = zydis_image + l->data;
	void *pages = zydis_image + l->pages;

	if (done)
		return 0;
	if (mmap(pages, l->pages_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != pages)
		return -errno;
	memcpy(data, zydis_data, l->data_size);
	for (uint32_t i = 0; i < l->nrelocs; i++)
		*(word *)(data + zydis_relocs[i]) += (uintptr_t)zydis_image;
	for (uint32_t i = 0; i < l->nimports; i++)
		*(word *)(data + zydis_imports[i].at) = import(zydis_imports[i].what);
	if (mprotect(pages, l->pages_size, PROT_READ) != 0)
		return -errno;
	done = 1;
	return 0;
}
