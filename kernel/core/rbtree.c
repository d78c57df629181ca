/* Rebalancing and walking of red-black trees.
 *
 * The rules are: the root is black, a red node has black children, and every path from a node down
 * to a missing child passes the same number of black nodes. Mirror images are written once: `side`
 * is the side of the violation and !side the other. */
#include "core/rbtree.h"

static struct rbnode *parent_of(const struct rbnode *node)
{
	return (struct rbnode *)(node->parent_word & ~(RBNODE_RED | RBNODE_LINKED));
}

static bool is_red(const struct rbnode *node)
{
	return node && (node->parent_word & RBNODE_RED);
}

static void set_parent(struct rbnode *node, struct rbnode *parent)
{
	node->parent_word = (uintptr_t)parent | (node->parent_word & (RBNODE_RED | RBNODE_LINKED));
}

static void paint_red(struct rbnode *node)
{
	node->parent_word |= RBNODE_RED;
}

static void paint_black(struct rbnode *node)
{
	node->parent_word &= ~RBNODE_RED;
}

/* Puts `new` (may be NULL) where `old` hangs under parent (NULL: at the root). */
static void replace_child(
	struct rbtree *tree, struct rbnode *parent, struct rbnode *old, struct rbnode *new)
{
	if (!parent)
		tree->root = new;
	else
		parent->child[parent->child[1] == old] = new;
}

/* node goes down to `side`; its child on the other side takes its place and its colour stays with
 * the caller. */
static void rotate(struct rbtree *tree, struct rbnode *node, unsigned side)
{
	struct rbnode *up = node->child[!side];
	struct rbnode *parent = parent_of(node);

	node->child[!side] = up->child[side];
	if (up->child[side])
		set_parent(up->child[side], node);
	replace_child(tree, parent, node, up);
	set_parent(up, parent);
	up->child[side] = node;
	set_parent(node, up);
}

void rbtree_link(struct rbtree *tree, struct rbnode *parent, unsigned side, struct rbnode *node,
	bool leftmost)
{
	node->parent_word = (uintptr_t)parent | RBNODE_LINKED | RBNODE_RED;
	node->child[0] = node->child[1] = NULL;
	if (parent)
		parent->child[side] = node;
	else
		tree->root = node;
	if (leftmost)
		tree->leftmost = node;

	/* Invariant: node is red, and the only broken rule can be that its parent is red too. */
	while (is_red(parent = parent_of(node))) {
		struct rbnode *grandparent =
			parent_of(parent); /* exists: a red node is never the root */
		unsigned parent_side = grandparent->child[1] == parent;
		struct rbnode *uncle = grandparent->child[!parent_side];

		if (is_red(uncle)) {
			paint_black(parent);
			paint_black(uncle);
			paint_red(grandparent);
			node = grandparent;
			continue;
		}
		if (parent->child[!parent_side] == node) {
			rotate(tree, parent, parent_side);
			parent = node;
		}
		paint_black(parent);
		paint_red(grandparent);
		rotate(tree, grandparent, !parent_side);
		break;
	}
	paint_black(tree->root);
}

/* Paths through parent's child on `side` (possibly missing) lack one black node. */
static void repair_removal(struct rbtree *tree, struct rbnode *parent, unsigned side)
{
	for (;;) {
		struct rbnode *sibling =
			parent->child[!side]; /* exists: its side has a black node more */

		if (is_red(sibling)) {
			paint_black(sibling);
			paint_red(parent);
			rotate(tree, parent, side);
			sibling = parent->child[!side];
		}
		if (is_red(sibling->child[0]) || is_red(sibling->child[1])) {
			if (!is_red(sibling->child[!side])) {
				paint_black(sibling->child[side]);
				paint_red(sibling);
				rotate(tree, sibling, !side);
				sibling = parent->child[!side];
			}
			if (is_red(parent))
				paint_red(sibling);
			else
				paint_black(sibling);
			paint_black(parent);
			paint_black(sibling->child[!side]);
			rotate(tree, parent, side);
			return;
		}
		paint_red(sibling);
		if (is_red(parent)) {
			paint_black(parent);
			return;
		}
		struct rbnode *above = parent_of(parent);
		if (!above)
			return;
		side = above->child[1] == parent;
		parent = above;
	}
}

void rbtree_remove(struct rbtree *tree, struct rbnode *node)
{
	if (tree->leftmost == node)
		tree->leftmost = rbtree_next(node);

	struct rbnode *parent = parent_of(node), *orphan;
	bool removed_red;
	unsigned side;

	if (node->child[0] && node->child[1]) {
		/* The successor takes the node's place and colour, so the place that is lost is the
		 * successor's old one. */
		struct rbnode *successor = node->child[1];
		while (successor->child[0])
			successor = successor->child[0];
		struct rbnode *successor_parent = parent_of(successor);
		removed_red = is_red(successor);
		orphan = successor->child[1];
		replace_child(tree, parent, node, successor);
		if (successor_parent == node) {
			successor_parent = successor;
			side = 1;
		} else {
			side = 0;
			successor_parent->child[0] = orphan;
			if (orphan)
				set_parent(orphan, successor_parent);
			successor->child[1] = node->child[1];
			set_parent(successor->child[1], successor);
		}
		successor->child[0] = node->child[0];
		set_parent(successor->child[0], successor);
		successor->parent_word = node->parent_word;
		parent = successor_parent;
	} else {
		orphan = node->child[!node->child[0]];
		removed_red = is_red(node);
		side = parent && parent->child[1] == node;
		replace_child(tree, parent, node, orphan);
		if (orphan)
			set_parent(orphan, parent);
	}
	node->parent_word = 0;

	if (removed_red)
		return;
	if (orphan) /* an only child is red; painting it black restores the count */
		paint_black(orphan);
	else if (parent)
		repair_removal(tree, parent, side);
}

struct rbnode *rbtree_last(const struct rbtree *tree)
{
	struct rbnode *node = tree->root;

	while (node && node->child[1])
		node = node->child[1];
	return node;
}

/* The neighbour in order on `side`. */
static struct rbnode *neighbour(const struct rbnode *node, unsigned side)
{
	struct rbnode *found = node->child[side];

	if (found) {
		while (found->child[!side])
			found = found->child[!side];
		return found;
	}
	for (found = parent_of(node); found && found->child[side] == node; found = parent_of(found))
		node = found;
	return found;
}

struct rbnode *rbtree_next(const struct rbnode *node)
{
	return neighbour(node, 1);
}

struct rbnode *rbtree_prev(const struct rbnode *node)
{
	return neighbour(node, 0);
}
