/* Leases: copies of a capability that can be taken back.
 *
 * A lease stands for an object, its target. The slot of a revocable copy holds the lease in the
 * place of the target, and each look-up asks the lease, so to revoke is one store, however many
 * slots hold copies. A lease may stand for a copy of another one, its parent, and is revoked with
 * it. What all leases under one root share is in the root: the lock, the target, the threads in
 * calls, the mappings.
 *
 *     look-up                                   revocation
 *     1  lock of the root                       a  lock of the root: revoked = true
 *     2  no lease up to the root is revoked     b  those in the tree of users: REVOKED in their
 *     3  a reference to the target, and the        work, and their waits end
 *        thread is in the tree of users         c  what was mapped is unmapped (mm/lease_map.h)
 *     4  ... the call, and its waits ...        d  the root drops the target
 *     5  out of the tree; REVOKED is cleared
 *
 * A call that does not wait may end after the revocation. models/revoke.pml is the model. A thread,
 * unless said otherwise. */
#ifndef CAPOS_SCHED_LEASE_H
#define CAPOS_SCHED_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/object.h"
#include "core/rbtree.h"

struct ledger;
struct thread;

struct lease {
	struct object control; /* the interface Lease; references copy */
	struct object copy;    /* what the slots of copies hold; has the target's interface */

	/* Set at creation, never changed. */
	struct ledger *ledger; /* charged; referenced */
	struct lease *parent;  /* its copy is referenced; NULL: this is a root */
	struct lease *root;
	uint32_t depth; /* 1: a root */

	uint32_t revoked; /* atomic; set once, under the root's lock */

	/* Of a root, guarded by lock. */
	struct spinlock lock;
	struct object *target; /* a reference and a name; NULL once it is revoked */
	struct rbtree users;   /* struct lease_use, by arrival */
	struct rbtree maps;    /* struct lease_map, by arrival */
	uint64_t arrivals;     /* in both */
};

/* A call through a copy: part of the record of the thread, or of the call if that goes on while the
 * thread does other things. */
struct lease_use {
	struct lease *lease;   /* its copy is referenced; NULL: none. Owner thread only */
	struct thread *thread; /* set with it */
	bool call;             /* of an endpoint: thread_call says whether the thread waits in it */
	/* Set before it; NULL: the call is what the thread does, and it waits no more. Called with
	 * the lock of the root, once. */
	void (*revoked_locked)(struct lease_use *use);

	/* Guarded by the lock of the root. */
	struct rbnode node;
	uint64_t arrival;
};

static inline struct lease *lease_of_copy(struct object *copy)
{
	return container_of(copy, struct lease, copy);
}

static inline struct lease *lease_of_control(struct object *control)
{
	return container_of(control, struct lease, control);
}

/* Any context. Whether it or one above it is revoked, which lasts. */
static inline bool lease_is_revoked(const struct lease *lease)
{
	for (; lease; lease = lease->parent)
		if (__atomic_load_n(&lease->revoked, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

/* The target with a reference for the caller; NULL: it is revoked. The caller has a reference to
 * the copy. */
struct object *lease_target(struct lease *lease) MUST_CHECK;
/* The same, and the current thread, to which use belongs, is in a call through it until
 * lease_leave. Takes over the reference to the copy, on success. */
struct object *lease_enter(struct lease *lease, struct lease_use *use) MUST_CHECK;
void lease_leave_now(struct lease_use *use);
/* No lock is held. Nothing to do where use has no lease. */
static inline void lease_leave(struct lease_use *use)
{
	assert_none_held();
	if (__builtin_expect(use->lease != NULL, 0))
		lease_leave_now(use);
}
/* Steps a and b. */
void lease_revoke(struct lease *lease);

#endif
