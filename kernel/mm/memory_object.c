/* Memory objects; their life is described in memory_object.h.
 *
 * Frames are found through tables of one frame each, which are made with the object, so that giving
 * a page its frame needs nothing but the frame that was reserved. The tables themselves are not
 * charged, like page tables. */
#include "mm/memory_object.h"

#include "arch/x86_64/tlb.h"
#include "core/log.h"
#include "mm/kmem.h"
#include "mm/ledger.h"

#define SERVE_PAGES 512

static size_t chunk_count(const struct memory_object *object)
{
	return (object->pages + MEMORY_OBJECT_CHUNK - 1) / MEMORY_OBJECT_CHUNK;
}

/* Frees what create has obtained besides the ledger's charge and the reservation. */
static void free_tables(struct memory_object *object)
{
	for (size_t i = 0; object->chunks && i < chunk_count(object); i++)
		if (object->chunks[i])
			frame_free(virt_to_phys(object->chunks[i]), 0);
	kmem_free(object->chunks);
}

static bool make_tables(struct memory_object *object)
{
	object->chunks = kmem_alloc(chunk_count(object) * sizeof(object->chunks[0]));
	if (!object->chunks)
		return false;
	for (size_t i = 0; i < chunk_count(object); i++) {
		paddr_t frame = frame_alloc(0, FRAME_ZERO);
		if (!frame)
			return false;
		object->chunks[i] = phys_to_virt(frame);
	}
	return true;
}

static void memory_object_destroy(struct object *header)
{
	struct memory_object *object = memory_object_from(header);
	uint64_t returned = 0;

	for (uint64_t page = 0; returned < object->resident_pages; page++) {
		paddr_t frame =
			object->chunks[page / MEMORY_OBJECT_CHUNK][page % MEMORY_OBJECT_CHUNK];
		if (!frame)
			continue;
		frame_free(frame, 0);
		if (++returned % SERVE_PAGES == 0)
			tlb_serve(); /* other CPUs may wait for this one to answer */
	}
	frames_unreserve(object->pages - returned);
	ledger_uncharge(object->ledger, object->pages);
	ledger_release(object->ledger);
	free_tables(object);
	kmem_free(object);
}

static const struct object_ops memory_object_ops = { .destroy = memory_object_destroy };

status_t memory_object_create(struct ledger *ledger, uint64_t size, struct memory_object **result)
{
	uint64_t pages = size / PAGE_SIZE + (size % PAGE_SIZE != 0);

	if (!pages)
		return STATUS(INVALID_ARGUMENT);
	if (!frames_reserve(pages))
		return STATUS(NO_MEMORY);
	if (!ledger_charge(ledger, pages)) /* second: what the machine refuses must not count as the
	                                      process's peak */
		goto out_reserve;
	struct memory_object *object = kmem_alloc(sizeof(*object));
	if (!object)
		goto out_charge;
	object->pages = pages;
	if (!make_tables(object))
		goto out_object;
	object->ledger = ledger_retain(ledger);
	spin_init(&object->lock, LOCK_RANK_MEMORY_OBJECT);
	park_queue_init(&object->parked);
	object_init(&object->object, NULL, &memory_object_ops);
	*result = object;
	return STATUS_OK;
out_object:
	free_tables(object);
	kmem_free(object);
out_charge:
	ledger_uncharge(ledger, pages);
out_reserve:
	frames_unreserve(pages);
	return STATUS(NO_MEMORY);
}

paddr_t memory_object_frame(struct memory_object *object, uint64_t page)
{
	ASSERT(page < object->pages);
	spin_lock(&object->lock);
	paddr_t *frame = &object->chunks[page / MEMORY_OBJECT_CHUNK][page % MEMORY_OBJECT_CHUNK];
	if (!*frame) {
		*frame = frame_alloc(0, FRAME_ZERO | FRAME_RESERVED);
		VERIFY(*frame);
		object->resident_pages++;
	}
	paddr_t given = *frame;
	spin_unlock(&object->lock);
	return given;
}
