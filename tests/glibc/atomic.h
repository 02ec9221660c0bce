/* atomic.h: glibc's names of the compiler's atomic operations. */
#ifndef ATOMIC_H
#define ATOMIC_H
#define atomic_load_relaxed(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define atomic_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define atomic_store_relaxed(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define atomic_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define atomic_fetch_add_relaxed(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)
#define atomic_fetch_add_acq_rel(p, v) __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL)
#define atomic_exchange_relaxed(p, v) __atomic_exchange_n(p, v, __ATOMIC_RELAXED)
#define atomic_exchange_acq(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQUIRE)
#define atomic_compare_exchange_weak_acquire(p, expected, v) \
    __atomic_compare_exchange_n(p, expected, v, 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define atomic_compare_and_exchange_val_acq(p, v, old)                                          \
    ({                                                                                          \
        __typeof(*(p)) seen_ = (old);                                                           \
        __atomic_compare_exchange_n(p, &seen_, v, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);       \
        seen_;                                                                                  \
    })
#define atomic_compare_and_exchange_bool_acq(p, v, old)                                         \
    ({                                                                                          \
        __typeof(*(p)) seen_ = (old);                                                           \
        !__atomic_compare_exchange_n(p, &seen_, v, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);      \
    })
#define atomic_increment(p) __atomic_fetch_add(p, 1, __ATOMIC_ACQ_REL)
#define atomic_decrement(p) __atomic_fetch_sub(p, 1, __ATOMIC_ACQ_REL)
#define atomic_thread_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define atomic_full_barrier() __sync_synchronize()
#endif
