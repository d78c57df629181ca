/* See lease_map.h.
 *
 *     the end of a mapping, or of its space     revocation
 *     under the space's lock: no region is      under the root's lock: takes a mapping whose lease
 *     left                                      is revoked, and is a visitor of it and of its
 *     under the root's lock: takes it out,      space
 *     frees it unless it has visitors           unmaps what regions it has (aspace_take_back)
 *     the end of a space waits until it has     under the root's lock: frees it if it has ended
 *     no visitor                                leaves the space
 *
 * Neither holds a lock of the other's while it waits. models/revoke.pml models this file. */
#include "mm/lease_map.h"

#include "mm/aspace.h"
#include "mm/kmem.h"
#include "sched/sched.h"
#include "sched/wait_state.h"

static struct lease_map *map_of(const struct rbnode *node)
{
	return container_of(node, struct lease_map, node);
}

static uint64_t arrival_of(const struct rbnode *node)
{
	return map_of(node)->arrival;
}

static bool came_before(const struct rbnode *a, const struct rbnode *b)
{
	return arrival_of(a) < arrival_of(b);
}

struct lease_map *lease_map_create(struct aspace *space, struct lease *lease)
{
	struct lease_map *map = kmem_alloc(space->ledger, sizeof *map);
	if (!map)
		return NULL;
	object_retain(&lease->copy);
	map->lease = lease;
	map->space = space;
	map->regions = 1;
	return map;
}

bool lease_map_begin(struct lease_map *map, uint64_t start, uint64_t end)
{
	struct lease *root = map->lease->root;
	assert_held(&map->space->lock);
	map->start = start;
	map->end = end;
	spin_lock(&root->lock);
	bool revoked = lease_is_revoked(map->lease);
	if (!revoked) {
		map->arrival = root->arrivals++;
		rbtree_insert_few(&root->maps, &map->node, came_before);
	}
	spin_unlock(&root->lock);
	return !revoked;
}

static void map_free(struct lease_map *map)
{
	struct lease *lease = map->lease;
	assert_none_held();
	kmem_free(map->space->ledger, map);
	object_release(&lease->copy);
}

void lease_map_end(struct lease_map *map)
{
	struct lease *root = map->lease->root;
	assert_none_held();
	spin_lock(&root->lock);
	if (rbnode_linked(&map->node))
		rbtree_remove_few(&root->maps, &map->node);
	map->ended = true;
	bool visited = map->visitors;
	spin_unlock(&root->lock);
	if (!visited)
		map_free(map);
}

/* The next mapping to take back from *first on, of which the caller becomes a visitor. NULL with
 * *first below end: there may be more. */
static struct lease_map *visit_locked(struct lease *root, uint64_t *first, uint64_t end)
{
	assert_held(&root->lock);
	struct rbnode *node = rbtree_lower_bound(&root->maps, *first, arrival_of);
	for (uint32_t seen = 0; node && seen < WAKE_BATCH; seen++, node = rbtree_next(node)) {
		struct lease_map *map = map_of(node);
		*first = map->arrival + 1;
		if (map->arrival < end && lease_is_revoked(map->lease)) {
			map->visitors++;
			__atomic_add_fetch(&map->space->visitors, 1, __ATOMIC_SEQ_CST);
			return map;
		}
	}
	if (!node)
		*first = end;
	return NULL;
}

static void take_back(struct lease_map *map)
{
	struct aspace *space = map->space;
	struct lease *root = map->lease->root;
	assert_none_held();
	aspace_take_back(space, map);
	spin_lock(&root->lock);
	bool last = !--map->visitors && map->ended;
	spin_unlock(&root->lock);
	if (last)
		map_free(map);
	aspace_leave(space);
}

void lease_unmap(struct lease *lease)
{
	struct lease *root = lease->root;
	assert_none_held();
	spin_lock(&root->lock);
	uint64_t first = 0, end = root->arrivals;
	while (first < end) {
		struct lease_map *map = visit_locked(root, &first, end);
		spin_unlock(&root->lock);
		if (map)
			take_back(map);
		sched_preemption_point();
		spin_lock(&root->lock);
	}
	spin_unlock(&root->lock);
}
