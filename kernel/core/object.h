/* The header every kernel object begins with. Capability slots and kernel structures hold
 * references. Dropping the last one runs the type's destroy hook. Objects that live as long as the
 * kernel (markers such as ParkSpace) are statically allocated with OBJECT_STATIC and never reach
 * zero. models/captable.pml models references. Any context, except that the last reference is
 * dropped by a thread, because a destroy hook may take long and any lock. */
#ifndef CAPOS_CORE_OBJECT_H
#define CAPOS_CORE_OBJECT_H

#include <stddef.h>
#include <stdint.h>

struct interface_desc; /* generated; call/decode.h */
struct object;

struct object_ops {
	void (*destroy)(struct object *object); /* NULL: static object */
};

struct object {
	const struct interface_desc *interface; /* NULL: no capability may name it (yet) */
	const struct object_ops *ops;
	uint32_t references;
	uint32_t reserved;
	uint64_t serial; /* for people: unique since boot */
};

/* Initialiser of an object that lives as long as the kernel: references to it are not counted. */
#define OBJECT_STATIC(interface_address) \
	{ .interface = (interface_address), .ops = NULL, .references = 1 }

/* References 1; counted in object_count(). */
void object_init(struct object *object, const struct interface_desc *interface,
	const struct object_ops *ops);
void object_retain_counted(struct object *object);
void object_release_counted(struct object *object);

/* Adds a reference to an object to which the caller has one already, directly or through a lock. */
static inline void object_retain(struct object *object)
{
	if (object->ops)
		object_retain_counted(object);
}

/* Drops a reference; the last one destroys the object. */
static inline void object_release(struct object *object)
{
	if (object->ops)
		object_release_counted(object);
}

/* Live objects that were initialised with object_init. */
uint64_t object_count(void);

#endif
