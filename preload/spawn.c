/* spawn.c - where the program asked for a thread, and what for.
 *
 * Many threads are made by a library on somebody's behalf: std::thread, OpenMP, glib, a language's runtime. Then all of them
 * have the library's own function as their start routine, and were made at the same place in it, which tells a reader
 * nothing. Such a library is recognised by what it does: it is no part of the program's own file, the start routine is its own,
 * and the argument leads to code of somebody else: by its first word, which is a function (OpenMP, glib), or by the
 * class of the object that it points to, whose first virtual function behind the destructor is called (std::thread, boost).
 * That code is then what the thread was made for, and the first frame outside of the library is where. A library that makes
 * threads for itself is left as it is.
 */
#include "spawn.h"

#include "../runtime/objtab.h"
#include "../runtime/runtime.h"
#include <stdbool.h>
#include <sys/auxv.h>

#define DEEPEST 32	 /* frames of the library */
#define BEHIND_DESTRUCTOR 2 /* slot in a table of virtual functions: a destructor has two */

static bool within(const struct unwind_object *o, uintptr_t at)
{
	return at - o->lo < o->hi - o->lo;
}

static bool is_program(const struct unwind_object *o)
{
	return within(o, getauxval(AT_ENTRY));
}

static bool foreign_code(const struct unwind_object *library, uintptr_t at)
{
	struct unwind_object o;
	return !within(library, at) && objtab_find(at, &o) && o.kind == UnwindElf;
}

/* Whose code the library's start routine will run, by its argument; 0: nobody else's. */
static uintptr_t passed_on(const struct unwind_object *library, uintptr_t arg)
{
	uint64_t word, virtual;
	if (arg % sizeof(word) || arch_user_load64((const void *)arg, &word))
		return 0;
	if (foreign_code(library, word))
		return word;
	const uint64_t *slot = (const uint64_t *)word + BEHIND_DESTRUCTOR;
	if (word % sizeof(word) || word == 0 || arch_user_load64(slot, &virtual) || !foreign_code(library, virtual))
		return 0;
	return virtual;
}

/* The registers as they are at *here, a place in this function. */
#define REGISTERS(r)                                                                                                \
	__asm__ volatile("lea 0(%%rip), %%rax\n\t"                                                                  \
			 "mov %%rax, %0\n\tmov %%rbx, %1\n\tmov %%rbp, %2\n\tmov %%rsp, %3\n\t"                      \
			 "mov %%r12, %4\n\tmov %%r13, %5\n\tmov %%r14, %6\n\tmov %%r15, %7"                           \
			 : "=m"((r)[UNWIND_PC]), "=m"((r)[3]), "=m"((r)[6]), "=m"((r)[7]), "=m"((r)[12]), "=m"((r)[13]), \
			   "=m"((r)[14]), "=m"((r)[15])                                                              \
			 :                                                                                           \
			 : "rax")

/* The return addresses into the first two frames behind those of the library. False: there is none. */
static bool callers_of(const struct unwind_object *library, struct spawn *s)
{
	uint64_t reg[UNWIND_REGS] = { 0 };
	struct unwind u;
	bool seen = false;
	REGISTERS(reg);
	unwind_start(&u, &unwind_self, reg, true);
	for (int n = 0; n < DEEPEST && unwind_step(&u); n++) {
		bool inside = within(library, unwind_pc(&u));
		if (seen && !inside) {
			s->at = u.reg[UNWIND_PC];
			s->above = unwind_step(&u) ? u.reg[UNWIND_PC] : 0;
			return true;
		}
		seen |= inside;
	}
	return false;
}

void spawn_find(uintptr_t entry, uintptr_t arg, uintptr_t site, struct spawn *s)
{
	struct unwind_object library;
	*s = (struct spawn){ .entry = entry, .at = site };
	if (!objtab_find(site - 1, &library) || !within(&library, entry) || is_program(&library))
		return;
	uintptr_t code = passed_on(&library, arg);
	if (!code)
		return;
	s->entry = code;
	if (callers_of(&library, s))
		s->through = site;
}
