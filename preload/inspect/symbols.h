/* symbols.h - from an address in a process to function, object, file and line.
 */
#ifndef PRELOOM_SYMBOLS_H
#define PRELOOM_SYMBOLS_H

#include "target.h"

/* One function at an address. An address in inlined code has several: the innermost first, the real function last. */
struct symbol {
	const char *function; /* demangled; NULL if unknown */
	uint64_t offset;      /* from the function's (not the inlined one's) start, or from the object's if unknown */
	const char *object;   /* path as the process sees it, "" if none */
	const char *file;     /* NULL where there is no debug information */
	int line;
	bool inlined;
};

#define SYMBOL_DEPTH 16

struct symbols;
struct symbols *symbols_open(const struct target *t); /* NULL: out of memory */
void symbols_close(struct symbols *s);

/* The functions at an address; at least one. A return address stands behind the call: is_return says so, and
 * the call is looked up. Results are cached, and live as long as s. */
size_t symbols_at(struct symbols *s, uintptr_t pc, bool is_return, const struct symbol **out);

/* The function that a thread was made for, in words: its name, for std::thread that of what it runs, "libfoo.so+0x12" where there is
 * no name, "" where nothing is known. */
const char *symbols_entry(struct symbols *s, uintptr_t entry, char *buf, size_t n);

/* Where a function without a name begins, 0 if that is not known either. */
uintptr_t symbols_function_start(struct symbols *s, uintptr_t pc);

#endif
