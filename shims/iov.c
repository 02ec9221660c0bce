/* iov.c - scatter lists: a private copy of the program's, and going on in the middle of one. */
#include "io.h"

bool iov_is_nothing(uintptr_t uiov, size_t n)
{
	struct kiovec v;
	if (n > IOV_MAX_KERNEL)
		return true;
	for (; n; n--, uiov += sizeof(v))
		if (user_read(&v, uiov, sizeof(v)) || v.len)
			return false;
	return true;
}

long iov_copy(struct iovcopy *c, uintptr_t uiov, size_t n)
{
	c->v = c->small;
	c->n = n;
	c->size = n * sizeof(*c->v);
	if (n > IOV_MAX_KERNEL)
		return -EINVAL;
	if (n > nelem(c->small))
		c->v = rt_alloc(c->size);
	size_t total = 0;
	if (n && user_read(c->v, uiov, c->size)) {
		iov_free(c);
		return -EFAULT;
	}
	for (size_t i = 0; i < n; i++) {
		if ((long)c->v[i].len < 0) {
			iov_free(c);
			return -EINVAL;
		}
		if (c->v[i].len > MAX_RW_COUNT - total)
			c->v[i].len = MAX_RW_COUNT - total;
		total += c->v[i].len;
	}
	return (long)total;
}

void iov_free(struct iovcopy *c)
{
	if (c->v != c->small)
		rt_free(c->v, c->size);
	c->v = c->small;
}

void iov_advance(struct kiovec **v, size_t *n, size_t done)
{
	while (*n && done >= (*v)->len) {
		done -= (*v)->len;
		(*v)++;
		(*n)--;
	}
	if (*n) {
		(*v)->base += done;
		(*v)->len -= done;
	}
}
