/* Memory objects; their life is described in memory_object.h.
 *
 * Frames are found through tables of one frame each, which are made with the object, so that giving
 * a page its frame needs nothing but the frame that was reserved. The object's ledger pays for the
 * tables too. */
#include "mm/memory_object.h"

#include "core/log.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "sched/sched.h"

/* Tables made at a time. */
#define CHUNKS_AT_ONCE 64u

static size_t chunk_count(const struct memory_object *object)
{
	return (object->pages + MEMORY_OBJECT_CHUNK - 1) / MEMORY_OBJECT_CHUNK;
}

/* A table, and the frames in it. Returns how many. */
static uint64_t free_chunk(struct ledger *payer, paddr_t *chunk)
{
	uint64_t returned = 0;

	for (size_t i = 0; i < MEMORY_OBJECT_CHUNK; i++) {
		if (!chunk[i])
			continue;
		frame_free(PREPAID, chunk[i], 0);
		returned++;
	}
	frame_free(payer, virt_to_phys(chunk), 0);
	return returned;
}

/* All tables there are. Returns how many frames were in them. */
static uint64_t free_chunks(struct memory_object *object)
{
	uint64_t returned = 0;

	for (size_t i = 0; object->chunks && i < chunk_count(object) && object->chunks[i]; i++) {
		returned += free_chunk(object->ledger, object->chunks[i]);
		sched_preemption_point();
	}
	kmem_free(object->ledger, object->chunks);
	return returned;
}

static bool make_chunks(struct memory_object *object)
{
	object->chunks =
		kmem_alloc(object->ledger, chunk_count(object) * sizeof(object->chunks[0]));
	if (!object->chunks)
		return false;
	for (size_t i = 0; i < chunk_count(object); i++) {
		paddr_t frame = frame_alloc(object->ledger, 0, FRAME_ZERO);
		if (!frame)
			return false;
		object->chunks[i] = phys_to_virt(frame);
		if (i % CHUNKS_AT_ONCE == CHUNKS_AT_ONCE - 1)
			sched_preemption_point();
	}
	return true;
}

/* In steps: the last reference is dropped where no lock is held. */
static void memory_object_destroy(struct object *header)
{
	struct memory_object *object = memory_object_from(header);
	assert_none_held();
	uint64_t returned = free_chunks(object);

	VERIFY(returned == object->resident_pages);
	frames_unreserve(object->pages - returned);
	struct ledger *ledger = object->ledger;
	ledger_uncharge(ledger, object->pages, 0);
	kmem_free(ledger, object);
	ledger_release(ledger);
}

static const struct object_ops memory_object_ops = { .destroy = memory_object_destroy };

status_t memory_object_create(struct ledger *ledger, uint64_t size, struct memory_object **result)
{
	uint64_t pages = size / PAGE_SIZE + (size % PAGE_SIZE != 0);

	if (!pages)
		return STATUS(INVALID_ARGUMENT);
	if (!frames_reserve(pages))
		return STATUS(NO_MEMORY);
	/* Second, because a failed reservation must not count as the process's peak. */
	if (!ledger_charge(ledger, pages, 0))
		goto out_reserve;
	struct memory_object *object = kmem_alloc(ledger, sizeof(*object));
	if (!object)
		goto out_charge;
	object->pages = pages;
	object->ledger = ledger;
	if (!make_chunks(object))
		goto out_object;
	ledger_retain(ledger);
	spin_init(&object->lock, LOCK_RANK_MEMORY_OBJECT);
	park_queue_init(&object->parked);
	object_init(&object->object, NULL, &memory_object_ops);
	*result = object;
	return STATUS_OK;
out_object:
	free_chunks(object);
	kmem_free(ledger, object);
out_charge:
	ledger_uncharge(ledger, pages, 0);
out_reserve:
	frames_unreserve(pages);
	return STATUS(NO_MEMORY);
}

static void registers_destroy(struct object *header)
{
	struct memory_object *object = memory_object_from(header);
	struct object *keeper = object->keeper;
	struct ledger *ledger = object->ledger;
	kmem_free(ledger, object);
	ledger_release(ledger);
	object_release(keeper);
}

static const struct object_ops registers_ops = { .destroy = registers_destroy };

status_t memory_object_create_registers(struct ledger *ledger, paddr_t registers, uint64_t size,
	bool combines, struct object *keeper, struct memory_object **result)
{
	struct memory_object *object = kmem_alloc(ledger, sizeof(*object));

	if (!object)
		return STATUS(NO_MEMORY);
	object->pages = size / PAGE_SIZE;
	object->ledger = ledger;
	object->registers = registers;
	object->combines = combines;
	object->keeper = keeper;
	object_retain(keeper);
	ledger_retain(ledger);
	spin_init(&object->lock, LOCK_RANK_MEMORY_OBJECT);
	park_queue_init(&object->parked);
	object_init(&object->object, NULL, &registers_ops);
	*result = object;
	return STATUS_OK;
}

paddr_t memory_object_frame(struct memory_object *object, uint64_t page)
{
	ASSERT(page < object->pages);
	if (object->registers)
		return object->registers + page * PAGE_SIZE;
	spin_lock(&object->lock);
	paddr_t *frame = &object->chunks[page / MEMORY_OBJECT_CHUNK][page % MEMORY_OBJECT_CHUNK];
	if (!*frame) {
		*frame = frame_alloc(PREPAID, 0, FRAME_ZERO | FRAME_RESERVED);
		VERIFY(*frame);
		object->resident_pages++;
	}
	paddr_t given = *frame;
	spin_unlock(&object->lock);
	return given;
}
