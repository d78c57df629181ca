/* Capabilities on behalf of a process.
 *
 * The static objects VirtualMemory, MemoryAllocator, ThreadSpawner and ProcessSpawner are for the
 * process that calls. Where one leaves its process, in a message, a lease or a grant, what goes is
 * a counted object with the same interface that names the process: a behalf. It acts on the address
 * space of that process and at its cost, whoever holds it. Back in that process it is the static
 * object again.
 *
 * docs/decisions/0033-on-behalf-of-a-process.md has the reasons. A thread with no lock held. */
#ifndef CAPOS_OBJECT_BEHALF_H
#define CAPOS_OBJECT_BEHALF_H

#include <stdbool.h>

#include "call/call.h"
#include "cap/table.h"
#include "proc/process.h"

/* Whether it is one of the static objects. Any context. */
bool behalf_is_own(const struct object *object);
/* Makes a behalf of a static object, with a reference and a name, charged to the process. Fails
 * with NO_MEMORY, then *object is NULL. Other objects stay as they are. */
status_t behalf_make(struct process *process, struct object **object) MUST_CHECK;
/* The static object for what is on behalf of the process itself, whose reference and name go. */
struct object *behalf_come_home(struct process *process, struct object *object);

/* cap_table_copy for what goes to another process. Fails with NO_MEMORY too. */
static inline status_t behalf_copy(struct process *process, cap_id_t cap, struct object **object)
{
	status_t status = cap_table_copy(&process->caps, cap, object);
	return status == STATUS_OK && !(*object)->ops ? behalf_make(process, object) : status;
}

/* cap_table_lift, likewise. */
status_t behalf_lift(struct process *process, cap_id_t cap, struct object **object) MUST_CHECK;

/* cap_table_fill, for what comes from another process or comes back. */
static inline void behalf_fill(struct process *process, cap_id_t cap, struct object *object)
{
	cap_table_fill(&process->caps, cap, behalf_come_home(process, object));
}

/* Of a call to one of the four interfaces: whether it is for another object than the static one. */
static inline bool behalf_is_meant(const struct call *call)
{
	return __builtin_expect(call->object->ops != NULL, 0);
}
/* Runs the method of that ordinal once more, with the static object and call->process the one on
 * whose behalf it is, which is not taken apart meanwhile. Fails with DISCONNECTED when that process
 * ends or has ended. */
status_t behalf_call(struct call *call, uint32_t ordinal, const void *in, void *out) MUST_CHECK;

#endif
