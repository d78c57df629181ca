/* A process's capability table: from CapId to kernel object.
 *
 * A CapId is (generation << 16) | slot. Slot 0 is never used and a generation is never 0, so no id
 * equals a small number. Each release increments the slot's generation, and a freed slot goes to
 * the end of the queue of free slots. So a stale id names nothing for at least 65534 further uses
 * of its slot.
 *
 * A slot is one 64-bit word that holds generation, object and kind together, so one load sees a
 * consistent pair:
 *
 *     63        48 47                                    4 3      0
 *    +------------+---------------------------------------+--------+
 *    | generation | object address, or next free slot     |  kind  |
 *    +------------+---------------------------------------+--------+
 *
 * So the common lookup needs no lock: an object that lives as long as the kernel needs no
 * reference, and the word alone gives it. For a counted object the lock is taken, because the last
 * reference could be dropped between the load and the retain. Any context that may take the
 * CAP_TABLE lock, unless said otherwise. */
#ifndef CAPOS_CAP_TABLE_H
#define CAPOS_CAP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "core/lock.h"
#include "core/object.h"

struct budget;
struct ledger;
struct lease_use;

typedef uint32_t cap_id_t;

#define CAP_CHUNK_SLOTS 64u
#define CAP_CHUNKS_MAX (CAPOS_CAP_SLOTS_MAX / CAP_CHUNK_SLOTS)

struct cap_table {
	/* Chunks of slot words. Published once each with release order, never withdrawn before
	 * cap_table_destroy. */
	uint64_t *chunks[CAP_CHUNKS_MAX];

	/* Set at creation, never changed. */
	struct ledger *payer;  /* of the chunks */
	struct budget *budget; /* of the slots that are used */

	/* Guarded by lock. */
	struct spinlock lock;
	uint32_t slots;                /* slots that exist: chunk count times CAP_CHUNK_SLOTS */
	uint32_t used;                 /* slots that hold an object or are set aside for one */
	bool spare;                    /* one slot more than used is charged, for the next */
	uint32_t free_head, free_tail; /* queue of free slots, 0: none */
};

/* payer: charged for what the table needs as it grows. budget: for each slot that is used. Both
 * must last until cap_table_destroy. */
void cap_table_init(struct cap_table *table, struct ledger *payer, struct budget *budget);
/* Drops every capability. The table must not be in use any more. A thread. */
void cap_table_destroy(struct cap_table *table);

/* Sets a slot aside, so that a method which returns a capability cannot fail later for lack of one.
 * The id names nothing until commit. Fails with NO_SLOTS when the table is full or the budget used
 * up, with NO_MEMORY when it cannot grow. */
status_t cap_table_reserve(struct cap_table *table, cap_id_t *cap) MUST_CHECK;
/* Gives the slot its object and takes over the caller's reference. */
void cap_table_commit(struct cap_table *table, cap_id_t cap, struct object *object);
void cap_table_abandon(struct cap_table *table, cap_id_t cap);

/* Lift, fill and copy are about what the slot holds: of a revocable copy, the lease and not its
 * target (sched/lease.h).
 *
 * Takes the capability out, with the slot's reference and name, and leaves the slot set aside: fill
 * takes it back, abandon ends it. NOT_FOUND: the id names nothing. */
status_t cap_table_lift(struct cap_table *table, cap_id_t cap, struct object **object) MUST_CHECK;
/* As commit, and takes over a name too. */
void cap_table_fill(struct cap_table *table, cap_id_t cap, struct object *object);
/* A reference and a name to give another process a copy with: fill takes them over, cap_drop gives
 * them up. Fails as cap_table_lift does. */
status_t cap_table_copy(struct cap_table *table, cap_id_t cap, struct object **object) MUST_CHECK;
/* Gives up a reference and a name. A thread without locks: the object's hooks take their own. */
void cap_drop(struct object *object);

/* reserve and commit in one step. On failure the reference stays with the caller. */
status_t cap_table_insert(struct cap_table *table, struct object *object, cap_id_t *cap) MUST_CHECK;
/* Drops the capability; false when the id names nothing. A thread, because it may run the object's
 * destroy hook. */
bool cap_table_release(struct cap_table *table, cap_id_t cap) MUST_CHECK;
/* Slot words; for the functions below and table.c. */
enum cap_slot_kind {
	CAP_SLOT_FREE,     /* payload: next free slot */
	CAP_SLOT_RESERVED, /* set aside by cap_table_reserve */
	CAP_SLOT_STATIC,   /* payload: an object that never ends */
	CAP_SLOT_COUNTED,  /* payload: an object with a reference count */
	CAP_SLOT_LEASED,   /* payload: what stands for a revocable copy; counted */
};
#define CAP_SLOT_KIND_MASK 0xfull

static inline enum cap_slot_kind cap_slot_kind_of(uint64_t word)
{
	return (enum cap_slot_kind)(word & CAP_SLOT_KIND_MASK);
}

/* Addresses are canonical, so bit 47 restores what the generation displaced. */
static inline struct object *cap_slot_object(uint64_t word)
{
	return (struct object *)(uintptr_t)((uint64_t)((int64_t)(word << 16) >> 16) &
		~CAP_SLOT_KIND_MASK);
}

/* These two are on the path of every call, where the way to a function of its own is most of it. */
#define CAP_SLOT_HOT static inline __attribute__((always_inline))

/* The object in the slot's word, when that has the id's generation and is of the kind. */
CAP_SLOT_HOT struct object *cap_slot_match(uint64_t word, cap_id_t cap, enum cap_slot_kind kind)
{
	/* When generation and kind are the wanted ones, this clears both and leaves the address
	 * without its upper bits. */
	word ^= (uint64_t)(cap >> 16) << 48 | kind;
	if (__builtin_expect(word & (0xffffull << 48 | CAP_SLOT_KIND_MASK), 0))
		return NULL;
	struct object *object = cap_slot_object(word);
	if (!object)
		__builtin_unreachable(); /* a filled slot holds an object */
	return object;
}

/* The slot's word, or NULL when no such slot exists yet. */
CAP_SLOT_HOT uint64_t *cap_slot_find(struct cap_table *table, cap_id_t cap)
{
	uint32_t chunk_index = (cap & 0xffff) / CAP_CHUNK_SLOTS;
	if (__builtin_expect(chunk_index >= CAP_CHUNKS_MAX, 0))
		return NULL;
	uint64_t *chunk = __atomic_load_n(&table->chunks[chunk_index], __ATOMIC_ACQUIRE);
	return __builtin_expect(!chunk, 0) ? NULL : &chunk[cap % CAP_CHUNK_SLOTS];
}

/* The object, when it is one that needs no reference. NULL when the id names nothing or another
 * kind. For the hottest path. */
static inline struct object *cap_table_lookup_static(struct cap_table *table, cap_id_t cap)
{
	uint64_t *slot = cap_slot_find(table, cap);
	if (__builtin_expect(!slot, 0))
		return NULL;
	return cap_slot_match(__atomic_load_n(slot, __ATOMIC_ACQUIRE), cap, CAP_SLOT_STATIC);
}

/* The object in the slot, when it is counted, kept alive until the caller's object_release. NULL
 * when the id names nothing or another kind. */
static inline struct object *cap_slot_retain(
	struct cap_table *table, const uint64_t *slot, cap_id_t cap)
{
	spin_lock(&table->lock);
	struct object *object = cap_slot_match(*slot, cap, CAP_SLOT_COUNTED);
	if (__builtin_expect(object != NULL, 1))
		object_retain_counted(object); /* it exists: the slot holds a reference */
	spin_unlock(&table->lock);
	return object;
}

/* The same for an id, whose object cannot be static. */
static inline struct object *cap_table_lookup_counted(struct cap_table *table, cap_id_t cap)
{
	const uint64_t *slot = cap_slot_find(table, cap);
	return slot ? cap_slot_retain(table, slot, cap) : NULL;
}

/* The object, kept alive until the caller's object_release; NULL when the id names nothing, or a
 * revocable copy that is revoked. For capabilities that a call names besides the one it is for. */
struct object *cap_table_lookup(struct cap_table *table, cap_id_t cap);

/* The same for the capability that a call is for. Where the id names a revocable copy, the call is
 * one through it until lease_leave(use), which the caller of this calls in any case. Fails with the
 * transport's INVOKE_FAILED or with REVOKED. */
status_t cap_table_enter(struct cap_table *table, cap_id_t cap, struct lease_use *use,
	struct object **object) MUST_CHECK;
/* The first capability in a slot behind that of the id, for those who look into a process; NULL:
 * none follows. *cap becomes its id, and the caller gets a reference. */
struct object *cap_table_next(struct cap_table *table, cap_id_t *cap);
/* Capabilities held. */
uint32_t cap_table_count(struct cap_table *table);

#endif
