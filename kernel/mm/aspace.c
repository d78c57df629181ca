/* Address spaces: the methods that change what an address is for.
 *
 * All of them have the same order. Arguments are checked. Then, under the lock, which a change has
 * from change_begin to change_end, the whole range is checked; then everything that the change
 * needs is obtained (region nodes, charges, reserved frames, page tables); and only then is
 * anything changed. From there on nothing can fail. Decommit and protect need none of these in
 * reserved memory. Where unmap and decommit find no memory, they give back what the range holds and
 * leave undone only what needs memory. References to memory objects are dropped after the lock.
 *
 * Ranges may be large, so each walk goes in steps, with the lock free in between. Meanwhile the
 * change is known to the space (struct change), and other changes of the range fail or wait.
 * models/park.pml, models/tlb.pml and models/revoke.pml model the removal of mappings. */
#include "mm/aspace.h"

#include "arch/paging.h"
#include "arch/tlb.h"
#include "core/log.h"
#include "mm/kmem.h"
#include "mm/lease_map.h"
#include "mm/ledger.h"
#include "mm/populate.h"
#include "mm/region.h"
#include "mm/memory_object.h"
#include "mm/park.h"
#include "sched/sched.h"

/* The kernel's own choice of addresses begins here: past the addresses at which programs are
 * linked, in the same GiB, so that they share tables. */
#define SEARCH_BASE 0x20000000ul
#define USER_BASE 0x10000ul

/* The size of a step, some hundred thousand instructions: tables of 512 pages and 2 MiB pages
 * walked, regions read, pieces of a query. */
#ifdef CAPOS_DEBUG /* which fills what is freed */
#define STEP_TABLES 4u
#else
#define STEP_TABLES 8u
#endif
#define STEP_REGIONS 1024u
#define STEP_PIECES 128u

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

/* Turns a requested protection into one that a region stores. The processor cannot write or execute
 * without reading. */
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

/* ---- changes that take more than one step ---- */

/* References that a change drops are kept until the lock is free. */
#define RELEASES_MAX 32u

/* On the stack of the thread that makes the change. */
struct change {
	struct aspace *space;
	uint64_t start, end;
	bool removal; /* of a checked range, which for other threads is not reserved from then on */
	bool listed;  /* it has paused */
	struct list_node node; /* on space->changes, once listed */
	struct memory_object *releases[RELEASES_MAX];
	unsigned release_count;
	struct lease_map *ended; /* mappings without a region, which end then too */
};

/* A change under way that overlaps the range; NULL: none. */
static const struct change *change_within(const struct aspace *space, uint64_t start, uint64_t end)
{
	assert_held(&space->lock);
	list_for_each (node, &space->changes) {
		const struct change *other = container_of(node, struct change, node);
		if (other->start < end && start < other->end)
			return other;
	}
	return NULL;
}

bool aspace_leaving(const struct aspace *space, uint64_t address)
{
	const struct change *change = change_within(space, address, address + 1);

	return change && change->removal;
}

/* Until a change has ended, perhaps. The waits of a thread that has to die end at once, but it must
 * not give up: its caller may rely on the change that it is about to make. So it lets others run,
 * among them the thread that changes the space. */
static void wait_for_changes(struct aspace *space)
{
	assert_held(&space->lock);
	status_t status =
		wait_queue_wait(&space->change_waiters, &space->lock, DEADLINE_NONE, false);
	if (status == STATUS_OK)
		return;
	spin_unlock(&space->lock);
	sched_preemption_point();
	sched_yield();
	spin_lock(&space->lock);
}

/* Takes the lock, which change_end releases. NOT_RESERVED: the range is being taken away. */
static status_t change_begin(
	struct change *change, struct aspace *space, uint64_t start, uint64_t end)
{
	assert_none_held();
	change->space = space;
	change->start = start;
	change->end = end;
	change->removal = false;
	change->listed = false;
	change->release_count = 0;
	change->ended = NULL;
	spin_lock(&space->lock);
	if (__builtin_expect(list_empty(&space->changes), 1))
		return STATUS_OK;
	const struct change *other;
	while ((other = change_within(space, start, end)) != NULL) {
		if (other->removal)
			return STATUS(NOT_RESERVED);
		wait_for_changes(space);
	}
	return STATUS_OK;
}

static void change_unlock(struct change *change)
{
	spin_unlock(&change->space->lock);
	while (change->release_count) {
		struct memory_object *object = change->releases[--change->release_count];
		object_release(memory_object_header(object));
	}
	while (change->ended) {
		struct lease_map *map = change->ended;
		change->ended = map->next;
		lease_map_end(map);
	}
}

/* Takes waiting interrupts and lets other threads run. Regions that are not marked as leaving may
 * have changed afterwards. */
static void change_pause(struct change *change)
{
	struct aspace *space = change->space;

	assert_held(&space->lock);
	if (!change->listed)
		list_push_back(&space->changes, &change->node);
	change->listed = true;
	change_unlock(change);
	sched_preemption_point();
	spin_lock(&space->lock);
}

static void change_end(struct change *change)
{
	struct aspace *space = change->space;

	assert_held(&space->lock);
	if (change->listed) {
		list_remove(&change->node);
		wait_queue_wake_all(&space->change_waiters, &space->lock);
	}
	change_unlock(change);
}

/* A region of the mapping, or its maker, goes. */
static void change_drop_map(struct change *change, struct lease_map *map)
{
	assert_held(&change->space->lock);
	if (!map || --map->regions)
		return;
	map->next = change->ended;
	change->ended = map;
}

/* The region's object will be released. There must be room. */
static void change_release(struct change *change, struct region *region)
{
	if (region->object)
		change->releases[change->release_count++] = region->object;
	region->object = NULL;
	change_drop_map(change, region->map);
	region->map = NULL;
}

/* ---- checking a range, and cutting it at the edges ---- */

struct wanted {
	bool kernel;                        /* pinned regions may be changed too */
	uint32_t prot;                      /* foreign regions must allow this */
	const struct memory_object *object; /* only mappings of this one; NULL: anything */
};

/* The regions a change is about: from the one around `start` to the one around end - 1. */
struct extent {
	struct region *first, *last;
	bool foreign; /* some are another owner's */
};

static status_t region_check(const struct region *region, const struct wanted *wanted)
{
	if (wanted->object && region->object != wanted->object)
		return STATUS(NOT_RESERVED);
	if (region->pinned && !wanted->kernel)
		return STATUS(PROTECTION_DENIED);
	if (region->foreign && (wanted->prot & ~region->prot_max))
		return STATUS(PROTECTION_DENIED);
	return STATUS_OK;
}

/* Finds the regions of the change's whole range, and fails for those that are not wanted. */
static status_t extent_check(
	struct change *change, const struct wanted *wanted, struct extent *extent)
{
	const struct rbtree *regions = &change->space->regions;
	struct region *region = region_at(regions, change->start);
	unsigned seen = 0;

	assert_held(&change->space->lock);
	*extent = (struct extent){ .first = region };
	for (uint64_t address = change->start; address < change->end;
		region = region_next(region)) {
		if (++seen % STEP_REGIONS == 0) {
			change_pause(change);
			region = region_at(regions, address);
		}
		if (!region || region->start > address)
			return STATUS(NOT_RESERVED);
		status_t status = region_check(region, wanted);
		if (status != STATUS_OK)
			return status;
		extent->foreign |= region->foreign;
		extent->last = region;
		address = region->end;
	}
	if (seen >= STEP_REGIONS)
		extent->first = region_at(regions, change->start);
	return STATUS_OK;
}

/* A node for the second half of a region, or NULL. */
static struct region *node_for_cut(const struct aspace *space)
{
	assert_held(&space->lock);
	return space->region_count < REGIONS_MAX ? kmem_alloc(space->ledger, sizeof(struct region))
						 : NULL;
}

/* Cuts foreign regions at the edges, because the part in the range becomes reserved memory. Without
 * memory for it a region stays one: its pages in the range are without entries all the same. */
static void extent_cut(const struct change *change, struct extent *extent)
{
	struct aspace *space = change->space;
	bool at_start = change->start > extent->first->start && extent->first->foreign,
	     at_end = extent->last->end > change->end && extent->last->foreign;
	struct region *upper;

	assert_held(&space->lock);
	if (at_start && (upper = node_for_cut(space)) != NULL) {
		region_split(&space->regions, extent->first, change->start, upper);
		if (extent->last == extent->first)
			extent->last = upper;
		extent->first = upper;
		space->region_count++;
	}
	if (at_end && (upper = node_for_cut(space)) != NULL) {
		region_split(&space->regions, extent->last, change->end, upper);
		space->region_count++;
	}
}

/* Joins a region with neighbours that have become like it. */
static void region_join(struct aspace *space, struct region *region)
{
	assert_held(&space->lock);
	space->region_count -= region_merge(&space->regions, region, region->end, space->ledger);
}

/* ---- blocks that cross the edges of a range ---- */

#define PROT_NONE_AT_ALL 8u /* no entry has this protection */

/* A block that crosses the address and has another protection becomes a table. False: memory is
 * short, and the block was a bare one. */
static bool split_edge(struct aspace *space, uint64_t address, uint32_t prot)
{
	unsigned level;
	uint64_t *slot = paging_find(space->root, address, &level);

	assert_held(&space->lock);
	while (level > 1 && *slot && paging_prot(*slot) != prot) {
		uint64_t size = PAGE_SIZE << 9 * (level - 1), base = address & ~(size - 1);
		bool present = paging_is_present(*slot);
		if (base == address)
			return true;
		if (!paging_split_entry(slot, level, space->ledger))
			return false;
		space->table_frames++;
		if (present)
			tlb_flush_range(space, base, base + size);
		slot = paging_find(space->root, address, &level);
	}
	return true;
}

static bool split_edges(const struct change *change, uint32_t prot)
{
	unsigned level;

	/* Within one table, which is what most ranges are, no block crosses an edge. */
	if (!((change->start ^ (change->end - 1)) & ~(LARGE_PAGE_SIZE - 1))) {
		paging_find(change->space->root, change->start, &level);
		if (level == 1)
			return true;
	}
	bool start = split_edge(change->space, change->start, prot);
	return (change->end == CAPOS_USER_TOP || split_edge(change->space, change->end, prot)) &&
		start;
}

/* ---- providing for pages that are about to get entries ---- */

/* All of it is charged. */
struct provision {
	uint64_t pages;  /* reserved */
	size_t reserved; /* for tables in the place of blocks */
	size_t tables;   /* that were put in the pool */
	struct table_pool pool;
};

static void provision_cancel(struct aspace *space, struct provision *provision)
{
	table_pool_drain(&provision->pool);
	frames_unreserve(provision->pages + provision->reserved);
	ledger_uncharge(space->ledger, provision->pages, provision->tables + provision->reserved);
}

/* Reserves frames for the pages, obtains the tables that the survey says, and charges both. */
static bool provide(struct change *change, uint64_t pages, const struct paging_survey *survey,
	struct provision *provision)
{
	struct aspace *space = change->space;
	bool steps =
		paging_step(space->root, change->start, change->end, STEP_TABLES) != change->end;

	*provision = (struct provision){
		.pages = pages,
		.reserved = survey->reserved,
		.tables = survey->tables + (change->listed || steps ? PAGING_EDGE_TABLES : 0),
	};
	if (pages + survey->reserved && !frames_reserve(pages + survey->reserved))
		return false;
	size_t tables = provision->tables + survey->reserved;
	if (pages + tables && !ledger_charge(space->ledger, pages, tables)) {
		/* second, because a failed reservation must not count as the process's peak */
		frames_unreserve(pages + survey->reserved);
		return false;
	}
	if (table_pool_fill(&provision->pool, provision->tables))
		return true;
	provision_cancel(space, provision);
	return false;
}

/* All pages for which provide obtained frames and tables have their entries: gives the surplus
 * back. */
static void provision_finish(struct aspace *space, struct provision *provision)
{
	size_t surplus = provision->pool.count;

	space->table_frames += provision->tables - surplus;
	if (!surplus)
		return;
	table_pool_drain(&provision->pool);
	ledger_uncharge(space->ledger, 0, surplus);
}

/* ---- walks in steps ---- */

static void survey_range(struct change *change, uint64_t fill, struct paging_survey *survey)
{
	paddr_t root = change->space->root;

	assert_held(&change->space->lock);
	for (uint64_t address = change->start, stop;; address = stop) {
		stop = paging_step(root, address, change->end, STEP_TABLES);
		paging_survey(root, address, stop, fill, survey);
		if (stop == change->end)
			return;
		change_pause(change);
	}
}

static void apply_range(
	struct change *change, uint32_t prot, uint64_t fill, uint64_t step, struct table_pool *pool)
{
	paddr_t root = change->space->root;

	assert_held(&change->space->lock);
	for (uint64_t address = change->start, stop;; address = stop) {
		stop = paging_step(root, address, change->end, STEP_TABLES);
		if (paging_apply(root, address, stop, prot,
			    fill + (step ? address - change->start : 0), step, pool))
			tlb_flush_range(change->space, address, stop);
		if (stop == change->end)
			return;
		change_pause(change);
	}
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
	assert_held(&space->lock);
	if (space->reserved_pages_max - space->reserved_pages < size / PAGE_SIZE)
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

/* Fills in the region's addresses and adds it. chosen: the kernel chose the address. */
static void region_add(
	struct aspace *space, struct region *region, uint64_t address, uint64_t size, bool chosen)
{
	assert_held(&space->lock);
	region->start = address;
	region->end = address + size;
	region_insert(&space->regions, region);
	space->region_count++;
	space->reserved_pages += size / PAGE_SIZE;
	if (chosen)
		space->search_hint = region->end;
}

/* ---- taking away ---- */

/* All frames, reservations, charges and tables of the range go back. No block crosses its edges. */
static void zap(struct aspace *space, uint64_t start, uint64_t end)
{
	struct paging_cleared cleared = { 0 };

	assert_held(&space->lock);
	if (paging_hide(space->root, start, end))
		tlb_flush_range(space, start, end);
	paging_clear(space->root, start, end, &cleared);
	space->resident_pages -= cleared.resident;
	space->table_frames -= cleared.tables;
	size_t tables = cleared.tables + cleared.tables_reserved;
	if (cleared.charged + tables)
		ledger_uncharge(space->ledger, cleared.charged, tables);
}

/* Ends the waits on words that have gone. */
static void drain_waiters(struct change *change, uint64_t start, uint64_t end)
{
	/* After the flush: a waiter not counted yet reads its word later and finds it gone. */
	if (__atomic_load_n(&change->space->park_waiters, __ATOMIC_SEQ_CST))
		while (park_drain(change->space, start, end))
			change_pause(change);
}

static void zap_range(struct change *change, uint64_t start, uint64_t end)
{
	assert_held(&change->space->lock);
	if (paging_empty(change->space->root, start, end))
		return;
	for (uint64_t address = start, stop;; address = stop) {
		stop = paging_step(change->space->root, address, end, STEP_TABLES);
		zap(change->space, address, stop);
		drain_waiters(change, address, stop);
		if (stop == end)
			return;
		change_pause(change);
	}
}

/* The block that crosses the address; size 0: none does. */
static uint64_t crossing_block(const struct aspace *space, uint64_t address, uint64_t *size)
{
	unsigned level;
	uint64_t entry = *paging_find(space->root, address, &level);
	uint64_t block = PAGE_SIZE << 9 * (level - 1), base = address & ~(block - 1);

	*size = level > 1 && entry && base != address ? block : 0;
	return base;
}

/* A block still crosses an edge of the range, because there is no memory for a table. It is a bare
 * one, none of whose pages was touched, so it holds nothing, and it stays. */
static void zap_between_blocks(struct change *change)
{
	uint64_t start = change->start, end = change->end, size;
	uint64_t base = crossing_block(change->space, start, &size);

	if (size)
		start = base + size;
	if (end < CAPOS_USER_TOP) {
		base = crossing_block(change->space, end, &size);
		if (size)
			end = base;
	}
	if (start < end)
		zap_range(change, start, end);
}

/* Takes away all that the range holds. False: a bare block, which holds nothing, crosses an edge
 * and stays as it is. */
static bool zap_all(struct change *change)
{
	bool whole = split_edges(change, PROT_NONE_AT_ALL);

	if (!whole) {
		zap_between_blocks(change);
		whole = split_edges(change, PROT_NONE_AT_ALL); /* what went may be enough now */
	}
	if (whole)
		zap_range(change, change->start, change->end);
	else
		zap_between_blocks(change);
	return whole;
}

/* All whole regions that begin in [first, change->end) become one. For other threads the addresses
 * stay taken until that one is removed too, however long it takes. */
static void regions_absorb(struct change *change, struct region *first)
{
	struct aspace *space = change->space;
	struct region *next;
	unsigned absorbed = 0;

	assert_held(&space->lock);
	first->leaving = true;
	change_release(change, first);
	while ((next = region_next(first)) != NULL && next->end <= change->end) {
		if (change->release_count == RELEASES_MAX || ++absorbed % STEP_REGIONS == 0) {
			change_pause(change);
			continue;
		}
		change_release(change, next);
		first->end = next->end;
		rbtree_remove(&space->regions, &next->node);
		space->region_count--;
		kmem_free(space->ledger, next);
	}
}

/* The rest of a region after a part of it was removed. */
static void region_stays(struct change *change, struct region *region)
{
	region->leaving = false;
	if (change->listed) /* it may have got neighbours of its kind meanwhile */
		region_join(change->space, region);
}

/* Takes the range out of the regions of the extent. upper: for the second half of a region in the
 * middle of which the range is, else NULL. */
static void regions_remove(struct change *change, struct extent *extent, struct region *upper)
{
	struct aspace *space = change->space;
	struct region *first = extent->first, *last = extent->last, *whole = first;
	uint64_t pages = (change->end - change->start) / PAGE_SIZE;

	assert_held(&space->lock);
	if (upper) {
		region_split(&space->regions, first, change->end, upper);
		space->region_count++;
		last = upper;
	}
	bool before = first->start<change->start, after = last->end> change->end;
	if (before)
		whole = region_next(first);
	whole = whole && whole->end <= change->end ? whole : NULL;
	if (whole)
		regions_absorb(change, whole);
	if (before) {
		first->end = change->start;
		region_stays(change, first);
	}
	if (after) {
		region_begin_at(last, change->end);
		region_stays(change, last);
	}
	if (whole) {
		rbtree_remove(&space->regions, &whole->node);
		space->region_count--;
		kmem_free(space->ledger, whole);
	}
	space->reserved_pages -= pages;
}

/* The foreign regions that lie in the range, whose pages are gone, become reserved memory. */
static void regions_uncommit(struct change *change)
{
	struct rbtree *regions = &change->space->regions;
	struct region *region;
	unsigned seen = 0;

	assert_held(&change->space->lock);
	for (uint64_t address = change->start; address < change->end; address = region->end) {
		if (change->release_count == RELEASES_MAX || ++seen % STEP_REGIONS == 0)
			change_pause(change);
		region = region_at(regions, address);
		if (!region->foreign || region->start < change->start || region->end > change->end)
			continue;
		change_release(change, region);
		region->foreign = region->leaving = false;
		region->prot_max = PROT_MASK;
		region->backing = 0;
		region_join(change->space, region);
		region = region_at(regions, address);
	}
}

/* After a removal for which there was not memory enough: the addresses stay reserved. */
static void regions_keep(struct change *change, bool foreign)
{
	const struct rbtree *regions = &change->space->regions;
	struct region *last = region_at(regions, change->end - 1);

	assert_held(&change->space->lock);
	region_at(regions, change->start)->leaving = last->leaving = false;
	if (foreign)
		regions_uncommit(change);
	if (!change->listed)
		return;
	/* They may have got neighbours of their kind meanwhile. */
	region_join(change->space, region_at(regions, change->start));
	region_join(change->space, region_at(regions, change->end - 1));
}

static status_t unmap(
	struct aspace *space, uint64_t address, uint64_t size, const struct wanted *wanted)
{
	struct change change;
	struct extent extent;
	struct region *upper = NULL;
	status_t status = check_range(address, &size);
	if (status != STATUS_OK)
		return status;

	status = change_begin(&change, space, address, address + size);
	if (status == STATUS_OK)
		status = extent_check(&change, wanted, &extent);
	if (status != STATUS_OK)
		goto out;
	change.removal = true;
	bool middle = extent.first->start < change.start && extent.first->end > change.end;
	if (middle)
		upper = node_for_cut(space);
	extent.first->leaving = extent.last->leaving = true; /* nothing joins them */
	bool possible = zap_all(&change);
	if (middle && !upper) /* what went may be enough now */
		upper = node_for_cut(space);
	if (possible && (upper || !middle)) {
		regions_remove(&change, &extent, upper);
		if (space->search_hint == change.end)
			space->search_hint = change.start;
	} else {
		kmem_free(space->ledger, upper);
		regions_keep(&change, extent.foreign);
	}
out:
	change_end(&change);
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
	struct change change;
	struct extent extent;
	status_t status = check_range(address, &size);
	if (status != STATUS_OK)
		return status;

	status = change_begin(&change, space, address, address + size);
	if (status == STATUS_OK)
		status = extent_check(&change, &(struct wanted){ .kernel = false }, &extent);
	if (status != STATUS_OK)
		goto out;
	change.removal = true;
	extent_cut(&change, &extent);
	extent.first->leaving = extent.first->foreign;
	extent.last->leaving = extent.last->foreign;
	zap_all(&change);
	if (extent.foreign)
		regions_keep(&change, true);
out:
	change_end(&change);
	return status;
}

/* ---- protection ---- */

static status_t protect(
	struct aspace *space, uint64_t address, uint64_t size, uint32_t prot, struct wanted *wanted)
{
	struct change change;
	struct extent extent;
	struct paging_survey survey = { 0 };
	status_t status = check_range(address, &size);
	if (status == STATUS_OK)
		status = check_prot(&prot, 0);
	if (status != STATUS_OK)
		return status;

	wanted->prot = prot;
	status = change_begin(&change, space, address, address + size);
	if (status == STATUS_OK)
		status = extent_check(&change, wanted, &extent);
	if (status != STATUS_OK)
		goto out;
	survey_range(&change, paging_entry(PAGING_DEMAND_ZERO_PENDING, 0, prot), &survey);
	if (survey.absent)
		status = STATUS(NOT_COMMITTED);
	else if (survey.differs && !split_edges(&change, prot))
		status = STATUS(NO_MEMORY);
	else if (survey.differs)
		apply_range(&change, prot, 0, 0, NULL);
out:
	change_end(&change);
	return status;
}

status_t aspace_protect(struct aspace *space, uint64_t address, uint64_t size, uint32_t prot)
{
	return protect(space, address, size, prot, &(struct wanted){ .kernel = false });
}

status_t aspace_protect_object(struct aspace *space, struct memory_object *object, uint64_t address,
	uint64_t size, uint32_t prot)
{
	return protect(space, address, size, prot, &(struct wanted){ .object = object });
}

/* ---- reserving and committing ---- */

/* The range becomes a region that is as the template says. A reference to its object is added. */
static status_t region_place(struct change *change, uint64_t hint, bool exact, uint64_t size,
	const struct region *template)
{
	struct aspace *space = change->space;
	status_t status = place(space, hint, exact, size, &change->start);
	if (status != STATUS_OK)
		return status;

	struct region *region = kmem_alloc(space->ledger, sizeof(*region));
	if (!region)
		return STATUS(NO_MEMORY);
	change->end = change->start + size;
	*region = *template;
	if (region->object)
		object_retain(memory_object_header(region->object));
	if (region->map)
		region->map->regions++;
	region_add(space, region, change->start, size, change->start != hint);
	return STATUS_OK;
}

/* Takes the region back that was placed last and has no entries yet. */
static void region_unplace(struct change *change)
{
	struct region *region = region_at(&change->space->regions, change->start);

	ASSERT(region->start == change->start && region->end == change->end);
	regions_remove(change, &(struct extent){ .first = region, .last = region }, NULL);
}

static const struct region reserved_template = { .prot_max = PROT_MASK };

/* A change of a range that is chosen meanwhile. */
static void change_begin_new(struct change *change, struct aspace *space)
{
	status_t status = change_begin(change, space, 0, 0);

	VERIFY(status == STATUS_OK);
}

status_t aspace_reserve(struct aspace *space, uint64_t hint, uint64_t size, uint64_t *address)
{
	struct change change;
	status_t status = check_range(hint, &size);
	if (status != STATUS_OK)
		return status;

	change_begin_new(&change, space);
	status = region_place(&change, hint, false, size, &reserved_template);
	if (status == STATUS_OK) {
		*address = change.start;
		region_join(space, region_at(&space->regions, change.start));
	}
	change_end(&change);
	return status;
}

/* Commits the pages that are only reserved in the change's range, and gives all pages the
 * protection. prot may carry COMMIT_DEMAND_ZERO. */
static status_t commit_range(struct change *change, uint32_t prot)
{
	struct aspace *space = change->space;
	bool demand_zero = prot & CAPOS_COMMIT_DEMAND_ZERO;
	uint32_t access = prot & PROT_MASK;
	uint64_t fill = paging_entry(
		demand_zero ? PAGING_DEMAND_ZERO_PENDING : PAGING_COMMITTED, 0, access);
	struct paging_survey survey = { 0 };
	struct provision provision;

	survey_range(change, fill, &survey);
	if (!survey.absent && !survey.differs)
		return STATUS_OK; /* the commonest case of committing what is committed */
	if (!provide(change, demand_zero ? 0 : survey.absent, &survey, &provision))
		return STATUS(NO_MEMORY);
	if (survey.differs && !split_edges(change, access)) {
		provision_cancel(space, &provision);
		return STATUS(NO_MEMORY);
	}
	apply_range(change, access, fill, 0, &provision.pool);
	provision_finish(space, &provision);
	if (!demand_zero && access && change->end - change->start <= CLUSTER_BYTES)
		populate_range(space, NULL, change->start, change->end, fill);
	return STATUS_OK;
}

status_t aspace_commit(struct aspace *space, uint64_t address, uint64_t size, uint32_t prot)
{
	struct change change;
	struct extent extent;
	status_t status = check_range(address, &size);
	if (status == STATUS_OK)
		status = check_prot(&prot, CAPOS_COMMIT_DEMAND_ZERO);
	if (status != STATUS_OK)
		return status;

	status = change_begin(&change, space, address, address + size);
	if (status == STATUS_OK)
		status = extent_check(
			&change, &(struct wanted){ .prot = prot & PROT_MASK }, &extent);
	if (status == STATUS_OK)
		status = commit_range(&change, prot);
	change_end(&change);
	return status;
}

status_t aspace_map(
	struct aspace *space, uint64_t hint, uint64_t size, uint32_t prot, uint64_t *address)
{
	struct change change;
	status_t status = check_range(hint, &size);
	if (status == STATUS_OK)
		status = check_prot(&prot, CAPOS_COMMIT_DEMAND_ZERO);
	if (status != STATUS_OK)
		return status;

	change_begin_new(&change, space);
	status = region_place(&change, hint, false, size, &reserved_template);
	if (status == STATUS_OK) {
		*address = change.start;
		status = commit_range(&change, prot);
		if (status == STATUS_OK)
			region_join(space, region_at(&space->regions, change.start));
		else
			region_unplace(&change);
	}
	change_end(&change);
	return status;
}

/* ---- frames of other owners ---- */

/* Adds a foreign region; step as in paging_apply, 0 for frames that come from a memory object. */
static status_t map_foreign(struct change *change, uint64_t hint, bool exact,
	const struct region *template, uint64_t size, uint64_t entry, uint64_t step)
{
	struct aspace *space = change->space;
	struct paging_survey survey = { 0 };
	struct provision provision;
	status_t status = region_place(change, hint, exact, size, template);
	if (status != STATUS_OK)
		return status;
	if (template->map && !lease_map_begin(template->map, change->start, change->end)) {
		region_unplace(change);
		return STATUS(REVOKED);
	}

	paging_survey(space->root, change->start, change->end, entry, &survey);
	if (!provide(change, 0, &survey, &provision)) {
		region_unplace(change);
		return STATUS(NO_MEMORY);
	}
	apply_range(change, paging_prot(entry), entry, step, &provision.pool);
	provision_finish(space, &provision);
	struct region *region = region_at(&space->regions, change->start);
	if (!step && paging_prot(entry) && size <= CLUSTER_BYTES)
		populate_range(space, region, change->start, change->end, entry);
	region_join(space, region);
	return STATUS_OK;
}

status_t aspace_map_frames(struct aspace *space, uint64_t hint, bool exact, paddr_t first,
	uint64_t size, uint32_t prot, bool pinned, uint64_t *address)
{
	struct change change;
	status_t status = check_range(hint, &size);
	if (status == STATUS_OK)
		status = check_prot(&prot, 0);
	if (status != STATUS_OK)
		return status;

	struct region template = {
		.foreign = true,
		.pinned = pinned,
		.prot_max = (uint8_t)prot,
		.backing = first,
	};
	change_begin_new(&change, space);
	status = map_foreign(&change, hint, exact, &template, size,
		pinned ? paging_fixed_entry(first, prot)
		       : paging_entry(PAGING_FOREIGN, first, prot),
		PAGE_SIZE);
	if (status == STATUS_OK) {
		*address = change.start;
		space->resident_pages += size / PAGE_SIZE;
	}
	change_end(&change);
	return status;
}

static status_t check_object_range(const struct memory_object *object, uint64_t hint,
	uint64_t offset, uint64_t *size, uint32_t *prot)
{
	status_t status = check_range(hint, size);
	if (status == STATUS_OK && offset % PAGE_SIZE)
		status = STATUS(MISALIGNED);
	if (status == STATUS_OK &&
		(offset / PAGE_SIZE > object->pages ||
			*size / PAGE_SIZE > object->pages - offset / PAGE_SIZE))
		status = STATUS(OUT_OF_RANGE);
	return status == STATUS_OK ? check_prot(prot, 0) : status;
}

status_t aspace_map_object(struct aspace *space, struct memory_object *object, struct lease *lease,
	uint64_t hint, uint64_t offset, uint64_t size, uint32_t prot, uint64_t *address)
{
	struct change change;
	status_t status = check_object_range(object, hint, offset, &size, &prot);
	if (status != STATUS_OK)
		return status;

	struct region template = {
		.foreign = true,
		.prot_max = PROT_MASK,
		.object = object,
		.backing = offset,
	};
	if (lease && !(template.map = lease_map_create(space, lease)))
		return STATUS(NO_MEMORY);
	change_begin_new(&change, space);
	status = map_foreign(&change, hint, false, &template, size,
		paging_entry(PAGING_FOREIGN_PENDING, 0, prot), 0);
	if (status == STATUS_OK)
		*address = change.start;
	change_drop_map(&change, template.map);
	change_end(&change);
	return status;
}

/* A region of a mapping that is taken back becomes reserved memory. While another change of it is
 * under way, the caller tries again. */
static void take_back_region(struct change *change, struct region *region, uint64_t *address)
{
	struct aspace *space = change->space;

	assert_held(&space->lock);
	if (change_within(space, region->start, region->end)) {
		wait_for_changes(space);
		return;
	}
	change->start = region->start;
	change->end = region->end;
	change->removal = true;
	region->leaving = true; /* nothing joins it */
	zap_all(change);
	regions_keep(change, true);
	*address = change->end;
}

void aspace_take_back(struct aspace *space, const struct lease_map *map)
{
	uint64_t address = map->start;
	bool more = true;

	while (more) {
		struct change change;
		unsigned seen = 0;
		change_begin_new(&change, space);
		struct region *region = region_from(&space->regions, address);
		while (region && region->start < map->end && region->map != map &&
			++seen < STEP_REGIONS) {
			address = region->end;
			region = region_next(region);
		}
		more = region && region->start < map->end;
		if (more && region->map == map)
			take_back_region(&change, region, &address);
		change_end(&change);
		sched_preemption_point();
	}
}

void aspace_leave(struct aspace *space)
{
	assert_none_held();
	spin_lock(&space->lock);
	if (!__atomic_sub_fetch(&space->visitors, 1, __ATOMIC_SEQ_CST))
		wait_queue_wake_all(&space->change_waiters, &space->lock);
	spin_unlock(&space->lock);
}

bool aspace_lookup_object(struct aspace *space, struct user_ptr word, struct memory_object **object,
	uint64_t *offset, struct lease **lease)
{
	uint64_t address = word.address;

	spin_lock(&space->lock);
	const struct region *region = region_at(&space->regions, address);
	unsigned level;
	enum paging_kind kind = paging_kind(*paging_find(space->root, address, &level));
	bool found = region && region->object && !aspace_leaving(space, address) &&
		(kind == PAGING_FOREIGN || kind == PAGING_FOREIGN_PENDING);
	if (found) {
		object_retain(memory_object_header(region->object));
		*object = region->object;
		*offset = region->backing + (address - region->start);
		*lease = region->map ? region->map->lease : NULL;
		if (*lease)
			object_retain(&(*lease)->copy);
	}
	spin_unlock(&space->lock);
	return found;
}

/* ---- queries ---- */

/* The pages that are like the one at the address, in its region and within the size from there, if
 * there is one. */
static void query_run(struct aspace *space, const struct region *region, uint64_t address,
	uint64_t size, struct capos_region_info *info)
{
	uint64_t low = region->start, high = region->end;
	struct paging_run run;
	if (size) {
		low = address & ~(PAGE_SIZE - 1);
		if (size < high - address)
			high = (address + size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	}

	assert_held(&space->lock);
	paging_run_begin(space->root, address, &run);
	while (!paging_run_extend(space->root, low, high, STEP_PIECES, &run))
		sched_pause_locked(&space->lock);
	info->start = run.start;
	info->size = run.end - run.start;
	info->state = run.state;
	info->prot = run.prot;
	info->resident_pages = run.resident;
}

status_t aspace_query(
	struct aspace *space, uint64_t address, uint64_t size, struct capos_region_info *info)
{
	if (address >= CAPOS_USER_TOP)
		return STATUS(OUT_OF_RANGE);

	*info = (struct capos_region_info){ 0 };
	spin_lock(&space->lock);
	const struct region *region = region_at(&space->regions, address);
	if (region) {
		query_run(space, region, address, size, info);
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
	uint64_t kernel_pages = __atomic_load_n(&space->ledger->kernel_pages, __ATOMIC_RELAXED);

	spin_lock(&space->lock);
	*usage = (struct capos_memory_usage){
		.reserved_pages = space->reserved_pages,
		.reserved_limit = space->reserved_pages_max,
		.committed_pages = __atomic_load_n(&space->ledger->charged_pages, __ATOMIC_RELAXED),
		.committed_limit = space->ledger->limit_pages,
		.resident_pages = space->resident_pages,
		.peak_committed = __atomic_load_n(&space->ledger->peak_pages, __ATOMIC_RELAXED),
		.kernel_pages = kernel_pages,
	};
	spin_unlock(&space->lock);
	usage->machine_free_pages = frames_available();
	usage->machine_pages = frames_total();
}

/* ---- life ---- */

struct aspace *aspace_create(struct ledger *ledger)
{
	if (!ledger)
		return NULL;
	struct aspace *space = kmem_alloc(ledger_of_records(ledger), sizeof(*space));
	paddr_t root = space ? paging_create(ledger) : 0;
	if (!root) {
		kmem_free(ledger_of_records(ledger), space);
		ledger_release(ledger);
		return NULL;
	}
	space->ledger = ledger;
	space->root = root;
	spin_init(&space->lock, LOCK_RANK_ASPACE);
	park_queue_init(&space->parked);
	rbtree_init(&space->regions);
	list_init(&space->changes);
	wait_queue_init(&space->change_waiters);
	space->reserved_pages_max = CAPOS_RESERVED_PAGES_MAX;
	space->search_hint = SEARCH_BASE;
	return space;
}

/* No mapping is left by which a revocation could find the space. */
static void wait_for_visitors(struct aspace *space)
{
	spin_lock(&space->lock);
	while (__atomic_load_n(&space->visitors, __ATOMIC_SEQ_CST))
		wait_for_changes(space);
	spin_unlock(&space->lock);
}

void aspace_destroy(struct aspace *space)
{
	struct change change;
	struct region *first;

	tlb_evict(space);
	status_t status = change_begin(&change, space, 0, CAPOS_USER_TOP);
	VERIFY(status == STATUS_OK);
	zap_range(&change, 0, CAPOS_USER_TOP);
	first = region_of(rbtree_first(&space->regions));
	if (first) {
		regions_absorb(&change, first);
		rbtree_remove(&space->regions, &first->node); /* visitors may still look */
		space->region_count--;
		kmem_free(space->ledger, first);
	}
	VERIFY(!space->region_count && !space->resident_pages && !space->table_frames);
	change_end(&change);
	wait_for_visitors(space);
	struct ledger *ledger = space->ledger;
	paging_destroy(ledger, space->root);
	kmem_free(ledger_of_records(ledger), space);
	ledger_release(ledger);
}
