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
 * A binding that was made through a revocable copy remembers the lease, and signals nothing once
 * that is revoked. Each signal asks the lease, so the revocation does not look for bindings. One
 * that is revoked makes room for another where an object has as many as it may.
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
#include "sched/lease.h"

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
	struct lease *lease;  /* of the copy it was made through, which is referenced; NULL: none */
	uint64_t bits;

	struct list_node event_node; /* guarded by the event's lock */
};

/* What a binding has held. It is given up with no lock held. */
struct bound {
	struct object *event; /* NULL: nothing was bound, or the event is about to forget it */
	struct lease *lease;  /* NULL: none */
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
/* Binds that event instead of another; NULL: none. lease: that of the call, or NULL. For a binding
 * that is a part of its source. The caller looks afterwards whether what the bits stand for has
 * happened already. */
void binding_set(struct binding *binding, struct object *event, struct lease *lease, uint64_t bits);
/* Whether it signals nothing any more, and may be replaced. The lock is held. Any context. */
static inline bool binding_is_revoked_locked(const struct binding *binding)
{
	assert_held(binding->lock);
	return __builtin_expect(binding->lease != NULL, 0) && lease_is_revoked(binding->lease);
}
/* What is to be sent. The lock is held. Any context. */
static inline struct event_signal binding_due_locked(const struct binding *binding)
{
	assert_held(binding->lock);
	struct event_signal due = { .event = binding->event, .bits = binding->bits };
	if (__builtin_expect(due.event == NULL, 1))
		return due;
	if (binding_is_revoked_locked(binding))
		due.event = NULL;
	else
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
 * that no program can wait for any more. Change is for a binding of the same event. Detach and
 * change return what is to be given up after the lock. */
void binding_attach_locked(
	struct binding *binding, struct object *event, struct lease *lease, uint64_t bits);
struct bound binding_change_locked(
	struct binding *binding, struct lease *lease, uint64_t bits) MUST_CHECK;
struct bound binding_detach_locked(struct binding *binding) MUST_CHECK;
void bound_release(struct bound bound);

#endif
