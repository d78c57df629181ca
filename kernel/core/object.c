/* Reference counting of kernel objects, and the count of live ones that leak checks compare. */
#include "core/object.h"

#include <stddef.h>

#include "core/log.h"

static uint64_t live_objects;    /* atomic */
static uint64_t next_serial = 1; /* atomic */

/* Objects without references that wait for the reaper; a stack. Atomic. */
static struct object *waiting;

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

void object_retain_wrong(uint32_t before)
{
	panic("a reference to an object that has %u", before);
}

static void destroy(struct object *object)
{
	__atomic_fetch_sub(&live_objects, 1, __ATOMIC_RELAXED);
	object->ops->destroy(object);
}

/* Only the reaper takes objects out, all at once, so an address that comes back does no harm. */
static void destroy_later(struct object *object)
{
	struct object *next = __atomic_load_n(&waiting, __ATOMIC_RELAXED);
	do
		object->next = next;
	while (!__atomic_compare_exchange_n(
		&waiting, &next, object, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	object_destroy_later();
}

void object_release_last(struct object *object, uint32_t before)
{
	VERIFY(before == 1);
	if (object->ops->traits & OBJECT_HOLDS)
		destroy_later(object);
	else
		destroy(object);
}

void object_destroy_waiting(void (*after)(void))
{
	struct object *object;
	while ((object = __atomic_exchange_n(&waiting, NULL, __ATOMIC_ACQUIRE)) != NULL) {
		while (object) {
			struct object *next = object->next;
			destroy(object);
			after();
			object = next;
		}
	}
}

void object_unname(struct object *object)
{
	if (!object->ops)
		return;
	uint32_t before = __atomic_fetch_sub(&object->names, 1, __ATOMIC_ACQ_REL);
	VERIFY(before != 0);
	if (before == 1 && object->ops->unnamed)
		object->ops->unnamed(object);
}

uint64_t object_count(void)
{
	return __atomic_load_n(&live_objects, __ATOMIC_RELAXED);
}
