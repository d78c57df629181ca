/* Bindings: an object signals an Event when something happens to it, such as its end, so that one
 * thread can wait for many things by one Event.
 *
 *     spin_lock(&object->lock);
 *     ...                                          what happens
 *     due = binding_due_locked(&object->binding);  nothing, while no event is bound
 *     spin_unlock(&object->lock);
 *     event_signal_send(due);
 *
 * The signal is sent with no lock held, because it may look at any number of threads that wait. A
 * signal that is being sent when the binding changes may still come: bits say that it is worth
 * looking, and no more.
 *
 * A binding references its event, and the event knows its bindings without references. When the
 * last capability for the event is gone, it takes itself out of them, because no program can wait
 * for it any more, and an object that lives longer would keep its record and its charge. The record
 * of a binding that is no part of its object is charged as the event is.
 *
 * Provided by object/binding.c and object/event.c. A thread, unless said otherwise;
 * functions that are not _locked are called without locks.
 * models/binding.pml is the model. */
#ifndef CAPOS_PROC_BINDING_H
#define CAPOS_PROC_BINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/object.h"

struct ledger;
struct process;

struct binding {
	/* Set at creation, never changed. */
	struct object *source; /* to which it belongs; no reference */
	struct spinlock *lock; /* of the source; its rank is below EVENT */
	/* The event goes, and the binding with it: takes it out of the source and frees it. The
	 * lock is held. NULL: the binding is a part of the source. */
	void (*forget_locked)(struct binding *binding, struct ledger *ledger);

	/* Guarded by *lock. */
	struct object *event; /* referenced; NULL: none is bound */
	uint64_t bits;

	struct list_node event_node; /* guarded by the event's lock */
};

/* A signal that is to be sent: once, and not kept. */
struct event_signal {
	struct object *event; /* referenced; NULL: none */
	uint64_t bits;
};

/* The event of that capability, kept alive until the caller's object_release; NULL: the process
 * holds none there. */
struct object *event_find(struct process *process, uint64_t cap);
/* What is charged for the event, and for records that hang on it. The caller has a reference. */
struct ledger *event_ledger(struct object *event);

/* Any context, before others know of the source. */
void binding_init(struct binding *binding, struct object *source, struct spinlock *lock);
/* Binds that event instead of another; NULL: none. For a binding that is a part of its source. The
 * caller looks afterwards whether what the bits stand for has happened already. */
void binding_set(struct binding *binding, struct object *event, uint64_t bits);
/* What is to be sent. The lock is held. Any context. */
static inline struct event_signal binding_due_locked(const struct binding *binding)
{
	assert_held(binding->lock);
	struct event_signal due = { .event = binding->event, .bits = binding->bits };
	if (__builtin_expect(due.event != NULL, 0))
		object_retain(due.event);
	return due;
}
/* Sets the bits and wakes those who wait for them. */
void event_signal_send(struct event_signal due);
/* The same in any context, and in a bounded time; the source's lock may be held. True: so many
 * threads wait that not all were looked at; a thread must send the signal again. */
bool event_signal_brief(struct object *event, uint64_t bits) MUST_CHECK;
/* The source is being destroyed. A thread without locks. */
void binding_end(struct binding *binding);

/* For bindings with records of their own: the source's lock is held. Attach leaves an event unbound
 * that no program can wait for any more. Detach gives the reference to the event, which must not
 * be dropped under the lock; NULL: none is bound, or the event is about to call forget_locked. */
void binding_attach_locked(struct binding *binding, struct object *event, uint64_t bits);
struct object *binding_detach_locked(struct binding *binding);

#endif
