/* LeaseFactory and Lease: revocable copies of capabilities. sched/lease.h says how they are used
 * and taken back; docs/decisions/0025-revocable-copies.md why so, and models/revoke.pml models it.
 *
 * A lease is two objects in one record. The control is what its maker has, the copy what the slots
 * of copies hold. The record stays until both are gone and no lease below it is left. What the
 * lease stands for is given up at the revocation, because a holder of a dead copy must not keep it.
 */
#include "sched/lease.h"

#include "call/call.h"
#include "kernel/grants.h"
#include "kernel/methods.h"
#include "mm/aspace.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/lease_map.h"
#include "object/behalf.h"
#include "proc/process.h"
#include "sched/thread.h"

/* Takes back all copies, and gives the target up. */
static void revoke(struct lease *lease)
{
	assert_none_held();
	lease_revoke(lease);
	lease_unmap(lease);
	spin_lock(&lease->lock);
	struct object *target = lease->target;
	lease->target = NULL;
	spin_unlock(&lease->lock);
	if (target)
		cap_drop(target);
}

static void lease_unnamed(struct object *object)
{
	revoke(lease_of_control(object));
}

static void lease_control_destroy(struct object *object)
{
	object_release(&lease_of_control(object)->copy);
}

static void lease_copy_destroy(struct object *object)
{
	struct lease *lease = lease_of_copy(object), *parent = lease->parent;
	struct ledger *ledger = lease->ledger;
	ASSERT(!lease->target && rbtree_empty(&lease->users) && rbtree_empty(&lease->maps));
	kmem_free(ledger, lease);
	ledger_release(ledger);
	if (parent)
		object_release(&parent->copy);
}

static const struct object_ops control_ops = { .destroy = lease_control_destroy,
	.unnamed = lease_unnamed };

static const struct object_ops copy_ops = { .destroy = lease_copy_destroy,
	.traits = OBJECT_LEASED };

/* Its destruction may be that of its parent. */
static const struct object_ops nested_copy_ops = { .destroy = lease_copy_destroy,
	.traits = OBJECT_LEASED | OBJECT_HOLDS };

/* Of ThreadControl some calls do not come back, operations of park spaces look for these alone, and
 * a lease of a lease would make the end of one the end of another, to any depth. */
static bool may_be_leased(const struct object *object)
{
	return object != &object_thread_control && object != &object_park &&
		object != &object_shared_park && object->ops != &control_ops;
}

static status_t check_held(const struct object *held)
{
	if (!object_is_leased(held))
		return may_be_leased(held) ? STATUS_OK : STATUS(NO_RIGHTS);
	const struct lease *parent = lease_of_copy((struct object *)held);
	if (lease_is_revoked(parent))
		return STATUS(REVOKED);
	return parent->depth < CAPOS_LEASE_DEPTH_MAX ? STATUS_OK : STATUS(LIMIT_REACHED);
}

/* held: what the slot holds, with a reference and a name: a root keeps both. */
static void init_lease(struct lease *lease, struct object *held)
{
	lease->parent = object_is_leased(held) ? lease_of_copy(held) : NULL;
	lease->root = lease->parent ? lease->parent->root : lease;
	lease->depth = lease->parent ? lease->parent->depth + 1 : 1;
	lease->target = lease->parent ? NULL : held;
	spin_init(&lease->lock, LOCK_RANK_LEASE);
	rbtree_init(&lease->users);
	rbtree_init(&lease->maps);
	object_init(&lease->copy, held->interface, lease->parent ? &nested_copy_ops : &copy_ops);
	object_init(&lease->control, &interface_descs[INTERFACE_LEASE], &control_ops);
	if (lease->parent)
		object_unname(held);
}

status_t method_lease_factory_create(struct call *call,
	const struct lease_factory_create_params *in, struct lease_factory_create_results *out)
{
	struct ledger *ledger = call->process->space->ledger;
	struct object *held;
	status_t status = behalf_copy(call->process, in->object, &held);
	if (status != STATUS_OK)
		return status;
	status = check_held(held);
	struct lease *lease = status == STATUS_OK ? kmem_alloc(ledger, sizeof *lease) : NULL;
	if (!lease) {
		cap_drop(held);
		return status == STATUS_OK ? STATUS(NO_MEMORY) : status;
	}
	lease->ledger = ledger_retain(ledger);
	init_lease(lease, held);
	out->lease = &lease->control;
	return STATUS_OK;
}

status_t method_lease_copy(
	struct call *call, const struct lease_copy_params *in, struct lease_copy_results *out)
{
	struct lease *lease = lease_of_control(call->object);
	(void)in;
	if (lease_is_revoked(lease))
		return STATUS(REVOKED);
	object_retain(&lease->copy);
	out->copy = &lease->copy;
	return STATUS_OK;
}

status_t method_lease_revoke(
	struct call *call, const struct lease_revoke_params *in, struct lease_revoke_results *out)
{
	(void)in;
	(void)out;
	revoke(lease_of_control(call->object));
	return STATUS_OK;
}
