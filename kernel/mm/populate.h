/* Giving frames to pages that have a claim to one. Private to kernel/mm; callers hold the space's
 * lock. */
#ifndef CAPOS_MM_POPULATE_H
#define CAPOS_MM_POPULATE_H

#include <stdbool.h>
#include <stdint.h>

struct aspace;
struct region;

/* Ranges up to this size are populated when they are committed or mapped, and a fault populates a
 * range of this size. A power of two. */
#define CLUSTER_PAGES 16u
#define CLUSTER_BYTES (CLUSTER_PAGES * 4096ul)

/* Whether the page is being taken away, in steps: it gets no frame any more. */
bool aspace_leaving(const struct aspace *space, uint64_t address);

/* Every page of [start, end) whose entry is like the one given, which has no frame yet (committed,
 * or of a memory object's region, in which the range then lies), gets its frame. Cannot fail. */
void populate_range(struct aspace *space, const struct region *region, uint64_t start, uint64_t end,
	uint64_t like);

#endif
