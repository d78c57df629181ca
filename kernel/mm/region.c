/* See region.h. */
#include "mm/region.h"

#include "core/log.h"
#include "mm/kmem.h"
#include "mm/lease_map.h"
#include "mm/memory_object.h"

static uint64_t region_key(const struct rbnode *node)
{
	return container_of(node, struct region, node)->start;
}

static bool region_less(const struct rbnode *a, const struct rbnode *b)
{
	return region_key(a) < region_key(b);
}

struct region *region_at(const struct rbtree *regions, uint64_t address)
{
	struct region *region = region_of(rbtree_floor(regions, address, region_key));

	return region && region->end > address ? region : NULL;
}

struct region *region_from(const struct rbtree *regions, uint64_t address)
{
	struct region *region = region_of(rbtree_floor(regions, address, region_key));

	if (!region)
		return region_of(rbtree_first(regions));
	return region->end > address ? region : region_next(region);
}

struct region *region_before(const struct rbtree *regions, uint64_t address)
{
	return region_of(rbtree_floor(regions, address, region_key));
}

struct region *region_next(const struct region *region)
{
	return region_of(rbtree_next(&region->node));
}

void region_insert(struct rbtree *regions, struct region *region)
{
	rbtree_insert(regions, &region->node, region_less);
}

void region_split(
	struct rbtree *regions, struct region *region, uint64_t address, struct region *upper)
{
	ASSERT(region->start < address && address < region->end);
	*upper = *region;
	upper->start = address;
	if (region->foreign)
		upper->backing += address - region->start;
	if (region->object)
		object_retain(memory_object_header(region->object));
	if (region->map)
		region->map->regions++;
	region->end = address;
	rbtree_insert_after(regions, &region->node, &upper->node);
}

void region_begin_at(struct region *region, uint64_t address)
{
	if (region->foreign)
		region->backing += address - region->start;
	region->start = address;
}

/* Whether b, which follows a, is more of the same. Regions that the kernel has pinned are never
 * joined, because the kernel must be able to remove each without a node for a cut, at the end of a
 * thread and when memory is short. */
static bool regions_alike(const struct region *a, const struct region *b)
{
	return !a->pinned && !b->pinned && !a->leaving && !b->leaving && a->end == b->start &&
		a->foreign == b->foreign && a->object == b->object && a->map == b->map &&
		a->prot_max == b->prot_max &&
		(!a->foreign || a->backing + (a->end - a->start) == b->backing);
}

unsigned region_merge(
	struct rbtree *regions, struct region *first, uint64_t end, struct ledger *payer)
{
	struct region *region = region_of(rbtree_prev(&first->node)), *next;
	unsigned merged = 0;

	if (!region)
		region = first;
	while (region->start < end && (next = region_next(region)) != NULL) {
		if (!regions_alike(region, next)) {
			region = next;
			continue;
		}
		rbtree_remove(regions, &next->node);
		region->end = next->end;
		if (next->object)
			object_release(memory_object_header(
				next->object)); /* never the last: region has one */
		if (next->map)
			next->map->regions--; /* nor this */
		kmem_free(payer, next);
		merged++;
	}
	return merged;
}

uint64_t region_gap(const struct rbtree *regions, uint64_t size, uint64_t alignment,
	uint64_t lowest, uint64_t limit)
{
	struct region *region = region_from(regions, lowest);

	for (uint64_t start = lowest;; region = region_next(region)) {
		start = (start + alignment - 1) & ~(alignment - 1);
		if (start > limit || limit - start < size)
			return 0;
		if (!region || (region->start > start && region->start - start >= size))
			return start;
		if (region->end > start)
			start = region->end;
	}
}
