/* Parking: check that a word still holds what the program saw, and wait, as one step.
 *
 * The bucket lock makes it one step against unpark. Against unmap the order does: unmap changes the
 * page tables, cleans the TLBs, and then drains under the bucket lock. A parker reads the word
 * under the same lock without faulting anything in; if it could still read, its entry is on the
 * list before the drain looks; if not, it lets go of the lock, faults the page in or fails, and
 * starts again. models/park.pml checks this, with broken variants. */
#include "sched/park.h"

#include "core/log.h"
#include "mm/aspace.h"
#include "mm/user.h"
#include "mm/memory_object.h"
#include "proc/process.h"
#include "sched/clock.h"
#include "sched/sched.h"
#include "sched/wait_state.h"

#define PARK_BUCKETS 256

struct bucket {
	struct spinlock lock;
	struct wait_queue queue;
} __attribute__((aligned(64)));

/* Private: space id, generation, address. Shared: object id with the top bit set, generation,
 * offset. */
struct park_key {
	uint64_t word[3];
};

#define PARK_SHARED (1ul << 63)

static struct bucket buckets[PARK_BUCKETS];

void park_init(void)
{
	for (int i = 0; i < PARK_BUCKETS; i++) {
		spin_init(&buckets[i].lock, LOCK_RANK_PARK);
		wait_queue_init(&buckets[i].queue);
	}
}

static inline struct bucket *bucket_of(const struct park_key *key)
{
	uint64_t hash = (key->word[0] * 31 + (key->word[2] >> 2)) * 0x9e3779b97f4a7c15ul;
	return &buckets[hash >> 56];
}

static bool key_matches(const struct thread *thread, const struct park_key *key)
{
	return thread->park_key[2] == key->word[2] && thread->park_key[0] == key->word[0] &&
		thread->park_key[1] == key->word[1];
}

static inline struct park_key private_key(const struct aspace *space, uint64_t address)
{
	return (struct park_key){ { space->id, space->generation, address } };
}

/* The key of a word in a mapped object, and the object, retained. */
static status_t shared_key(
	struct aspace *space, uint64_t address, struct park_key *key, struct memory_object **object)
{
	uint64_t offset;
	if (!aspace_lookup_object(space, address, object, &offset))
		return STATUS(BAD_ADDRESS);
	*key = (struct park_key){ { memory_object_header(*object)->serial | PARK_SHARED, 0,
		offset } };
	return STATUS_OK;
}

/* With the bucket locked and the word seen to hold the expected value: waits, and translates the
 * outcome. */
static int64_t park_locked(struct bucket *bucket, uint64_t deadline_ns)
{
	switch (wait_on(&bucket->queue, &bucket->lock, deadline_ns, true)) {
	case WAIT_TIMED_OUT:
		return CAPOS_PARK_RESULT_TIMED_OUT;
	case WAIT_INTERRUPTED:
		return CAPOS_PARK_RESULT_INTERRUPTED;
	case WAIT_DRAINED:
		return CAPOS_PARK_RESULT_DRAINED;
	default:
		return CAPOS_PARK_RESULT_WOKEN;
	}
}

static inline int64_t park_keyed(struct thread *thread, const struct park_key *key,
	uint64_t address, uint32_t expected, uint64_t deadline_ns)
{
	struct bucket *bucket = bucket_of(key);
	uint32_t *waiters = &thread->process->space->park_waiters;
	int64_t result;
	for (int i = 0; i < 3; i++)
		thread->park_key[i] = key->word[i];
	/* Counted before the word is read: a drain that sees no waiters comes before the read,
	 * which then fails. */
	__atomic_add_fetch(waiters, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		uint32_t value;
		spin_lock(&bucket->lock);
		if (__builtin_expect(user_read_u32_nofault(address, &value), 1)) {
			result = value == expected ? park_locked(bucket, deadline_ns)
						   : CAPOS_PARK_RESULT_MISMATCH;
			spin_unlock(&bucket->lock);
			break;
		}
		spin_unlock(&bucket->lock);
		result = user_touch(address);
		if (result != STATUS_OK)
			break;
	}
	__atomic_sub_fetch(waiters, 1, __ATOMIC_SEQ_CST);
	return result;
}

static __attribute__((noinline)) int64_t park_wait_shared(
	uint64_t address, uint32_t expected, uint64_t deadline_ns)
{
	struct thread *thread = thread_current();
	struct park_key key;
	struct memory_object *object;
	status_t status = shared_key(thread->process->space, address, &key, &object);
	if (status != STATUS_OK)
		return status;
	int64_t result = park_keyed(thread, &key, address, expected, deadline_ns);
	object_release(memory_object_header(object));
	return result;
}

__attribute__((no_stack_protector)) int64_t park_wait(
	bool shared, uint64_t address, uint32_t expected, uint64_t deadline_ns)
{
	if (address % 4)
		return STATUS(MISALIGNED);
	if (shared)
		return park_wait_shared(address, expected, deadline_ns);
	struct thread *thread = thread_current();
	struct park_key key = private_key(thread->process->space, address);
	return park_keyed(thread, &key, address, expected, deadline_ns);
}

static __attribute__((noinline)) uint32_t wake_locked(
	struct bucket *bucket, struct park_key key, uint32_t count)
{
	uint32_t woken = 0;
	list_for_each_safe (node, &bucket->queue.threads) {
		if (woken >= count)
			break;
		struct thread *thread = container_of(node, struct thread, wait_node);
		if (!key_matches(thread, &key))
			continue;
		list_remove(node);
		if (wait_decide(thread, WAIT_WOKEN)) {
			sched_wake(thread);
			woken++;
		}
	}
	return woken;
}

static inline int64_t wake_keyed(const struct park_key *key, uint32_t count)
{
	struct bucket *bucket = bucket_of(key);
	uint32_t woken = 0;
	spin_lock(&bucket->lock);
	if (!list_empty(&bucket->queue.threads))
		woken = wake_locked(bucket, *key, count);
	spin_unlock(&bucket->lock);
	return woken;
}

static __attribute__((noinline)) int64_t park_wake_shared(uint64_t address, uint32_t count)
{
	struct park_key key;
	struct memory_object *object;
	status_t status = shared_key(thread_current()->process->space, address, &key, &object);
	if (status != STATUS_OK)
		return status;
	int64_t woken = wake_keyed(&key, count);
	object_release(memory_object_header(object));
	return woken;
}

__attribute__((no_stack_protector)) int64_t park_wake(bool shared, uint64_t address, uint32_t count)
{
	if (address % 4)
		return STATUS(MISALIGNED);
	if (shared)
		return park_wake_shared(address, count);
	struct park_key key = private_key(thread_current()->process->space, address);
	return wake_keyed(&key, count);
}

void park_drain(struct aspace *space, uint64_t start, uint64_t end)
{
	if (!__atomic_load_n(&space->park_waiters, __ATOMIC_SEQ_CST))
		return;
	for (int i = 0; i < PARK_BUCKETS; i++) {
		struct bucket *bucket = &buckets[i];
		spin_lock(&bucket->lock);
		list_for_each_safe (node, &bucket->queue.threads) {
			struct thread *thread = container_of(node, struct thread, wait_node);
			const uint64_t *key = thread->park_key;
			if (key[0] != space->id || key[1] != space->generation || key[2] < start ||
				key[2] >= end)
				continue;
			list_remove(node);
			if (wait_decide(thread, WAIT_DRAINED))
				sched_wake(thread);
		}
		spin_unlock(&bucket->lock);
	}
}
