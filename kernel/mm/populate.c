/* Faults, and the other occasions on which pages get their frames. models/park.pml models faults
 * against unmap and parking. */
#include "mm/populate.h"

#include "arch/x86_64/paging.h"
#include "arch/x86_64/tlb.h"
#include "core/log.h"
#include "core/string.h"
#include "mm/aspace.h"
#include "mm/ledger.h"
#include "mm/region.h"
#include "mm/memory_object.h"

/* The largest block of reserved frames for at most count pages. Order 0 cannot fail. */
static paddr_t reserved_block(size_t count, unsigned *order)
{
	paddr_t frame = 0;

	*order = 63u - (unsigned)__builtin_clzl(count);
	while (!(frame = frame_alloc(*order, FRAME_ZERO | FRAME_RESERVED))) {
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
			paging_replace(entries++, paging_entry(PAGING_OWNED, frame, prot));
		count -= 1ul << order;
	}
}

/* count neighbouring entries of one table, the first of which is the page at address. */
static void populate_entries(struct aspace *space, const struct region *region, uint64_t *entries,
	uint64_t address, size_t count)
{
	for (size_t i = 0; i < count;) {
		enum paging_kind kind = paging_kind(entries[i]);
		size_t run = 1;
		if (kind == PAGING_COMMITTED) {
			while (i + run < count && paging_kind(entries[i + run]) == PAGING_COMMITTED)
				run++;
			populate_committed(&entries[i], run, region->prot);
			space->resident_pages += run;
		} else if (kind == PAGING_FOREIGN_PENDING) {
			uint64_t offset =
				region->backing + (address + i * PAGE_SIZE - region->start);
			paddr_t frame = memory_object_frame(region->object, offset / PAGE_SIZE);
			paging_replace(
				&entries[i], paging_entry(PAGING_FOREIGN, frame, region->prot));
			space->resident_pages++;
		}
		i += run;
	}
}

/* The part of a range that lies in one 2 MiB block. */
static void populate_block(
	struct aspace *space, const struct region *region, uint64_t start, uint64_t end)
{
	uint64_t base = start & ~(LARGE_PAGE_SIZE - 1);
	unsigned level;
	uint64_t *entry = paging_find(space->root, start, &level);

	if (level == 2 && paging_has_frame(*entry))
		return;
	if (level == 2) {
		/* Committed as a whole. Whoever changes part of a region splits what crosses the
		 * edges, so all of it is in this one. */
		ASSERT(region->start <= base && base + LARGE_PAGE_SIZE <= region->end);
		if (paging_populate_large(entry, region->prot)) {
			space->resident_pages += LARGE_PAGE_SIZE / PAGE_SIZE;
			return;
		}
		paging_split_entry(entry, &space->table_frames);
		entry = paging_find(space->root, start, &level);
	}
	ASSERT(level == 1);
	populate_entries(space, region, entry, start, (end - start) / PAGE_SIZE);
}

void populate_range(struct aspace *space, const struct region *region, uint64_t start, uint64_t end)
{
	for (uint64_t at = start, next; at < end; at = next) {
		next = (at & ~(LARGE_PAGE_SIZE - 1)) + LARGE_PAGE_SIZE;
		if (next > end)
			next = end;
		populate_block(space, region, at, next);
	}
}

/* Adds an entry for a page whose tables are missing, and those. */
static bool add_with_tables(struct aspace *space, uint64_t page, uint64_t entry)
{
	struct paging_need need = { 0 };
	struct table_pool pool;

	paging_count_need(space->root, page, page + PAGE_SIZE, 0, false, &need);
	if (!table_pool_fill(&pool, need.tables))
		return false;
	paging_fill(space->root, page, page + PAGE_SIZE, entry, 0, &pool);
	space->table_frames += need.tables;
	return true;
}

/* One page of a demand-zero region: charged and given now, or not at all. */
static bool populate_demand_zero(struct aspace *space, const struct region *region, uint64_t page)
{
	unsigned level;

	if (*paging_find(space->root, page, &level))
		return true;
	if (!ledger_charge(space->ledger, 1))
		return false;
	paddr_t frame = frame_alloc(0, FRAME_ZERO);
	if (frame) {
		uint64_t entry = paging_entry(PAGING_DEMAND_ZERO, frame, region->prot);
		if (paging_add(space->root, page, entry) || add_with_tables(space, page, entry)) {
			space->resident_pages++;
			return true;
		}
		frame_free(frame, 0);
	}
	ledger_uncharge(space->ledger, 1);
	return false;
}

/* The page gets its frame, and with it those around it that are paid for. */
static bool populate_around(struct aspace *space, const struct region *region, uint64_t page)
{
	if (region->state == CAPOS_REGION_STATE_DEMAND_ZERO)
		return populate_demand_zero(space, region, page);

	uint64_t start = page & ~(CLUSTER_BYTES - 1), end = start + CLUSTER_BYTES;
	populate_range(space, region, start > region->start ? start : region->start,
		end < region->end ? end : region->end);
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

	spin_lock(&space->lock);
	const struct region *region = region_at(&space->regions, address);
	if (!region || region->leaving || region->state == CAPOS_REGION_STATE_RESERVED)
		outcome = FAULT_NOTHING;
	else if (!access_allowed(region->prot, access))
		outcome = FAULT_FORBIDDEN;
	else if (!populate_around(space, region, address & ~(PAGE_SIZE - 1)))
		outcome = FAULT_NO_MEMORY;
	spin_unlock(&space->lock);
	return outcome;
}

/* ---- writing into a space ---- */

/* The kernel's address for a byte of a committed or demand-zero page, populated. Under the lock. */
static status_t byte_at(struct aspace *space, uint64_t address, char **byte)
{
	const struct region *region = region_at(&space->regions, address);
	uint64_t page = address & ~(PAGE_SIZE - 1);
	unsigned level;

	if (!region || region->leaving ||
		(region->state != CAPOS_REGION_STATE_COMMITTED &&
			region->state != CAPOS_REGION_STATE_DEMAND_ZERO))
		return STATUS(BAD_ADDRESS);
	if (!populate_around(space, region, page))
		return STATUS(NO_MEMORY);
	uint64_t entry = *paging_find(space->root, page, &level);
	uint64_t size = level == 2 ? LARGE_PAGE_SIZE : PAGE_SIZE;
	*byte = (char *)phys_to_virt(entry & PAGING_ADDRESS) + (address & (size - 1));
	return STATUS_OK;
}

/* from NULL: zero bytes. */
static status_t write_bytes(struct aspace *space, uint64_t address, const char *from, uint64_t size)
{
	if (address > CAPOS_USER_TOP || size > CAPOS_USER_TOP - address)
		return STATUS(BAD_ADDRESS);
	for (uint64_t done = 0, part; done < size; done += part) {
		part = PAGE_SIZE - (address + done) % PAGE_SIZE;
		if (part > size - done)
			part = size - done;

		char *byte;
		spin_lock(&space->lock);
		status_t status = byte_at(space, address + done, &byte);
		if (status == STATUS_OK && from)
			memcpy(byte, from + done, part);
		else if (status == STATUS_OK)
			memset(byte, 0, part);
		spin_unlock(&space->lock);
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

status_t aspace_write(struct aspace *space, uint64_t address, const void *from, uint64_t size)
{
	return write_bytes(space, address, from, size);
}

status_t aspace_write_zero(struct aspace *space, uint64_t address, uint64_t size)
{
	return write_bytes(space, address, NULL, size);
}
