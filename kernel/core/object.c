/* Reference counting of kernel objects, and the count of live ones that leak checks compare. */
#include "core/object.h"

#include <stddef.h>

#include "core/log.h"

static uint64_t live_objects;    /* atomic */
static uint64_t next_serial = 1; /* atomic */

void object_init(
	struct object *object, const struct interface_desc *interface, const struct object_ops *ops)
{
	ASSERT(ops && ops->destroy);
	*object = (struct object){
		.interface = interface,
		.ops = ops,
		.references = 1,
		.serial = __atomic_fetch_add(&next_serial, 1, __ATOMIC_RELAXED),
	};
	__atomic_fetch_add(&live_objects, 1, __ATOMIC_RELAXED);
}

void object_retain_counted(struct object *object)
{
	uint32_t before = __atomic_fetch_add(&object->references, 1, __ATOMIC_RELAXED);
	VERIFY(before != 0 && before != UINT32_MAX);
}

void object_release_counted(struct object *object)
{
	/* Release order publishes this holder's writes; acquire order lets the destroy hook see all
	 * of them. */
	uint32_t before = __atomic_fetch_sub(&object->references, 1, __ATOMIC_ACQ_REL);
	VERIFY(before != 0);
	if (before != 1)
		return;
	__atomic_fetch_sub(&live_objects, 1, __ATOMIC_RELAXED);
	object->ops->destroy(object);
}

uint64_t object_count(void)
{
	return __atomic_load_n(&live_objects, __ATOMIC_RELAXED);
}
