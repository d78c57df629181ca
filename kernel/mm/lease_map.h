/* What a lease keeps of a mapping that was made through it, so that revocation can take it away.
 *
 * A mapping is one call of MemoryObject.map. Programs cut it into regions and unmap parts of it; it
 * ends with its last region. Revocation finds it in the root of the lease and its space by it.
 *
 * A thread, with no lock held unless said otherwise. */
#ifndef CAPOS_MM_LEASE_MAP_H
#define CAPOS_MM_LEASE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "core/rbtree.h"
#include "sched/lease.h"

struct aspace;

struct lease_map {
	/* Set before others know of it, never changed. */
	struct lease *lease;  /* its copy is referenced */
	struct aspace *space; /* charged for this record */
	uint64_t start, end;  /* its regions are in this range */

	/* Guarded by the lock of the space. */
	uint32_t regions;       /* of it; one more while it is being made */
	struct lease_map *next; /* among those that have ended */

	/* Guarded by the lock of the lease's root. */
	struct rbnode node;
	uint64_t arrival;
	uint32_t visitors; /* revocations that look at it */
	bool ended;        /* the last visitor frees it */
};

/* A record with one region, its maker's; NULL: memory is short. The caller
 * has a reference to the lease's copy. */
struct lease_map *lease_map_create(struct aspace *space, struct lease *lease) MUST_CHECK;
/* The lock of the space is held. From now on revocation finds it. False: the lease is revoked. */
bool lease_map_begin(struct lease_map *map, uint64_t start, uint64_t end) MUST_CHECK;
/* No region is left. */
void lease_map_end(struct lease_map *map);
/* The lease is revoked: unmaps, in all spaces, what was mapped through it
 * and those below it. */
void lease_unmap(struct lease *lease);

#endif
