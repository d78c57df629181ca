/* Intrusive red-black tree: ordered sets without memory of their own (regions, run queues, timers).
 *
 * A node's parent word also holds its colour (bit 0) and whether it is in a tree (bit 1), so a
 * zeroed node is an unlinked one and rbnode_linked() is a test. The tree caches its leftmost node:
 * rbtree_first() is one load, and taking the first of a queue costs no descent.
 *
 * Lookups and insertion are inline, so that the comparison is inlined too. Rebalancing is out of
 * line. Equal nodes keep the order of insertion. Pure. */
#ifndef CAPOS_CORE_RBTREE_H
#define CAPOS_CORE_RBTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h" /* container_of */

struct rbnode {
	uintptr_t parent_word; /* parent | linked << 1 | red */
	struct rbnode *child[2];
};

struct rbtree {
	struct rbnode *root;
	struct rbnode *leftmost;
};

#define RBNODE_RED 1ul
#define RBNODE_LINKED 2ul

static inline void rbtree_init(struct rbtree *tree)
{
	tree->root = tree->leftmost = NULL;
}

static inline bool rbtree_empty(const struct rbtree *tree)
{
	return !tree->root;
}

static inline void rbnode_init(struct rbnode *node)
{
	node->parent_word = 0;
}

static inline bool rbnode_linked(const struct rbnode *node)
{
	return node->parent_word & RBNODE_LINKED;
}

static inline struct rbnode *rbtree_first(const struct rbtree *tree)
{
	return tree->leftmost;
}

struct rbnode *rbtree_last(const struct rbtree *tree);
struct rbnode *rbtree_next(const struct rbnode *node);
struct rbnode *rbtree_prev(const struct rbnode *node);

/* Links a node under parent on the given side, where the tree has no node yet, and rebalances. */
void rbtree_link(struct rbtree *tree, struct rbnode *parent, unsigned side, struct rbnode *node,
	bool leftmost);
/* The node must be in this tree; it is unlinked afterwards. */
void rbtree_remove(struct rbtree *tree, struct rbnode *node);

/* Insertion into an empty tree, and removal of the only node: no call, no comparison. */
static inline void rbtree_insert_only(struct rbtree *tree, struct rbnode *node)
{
	node->parent_word = RBNODE_LINKED;
	node->child[0] = node->child[1] = NULL;
	tree->root = tree->leftmost = node;
}

static inline bool rbtree_is_only(const struct rbtree *tree, const struct rbnode *node)
{
	return tree->root == node && !node->child[0] && !node->child[1];
}

static inline void rbtree_remove_only(struct rbtree *tree, struct rbnode *node)
{
	node->parent_word = 0;
	tree->root = tree->leftmost = NULL;
}

/* less(a, b): a sorts before b. */
static inline __attribute__((always_inline)) void rbtree_insert(struct rbtree *tree,
	struct rbnode *node, bool (*less)(const struct rbnode *, const struct rbnode *))
{
	struct rbnode *parent = NULL;
	unsigned side = 0;
	bool leftmost = true;

	for (struct rbnode *child = tree->root; child; child = child->child[side]) {
		parent = child;
		side = !less(node, child);
		if (side)
			leftmost = false;
	}
	rbtree_link(tree, parent, side, node, leftmost);
}

/* The same for trees that mostly hold one node. */
static inline __attribute__((always_inline)) void rbtree_insert_few(struct rbtree *tree,
	struct rbnode *node, bool (*less)(const struct rbnode *, const struct rbnode *))
{
	if (rbtree_empty(tree))
		rbtree_insert_only(tree, node);
	else
		rbtree_insert(tree, node, less);
}

static inline void rbtree_remove_few(struct rbtree *tree, struct rbnode *node)
{
	if (rbtree_is_only(tree, node))
		rbtree_remove_only(tree, node);
	else
		rbtree_remove(tree, node);
}

/* Puts the node directly behind another, for callers that know its place. */
static inline void rbtree_insert_after(
	struct rbtree *tree, struct rbnode *before, struct rbnode *node)
{
	struct rbnode *parent = before;
	unsigned side = 1;

	for (struct rbnode *child = before->child[1]; child; child = child->child[0]) {
		parent = child;
		side = 0;
	}
	rbtree_link(tree, parent, side, node, false);
}

/* The first node whose key is not below `key`, or NULL. */
static inline __attribute__((always_inline)) struct rbnode *rbtree_lower_bound(
	const struct rbtree *tree, uint64_t key, uint64_t (*key_of)(const struct rbnode *))
{
	struct rbnode *best = NULL;

	for (struct rbnode *node = tree->root; node;) {
		if (key_of(node) < key) {
			node = node->child[1];
		} else {
			best = node;
			node = node->child[0];
		}
	}
	return best;
}

/* The last node whose key is not above `key`, or NULL. */
static inline __attribute__((always_inline)) struct rbnode *rbtree_floor(
	const struct rbtree *tree, uint64_t key, uint64_t (*key_of)(const struct rbnode *))
{
	struct rbnode *best = NULL;

	for (struct rbnode *node = tree->root; node;) {
		if (key_of(node) > key) {
			node = node->child[0];
		} else {
			best = node;
			node = node->child[1];
		}
	}
	return best;
}

#endif
