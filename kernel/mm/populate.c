/* Page faults, and the other occasions on which pages get their frames. models/park.pml models
 * faults against unmap and parking. */
#include "mm/populate.h"

#include "arch/paging.h"
#include "arch/tlb.h"
#include "core/log.h"
#include "core/string.h"
#include "mm/aspace.h"
#include "mm/ledger.h"
#include "mm/region.h"
#include "mm/memory_object.h"
#include "sched/sched.h"

/* The largest block of reserved frames for at most count pages. Order 0 cannot fail. */
static paddr_t reserved_block(size_t count, unsigned *order)
{
	paddr_t frame = 0;

	*order = 63u - (unsigned)__builtin_clzl(count);
	while (!(frame = frame_alloc(PREPAID, *order, FRAME_ZERO | FRAME_RESERVED))) {
		VERIFY(*order > 0);
		--*order;
	}
	if (*order)
		frame_split(frame, *order);
	return frame;
}

/* count neighbouring entries, all committed, get frames. */
static void populate_committed(uint64_t *entries, size_t count, uint32_t prot)
{
	while (count) {
		unsigned order;
		paddr_t frame = reserved_block(count, &order);
		for (size_t i = 0; i < 1ul << order; i++, frame += PAGE_SIZE)
			paging_populate(entries++, paging_entry(PAGING_OWNED, frame, prot));
		count -= 1ul << order;
	}
}

/* The entry of a page of the region's object. */
static void populate_foreign(
	const struct region *region, uint64_t *entry, uint64_t address, uint32_t prot)
{
	uint64_t offset = region->backing + (address - region->start);
	paddr_t frame = memory_object_frame(region->object, offset / PAGE_SIZE);

	paging_populate(entry,
		region->object->registers
			? paging_device_entry(frame, prot, region->object->combines)
			: paging_entry(PAGING_FOREIGN, frame, prot));
}

/* count neighbouring entries of one table, the first of which is the page at address. */
static void populate_entries(struct aspace *space, const struct region *region, uint64_t *entries,
	uint64_t address, size_t count, uint64_t like)
{
	bool committed = paging_kind(like) == PAGING_COMMITTED;
	size_t given = 0;

	for (size_t i = 0, run; i < count; i += run) {
		run = 1;
		if (entries[i] != like)
			continue;
		while (committed && i + run < count && entries[i + run] == like)
			run++;
		if (committed)
			populate_committed(&entries[i], run, paging_prot(like));
		else
			populate_foreign(
				region, &entries[i], address + i * PAGE_SIZE, paging_prot(like));
		given += run;
	}
	paging_note_resident(entries, given);
	space->resident_pages += given;
}

/* The part of a range that lies in one 2 MiB block. */
static void populate_block(struct aspace *space, const struct region *region, uint64_t start,
	uint64_t end, uint64_t like)
{
	unsigned level;
	uint64_t *entry = paging_find(space->root, start, &level);

	if (level == 2) {
		if (paging_page_entry(*entry) != like)
			return;
		if (paging_kind(like) == PAGING_COMMITTED && paging_populate_large(entry)) {
			space->resident_pages += LARGE_PAGE_SIZE / PAGE_SIZE;
			return;
		}
		VERIFY(paging_split_entry(entry, level, space->ledger));
		space->table_frames++;
		entry = paging_find(space->root, start, &level);
	}
	ASSERT(level == 1);
	populate_entries(space, region, entry, start, (end - start) / PAGE_SIZE, like);
}

void populate_range(struct aspace *space, const struct region *region, uint64_t start, uint64_t end,
	uint64_t like)
{
	assert_held(&space->lock);
	for (uint64_t page = start, next; page < end; page = next) {
		next = (page & ~(LARGE_PAGE_SIZE - 1)) + LARGE_PAGE_SIZE;
		if (next > end)
			next = end;
		populate_block(space, region, page, next, like);
	}
}

/* The entry of a page in a 4 KiB table, with the blocks above it split; NULL when memory is short.
 */
static uint64_t *split_down(struct aspace *space, uint64_t page)
{
	unsigned level;
	uint64_t *slot = paging_find(space->root, page, &level);

	while (level > 1) {
		if (!paging_split_entry(slot, level, space->ledger))
			return NULL;
		space->table_frames++;
		slot = paging_find(space->root, page, &level);
	}
	return slot;
}

/* One demand-zero page: charged and given now, or not at all. */
static bool populate_demand_zero(struct aspace *space, uint64_t page, uint32_t prot)
{
	if (!ledger_charge(space->ledger, 1, 0))
		return false;
	paddr_t frame = frame_alloc(PREPAID, 0, FRAME_ZERO);
	uint64_t *slot = frame ? split_down(space, page) : NULL;
	if (slot) {
		paging_populate(slot, paging_entry(PAGING_DEMAND_ZERO, frame, prot));
		paging_note_resident(slot, 1);
		space->resident_pages++;
		return true;
	}
	if (frame)
		frame_free(PREPAID, frame, 0);
	ledger_uncharge(space->ledger, 1, 0);
	return false;
}

/* The page of an entry without a frame gets one, and with it the pages around it with the same
 * entry, which are paid for. */
static bool populate_around(struct aspace *space, uint64_t page, uint64_t entry)
{
	uint64_t start = page & ~(CLUSTER_BYTES - 1), end = start + CLUSTER_BYTES;
	const struct region *region = NULL;

	assert_held(&space->lock);
	switch (paging_kind(entry)) {
	case PAGING_DEMAND_ZERO_PENDING:
		return populate_demand_zero(space, page, paging_prot(entry));
	case PAGING_FOREIGN_PENDING:
		region = region_at(&space->regions, page);
		start = start > region->start ? start : region->start;
		end = end < region->end ? end : region->end;
		break;
	default:
		break;
	}
	populate_range(space, region, start, end, paging_page_entry(entry));
	return true;
}

static bool access_allowed(uint32_t prot, enum fault_access access)
{
	switch (access) {
	case FAULT_WRITE:
		return prot & CAPOS_PROT_WRITE;
	case FAULT_EXEC:
		return prot & CAPOS_PROT_EXEC;
	default:
		return prot & CAPOS_PROT_READ;
	}
}

enum fault_outcome aspace_fault(struct aspace *space, vaddr_t address, enum fault_access access)
{
	enum fault_outcome outcome = FAULT_RESOLVED;
	unsigned level;

	assert_may_take(LOCK_RANK_ASPACE);
	if (address >= CAPOS_USER_TOP)
		return FAULT_NOTHING;
	spin_lock(&space->lock);
	uint64_t entry = *paging_find(space->root, address, &level);
	if (!entry || (!paging_has_frame(entry) && aspace_leaving(space, address)))
		outcome = FAULT_NOTHING;
	else if (!access_allowed(paging_prot(entry), access))
		outcome = FAULT_FORBIDDEN;
	else if (!paging_has_frame(entry) &&
		!populate_around(space, address & ~(PAGE_SIZE - 1), entry))
		outcome = FAULT_NO_MEMORY;
	spin_unlock(&space->lock);
	return outcome;
}

/* ---- writing into a space ---- */

/* The kernel's address for a byte of a committed or demand-zero page, populated. */
static status_t byte_at_locked(struct aspace *space, uint64_t address, char **byte)
{
	unsigned level;
	uint64_t *slot = paging_find(space->root, address, &level);
	enum paging_kind kind = paging_kind(*slot);

	assert_held(&space->lock);
	if (kind == PAGING_ABSENT || kind == PAGING_FOREIGN || kind == PAGING_FOREIGN_PENDING ||
		aspace_leaving(space, address))
		return STATUS(BAD_ADDRESS);
	if (!paging_has_frame(*slot)) {
		if (!populate_around(space, address & ~(PAGE_SIZE - 1), *slot))
			return STATUS(NO_MEMORY);
		slot = paging_find(space->root, address, &level);
	}
	uint64_t block = level == 2 ? LARGE_PAGE_SIZE : PAGE_SIZE;
	*byte = (char *)phys_to_virt(paging_frame(*slot)) + (address & (block - 1));
	return STATUS_OK;
}

/* Written with interrupts off. A first page may be a zeroed one of 2 MiB. */
#define WRITE_STEP_PAGES 16u

/* from NULL: zero bytes. */
static status_t write_bytes(
	struct aspace *space, struct user_ptr to, const char *from, uint64_t size)
{
	uint64_t address = to.address, pages = 0;

	if (address > CAPOS_USER_TOP || size > CAPOS_USER_TOP - address)
		return STATUS(BAD_ADDRESS);
	for (uint64_t done = 0, part; done < size; done += part) {
		part = PAGE_SIZE - (address + done) % PAGE_SIZE;
		if (part > size - done)
			part = size - done;

		char *byte;
		spin_lock(&space->lock);
		status_t status = byte_at_locked(space, address + done, &byte);
		if (status == STATUS_OK && from)
			memcpy(byte, from + done, part);
		else if (status == STATUS_OK)
			memset(byte, 0, part);
		spin_unlock(&space->lock);
		if (status != STATUS_OK)
			return status;
		if (++pages % WRITE_STEP_PAGES == 0)
			sched_preemption_point();
	}
	return STATUS_OK;
}

status_t aspace_write(struct aspace *space, struct user_ptr to, const void *from, uint64_t size)
{
	return write_bytes(space, to, from, size);
}

status_t aspace_write_zero(struct aspace *space, struct user_ptr to, uint64_t size)
{
	return write_bytes(space, to, NULL, size);
}
