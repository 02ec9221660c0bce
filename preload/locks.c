/* locks.c - stands before the C library's lock functions, for PRELOOM=lockcheck=1.
 *
 * A lock that nobody waits for makes no system call, so at that level locks cannot be seen. Only when they are to be checked,
 * the functions themselves are caught: in libc's own table of dynamic symbols their values are replaced by those of the
 * functions below, so whatever ld.so binds from then on, by the first call, by dlopen or by dlsym, is bound to us, with
 * symbol versions as they are. What was bound before activation is found in the objects' relocations and replaced there.
 * Locks that libc takes itself (stdio, malloc), and those that are built on futex directly, stay unseen.
 *
 * Rejected: a second preloaded object (it must be in LD_PRELOAD before the program starts, which only the launcher could do),
 * and exporting these names always, which would cost every call of every program.
 */
#include "locks.h"
#include "../runtime/lockcheck.h"
#include "object.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <threads.h>
#include <time.h>

#define PAGE 4096UL

/* X(name, parameters, arguments, what it does with the first one). In C11's functions 0 is success too (thrd_success). */
#define LOCKS(X)                                                                                                        \
	X(pthread_mutex_lock, (pthread_mutex_t *l), (l), TAKES)                                                         \
	X(pthread_mutex_trylock, (pthread_mutex_t *l), (l), TRIES)                                                      \
	X(pthread_mutex_timedlock, (pthread_mutex_t *l, const struct timespec *t), (l, t), TAKES)                       \
	X(pthread_mutex_clocklock, (pthread_mutex_t *l, clockid_t c, const struct timespec *t), (l, c, t), TAKES)       \
	X(pthread_mutex_unlock, (pthread_mutex_t *l), (l), RELEASES)                                                    \
	X(pthread_mutex_destroy, (pthread_mutex_t *l), (l), FORGETS)                                                    \
	X(pthread_rwlock_destroy, (pthread_rwlock_t *l), (l), FORGETS)                                                  \
	X(pthread_rwlock_rdlock, (pthread_rwlock_t *l), (l), TAKES)                                                     \
	X(pthread_rwlock_tryrdlock, (pthread_rwlock_t *l), (l), TRIES)                                                  \
	X(pthread_rwlock_timedrdlock, (pthread_rwlock_t *l, const struct timespec *t), (l, t), TAKES)                   \
	X(pthread_rwlock_clockrdlock, (pthread_rwlock_t *l, clockid_t c, const struct timespec *t), (l, c, t), TAKES)   \
	X(pthread_rwlock_wrlock, (pthread_rwlock_t *l), (l), TAKES)                                                     \
	X(pthread_rwlock_trywrlock, (pthread_rwlock_t *l), (l), TRIES)                                                  \
	X(pthread_rwlock_timedwrlock, (pthread_rwlock_t *l, const struct timespec *t), (l, t), TAKES)                   \
	X(pthread_rwlock_clockwrlock, (pthread_rwlock_t *l, clockid_t c, const struct timespec *t), (l, c, t), TAKES)   \
	X(pthread_rwlock_unlock, (pthread_rwlock_t *l), (l), RELEASES)                                                  \
	X(pthread_spin_lock, (pthread_spinlock_t *l), (l), TAKES)                                                       \
	X(pthread_spin_trylock, (pthread_spinlock_t *l), (l), TRIES)                                                    \
	X(pthread_spin_unlock, (pthread_spinlock_t *l), (l), RELEASES)                                                  \
	X(mtx_lock, (mtx_t *l), (l), TAKES)                                                                             \
	X(mtx_trylock, (mtx_t *l), (l), TRIES)                                                                          \
	X(mtx_timedlock, (mtx_t *l, const struct timespec *t), (l, t), TAKES)                                           \
	X(mtx_unlock, (mtx_t *l), (l), RELEASES)                                                                        \
	X(pthread_cond_wait, (pthread_cond_t *c, pthread_mutex_t *l), (c, l), LENDS)                                    \
	X(pthread_cond_timedwait, (pthread_cond_t *c, pthread_mutex_t *l, const struct timespec *t), (c, l, t), LENDS)  \
	X(pthread_cond_clockwait, (pthread_cond_t *c, pthread_mutex_t *l, clockid_t k, const struct timespec *t), (c, l, k, t), \
	  LENDS)                                                                                                        \
	X(cnd_wait, (cnd_t *c, mtx_t *l), (c, l), LENDS)                                                                \
	X(cnd_timedwait, (cnd_t *c, mtx_t *l, const struct timespec *t), (c, l, t), LENDS)

static inline bool taken(int err)
{
	return err == 0 || err == EOWNERDEAD;
}

#define BEFORE_TAKES(l) lockcheck_wants((uintptr_t)(l))
#define AFTER_TAKES(l, err) ((void)(taken(err) ? lockcheck_took((uintptr_t)(l)) : (void)0))
#define BEFORE_TRIES(l) ((void)0)
#define AFTER_TRIES(l, err) AFTER_TAKES(l, err)
#define BEFORE_RELEASES(l) lockcheck_releases((uintptr_t)(l))
#define AFTER_RELEASES(l, err) ((void)(err))
#define BEFORE_FORGETS(l) lockcheck_forgets((uintptr_t)(l))
#define AFTER_FORGETS(l, err) ((void)(err))
/* A condition variable's wait gives the mutex back and takes it again. */
#define BEFORE_LENDS(l) lockcheck_releases((uintptr_t)(l))
#define AFTER_LENDS(l, err) ((void)(err), lockcheck_took((uintptr_t)(l)))

#define X(name, params, args, what)               \
	static int(*real_##name) params;          \
	static int watch_##name params            \
	{                                         \
		BEFORE_##what(l);                 \
		int err = real_##name args;       \
		AFTER_##what(l, err);             \
		return err;                       \
	}
LOCKS(X)
#undef X

static const struct {
	const char *name;
	void *watch;
	void **real;
} table[] = {
#define X(name, params, args, what) { #name, (void *)watch_##name, (void **)&real_##name },
	LOCKS(X)
#undef X
};
#define NTABLE (sizeof(table) / sizeof(table[0]))

static bool write_word(uintptr_t at, uint64_t value, int prot)
{
	uintptr_t page = at & ~(PAGE - 1);
	if (mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE))
		return false;
	memcpy((void *)at, &value, sizeof(value));
	return mprotect((void *)page, PAGE, prot) == 0;
}

/* Which one of our functions stands for this address of libc's; -1: none. */
static int index_of(uint64_t address)
{
	for (size_t i = 0; i < NTABLE; i++)
		if (*table[i].real && (uint64_t)(uintptr_t)*table[i].real == address)
			return (int)i;
	return -1;
}

static bool replace_symbols(const struct object *libc)
{
	bool any = false;
	for (size_t k = 1; k < libc->nsyms; k++) {
		const Elf64_Sym *s = &libc->symtab[k];
		int i = s->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(s->st_info) == STT_FUNC ? index_of(libc->base + s->st_value) : -1;
		if (i >= 0 && !strcmp(libc->strtab + s->st_name, table[i].name))
			any |= write_word((uintptr_t)&s->st_value, (uint64_t)(uintptr_t)table[i].watch - libc->base, PROT_READ);
	}
	return any;
}

/* Slots that are bound already. Those that are not go through the symbols when they are. */
static void replace_slots(const struct object *o, uintptr_t rela, size_t size)
{
	for (const Elf64_Rela *r = (const void *)rela, *end = r + size / sizeof(*r); r < end; r++) {
		uint32_t type = ELF64_R_TYPE(r->r_info);
		uintptr_t at = o->base + r->r_offset;
		if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT && type != R_X86_64_64)
			continue;
		int i = index_of(*(const uint64_t *)at);
		/* What is read-only after relocation becomes so again only with the whole page: keep it writable. */
		if (i >= 0)
			write_word(at, (uint64_t)(uintptr_t)table[i].watch, PROT_READ | PROT_WRITE);
	}
}

static void replace_in(const struct object *o)
{
	uintptr_t rela = 0, jmprel = 0;
	size_t rela_size = 0, jmprel_size = 0;
	for (const Elf64_Dyn *d = o->dynamic; d && d->d_tag != DT_NULL; d++) {
		uintptr_t p = d->d_un.d_ptr < o->base ? o->base + d->d_un.d_ptr : d->d_un.d_ptr;
		if (d->d_tag == DT_RELA)
			rela = p;
		else if (d->d_tag == DT_RELASZ)
			rela_size = d->d_un.d_val;
		else if (d->d_tag == DT_JMPREL)
			jmprel = p;
		else if (d->d_tag == DT_PLTRELSZ)
			jmprel_size = d->d_un.d_val;
	}
	replace_slots(o, rela, rela ? rela_size : 0);
	replace_slots(o, jmprel, jmprel ? jmprel_size : 0);
}

const char *locks_watch(void)
{
	struct object_list l;
	const char *why = "the C library's symbols cannot be changed";
	for (size_t i = 0; i < NTABLE; i++)
		*table[i].real = dlsym(RTLD_NEXT, table[i].name);
	if (object_list_get(&l) != 0)
		return "out of memory";
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].kind == OBJECT_LIBC && replace_symbols(&l.v[i]))
			why = NULL;
	for (size_t i = 0; i < l.n && !why; i++)
		if (l.v[i].kind == OBJECT_OTHER)
			replace_in(&l.v[i]);
	object_list_free(&l);
	return why;
}
