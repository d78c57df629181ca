/* The regions of an address space: disjoint ranges in a tree ordered by address. A region is memory
 * that was reserved, of which the page tables say what is committed, or a mapping of frames that
 * belong to another owner. Neighbours with equal properties are one region. Page tables are not
 * used. Callers hold the space's lock, which those in aspace.c and populate.c assert. */
#ifndef CAPOS_MM_REGION_H
#define CAPOS_MM_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include <capos/abi.h>

#include "core/rbtree.h"

struct ledger;
struct lease_map;
struct memory_object;

#define PROT_MASK (CAPOS_PROT_READ | CAPOS_PROT_WRITE | CAPOS_PROT_EXEC)

struct region {
	struct rbnode node;
	uint64_t start, end;
	bool foreign;     /* another owner's frames; else reserved */
	bool pinned;      /* only the kernel may take it away or change it */
	bool leaving;     /* it is being taken away, in steps: it stays as it is meanwhile */
	uint8_t prot_max; /* foreign: the most that protect may ask for */
	/* Foreign: the owner, referenced, and the offset of start in it; or NULL, for frames that
	 * are mapped for good, and the physical address at start. */
	struct memory_object *object;
	uint64_t backing;
	struct lease_map *map; /* one of its regions; NULL: it was not mapped through a lease */
};

static inline struct region *region_of(struct rbnode *node)
{
	return node ? container_of(node, struct region, node) : NULL;
}

static inline uint64_t region_pages(const struct region *region)
{
	return (region->end - region->start) / CAPOS_PAGE_SIZE;
}

/* The region around the address, or NULL. */
struct region *region_at(const struct rbtree *regions, uint64_t address);
/* The first region that ends after the address, or NULL. */
struct region *region_from(const struct rbtree *regions, uint64_t address);
/* The last region that ends at or below the address, if no region is around it. */
struct region *region_before(const struct rbtree *regions, uint64_t address);
struct region *region_next(const struct region *region);

void region_insert(struct rbtree *regions, struct region *region);
/* Cuts the region in two at an address inside it; upper is memory for the second half. */
void region_split(
	struct rbtree *regions, struct region *region, uint64_t address, struct region *upper);
/* Drops the part below an address inside it. */
void region_begin_at(struct region *region, uint64_t address);
/* Joins regions that can be joined, from first, its predecessor included, up to the region that
 * begins at end. Returns the number of regions that went; their nodes, perhaps also first's, are
 * freed, for the payer of all. */
unsigned region_merge(
	struct rbtree *regions, struct region *first, uint64_t end, struct ledger *payer);

/* The lowest free range of that size and alignment at or above `lowest` and below `limit`; 0: none.
 */
uint64_t region_gap(const struct rbtree *regions, uint64_t size, uint64_t alignment,
	uint64_t lowest, uint64_t limit);

#endif
