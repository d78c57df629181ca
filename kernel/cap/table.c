/* Capability table: see table.h for the slot word and the rules of use. models/captable.pml models
 * a slot, models/transfer.pml one whose capability moves. */
#include "cap/table.h"

#include "core/log.h"
#include "mm/budget.h"
#include "mm/kmem.h"
#include "sched/lease.h"
#include "sched/sched.h"

#define PAYLOAD_MASK 0x0000fffffffffff0ull

_Static_assert(CAPOS_CAP_SLOTS_MAX % CAP_CHUNK_SLOTS == 0, "the table is made of whole chunks");
_Static_assert(CAPOS_CAP_SLOTS_MAX <= 65536, "a slot number has 16 bits");

static uint64_t slot_word(uint16_t generation, uint64_t payload, enum cap_slot_kind kind)
{
	return (uint64_t)generation << 48 | payload | kind;
}

static uint64_t free_word(uint16_t generation, uint32_t next)
{
	return slot_word(generation, (uint64_t)next << 4, CAP_SLOT_FREE);
}

static uint16_t word_generation(uint64_t word)
{
	return (uint16_t)(word >> 48);
}

/* Whether the slot has a reference and a name. */
static bool word_is_counted(uint64_t word)
{
	return cap_slot_kind_of(word) >= CAP_SLOT_COUNTED;
}

static bool word_is_filled(uint64_t word)
{
	return cap_slot_kind_of(word) >= CAP_SLOT_STATIC;
}

static uint64_t word_load(const uint64_t *address)
{
	return __atomic_load_n(address, __ATOMIC_ACQUIRE);
}

static void word_store(uint64_t *address, uint64_t word)
{
	__atomic_store_n(address, word, __ATOMIC_RELEASE);
}

void cap_table_init(struct cap_table *table, struct ledger *payer, struct budget *budget)
{
	*table = (struct cap_table){ .payer = payer, .budget = budget };
	spin_init(&table->lock, LOCK_RANK_CAP_TABLE);
}

void cap_drop(struct object *object)
{
	assert_none_held();
	object_unname(object);
	object_release(object);
}

void cap_table_destroy(struct cap_table *table)
{
	for (uint32_t i = 0; i < table->slots / CAP_CHUNK_SLOTS; i++) {
		uint64_t *chunk = table->chunks[i];
		for (uint32_t j = 0; j < CAP_CHUNK_SLOTS; j++)
			if (word_is_counted(chunk[j]))
				cap_drop(cap_slot_object(chunk[j]));
		kmem_free(table->payer, chunk);
		table->chunks[i] = NULL;
		sched_preemption_point();
	}
	budget_give(table->budget, table->used + table->spare);
	table->spare = false;
	table->slots = table->used = table->free_head = table->free_tail = 0;
}

static void free_queue_push_locked(struct cap_table *table, uint32_t slot, uint16_t generation)
{
	assert_held(&table->lock);
	word_store(cap_slot_find(table, slot), free_word(generation, 0));
	if (table->free_tail) {
		uint64_t *tail = cap_slot_find(table, table->free_tail);
		word_store(tail, free_word(word_generation(*tail), slot));
	} else {
		table->free_head = slot;
	}
	table->free_tail = slot;
}

static status_t table_grow_locked(struct cap_table *table)
{
	assert_held(&table->lock);
	if (table->slots == CAPOS_CAP_SLOTS_MAX)
		return STATUS(NO_SLOTS);
	uint64_t *chunk = kmem_alloc(table->payer, CAP_CHUNK_SLOTS * sizeof *chunk);
	if (!chunk)
		return STATUS(NO_MEMORY);
	uint32_t first = table->slots;
	__atomic_store_n(&table->chunks[first / CAP_CHUNK_SLOTS], chunk, __ATOMIC_RELEASE);
	table->slots += CAP_CHUNK_SLOTS;
	for (uint32_t slot = first; slot < table->slots; slot++)
		if (slot != 0) /* slot 0 holds a word that no id matches: its generation is 0 */
			free_queue_push_locked(table, slot, 1);
	return STATUS_OK;
}

status_t cap_table_reserve(struct cap_table *table, cap_id_t *cap)
{
	status_t status = STATUS_OK;
	spin_lock(&table->lock);
	if (!table->spare)
		table->spare = budget_take(table->budget, 1);
	if (!table->spare)
		status = STATUS(NO_SLOTS);
	else if (!table->free_head)
		status = table_grow_locked(table);
	if (status == STATUS_OK) {
		uint32_t slot = table->free_head;
		uint64_t *address = cap_slot_find(table, slot);
		uint16_t generation = word_generation(*address);
		table->free_head = (uint32_t)((*address & PAYLOAD_MASK) >> 4);
		if (!table->free_head)
			table->free_tail = 0;
		word_store(address, slot_word(generation, 0, CAP_SLOT_RESERVED));
		table->used++;
		table->spare = false;
		*cap = (cap_id_t)generation << 16 | slot;
	}
	spin_unlock(&table->lock);
	return status;
}

void cap_table_commit(struct cap_table *table, cap_id_t cap, struct object *object)
{
	object_name(object);
	cap_table_fill(table, cap, object);
}

static enum cap_slot_kind kind_for(const struct object *object)
{
	if (!object->ops)
		return CAP_SLOT_STATIC;
	return object_is_leased(object) ? CAP_SLOT_LEASED : CAP_SLOT_COUNTED;
}

void cap_table_fill(struct cap_table *table, cap_id_t cap, struct object *object)
{
	uint64_t *address = cap_slot_find(table, cap & 0xffff);
	spin_lock(&table->lock);
	ASSERT(object->interface && cap_slot_kind_of(*address) == CAP_SLOT_RESERVED &&
		word_generation(*address) == cap >> 16);
	word_store(address,
		slot_word((uint16_t)(cap >> 16), (uint64_t)(uintptr_t)object & PAYLOAD_MASK,
			kind_for(object)));
	spin_unlock(&table->lock);
}

/* Empties a slot and makes its ids stale. */
static void slot_recycle_locked(struct cap_table *table, uint32_t slot)
{
	assert_held(&table->lock);
	uint16_t generation = (uint16_t)(word_generation(*cap_slot_find(table, slot)) + 1);
	free_queue_push_locked(table, slot, generation ? generation : 1);
	table->used--;
	if (table->spare)
		budget_give(table->budget, 1);
	table->spare = true;
}

void cap_table_abandon(struct cap_table *table, cap_id_t cap)
{
	spin_lock(&table->lock);
	ASSERT(cap_slot_kind_of(*cap_slot_find(table, cap & 0xffff)) == CAP_SLOT_RESERVED);
	slot_recycle_locked(table, cap & 0xffff);
	spin_unlock(&table->lock);
}

status_t cap_table_insert(struct cap_table *table, struct object *object, cap_id_t *cap)
{
	status_t status = cap_table_reserve(table, cap);
	if (status == STATUS_OK)
		cap_table_commit(table, *cap, object);
	return status;
}

/* The word of a capability the id names, or a word of another kind when it names none. */
static uint64_t table_word(struct cap_table *table, cap_id_t cap, uint64_t **address)
{
	*address = cap_slot_find(table, cap & 0xffff);
	if (!*address)
		return CAP_SLOT_FREE;
	uint64_t word = word_load(*address);
	return word_generation(word) == cap >> 16 ? word : CAP_SLOT_FREE;
}

bool cap_table_release(struct cap_table *table, cap_id_t cap)
{
	uint64_t *address;
	spin_lock(&table->lock);
	uint64_t word = table_word(table, cap, &address);
	bool held = word_is_filled(word);
	if (held)
		slot_recycle_locked(table, cap & 0xffff);
	spin_unlock(&table->lock);
	if (word_is_counted(word))
		cap_drop(cap_slot_object(word));
	return held;
}

status_t cap_table_lift(struct cap_table *table, cap_id_t cap, struct object **object)
{
	uint64_t *address;
	status_t status = STATUS_OK;
	spin_lock(&table->lock);
	uint64_t word = table_word(table, cap, &address);
	if (!word_is_filled(word))
		status = STATUS(NOT_FOUND);
	else
		word_store(address, slot_word(word_generation(word), 0, CAP_SLOT_RESERVED));
	*object = status == STATUS_OK ? cap_slot_object(word) : NULL;
	spin_unlock(&table->lock);
	return status;
}

/* What the slot holds, with a reference. */
static struct object *slot_object(struct cap_table *table, cap_id_t cap)
{
	struct object *object = cap_table_lookup_static(table, cap);
	const uint64_t *slot = cap_slot_find(table, cap);
	if (object || !slot)
		return object;
	spin_lock(&table->lock);
	object = cap_slot_match(*slot, cap, CAP_SLOT_COUNTED);
	if (!object)
		object = cap_slot_match(*slot, cap, CAP_SLOT_LEASED);
	if (object)
		object_retain(object);
	spin_unlock(&table->lock);
	return object;
}

status_t cap_table_copy(struct cap_table *table, cap_id_t cap, struct object **object)
{
	*object = slot_object(table, cap);
	if (!*object)
		return STATUS(NOT_FOUND);
	object_name(*object);
	return STATUS_OK;
}

struct object *cap_table_lookup(struct cap_table *table, cap_id_t cap)
{
	struct object *object = slot_object(table, cap);
	if (!object || !object_is_leased(object))
		return object;
	struct object *target = lease_target(lease_of_copy(object));
	object_release(object);
	return target;
}

status_t cap_table_enter(
	struct cap_table *table, cap_id_t cap, struct lease_use *use, struct object **object)
{
	struct object *held = slot_object(table, cap);
	*object = held;
	if (!held)
		return STATUS_TRANSPORT(INVOKE_FAILED);
	if (!object_is_leased(held))
		return STATUS_OK;
	*object = lease_enter(lease_of_copy(held), use);
	if (*object)
		return STATUS_OK;
	object_release(held);
	return STATUS(REVOKED);
}

struct object *cap_table_next(struct cap_table *table, cap_id_t *cap)
{
	struct object *object = NULL;
	spin_lock(&table->lock);
	for (uint32_t slot = (*cap & 0xffff) + 1; slot < table->slots && !object; slot++) {
		uint64_t word = *cap_slot_find(table, slot);
		if (!word_is_filled(word))
			continue;
		object = cap_slot_object(word);
		object_retain(object); /* it exists: the slot holds a reference */
		*cap = (cap_id_t)word_generation(word) << 16 | slot;
	}
	spin_unlock(&table->lock);
	return object;
}

uint32_t cap_table_count(struct cap_table *table)
{
	spin_lock(&table->lock);
	uint32_t used = table->used;
	spin_unlock(&table->lock);
	return used;
}
