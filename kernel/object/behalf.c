/* See behalf.h. models/visit.pml models calls on behalf of a process. */
#include "object/behalf.h"

#include "call/trace.h"
#include "kernel/grants.h"
#include "kernel/methods.h"
#include "mm/kmem.h"

struct behalf {
	struct object object;
	struct object *own;      /* the static object of which it is made */
	struct process *process; /* referenced; its ledger is charged */
};

static struct object *const own_objects[] = { &object_vm, &object_memory_allocator,
	&object_thread_spawner, &object_process_spawner };

#define OWN_OBJECTS (sizeof own_objects / sizeof own_objects[0])

static struct behalf *behalf_from(struct object *object)
{
	return container_of(object, struct behalf, object);
}

static void behalf_destroy(struct object *object)
{
	struct process *process = behalf_from(object)->process;
	kmem_free(process->ledger, behalf_from(object));
	object_release(&process->object);
}

static const struct object_ops behalf_ops = { .destroy = behalf_destroy };

bool behalf_is_own(const struct object *object)
{
	for (unsigned i = 0; i < OWN_OBJECTS; i++)
		if (own_objects[i] == object)
			return true;
	return false;
}

status_t behalf_make(struct process *process, struct object **object)
{
	struct object *own = *object;
	if (!behalf_is_own(own))
		return STATUS_OK;
	struct behalf *behalf = kmem_alloc(process->ledger, sizeof *behalf);
	if (!behalf) {
		*object = NULL;
		return STATUS(NO_MEMORY);
	}
	trace_use(own);
	object_init(&behalf->object, own->interface, &behalf_ops);
	object_name(&behalf->object);
	object_retain(&process->object);
	behalf->own = own;
	behalf->process = process;
	*object = &behalf->object;
	return STATUS_OK;
}

status_t behalf_lift(struct process *process, cap_id_t cap, struct object **object)
{
	status_t status = cap_table_lift(&process->caps, cap, object);
	if (status != STATUS_OK || (*object)->ops)
		return status;
	struct object *own = *object;
	status = behalf_make(process, object);
	if (status != STATUS_OK)
		cap_table_fill(&process->caps, cap, own);
	return status;
}

struct object *behalf_come_home(struct process *process, struct object *object)
{
	if (object->ops != &behalf_ops || behalf_from(object)->process != process)
		return object;
	struct object *own = behalf_from(object)->own;
	cap_drop(object);
	return own;
}

status_t behalf_call(struct call *call, uint32_t ordinal, const void *in, void *out)
{
	const struct behalf *behalf = behalf_from(call->object);
	const struct method_desc *method = interface_method(behalf->own->interface, ordinal);
	struct call inside = *call;
	if (!process_visit(behalf->process))
		return STATUS(DISCONNECTED);
	inside.process = behalf->process;
	inside.object = behalf->own;
	status_t status = method->invoke(&inside, in, out);
	call->detail = inside.detail;
	process_leave(behalf->process);
	return status;
}
