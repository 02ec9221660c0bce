/* inspectfields.c - the table of the fields that tools look at, and by its hash the layout. Compiled into the runtime and
 * into the tools: two that were built from different headers notice. No reference to anything else.
 */
#include "inspect.h"
#include "prof.h"
#include "objtab.h"
#include "runtime.h"

#define F(t, m) { #t, #m, offsetof(struct t, m), sizeof(((struct t *)0)->m) }
#define S(t) { #t, "", 0, sizeof(struct t) }

/* Every member that a tool reads. Moving one changes the hash, so that a tool of another build notices. */
const struct inspect_field inspect_fields[] = {
	S(g), F(g, sp), F(g, fs), F(g, status), F(g, tid), F(g, wait), F(g, goid), F(g, schedlink), F(g, m), F(g, lockedm),
	F(g, wired_why), F(g, wired_since), F(g, inshim), F(g, preempt), F(g, regs), F(g, stack_lo), F(g, stack_hi),
	F(g, clear_tid), F(g, waitreason), F(g, wait_fd), F(g, wait_addr), F(g, syscall_nr), F(g, timer),
	F(g, fw), F(g, name), F(g, entry), F(g, created_at), F(g, created_above), F(g, created_through),
	F(g, parent_goid), F(g, cputicks),
	F(g, wait_ticks), F(g, run_start), F(g, ready_ticks), F(g, retaken), F(g, switches), F(g, migrations), F(g, lastp), F(g, slot),
	S(m), F(m, curg), F(m, g0sp), F(m, procid), F(m, id), F(m, p), F(m, oldp), F(m, lockedg), F(m, spinning),
	F(m, sysmon), F(m, alllink), F(m, g0stack), F(m, g0size), F(m, sigstack), F(m, sigstack_size), F(m, tainted),
	F(m, nsyscall),
	S(p), F(p, id), F(p, status), F(p, m), F(p, schedtick), F(p, syscalltick), F(p, runqhead), F(p, runqtail),
	F(p, runnext), F(p, runq), F(p, timers), F(p, nswitch), F(p, nsteal), F(p, nstolen), F(p, nhandoff), F(p, nretake),
	F(p, npreempt), F(p, noverflow), F(p, nglobal), F(p, nwakep), F(p, nready), F(p, ndeferred), F(p, callg),
	F(p, idle_ticks), F(p, idle_since), F(p, latency),
	S(sched), F(sched, runq), F(sched, runqsize), F(sched, npidle), F(sched, nmspinning), F(sched, nmidle),
	F(sched, nm), F(sched, maxm), F(sched, allm), F(sched, lastpoll), F(sched, gomaxprocs), F(sched, start_ns),
	F(sched, start_ticks), F(sched, active), F(sched, ngs), F(sched, goidgen), F(sched, nmcreated), F(sched, nsysmontick),
	S(timer), F(timer, when), F(timer, pp),
	S(futexw), F(futexw, bucket), F(futexw, addr), F(futexw, pi), F(futexw, requeue_pi),
	S(regs), F(regs, r15), F(regs, r14), F(regs, r13), F(regs, r12), F(regs, rbp), F(regs, rbx), F(regs, rax),
	F(regs, ret),
	/* What unwinding begins with, and goes through. */
	{ "switch", "", 0, SWITCH_SIZE }, { "switch", "gpr", SWITCH_GPR, SWITCH_RET - SWITCH_GPR },
	S(objtab), F(objtab, view), S(objview), F(objview, n),
	{ "objview", "v", offsetof(struct objview, v), sizeof(struct unwind_object) },
	S(unwind_object), F(unwind_object, lo), F(unwind_object, hi),
	F(unwind_object, info), F(unwind_object, size), F(unwind_object, kind), F(unwind_object, stride), S(unwind_site),
	F(unwind_site, addr), F(unwind_site, next), F(unwind_site, span), F(unwind_site, span_end), F(unwind_site, tramp),
	F(unwind_site, ret),
	S(rt_options), { "prof", "", 0, sizeof(struct prof) },
};
const uint32_t inspect_nfields = nelem(inspect_fields);
