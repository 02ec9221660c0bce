/* allocate_once.h: a place that is filled once, by whichever thread comes first. */
#ifndef ALLOCATE_ONCE_H
#define ALLOCATE_ONCE_H
#include <stddef.h>

static inline void *allocate_once(void **place, void *(*make)(void *), void (*undo)(void *, void *), void *closure)
{
    void *there = __atomic_load_n(place, __ATOMIC_ACQUIRE);
    if (there)
        return there;
    void *mine = make(closure);
    if (!mine || __atomic_compare_exchange_n(place, &there, mine, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return mine;
    undo(closure, mine);
    return there;
}
#endif
