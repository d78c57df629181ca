/* The report of a fault that ended a process. */
#ifndef CAPOS_PROC_FAULT_H
#define CAPOS_PROC_FAULT_H

#include <stdint.h>

struct capos_crash_record;
struct thread;
struct trap_frame;

/* A thread, the one that faulted, because it may block. Sends the fault message: kind,
 * place, registers, and the words on the user stack. Returns the record of it that is kept with the
 * process, charged to its records' payer; NULL: no memory or charge is left for one. */
struct capos_crash_record *fault_report(struct thread *thread, const struct trap_frame *frame,
	uint32_t kind, uint32_t code, uint64_t address);

/* A thread, the one that faulted, which is in no call, so that its scratch memory is free. Sends
 * the calls that it remembers to the host, if it gets that memory. Provided by call/trace.c. */
void fault_tell_calls(struct thread *thread);

#endif
