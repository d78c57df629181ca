/* The header every kernel object begins with. Capability slots and kernel structures hold
 * references. Dropping the last one runs the type's destroy hook. Objects that live as long as the
 * kernel (markers such as ParkSpace) are statically allocated with OBJECT_STATIC and never reach
 * zero. models/captable.pml models references. Any context, except that the last reference is
 * dropped by a thread that holds no lock, because a destroy hook may take long and any lock.
 *
 * docs/decisions/0012-objects-between-processes.md says who may hold whom. */
#ifndef CAPOS_CORE_OBJECT_H
#define CAPOS_CORE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/log.h"
#include "core/mistake.h"

struct interface_desc; /* generated; call/decode.h */
struct object;

enum object_trait {
	/* Holds objects of any kind, as a queue of messages does. Destroyed by the reaper and not
	 * where its last reference is dropped, so that no chain of objects recurses. */
	OBJECT_HOLDS = 1,
	/* Stands for another object: a revocable copy of it (sched/lease.h). Only slots and what
	 * carries capabilities between them have it; look-ups give what it stands for. */
	OBJECT_LEASED = 2,
};

struct object_ops {
	void (*destroy)(struct object *object); /* NULL: static object */
	unsigned traits;                        /* enum object_trait */
	/* The last capability for it is gone: no program can call it any more. Calls in progress
	 * may still hold references. NULL: nothing to do. A thread; the caller has a reference. */
	void (*unnamed)(struct object *object);
};

struct object {
	const struct interface_desc *interface; /* NULL: no capability may name it (yet) */
	const struct object_ops *ops;
	uint32_t references;
	uint32_t names; /* capabilities for it, of all processes; atomic */
	union {
		uint64_t serial;     /* for people: unique since boot */
		struct object *next; /* without references: in the list of those to destroy */
	};
};

/* Initialiser of an object that lives as long as the kernel: references to it are not counted. */
#define OBJECT_STATIC(interface_address) \
	{ .interface = (interface_address), .ops = NULL, .references = 1 }

/* References 1; counted in object_count(). */
void object_init(struct object *object, const struct interface_desc *interface,
	const struct object_ops *ops);
/* The rare ends of the two below; before: references until then. */
void object_retain_wrong(uint32_t before);
void object_release_last(struct object *object, uint32_t before);

/* EXPLORE_LOST_REFERENCE */
static inline uint32_t object_retain_badly(struct object *object)
{
	uint32_t before = __atomic_load_n(&object->references, __ATOMIC_RELAXED);
	__atomic_store_n(&object->references, before + 1, __ATOMIC_RELAXED);
	return before;
}

/* Adds a reference to an object to which the caller has one already, directly or through a lock. */
static inline void object_retain(struct object *object)
{
	if (!object->ops)
		return;
	uint32_t before = explore_mistake(EXPLORE_LOST_REFERENCE)
		? object_retain_badly(object)
		: __atomic_fetch_add(&object->references, 1, __ATOMIC_RELAXED);
	if (__builtin_expect(before + 1 <= 1, 0))
		object_retain_wrong(before);
}

/* The same for an object that counts its references, as many as there can be. */
static inline void object_retain_counted(struct object *object)
{
	ASSERT(object->references);
	if (explore_mistake(EXPLORE_LOST_REFERENCE))
		object_retain_badly(object);
	else
		__atomic_fetch_add(&object->references, 1, __ATOMIC_RELAXED);
}

/* Adds a reference to an object that may just have lost its last one, and is not freed meanwhile
 * because its destroy hook waits for a lock of the caller's. False: it has. */
static inline bool object_retain_unless_gone(struct object *object)
{
	uint32_t references = __atomic_load_n(&object->references, __ATOMIC_RELAXED);
	while (references)
		if (__atomic_compare_exchange_n(&object->references, &references, references + 1,
			    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return false;
}

/* Drops a reference to an object that counts them; the last one destroys the object. */
static inline void object_release_counted(struct object *object)
{
	/* Release order publishes this holder's writes; acquire order lets the destroy hook see all
	 * of them. */
	uint32_t before = __atomic_fetch_sub(&object->references, 1, __ATOMIC_ACQ_REL);
	if (explore_mistake(EXPLORE_SECOND_RELEASE))
		before = __atomic_load_n(&object->references, __ATOMIC_RELAXED) + 1;
	if (__builtin_expect(before <= 1, 0))
		object_release_last(object, before);
}

/* The same for any object. */
static inline void object_release(struct object *object)
{
	if (object->ops)
		object_release_counted(object);
}

/* Drops a reference beside which the caller knows of another; any lock may be held. */
static inline void object_release_other(struct object *object)
{
	ASSERT(object->references > 1);
	__atomic_fetch_sub(&object->references, 1, __ATOMIC_RELEASE);
}

/* Drops a reference when it is not the last one; any lock may be held. When it is the last one,
 * object_retain_unless_gone() may find the object gone for a moment. */
static inline bool object_release_but_last(struct object *object)
{
	if (__builtin_expect(__atomic_sub_fetch(&object->references, 1, __ATOMIC_ACQ_REL) != 0, 1))
		return true;
	__atomic_store_n(&object->references, 1, __ATOMIC_RELAXED);
	return false;
}

/* Drops a reference when it is not the last one; any lock may be held. */
static inline bool object_release_unless_last(struct object *object)
{
	uint32_t references = __atomic_load_n(&object->references, __ATOMIC_RELAXED);
	do
		if (references == 1)
			return false;
	while (!__atomic_compare_exchange_n(&object->references, &references, references - 1, true,
		__ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return true;
}

/* Whether it is a revocable copy of another object. */
static inline bool object_is_leased(const struct object *object)
{
	return object->ops && object->ops->traits & OBJECT_LEASED;
}

/* The reaper (proc/reaper.c): an object waits to be destroyed. The context of object_release. */
void object_destroy_later(void);
/* The reaper: destroys those that wait, and those that these drop, one after the other. after:
 * called behind each, so that others run meanwhile. */
void object_destroy_waiting(void (*after)(void));

/* A capability for the object comes or goes. The holder of a capability has a reference too. Unname
 * as release: a thread. */
static inline void object_name(struct object *object)
{
	if (object->ops)
		__atomic_fetch_add(&object->names, 1, __ATOMIC_RELAXED);
}
void object_unname(struct object *object);

/* Live objects that were initialised with object_init. */
uint64_t object_count(void);

#endif
