/* See lease.h. What a lease keeps of mappings is mm/lease_map.c, how it is made and ends
 * object/lease.c. models/revoke.pml models this file. */
#include "sched/lease.h"

#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/wait_state.h"

static struct lease_use *use_of(const struct rbnode *node)
{
	return container_of(node, struct lease_use, node);
}

static uint64_t arrival_of(const struct rbnode *node)
{
	return use_of(node)->arrival;
}

static bool came_before(const struct rbnode *a, const struct rbnode *b)
{
	return arrival_of(a) < arrival_of(b);
}

struct object *lease_target(struct lease *lease)
{
	struct lease *root = lease->root;
	spin_lock(&root->lock);
	struct object *target = lease_is_revoked(lease) ? NULL : root->target;
	if (target)
		object_retain(target);
	spin_unlock(&root->lock);
	return target;
}

struct object *lease_enter(struct lease *lease, struct lease_use *use)
{
	struct lease *root = lease->root;
	ASSERT(!use->lease);
	spin_lock(&root->lock);
	struct object *target = lease_is_revoked(lease) ? NULL : root->target;
	if (target) {
		object_retain(target);
		use->lease = lease;
		use->thread = thread_current();
		use->arrival = root->arrivals++;
		rbtree_insert_few(&root->users, &use->node, came_before);
	}
	spin_unlock(&root->lock);
	return target;
}

void lease_leave_now(struct lease_use *use)
{
	struct lease *lease = use->lease;
	assert_none_held();
	spin_lock(&lease->root->lock);
	rbtree_remove_few(&lease->root->users, &use->node);
	if (!use->revoked_locked)
		__atomic_and_fetch(
			&use->thread->exit_work, ~(uint32_t)EXIT_WORK_REVOKED, __ATOMIC_SEQ_CST);
	spin_unlock(&lease->root->lock);
	use->lease = NULL;
	object_release(&lease->copy);
}

/* Ends the wait in the call, or the next one if it has not begun. A thread that is away from its
 * call to an endpoint asks the lease when it comes back. */
static void end_use_locked(struct lease *root, struct lease_use *use)
{
	struct thread *thread = use->thread;
	assert_held(&root->lock);
	if (use->revoked_locked) {
		use->revoked_locked(use);
		return;
	}
	spin_lock(&thread->lock);
	if (!use->call || !thread->call.away) {
		__atomic_or_fetch(&thread->exit_work, EXIT_WORK_REVOKED, __ATOMIC_SEQ_CST);
		if (wait_decide(thread, WAIT_REVOKED))
			sched_wake(thread);
	}
	spin_unlock(&thread->lock);
}

/* A batch of the users that had come before end, from *first on. True: there may be more. */
static bool end_uses_locked(struct lease *root, uint64_t *first, uint64_t end)
{
	assert_held(&root->lock);
	struct rbnode *node = rbtree_lower_bound(&root->users, *first, arrival_of);
	for (uint32_t seen = 0; node; seen++, node = rbtree_next(node)) {
		*first = arrival_of(node);
		if (*first >= end)
			return false;
		if (seen == WAKE_BATCH)
			return true;
		if (lease_is_revoked(use_of(node)->lease))
			end_use_locked(root, use_of(node));
	}
	return false;
}

void lease_revoke(struct lease *lease)
{
	struct lease *root = lease->root;
	assert_none_held();
	spin_lock(&root->lock);
	__atomic_store_n(&lease->revoked, true, __ATOMIC_SEQ_CST);
	uint64_t first = 0, end = root->arrivals;
	while (end_uses_locked(root, &first, end))
		sched_pause_locked(&root->lock);
	spin_unlock(&root->lock);
}
