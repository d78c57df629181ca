/* Parking: check that a word still holds what the program saw, and wait, as one step.
 *
 * The lock of the space's queue makes it one step against unpark. Against unmap, the order of steps
 * does: unmap changes the page tables, flushes the TLBs, and then drains under the queue's lock. A
 * parker reads the word under the same lock without faulting anything in. If it can still read, its
 * entry is in the queue before the drain. If not, it releases the lock, faults the page in or
 * fails, and starts again. models/park.pml checks this, with broken variants,
 * and models/waitboth.pml a wait for a word and an event. */
#include "mm/park.h"

#include "core/log.h"
#include "core/mistake.h"
#include "mm/aspace.h"
#include "mm/user.h"
#include "mm/memory_object.h"
#include "machine/clock.h"
#include "sched/sched.h"
#include "sched/wait_state.h"

static uint64_t word_of(const struct rbnode *node)
{
	return container_of(node, const struct thread, park_node)->park_word;
}

static bool word_before(const struct rbnode *a, const struct rbnode *b)
{
	return word_of(a) < word_of(b);
}

/* Mostly one thread waits at a time. */
static inline void queue_add(struct park_queue *queue, struct thread *thread)
{
	assert_held(&queue->lock);
	rbtree_insert_few(&queue->threads, &thread->park_node, word_before);
}

static inline void queue_remove(struct park_queue *queue, struct thread *thread)
{
	assert_held(&queue->lock);
	rbtree_remove_few(&queue->threads, &thread->park_node);
}

/* A word in a mapped object, where the offset stands for the word. */
struct shared_word {
	struct memory_object *object; /* referenced */
	struct lease *lease; /* through which the object was mapped, its copy referenced; or NULL */
	uint64_t offset;
};

/* The queue's lock is held, and under it the word had the expected value: waits, and translates the
 * outcome. */
static int64_t park_locked(
	struct park_queue *queue, struct thread *thread, uint64_t word, uint64_t deadline_ns)
{
	assert_held(&queue->lock);
	thread->park_word = word;
	thread->park_arrival = queue->arrivals++;
	queue_add(queue, thread);
	enum wait_state outcome = wait_block(&queue->lock, deadline_ns, true);
	if (rbnode_linked(&thread->park_node))
		queue_remove(queue, thread);
	switch (outcome) {
	case WAIT_TIMED_OUT:
		return CAPOS_PARK_RESULT_TIMED_OUT;
	case WAIT_INTERRUPTED:
	case WAIT_KILLED:
		return CAPOS_PARK_RESULT_INTERRUPTED;
	case WAIT_DRAINED:
	case WAIT_REVOKED:
		return CAPOS_PARK_RESULT_DRAINED;
	default:
		return CAPOS_PARK_RESULT_WOKEN;
	}
}

static inline int64_t park_queued(struct thread *thread, struct park_queue *queue, uint64_t key,
	struct user_ptr word, uint32_t expected, uint64_t deadline_ns)
{
	uint32_t *waiters = &thread->space->park_waiters;
	int64_t result;
	/* Counted before the word is read: when a drain sees no waiters, the read comes after it
	 * and fails. */
	if (explore_mistake(EXPLORE_DATA_RACE))
		++*waiters;
	else
		__atomic_add_fetch(waiters, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		uint32_t value;
		bool early =
			explore_mistake(EXPLORE_LOST_WAKE) && user_read_u32_nofault(word, &value);
		spin_lock(&queue->lock);
		if (__builtin_expect(early || user_read_u32_nofault(word, &value), 1)) {
			result = value == expected ? park_locked(queue, thread, key, deadline_ns)
						   : CAPOS_PARK_RESULT_MISMATCH;
			spin_unlock(&queue->lock);
			break;
		}
		spin_unlock(&queue->lock);
		result = user_touch(word);
		if (result != STATUS_OK)
			break;
	}
	__atomic_sub_fetch(waiters, 1, __ATOMIC_SEQ_CST);
	return result;
}

/* The wait ends when the mapping is taken back. Takes over the reference. False: it is revoked. */
static bool enter_lease(struct thread *thread, struct lease *lease)
{
	struct object *target = lease_enter(lease, &thread->lease_use);
	object_release(target ? target : &lease->copy);
	return target != NULL;
}

static __attribute__((noinline)) int64_t park_wait_shared(
	struct user_ptr word, uint32_t expected, uint64_t deadline_ns)
{
	struct thread *thread = thread_current();
	struct shared_word shared;
	int64_t result = STATUS(BAD_ADDRESS);
	if (!aspace_lookup_object(
		    thread->space, word, &shared.object, &shared.offset, &shared.lease))
		return result;
	if (!shared.lease || enter_lease(thread, shared.lease))
		result = park_queued(
			thread, &shared.object->parked, shared.offset, word, expected, deadline_ns);
	lease_leave(&thread->lease_use);
	object_release(memory_object_header(shared.object));
	return result;
}

__attribute__((no_stack_protector)) int64_t park_wait(
	bool shared, struct user_ptr word, uint32_t expected, uint64_t deadline_ns)
{
	if (word.address % 4)
		return STATUS(MISALIGNED);
	if (shared)
		return park_wait_shared(word, expected, deadline_ns);
	struct thread *thread = thread_current();
	struct park_queue *queue = &thread->space->parked;
	return park_queued(thread, queue, word.address, word, expected, deadline_ns);
}

/* ---- for a word and something else ---- */

/* Before the word is read, as in park_queued. */
void park_beside_begin(struct thread *thread)
{
	__atomic_add_fetch(&thread->space->park_waiters, 1, __ATOMIC_SEQ_CST);
}

enum park_join park_beside_join(
	struct thread *thread, struct user_ptr word, uint32_t expected, struct spinlock **lock)
{
	struct park_queue *queue = &thread->space->parked;
	enum park_join join = PARK_UNREADABLE;
	uint32_t value;
	spin_lock(&queue->lock);
	if (user_read_u32_nofault(word, &value))
		join = value == expected ? PARK_JOINED : PARK_MISMATCH;
	if (join != PARK_JOINED) {
		spin_unlock(&queue->lock);
		return join;
	}
	thread->park_word = word.address;
	thread->park_arrival = queue->arrivals++;
	queue_add(queue, thread);
	*lock = &queue->lock;
	return join;
}

void park_beside_leave(struct thread *thread)
{
	struct park_queue *queue = &thread->space->parked;
	spin_lock(&queue->lock);
	if (rbnode_linked(&thread->park_node))
		queue_remove(queue, thread);
	spin_unlock(&queue->lock);
}

void park_beside_end(struct thread *thread)
{
	__atomic_sub_fetch(&thread->space->park_waiters, 1, __ATOMIC_SEQ_CST);
}

/* ---- waking ---- */

static inline bool end_wait(
	struct park_queue *queue, struct thread *thread, enum wait_state outcome)
{
	assert_held(&queue->lock);
	queue_remove(queue, thread);
	if (!wait_decide(thread, outcome))
		return false;
	sched_wake(thread);
	return true;
}

/* Takes the threads of the words from *word up to `last` off the queue, at most `count` that had
 * come before `arrival`, and ends their waits. *word is where a further batch begins; false: none
 * is left. */
static bool end_waits(struct park_queue *queue, uint64_t *word, uint64_t last, uint64_t arrival,
	enum wait_state outcome, uint32_t count, uint32_t *ended)
{
	assert_held(&queue->lock);
	struct rbnode *node = rbtree_lower_bound(&queue->threads, *word, word_of), *next;
	for (uint32_t seen = 0; node && *ended < count; seen++, node = next) {
		struct thread *thread = container_of(node, struct thread, park_node);
		*word = thread->park_word;
		if (*word > last || thread->park_arrival >= arrival)
			return false;
		if (seen == WAKE_BATCH)
			return true;
		next = rbtree_next(node);
		*ended += end_wait(queue, thread, outcome);
	}
	return false;
}

/* The queue's lock is held, and released at the end. Threads that park meanwhile are not woken. */
static __attribute__((noinline)) int64_t wake_batches(
	struct park_queue *queue, uint64_t word, uint32_t count)
{
	assert_held(&queue->lock);
	uint64_t arrivals = queue->arrivals;
	uint32_t woken = 0;
	uint64_t first = word;
	while (end_waits(queue, &first, word, arrivals, WAIT_WOKEN, count, &woken))
		sched_pause_locked(&queue->lock);
	spin_unlock(&queue->lock);
	return woken;
}

/* The same for the usual case: one thread to be woken, which has waited for it. */
static inline int64_t wake_first(struct park_queue *queue, uint64_t word, uint32_t count)
{
	assert_held(&queue->lock);
	struct rbnode *node = rbtree_lower_bound(&queue->threads, word, word_of);
	int64_t woken = 0;
	if (count > 1)
		return wake_batches(queue, word, count);
	if (node && count && word_of(node) == word) {
		struct thread *thread = container_of(node, struct thread, park_node);
		if (!end_wait(queue, thread, WAIT_WOKEN))
			return wake_batches(queue, word, count);
		woken = 1;
	}
	spin_unlock(&queue->lock);
	return woken;
}

static inline int64_t wake_queued(struct park_queue *queue, uint64_t word, uint32_t count)
{
	spin_lock(&queue->lock);
	if (!rbtree_empty(&queue->threads))
		return wake_first(queue, word, count);
	spin_unlock(&queue->lock);
	return 0;
}

static __attribute__((noinline)) int64_t park_wake_shared(struct user_ptr word, uint32_t count)
{
	struct shared_word shared;
	if (!aspace_lookup_object(
		    thread_current()->space, word, &shared.object, &shared.offset, &shared.lease))
		return STATUS(BAD_ADDRESS);
	int64_t woken = wake_queued(&shared.object->parked, shared.offset, count);
	object_release(memory_object_header(shared.object));
	if (shared.lease)
		object_release(&shared.lease->copy);
	return woken;
}

__attribute__((no_stack_protector)) int64_t park_wake(
	bool shared, struct user_ptr word, uint32_t count)
{
	if (word.address % 4)
		return STATUS(MISALIGNED);
	if (shared)
		return park_wake_shared(word, count);
	return wake_queued(&thread_current()->space->parked, word.address, count);
}

bool park_drain(struct aspace *space, uint64_t start, uint64_t end)
{
	struct park_queue *queue = &space->parked;
	uint32_t ended = 0;
	assert_held(&space->lock);
	spin_lock(&queue->lock);
	bool more = end_waits(queue, &start, end - 1, UINT64_MAX, WAIT_DRAINED, UINT32_MAX, &ended);
	spin_unlock(&queue->lock);
	return more;
}
