/* MemoryObject: zeroed frames that any number of address spaces may map.
 *
 * Life: MemoryAllocator.create charges the creator's ledger and reserves the frames; a page gets
 * its frame at first touch, through any mapping. Mappings and capability slots hold references;
 * dropping the last one frees the frames and uncharges the pages. The ledger is that of the
 * creator's process and may outlive the process (mm/ledger.h), so nothing refers to the process
 * itself. */
#ifndef CAPOS_MM_MEMORY_OBJECT_H
#define CAPOS_MM_MEMORY_OBJECT_H

#include <stdint.h>

#include "capos_kernel/status.h"
#include "core/lock.h"
#include "core/object.h"
#include "mm/frame.h"
#include "mm/park_queue.h"

struct ledger;

struct memory_object {
	struct object object;

	/* Set at creation, never changed. */
	uint64_t pages;
	struct ledger *ledger; /* charged; referenced */
	paddr_t **chunks;      /* tables of MEMORY_OBJECT_CHUNK frame addresses each */
	paddr_t registers;     /* of a device: the first of its pages; 0: it is made of frames */
	bool combines;         /* of a device: writes may be combined */
	struct object *keeper; /* referenced: the claim on that device; NULL: none */

	struct park_queue parked; /* on words of it, by offset */

	/* Guarded by lock. */
	struct spinlock lock;
	uint64_t resident_pages; /* the frames in chunks; the others are reserved */
};

#define MEMORY_OBJECT_CHUNK (PAGE_SIZE / sizeof(paddr_t))

/* Pure. */
static inline struct object *memory_object_header(struct memory_object *object)
{
	return &object->object;
}

/* Pure. */
static inline struct memory_object *memory_object_from(struct object *object)
{
	return (struct memory_object *)object;
}

/* A thread. One reference. The caller must set its interface before it gives out a capability,
 * because mm knows no interfaces. */
status_t memory_object_create(
	struct ledger *ledger, uint64_t size, struct memory_object **object) MUST_CHECK;

/* A thread. Registers of a device, for mappings alone: no capability names the object. The keeper
 * is kept until the last of them is gone. registers: page-aligned and no RAM. combines: as in
 * paging_device_entry. Charges the record only. */
status_t memory_object_create_registers(struct ledger *ledger, paddr_t registers, uint64_t size,
	bool combines, struct object *keeper, struct memory_object **object) MUST_CHECK;

/* The frame of a page, which gets one now if it had none. Cannot fail, because the frame is
 * reserved. Any context that may take the MEMORY_OBJECT lock. */
paddr_t memory_object_frame(struct memory_object *object, uint64_t page);

#endif
