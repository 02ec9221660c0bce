/* alloc.c - memory for the runtime's own tables: bump allocation from mmap'ed chunks, power-of-two free lists.
 *
 * What is allocated here is few and long-lived (slabs of G's, timer heaps, M's); speed does not matter, independence
 * from the program's malloc does.
 */
#include "runtime.h"

#define CHUNK (256u << 10)
#define MINSHIFT 6
#define NCLASS 32

static struct lock alloc_lock = LOCK_INIT(RankAlloc);
static char *cur;
static size_t left;
static void *freelist[NCLASS];

static unsigned size_class(size_t n)
{
	unsigned c = MINSHIFT;
	while (((size_t)1 << c) < n)
		c++;
	return c;
}

void *rt_alloc(size_t n)
{
	if (n > CHUNK / 4) {
		void *p = os_mmap(align_up(n, 4096));
		if (!p)
			throw("out of memory");
		return p;
	}
	unsigned c = size_class(n);
	size_t size = (size_t)1 << c;
	lock(&alloc_lock);
	void *p = freelist[c];
	if (p) {
		freelist[c] = *(void **)p;
	} else {
		if (left < size) {
			cur = os_mmap(CHUNK);
			left = CHUNK;
			if (!cur)
				throw("out of memory");
		}
		p = cur;
		cur += size;
		left -= size;
	}
	unlock(&alloc_lock);
	for (size_t i = 0; i < size / 8; i++)
		((volatile uint64_t *)p)[i] = 0;
	return p;
}

void rt_free(void *p, size_t n)
{
	if (!p)
		return;
	if (n > CHUNK / 4) {
		os_munmap(p, align_up(n, 4096));
		return;
	}
	unsigned c = size_class(n);
	lock(&alloc_lock);
	*(void **)p = freelist[c];
	freelist[c] = p;
	unlock(&alloc_lock);
}

void *rt_grow(void *old, size_t old_n, size_t new_n)
{
	char *p = rt_alloc(new_n);
	for (size_t i = 0; i < old_n; i++)
		p[i] = ((char *)old)[i];
	rt_free(old, old_n);
	return p;
}

/* The child of a fork may have copied a held lock; its state is consistent because fork holds it (fork.c). */
void alloc_lock_for_fork(void)
{
	lock(&alloc_lock);
}

void alloc_unlock_for_fork(void)
{
	unlock(&alloc_lock);
}

/* Another M may have been in the middle of it. */
void alloc_after_vfork(void)
{
	store_rlx(&alloc_lock.v, 0);
	left = 0;
	for (unsigned c = 0; c < NCLASS; c++)
		freelist[c] = NULL;
}
