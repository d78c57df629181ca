/* Event: 64 flag bits that threads set and wait for.
 *
 * Under the lock no thread waits for a bit that is set, except for bits that a signal in progress
 * has set and not yet offered to all who wait. A waiter is in the queue with its mask; the signal
 * that ends its wait takes the bits for it, and leaves them in its record. So a bit has one taker,
 * and a wait that ended for another reason has taken nothing.
 *
 * A signal looks at those who wait a batch at a time, because there may be any number and most may
 * wait for other bits. It does not look at those who come meanwhile: they have seen its bits.
 * models/binding.pml models the end of an event.
 *
 * A thread that waits for a word besides is in the queue of that too. Each queue has its lock; the
 * one word that decides the wait (sched/wait_state.h) makes the outcome one. The thread joins both
 * queues under both locks, so neither side can come in between, and leaves both before it waits
 * again. models/waitboth.pml models this. */
#include "call/call.h"
#include "core/log.h"
#include "kernel/grants.h"
#include "kernel/methods.h"
#include "mm/ledger.h"
#include "mm/park.h"
#include "mm/user.h"
#include "object/event.h"
#include "proc/binding.h"
#include "proc/process.h"
#include "sched/sched.h"
#include "sched/wait_state.h"

static uint64_t arrival_of(const struct rbnode *node)
{
	return container_of(node, const struct thread, event_node)->event_arrival;
}

static bool came_before(const struct rbnode *a, const struct rbnode *b)
{
	return arrival_of(a) < arrival_of(b);
}

/* Mostly one thread waits at a time. */
static void queue_add_locked(struct event *event, struct thread *thread)
{
	assert_held(&event->lock);
	rbtree_insert_few(&event->waiters, &thread->event_node, came_before);
}

static void queue_remove_locked(struct event *event, struct thread *thread)
{
	assert_held(&event->lock);
	rbtree_remove_few(&event->waiters, &thread->event_node);
}

/* The bits that a wait for the mask takes: no result word lies among the errors. */
static uint64_t takeable(uint64_t bits, uint64_t mask)
{
	uint64_t taken = bits & mask;
	return taken > UINT64_MAX - 4095 ? taken & ~(1ull << 63) : taken;
}

/* What ends the wait of a thread in the queue. taken: of the event's bits. */
static void end_wait_locked(
	struct event *event, struct thread *thread, enum wait_state outcome, uint64_t taken)
{
	assert_held(&event->lock);
	queue_remove_locked(event, thread);
	if (!wait_decide(thread, outcome))
		return; /* its deadline or a notification was first */
	event->bits &= ~taken;
	thread->event_bits = taken;
	sched_wake(thread);
}

/* Offers the bits to a batch of those who wait, from *arrival on. True: there may be more, of whom
 * *arrival is the first. */
static bool offer_locked(struct event *event, uint64_t bits, uint64_t *arrival, uint64_t end)
{
	assert_held(&event->lock);
	struct rbnode *node = rbtree_lower_bound(&event->waiters, *arrival, arrival_of), *next;
	for (uint32_t seen = 0; node && event->bits & bits; seen++, node = next) {
		struct thread *thread = container_of(node, struct thread, event_node);
		*arrival = thread->event_arrival;
		if (*arrival >= end)
			return false;
		if (seen == WAKE_BATCH)
			return true;
		next = rbtree_next(node);
		uint64_t taken = takeable(event->bits, thread->event_bits);
		if (taken)
			end_wait_locked(event, thread, WAIT_SIGNALLED, taken);
	}
	return false;
}

/* Offers the bits to all who wait. The lock is held, and is left between batches. */
static __attribute__((noinline)) void offer_to_all(struct event *event, uint64_t bits)
{
	assert_held(&event->lock);
	uint64_t first = 0, end = event->arrivals;
	while (offer_locked(event, bits, &first, end))
		sched_pause_locked(&event->lock);
}

/* Leaves the lock. release: drops the caller's reference too, before a thread that has been woken
 * runs on, so that who waits and then releases the capability finds the charge gone. */
static inline void signal(struct event *event, uint64_t bits, bool release)
{
	bool kept = release;
	spin_lock(&event->lock);
	event->bits |= bits;
	struct rbnode *first = rbtree_first(&event->waiters);
	if (first && !rbtree_is_only(&event->waiters, first)) {
		offer_to_all(event, bits);
		first = NULL;
	}
	if (first) { /* as mostly */
		struct thread *thread = container_of(first, struct thread, event_node);
		uint64_t taken = takeable(event->bits, thread->event_bits);
		if (taken)
			end_wait_locked(event, thread, WAIT_SIGNALLED, taken);
	}
	if (release)
		kept = !object_release_unless_last(&event->object);
	spin_unlock(&event->lock);
	if (kept)
		object_release(&event->object);
}

bool event_signal_brief(struct object *object, uint64_t bits)
{
	struct event *event = event_from(object);
	uint64_t first = 0;
	spin_lock(&event->lock);
	event->bits |= bits;
	bool more = offer_locked(event, bits, &first, event->arrivals);
	spin_unlock(&event->lock);
	return more;
}

void event_signal_send(struct event_signal due)
{
	assert_none_held();
	if (due.event)
		signal(event_from(due.event), due.bits, true);
}

static inline void join_locked(struct event *event, struct thread *thread, uint64_t mask)
{
	assert_held(&event->lock);
	thread->event_bits = mask;
	thread->event_arrival = event->arrivals++;
	queue_add_locked(event, thread);
}

static inline void leave_locked(
	struct event *event, struct thread *thread, enum wait_state outcome, uint64_t *taken)
{
	assert_held(&event->lock);
	if (rbnode_linked(&thread->event_node))
		queue_remove_locked(event, thread);
	if (outcome == WAIT_SIGNALLED)
		*taken = thread->event_bits;
}

static status_t wait_locked(
	struct event *event, uint64_t mask, uint64_t deadline_ns, uint64_t *taken)
{
	assert_held(&event->lock);
	struct thread *thread = thread_current();
	join_locked(event, thread, mask);
	enum wait_state outcome = wait_block(&event->lock, deadline_ns, true);
	leave_locked(event, thread, outcome, taken);
	return wait_status(outcome);
}

/* Takes what there is. True: the wait is over, with this status. */
static inline bool take_locked(
	struct event *event, uint64_t mask, uint64_t *taken, status_t *status)
{
	assert_held(&event->lock);
	*taken = takeable(event->bits, mask);
	event->bits &= ~*taken;
	*status = *taken || !event->closed ? STATUS_OK : STATUS(DISCONNECTED);
	return *taken || event->closed;
}

static status_t event_wait(
	struct event *event, uint64_t mask, uint64_t deadline_ns, uint64_t *taken)
{
	status_t status;
	if (!mask)
		return STATUS(INVALID_ARGUMENT);
	spin_lock(&event->lock);
	if (!take_locked(event, mask, taken, &status))
		status = wait_locked(event, mask, deadline_ns, taken);
	spin_unlock(&event->lock);
	return status;
}

/* ---- an event and a word ---- */

/* What a wait for both is for. */
struct both {
	struct event *event;
	uint64_t mask, deadline_ns;
	struct user_ptr word;
	uint32_t expected;
};

/* The lock of the event is held, and join, that of the park queue, which is left. */
static status_t wait_both_locked(
	const struct both *both, struct thread *thread, struct spinlock *inner, uint64_t *taken)
{
	struct event *event = both->event;
	assert_held(&event->lock);
	assert_held(inner);
	join_locked(event, thread, both->mask);
	enum wait_state outcome = wait_block_both(&event->lock, inner, both->deadline_ns);
	leave_locked(event, thread, outcome, taken);
	park_beside_leave(thread);
	return outcome == WAIT_DRAINED ? STATUS(BAD_ADDRESS) : wait_status(outcome);
}

/* False: the word could not be read, and nothing has been taken. */
static bool wait_both_once(const struct both *both, uint64_t *taken, status_t *status)
{
	struct thread *thread = thread_current();
	enum park_join join = PARK_MISMATCH;
	struct spinlock *inner;
	spin_lock(&both->event->lock);
	if (!take_locked(both->event, both->mask, taken, status)) {
		join = park_beside_join(thread, both->word, both->expected, &inner);
		if (join == PARK_JOINED)
			*status = wait_both_locked(both, thread, inner, taken);
	}
	spin_unlock(&both->event->lock);
	return join != PARK_UNREADABLE;
}

static status_t event_wait_both(const struct both *both, uint64_t *taken)
{
	struct thread *thread = thread_current();
	status_t status;
	park_beside_begin(thread);
	while (!wait_both_once(both, taken, &status)) {
		status = user_touch(both->word);
		if (status != STATUS_OK)
			break;
	}
	park_beside_end(thread);
	return status;
}

/* No thread can signal it any more. Those who wait hold references through their calls. */
static void event_unnamed(struct object *object)
{
	struct event *event = event_from(object);
	assert_none_held();
	spin_lock(&event->lock);
	event->closed = true;
	struct rbnode *node;
	for (uint32_t ended = 1; (node = rbtree_first(&event->waiters)) != NULL; ended++) {
		end_wait_locked(
			event, container_of(node, struct thread, event_node), WAIT_CLOSED, 0);
		if (ended % WAKE_BATCH == 0)
			sched_pause_locked(&event->lock);
	}
	spin_unlock(&event->lock);
	event_leave_bindings(event);
}

static void event_destroy(struct object *object)
{
	struct event *event = event_from(object);
	/* The thread that dropped the reference before this may not have left the lock. */
	spin_lock(&event->lock);
	ASSERT(rbtree_empty(&event->waiters) && list_empty(&event->bindings));
	spin_unlock(&event->lock);
	struct ledger *ledger = event->ledger;
	kmem_free(ledger, event);
	ledger_release(ledger);
}

static const struct object_ops event_ops = { .destroy = event_destroy, .unnamed = event_unnamed };

status_t method_event_factory_create(struct call *call,
	const struct event_factory_create_params *in, struct event_factory_create_results *out)
{
	(void)in;
	struct ledger *ledger = call->process->space->ledger;
	struct event *event = kmem_alloc(ledger, sizeof *event);
	if (!event)
		return STATUS(NO_MEMORY);
	event->ledger = ledger_retain(ledger);
	spin_init(&event->lock, LOCK_RANK_EVENT);
	rbtree_init(&event->waiters);
	list_init(&event->bindings);
	object_init(&event->object, &interface_descs[INTERFACE_EVENT], &event_ops);
	out->event = &event->object;
	return STATUS_OK;
}

status_t method_event_signal(
	struct call *call, const struct event_signal_params *in, struct event_signal_results *out)
{
	(void)out;
	signal(event_from(call->object), in->bits, false);
	return STATUS_OK;
}

status_t method_event_wait(
	struct call *call, const struct event_wait_params *in, struct event_wait_results *out)
{
	return event_wait(event_from(call->object), in->mask, in->deadline_ns, &out->bits);
}

status_t method_event_wait_or_park(struct call *call, const struct event_wait_or_park_params *in,
	struct event_wait_or_park_results *out)
{
	const struct both both = { .event = event_from(call->object),
		.mask = in->mask,
		.deadline_ns = in->deadline_ns,
		.word = user_ptr(in->address),
		.expected = in->expected };
	if (!in->mask)
		return STATUS(INVALID_ARGUMENT);
	if (cap_table_lookup_static(&call->process->caps, in->park) != &object_park)
		return STATUS(NOT_FOUND);
	if (in->address % 4)
		return STATUS(MISALIGNED);
	return event_wait_both(&both, &out->bits);
}
