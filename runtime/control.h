/* control.h - what a tool may have the process do while it runs.
 *
 * The tool writes the block from outside (process_vm_writev), the request's number last, and rings: the preempt signal,
 * queued with the block's token. sysmon does what is asked, since it needs no P and looks when all else hangs, and
 * answers with the number. One request at a time; tools lock each other out among themselves.
 */
#ifndef PRELOOM_CONTROL_H
#define PRELOOM_CONTROL_H

#include "base.h"

enum control_command {
	ControlNone,
	ControlGomaxprocs,   /* arg[0]: how many; result: how many there were */
	ControlTraceStart,   /* arg[0]: bytes for the ring; -EBUSY, -ENOMEM */
	ControlTraceStop,
	ControlTraceRelease, /* the ring has been read */
	ControlProfStart,    /* arg[0]: enum prof_type; arg[1]: rate, 0: the default; arg[2]: ns until it ends by itself, 0: never */
	ControlProfStop,     /* arg[0]: enum prof_type */
	NControl
};

#define CONTROL_TEXT 256

struct control {
	_Atomic uint64_t token;	  /* proves that a signal is a doorbell; written by the first tool, never changed */
	_Atomic uint32_t request; /* tool: number of the last request; the rest of the block belongs to the process while it */
	_Atomic uint32_t done;	  /* differs from this; process: the last one that is done */
	uint32_t command;
	int32_t sysmon_tid;	  /* whom to ring */
	int64_t arg[4];
	int64_t result;		  /* >= 0, or -errno */
	char text[CONTROL_TEXT];
};
extern struct control control;

/* Something is asked for, or being done. */
static inline bool control_pending(void)
{
	return load_acq(&control.request) != load_rlx(&control.done);
}

struct ksiginfo;
bool control_rings(const struct ksiginfo *info); /* in the signal handler: is this a doorbell? */
void control_begin(int tid);	/* sysmon begins */
bool control_work(int64_t now); /* from sysmon; true while there is something to do */
void control_after_fork(void);

#endif
