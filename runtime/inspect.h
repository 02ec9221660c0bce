/* inspect.h - what the process shows to tools that look at it from outside, and the one word that hooks test.
 *
 * A tool (the `preloom` command, the gdb script) finds the exported symbol preloom_inspect in libpreloom.so, checks
 * magic, version and layout hash, and then reads the scheduler's own structures with process_vm_readv. The process
 * does nothing for that and is not asked: a hung one can be looked at too. Addresses are filled in at activation; before
 * that they are 0, which costs no relocation at the start of a program that never makes a thread.
 *
 * The table of fields serves readers that are not compiled with these headers (gdb), and its hash tells those that are
 * whether they fit.
 */
#ifndef PRELOOM_INSPECT_H
#define PRELOOM_INSPECT_H

#include "base.h"

#define INSPECT_MAGIC 0x6d6f6f6c65727031ULL /* "1preloom" in memory */
#define INSPECT_VERSION 1
#define INSPECT_SYMBOL "preloom_inspect"

/* What is switched on at present. One word, so that a hook costs one predicted branch when all is off. */
enum inspect_flag {
	InspectProf = 1 << 0,	/* CPU profile */
	InspectBlock = 1 << 1,	/* block profile */
	InspectMutex = 1 << 2,	/* mutex profile */
	InspectThread = 1 << 3, /* threads' places of creation */
	InspectWall = 1 << 4,
	InspectTrace = 1 << 5,	/* scheduler trace */
};
extern _Atomic uint32_t inspect_flags;

static inline bool inspecting(uint32_t flags)
{
	return unlikely(load_rlx(&inspect_flags) & flags);
}

/* A member of one of the runtime's structures; an empty member name: the structure's size. */
struct inspect_field {
	char type[16];
	char member[20];
	uint32_t offset, size;
};

struct inspect_header {
	uint64_t magic;
	uint32_t version;
	uint32_t size;	    /* of this header */
	uint64_t layout;    /* hash of the table of fields */
	char release[16];   /* for messages only */
	uint64_t activated; /* 1: what follows is valid */
	uint64_t sched, allp, m0, main_g, options; /* main_g: address of the pointer */
	uint64_t gtable, gcount;		   /* the pieces of the table of G's; the number of slots in use */
	uint32_t gpiece;			   /* slots in a piece */
	uint32_t nfields;
	uint64_t fields;
	uint64_t text_lo, text_hi; /* preloom's own code */
	uint64_t flags;		   /* address of inspect_flags */
	/* Filled in by their owners when there is something; 0 else. */
	uint64_t objtab, control, prof, trace, ending;
	uint64_t spare[7];
};

extern __attribute__((visibility("default"))) struct inspect_header preloom_inspect; /* the one name that others find */
extern const struct inspect_field inspect_fields[];
extern const uint32_t inspect_nfields;

/* FNV-1a over the table. */
static inline uint64_t inspect_layout(void)
{
	const unsigned char *p = (const unsigned char *)inspect_fields;
	uint64_t h = 0xcbf29ce484222325ULL;
	for (size_t i = 0; i < inspect_nfields * sizeof(struct inspect_field); i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

void inspect_init(uintptr_t text_lo, uintptr_t text_hi); /* at activation */
void inspect_ready(void); /* at its end: objects and trampolines are known, so stacks can be followed */

/* g.c: where the table of G's is */
void g_describe_table(struct inspect_header *h);

#endif
