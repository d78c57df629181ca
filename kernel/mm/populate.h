/* Giving frames to pages that have a claim to one. Private to kernel/mm; callers hold the space's
 * lock. */
#ifndef CAPOS_MM_POPULATE_H
#define CAPOS_MM_POPULATE_H

#include <stdint.h>

struct aspace;
struct region;

/* Ranges up to this are populated when they are committed or mapped, and this much around a fault.
 * A power of two. */
#define CLUSTER_PAGES 16u
#define CLUSTER_BYTES (CLUSTER_PAGES * 4096ul)

/* Every page of [start, end), which lies in one region (committed or object), gets its frame.
 * Cannot fail. */
void populate_range(
	struct aspace *space, const struct region *region, uint64_t start, uint64_t end);

#endif
