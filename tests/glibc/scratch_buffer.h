/* scratch_buffer.h: a buffer that grows; here always on the heap. */
#ifndef SCRATCH_BUFFER_H
#define SCRATCH_BUFFER_H
#include <stdbool.h>
#include <stdlib.h>

struct scratch_buffer {
    void *data;
    size_t length;
};

static inline void scratch_buffer_init(struct scratch_buffer *b)
{
    b->length = 65536;
    b->data = malloc(b->length);
}

static inline void scratch_buffer_free(struct scratch_buffer *b)
{
    free(b->data);
}

static inline bool scratch_buffer_set_array_size(struct scratch_buffer *b, size_t n, size_t size)
{
    b->length = n * size;
    b->data = realloc(b->data, b->length);
    return b->data;
}

static inline bool scratch_buffer_grow(struct scratch_buffer *b)
{
    return scratch_buffer_set_array_size(b, b->length, 2);
}
#define scratch_buffer_grow_preserve scratch_buffer_grow
#endif
