/* Address spaces: the methods that change what an address is for.
 *
 * Every one of them goes the same way. Arguments are checked; then, under the lock, the whole range
 * is checked, then everything the change needs is obtained (region nodes, charges, reserved frames,
 * page tables), and only then is anything changed: from there on nothing can fail. References to
 * memory objects are dropped after the lock. What is taken away may be large: it goes in steps,
 * with the lock free in between. models/park.pml and models/tlb.pml model what takes mappings away.
 */
#include "mm/aspace.h"

#include "arch/x86_64/paging.h"
#include "arch/x86_64/tlb.h"
#include "core/log.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/populate.h"
#include "mm/region.h"
#include "mm/memory_object.h"
#include "mm/park.h"
#include "sched/sched.h"

/* Where the kernel's own choice of addresses begins: past where programs are linked, in the same
 * GiB, so that they share tables. */
#define SEARCH_BASE 0x20000000ul
#define USER_BASE 0x10000ul

/* What is taken away at a time, in tables of 512 pages and in 2 MiB pages: some hundred thousand
 * instructions. */
#define STEP_TABLES 16u

/* ---- arguments ---- */

static status_t check_size(uint64_t *size)
{
	if (*size == 0)
		return STATUS(INVALID_ARGUMENT);
	if (*size > CAPOS_USER_TOP)
		return STATUS(OUT_OF_RANGE);
	*size = (*size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	return STATUS_OK;
}

/* Also for hints: 0 is in range. */
static status_t check_range(uint64_t address, uint64_t *size)
{
	status_t status = check_size(size);

	if (status == STATUS_OK && address % PAGE_SIZE)
		status = STATUS(MISALIGNED);
	if (status == STATUS_OK && (address > CAPOS_USER_TOP || *size > CAPOS_USER_TOP - address))
		status = STATUS(OUT_OF_RANGE);
	return status;
}

/* Turns what a program asks for into what a region stores. The processor has no way to write or
 * execute without reading. */
static status_t check_prot(uint32_t *prot, uint32_t flags)
{
	if (*prot & ~(PROT_MASK | flags))
		return STATUS(INVALID_ARGUMENT);
	if ((*prot & CAPOS_PROT_WRITE) && (*prot & CAPOS_PROT_EXEC))
		return STATUS(PROTECTION_DENIED);
	if (*prot & PROT_MASK)
		*prot |= CAPOS_PROT_READ;
	return STATUS_OK;
}

/* ---- what is there, and cutting it at the edges of a range ---- */

struct wanted {
	bool kernel;                        /* pinned regions may be changed too */
	bool committed;                     /* reserved is not enough */
	uint32_t prot;                      /* regions of state object must allow this */
	const struct memory_object *object; /* only mappings of this one; NULL: anything */
};

/* The regions a change is about: from the one around `start` to the one around end - 1. */
struct extent {
	uint64_t start, end;
	struct region *first, *last;
	struct region
		*upper[2]; /* nodes for cutting at start and end; NULL: no region crosses there */
};

#define for_each_region(region, extent)                                                        \
	for (struct region *region = (extent)->first; region && region->start < (extent)->end; \
		region = region_next(region))

/* Finds the regions of [start, end), all of it, and refuses those that are not wanted. */
static status_t extent_check(const struct aspace *space, uint64_t start, uint64_t end,
	const struct wanted *wanted, struct extent *extent)
{
	struct region *region = region_at(&space->regions, start);

	*extent = (struct extent){ .start = start, .end = end, .first = region };
	for (uint64_t at = start; at < end; at = region->end, region = region_next(region)) {
		if (!region || region->start > at || region->leaving ||
			(wanted->object && region->object != wanted->object))
			return STATUS(NOT_RESERVED);
		if (region->pinned && !wanted->kernel)
			return STATUS(PROTECTION_DENIED);
		if (wanted->committed && region->state == CAPOS_REGION_STATE_RESERVED)
			return STATUS(NOT_COMMITTED);
		if (region->state == CAPOS_REGION_STATE_OBJECT &&
			(wanted->prot & ~region->prot_max))
			return STATUS(PROTECTION_DENIED);
		extent->last = region;
	}
	return STATUS_OK;
}

/* Obtains the nodes that cutting takes. */
static bool extent_prepare(const struct aspace *space, struct extent *extent)
{
	const bool crossed[2] = { extent->start > extent->first->start,
		extent->last->end > extent->end };

	for (unsigned i = 0; i < 2; i++) {
		if (!crossed[i])
			continue;
		if (space->region_count + 2 <= REGIONS_MAX)
			extent->upper[i] = kmem_alloc(sizeof(struct region));
		if (!extent->upper[i]) {
			kmem_free(extent->upper[0]);
			return false;
		}
	}
	return true;
}

static void extent_cancel(struct extent *extent)
{
	kmem_free(extent->upper[0]);
	kmem_free(extent->upper[1]);
}

/* Cuts: from now on the extent's regions are exactly the range. */
static void extent_cut(struct aspace *space, struct extent *extent)
{
	if (extent->upper[0]) {
		region_split(&space->regions, extent->first, extent->start, extent->upper[0]);
		if (extent->last == extent->first)
			extent->last = extent->upper[0];
		extent->first = extent->upper[0];
		space->region_count++;
	}
	if (extent->upper[1]) {
		region_split(&space->regions, extent->last, extent->end, extent->upper[1]);
		space->region_count++;
	}
}

/* Joins neighbours that have become alike; the extent is of no use afterwards. */
static void extent_join(struct aspace *space, struct extent *extent)
{
	space->region_count -= region_merge(&space->regions, extent->first, extent->end);
}

static void region_join(struct aspace *space, struct region *region)
{
	space->region_count -= region_merge(&space->regions, region, region->end);
}

/* ---- providing for pages that are about to get entries ---- */

struct provision {
	uint64_t pages; /* reserved and charged */
	struct paging_need need;
	struct table_pool pool;
};

/* Charges the pages and reserves their frames; then provision_tables, or provision_cancel. */
static bool provision_pages(struct aspace *space, struct provision *provision, uint64_t pages)
{
	*provision = (struct provision){ 0 };
	if (!frames_reserve(pages))
		return false;
	if (!ledger_charge(space->ledger, pages)) { /* second: what the machine refuses must not
		                                       count as the process's peak */
		frames_unreserve(pages);
		return false;
	}
	provision->pages = pages;
	return true;
}

static void provision_cancel(struct aspace *space, struct provision *provision)
{
	frames_unreserve(provision->pages);
	ledger_uncharge(space->ledger, provision->pages);
}

/* The tables that were counted. Cancels the provision when they are not to be had. */
static bool provision_tables(struct aspace *space, struct provision *provision)
{
	if (frames_reserve(provision->need.large_blocks)) {
		if (table_pool_fill(&provision->pool, provision->need.tables))
			return true;
		frames_unreserve(provision->need.large_blocks);
	}
	provision_cancel(space, provision);
	return false;
}

/* All pages that provide for has been made have their entries: gives back what was provided too
 * much. */
static void provision_finish(struct aspace *space, struct provision *provision)
{
	space->table_frames += provision->need.tables - provision->pool.count;
	table_pool_drain(&provision->pool);
}

/* ---- choosing addresses ---- */

static bool range_free(const struct aspace *space, uint64_t start, uint64_t end)
{
	const struct region *region = region_from(&space->regions, start);

	return start >= USER_BASE && (!region || region->start >= end);
}

static status_t place(
	struct aspace *space, uint64_t hint, bool exact, uint64_t size, uint64_t *address)
{
	if (space->reserved_limit - space->reserved_pages < size / PAGE_SIZE)
		return STATUS(NO_RESERVATION);
	if (space->region_count >= REGIONS_MAX)
		return STATUS(NO_MEMORY);
	if (hint && range_free(space, hint, hint + size)) {
		*address = hint;
		return STATUS_OK;
	}
	if (exact)
		return STATUS(OVERLAP);

	uint64_t alignment = size >= LARGE_PAGE_SIZE ? LARGE_PAGE_SIZE : PAGE_SIZE;
	*address = region_gap(&space->regions, size, alignment, space->search_hint, CAPOS_USER_TOP);
	if (!*address)
		*address = region_gap(&space->regions, size, alignment, USER_BASE, CAPOS_USER_TOP);
	return *address ? STATUS_OK : STATUS(NO_RESERVATION);
}

/* Fills in a region's place and makes it known. chosen: the kernel chose the address. */
static void region_add(
	struct aspace *space, struct region *region, uint64_t address, uint64_t size, bool chosen)
{
	region->start = address;
	region->end = address + size;
	region_insert(&space->regions, region);
	space->region_count++;
	space->reserved_pages += size / PAGE_SIZE;
	if (chosen)
		space->search_hint = region->end;
}

static struct region *region_new(uint32_t state, uint32_t prot)
{
	struct region *region = kmem_alloc(sizeof(*region));

	if (region) {
		region->state = (uint8_t)state;
		region->prot = (uint8_t)(prot & PROT_MASK);
		region->prot_max = PROT_MASK;
	}
	return region;
}

/* ---- taking away ---- */

static void extent_mark(const struct extent *extent, bool leaving)
{
	for_each_region (region, extent)
		region->leaving = leaving;
}

/* Ends the waits on words that are gone. */
static void drain_waiters(struct aspace *space, uint64_t start, uint64_t end)
{
	/* After the flush: a waiter not counted yet reads its word later and finds it gone. */
	if (__atomic_load_n(&space->park_waiters, __ATOMIC_SEQ_CST))
		park_drain(space, start, end);
}

/* A 2 MiB entry that crosses the address becomes a table. */
static void split_edge(struct aspace *space, uint64_t address)
{
	if (paging_split(space->root, address, &space->table_frames)) {
		uint64_t base = address & ~(LARGE_PAGE_SIZE - 1);
		tlb_flush_range(space, base, base + LARGE_PAGE_SIZE);
	}
}

static void split_edges(struct aspace *space, uint64_t start, uint64_t end)
{
	split_edge(space, start);
	split_edge(space, end);
}

/* All frames, reservations and tables of the range go back. So does the charge for demand-zero
 * pages; that for committed ones is the caller's. */
static void zap(struct aspace *space, uint64_t start, uint64_t end)
{
	struct paging_cleared cleared = { 0 };

	split_edges(space, start, end);
	if (paging_hide(space->root, start, end))
		tlb_flush_range(space, start, end);
	drain_waiters(space, start, end);
	paging_clear(space->root, start, end, &cleared);
	space->resident_pages -= cleared.resident;
	space->table_frames -= cleared.tables;
	ledger_uncharge(space->ledger, cleared.demand_zero);
}

/* All pages of the extent, which is cut, go in steps. Between them the lock is free, interrupts
 * come in and others run; the extent stays what it is, for its regions are marked. */
static void zap_extent(struct aspace *space, const struct extent *extent)
{
	uint64_t at = extent->start, stop = paging_step(space->root, at, extent->end, STEP_TABLES);

	zap(space, at, stop);
	if (stop == extent->end)
		return; /* one step, as nearly always */
	extent_mark(extent, true);
	while (stop < extent->end) {
		spin_unlock(&space->lock);
		sched_preemption_point();
		spin_lock(&space->lock);
		at = stop;
		stop = paging_step(space->root, at, extent->end, STEP_TABLES);
		zap(space, at, stop);
	}
	extent_mark(extent, false);
}

/* What a region meant for the ledgers and its object ends; its frames are gone already. */
static void region_uncommit(struct aspace *space, struct region *region)
{
	if (region->state == CAPOS_REGION_STATE_COMMITTED)
		ledger_uncharge(space->ledger, region_pages(region));
	if (region->object)
		object_release(memory_object_header(region->object));
}

/* Takes regions out of the space: from `region` on those that begin before end. */
static void regions_remove(struct aspace *space, struct region *region, uint64_t end)
{
	for (struct region *next; region && region->start < end; region = next) {
		next = region_next(region);
		rbtree_remove(&space->regions, &region->node);
		space->region_count--;
		space->reserved_pages -= region_pages(region);
		region_uncommit(space, region);
		kmem_free(region);
	}
}

static status_t unmap(
	struct aspace *space, uint64_t address, uint64_t size, const struct wanted *wanted)
{
	struct extent extent;
	status_t status = check_range(address, &size);
	if (status != STATUS_OK)
		return status;

	uint64_t end = address + size;
	spin_lock(&space->lock);
	status = extent_check(space, address, end, wanted, &extent);
	if (status == STATUS_OK && !extent_prepare(space, &extent))
		status = STATUS(NO_MEMORY);
	if (status == STATUS_OK) {
		extent_cut(space, &extent);
		zap_extent(space, &extent);
		regions_remove(space, extent.first, end);
		if (space->search_hint == end)
			space->search_hint = address;
	}
	spin_unlock(&space->lock);
	return status;
}

status_t aspace_unmap(struct aspace *space, uint64_t address, uint64_t size)
{
	return unmap(space, address, size, &(struct wanted){ .kernel = false });
}

status_t aspace_unmap_kernel(struct aspace *space, uint64_t address, uint64_t size)
{
	return unmap(space, address, size, &(struct wanted){ .kernel = true });
}

status_t aspace_unmap_object(
	struct aspace *space, struct memory_object *object, uint64_t address, uint64_t size)
{
	return unmap(space, address, size, &(struct wanted){ .object = object });
}

status_t aspace_decommit(struct aspace *space, uint64_t address, uint64_t size)
{
	struct extent extent;
	status_t status = check_range(address, &size);
	if (status != STATUS_OK)
		return status;

	uint64_t end = address + size;
	spin_lock(&space->lock);
	status = extent_check(space, address, end, &(struct wanted){ .kernel = false }, &extent);
	if (status == STATUS_OK && !extent_prepare(space, &extent))
		status = STATUS(NO_MEMORY);
	if (status == STATUS_OK) {
		extent_cut(space, &extent);
		zap_extent(space, &extent);
		for_each_region (region, &extent) {
			region_uncommit(space, region);
			region->state = CAPOS_REGION_STATE_RESERVED;
			region->prot = 0;
			region->prot_max = PROT_MASK;
			region->object = NULL;
			region->backing = 0;
		}
		extent_join(space, &extent);
	}
	spin_unlock(&space->lock);
	return status;
}

/* ---- protection ---- */

/* Gives the committed regions of the extent, which is cut, a new protection. */
static void extent_protect(struct aspace *space, const struct extent *extent, uint32_t prot)
{
	bool lost = false;

	for_each_region (region, extent) {
		if (region->state == CAPOS_REGION_STATE_RESERVED || region->prot == prot)
			continue;
		region->prot = (uint8_t)prot;
		split_edges(space, region->start, region->end);
		lost |= paging_protect(space->root, region->start, region->end, prot);
	}
	if (lost)
		tlb_flush_range(space, extent->start, extent->end);
}

/* Nothing to do, and nothing to cut for it: the commonest case of committing what is committed. */
static bool protected_already(const struct extent *extent, uint32_t prot)
{
	return extent->first == extent->last &&
		extent->first->state != CAPOS_REGION_STATE_RESERVED && extent->first->prot == prot;
}

static status_t protect(
	struct aspace *space, uint64_t address, uint64_t size, uint32_t prot, struct wanted *wanted)
{
	struct extent extent;
	status_t status = check_range(address, &size);
	if (status == STATUS_OK)
		status = check_prot(&prot, 0);
	if (status != STATUS_OK)
		return status;

	wanted->prot = prot;
	spin_lock(&space->lock);
	status = extent_check(space, address, address + size, wanted, &extent);
	if (status != STATUS_OK || protected_already(&extent, prot))
		goto out;
	if (!extent_prepare(space, &extent)) {
		status = STATUS(NO_MEMORY);
		goto out;
	}
	extent_cut(space, &extent);
	extent_protect(space, &extent, prot);
	extent_join(space, &extent);
out:
	spin_unlock(&space->lock);
	return status;
}

status_t aspace_protect(struct aspace *space, uint64_t address, uint64_t size, uint32_t prot)
{
	return protect(space, address, size, prot, &(struct wanted){ .committed = true });
}

status_t aspace_protect_object(struct aspace *space, struct memory_object *object, uint64_t address,
	uint64_t size, uint32_t prot)
{
	return protect(space, address, size, prot, &(struct wanted){ .object = object });
}

/* ---- reserving and committing ---- */

status_t aspace_reserve(struct aspace *space, uint64_t hint, uint64_t size, uint64_t *address)
{
	status_t status = check_range(hint, &size);
	if (status != STATUS_OK)
		return status;

	spin_lock(&space->lock);
	status = place(space, hint, false, size, address);
	struct region *region =
		status == STATUS_OK ? region_new(CAPOS_REGION_STATE_RESERVED, 0) : NULL;
	if (region) {
		region_add(space, region, *address, size, *address != hint);
		region_join(space, region);
	} else if (status == STATUS_OK) {
		status = STATUS(NO_MEMORY);
	}
	spin_unlock(&space->lock);
	return status;
}

/* The part of a region that lies in the extent, which need not be cut. */
static void region_part(
	const struct region *region, const struct extent *extent, uint64_t *from, uint64_t *to)
{
	*from = region->start > extent->start ? region->start : extent->start;
	*to = region->end < extent->end ? region->end : extent->end;
}

/* Charge, reserved frames and tables for all pages of the extent that are only reserved. */
static bool extent_provide(
	struct aspace *space, const struct extent *extent, struct provision *provision)
{
	uint64_t pages = 0, counted = 0, from, to;

	for_each_region (region, extent) {
		if (region->state != CAPOS_REGION_STATE_RESERVED)
			continue;
		region_part(region, extent, &from, &to);
		pages += (to - from) / PAGE_SIZE;
	}
	if (!provision_pages(space, provision, pages))
		return false;
	for_each_region (region, extent) {
		if (region->state != CAPOS_REGION_STATE_RESERVED)
			continue;
		region_part(region, extent, &from, &to);
		paging_count_need(space->root, from, to, counted, true, &provision->need);
		counted = to;
	}
	return provision_tables(space, provision);
}

/* A reserved region becomes a committed one: with what was provided, or demand-zero (NULL). */
static void region_commit(
	struct aspace *space, struct region *region, uint32_t prot, struct provision *provision)
{
	region->prot = (uint8_t)(prot & PROT_MASK);
	region->state = provision ? CAPOS_REGION_STATE_COMMITTED : CAPOS_REGION_STATE_DEMAND_ZERO;
	if (!provision)
		return;
	paging_fill(space->root, region->start, region->end, paging_entry(PAGING_COMMITTED, 0, 0),
		0, &provision->pool);
	if (region->prot && region->end - region->start <= CLUSTER_BYTES)
		populate_range(space, region, region->start, region->end);
}

static status_t commit_locked(struct aspace *space, uint64_t start, uint64_t end, uint32_t prot)
{
	bool demand_zero = prot & CAPOS_COMMIT_DEMAND_ZERO;
	uint32_t access = prot & PROT_MASK;
	struct provision provision;
	struct extent extent;
	status_t status =
		extent_check(space, start, end, &(struct wanted){ .prot = access }, &extent);
	if (status != STATUS_OK || protected_already(&extent, access))
		return status;

	if (!extent_prepare(space, &extent))
		return STATUS(NO_MEMORY);
	if (!demand_zero && !extent_provide(space, &extent, &provision)) {
		extent_cancel(&extent);
		return STATUS(NO_MEMORY);
	}
	extent_cut(space, &extent);
	extent_protect(space, &extent, access);
	for_each_region (region, &extent)
		if (region->state == CAPOS_REGION_STATE_RESERVED)
			region_commit(space, region, prot, demand_zero ? NULL : &provision);
	if (!demand_zero)
		provision_finish(space, &provision);
	extent_join(space, &extent);
	return STATUS_OK;
}

status_t aspace_commit(struct aspace *space, uint64_t address, uint64_t size, uint32_t prot)
{
	status_t status = check_range(address, &size);
	if (status == STATUS_OK)
		status = check_prot(&prot, CAPOS_COMMIT_DEMAND_ZERO);
	if (status != STATUS_OK)
		return status;

	spin_lock(&space->lock);
	status = commit_locked(space, address, address + size, prot);
	spin_unlock(&space->lock);
	return status;
}

status_t aspace_map(
	struct aspace *space, uint64_t hint, uint64_t size, uint32_t prot, uint64_t *address)
{
	status_t status = check_range(hint, &size);
	if (status == STATUS_OK)
		status = check_prot(&prot, CAPOS_COMMIT_DEMAND_ZERO);
	if (status != STATUS_OK)
		return status;

	bool demand_zero = prot & CAPOS_COMMIT_DEMAND_ZERO;
	struct provision provision = { 0 };
	spin_lock(&space->lock);
	status = place(space, hint, false, size, address);
	if (status != STATUS_OK)
		goto out;
	status = STATUS(NO_MEMORY);
	struct region *region = region_new(CAPOS_REGION_STATE_RESERVED, 0);
	if (!region)
		goto out;
	if (!demand_zero) {
		if (!provision_pages(space, &provision, size / PAGE_SIZE))
			goto out_region;
		paging_count_need(space->root, *address, *address + size, 0, true, &provision.need);
		if (!provision_tables(space, &provision))
			goto out_region;
	}
	region_add(space, region, *address, size, *address != hint);
	region_commit(space, region, prot, demand_zero ? NULL : &provision);
	if (!demand_zero)
		provision_finish(space, &provision);
	region_join(space, region);
	status = STATUS_OK;
	goto out;
out_region:
	kmem_free(region);
out:
	spin_unlock(&space->lock);
	return status;
}

/* ---- frames of other owners ---- */

/* Adds a region of state object; step as in paging_fill, 0 for frames that have to be asked for. It
 * is not joined yet. */
static status_t map_foreign(struct aspace *space, uint64_t hint, bool exact,
	const struct region *template, uint64_t size, uint64_t entry, uint64_t step,
	uint64_t *address, struct region **added)
{
	struct provision provision = { 0 };
	struct region *region;
	status_t status = place(space, hint, exact, size, address);
	if (status != STATUS_OK)
		return status;

	region = kmem_alloc(sizeof(*region));
	if (!region)
		return STATUS(NO_MEMORY);
	paging_count_need(space->root, *address, *address + size, 0, false, &provision.need);
	if (!provision_tables(space, &provision)) {
		kmem_free(region);
		return STATUS(NO_MEMORY);
	}
	*region = *template;
	if (region->object)
		object_retain(memory_object_header(region->object));
	region_add(space, region, *address, size, *address != hint);
	paging_fill(space->root, *address, *address + size, entry, step, &provision.pool);
	provision_finish(space, &provision);
	*added = region;
	return STATUS_OK;
}

status_t aspace_map_frames(struct aspace *space, uint64_t hint, bool exact, paddr_t first,
	uint64_t size, uint32_t prot, bool pinned, uint64_t *address)
{
	status_t status = check_range(hint, &size);
	if (status == STATUS_OK)
		status = check_prot(&prot, 0);
	if (status != STATUS_OK)
		return status;

	struct region template = {
		.state = CAPOS_REGION_STATE_OBJECT,
		.prot = (uint8_t)prot,
		.prot_max = (uint8_t)prot,
		.pinned = pinned,
		.backing = first,
	};
	struct region *region;
	spin_lock(&space->lock);
	status = map_foreign(space, hint, exact, &template, size,
		paging_entry(PAGING_FOREIGN, first, prot), PAGE_SIZE, address, &region);
	if (status == STATUS_OK) {
		space->resident_pages += size / PAGE_SIZE;
		region_join(space, region);
	}
	spin_unlock(&space->lock);
	return status;
}

status_t aspace_map_object(struct aspace *space, struct memory_object *object, uint64_t hint,
	uint64_t offset, uint64_t size, uint32_t prot, uint64_t *address)
{
	status_t status = check_range(hint, &size);
	if (status == STATUS_OK && offset % PAGE_SIZE)
		status = STATUS(MISALIGNED);
	if (status == STATUS_OK &&
		(offset / PAGE_SIZE > object->pages ||
			size / PAGE_SIZE > object->pages - offset / PAGE_SIZE))
		status = STATUS(OUT_OF_RANGE);
	if (status == STATUS_OK)
		status = check_prot(&prot, 0);
	if (status != STATUS_OK)
		return status;

	struct region template = {
		.state = CAPOS_REGION_STATE_OBJECT,
		.prot = (uint8_t)prot,
		.prot_max = PROT_MASK,
		.object = object,
		.backing = offset,
	};
	struct region *region;
	spin_lock(&space->lock);
	status = map_foreign(space, hint, false, &template, size,
		paging_entry(PAGING_FOREIGN_PENDING, 0, 0), 0, address, &region);
	if (status == STATUS_OK) {
		if (prot && size <= CLUSTER_BYTES)
			populate_range(space, region, *address, *address + size);
		region_join(space, region);
	}
	spin_unlock(&space->lock);
	return status;
}

bool aspace_lookup_object(
	struct aspace *space, uint64_t address, struct memory_object **object, uint64_t *offset)
{
	spin_lock(&space->lock);
	const struct region *region = region_at(&space->regions, address);
	bool found = region && region->object && !region->leaving;
	if (found) {
		object_retain(memory_object_header(region->object));
		*object = region->object;
		*offset = region->backing + (address - region->start);
	}
	spin_unlock(&space->lock);
	return found;
}

/* ---- questions ---- */

status_t aspace_query(struct aspace *space, uint64_t address, struct capos_region_info *info)
{
	if (address >= CAPOS_USER_TOP)
		return STATUS(OUT_OF_RANGE);

	*info = (struct capos_region_info){ 0 };
	spin_lock(&space->lock);
	const struct region *region = region_at(&space->regions, address);
	if (region) {
		info->start = region->start;
		info->size = region->end - region->start;
		info->state = region->state;
		info->prot = region->prot;
		info->resident_pages = paging_resident(space->root, region->start, region->end);
	} else {
		const struct region *below = region_before(&space->regions, address),
				    *above = region_from(&space->regions, address);
		info->start = below ? below->end : 0;
		info->size = (above ? above->start : CAPOS_USER_TOP) - info->start;
		info->state = CAPOS_REGION_STATE_FREE;
	}
	spin_unlock(&space->lock);
	return STATUS_OK;
}

void aspace_usage(struct aspace *space, struct capos_memory_usage *usage)
{
	spin_lock(&space->lock);
	*usage = (struct capos_memory_usage){
		.reserved_pages = space->reserved_pages,
		.reserved_limit = space->reserved_limit,
		.committed_pages = __atomic_load_n(&space->ledger->committed, __ATOMIC_RELAXED),
		.committed_limit = space->ledger->limit,
		.resident_pages = space->resident_pages,
		.peak_committed = __atomic_load_n(&space->ledger->peak, __ATOMIC_RELAXED),
	};
	spin_unlock(&space->lock);
	usage->machine_free_pages = frames_available();
	usage->machine_pages = frames_total();
}

/* ---- life ---- */

struct aspace *aspace_create(uint64_t committed_limit)
{
	struct aspace *space = kmem_alloc(sizeof(*space));
	if (!space)
		return NULL;

	space->ledger = ledger_create(committed_limit);
	space->root = space->ledger ? paging_create() : 0;
	if (!space->root) {
		if (space->ledger)
			ledger_release(space->ledger);
		kmem_free(space);
		return NULL;
	}
	spin_init(&space->lock, LOCK_RANK_ASPACE);
	park_queue_init(&space->parked);
	rbtree_init(&space->regions);
	space->reserved_limit = CAPOS_RESERVED_PAGES_MAX;
	space->search_hint = SEARCH_BASE;
	return space;
}

void aspace_destroy(struct aspace *space)
{
	tlb_evict(space);
	for (uint64_t at = 0; at < CAPOS_USER_TOP; sched_preemption_point()) {
		spin_lock(&space->lock);
		uint64_t stop = paging_step(space->root, at, CAPOS_USER_TOP, STEP_TABLES);
		zap(space, at, stop);
		at = stop;
		spin_unlock(&space->lock);
	}
	spin_lock(&space->lock);
	regions_remove(space, region_of(rbtree_first(&space->regions)), CAPOS_USER_TOP);
	VERIFY(!space->region_count && !space->reserved_pages && !space->resident_pages &&
		!space->table_frames);
	spin_unlock(&space->lock);
	paging_destroy(space->root);
	ledger_release(space->ledger);
	kmem_free(space);
}
