/* Red-black trees against a sorted array, with the colour rules checked after every step; the gap
 * search of regions against a scan. */
#include <string.h>

#include "host.h"
#include "mm/region.h"

struct item {
	struct rbnode node;
	uint64_t key;
	unsigned order; /* of insertion */
};

static uint64_t key_of(const struct rbnode *node)
{
	return container_of(node, struct item, node)->key;
}

static bool less(const struct rbnode *a, const struct rbnode *b)
{
	return key_of(a) < key_of(b);
}

static unsigned black_height(const struct rbnode *node)
{
	if (!node)
		return 1;
	bool red = node->parent_word & RBNODE_RED;
	for (int i = 0; i < 2; i++) {
		const struct rbnode *child = node->child[i];
		CHECK(!red || !child || !(child->parent_word & RBNODE_RED));
		CHECK(!child || (child->parent_word & ~3ul) == (uintptr_t)node);
	}
	unsigned height = black_height(node->child[0]);
	CHECK(height == black_height(node->child[1]));
	return height + !red;
}

static void check_tree(struct rbtree *tree, unsigned count)
{
	unsigned seen = 0;
	const struct item *previous = NULL;

	(void)black_height(tree->root);
	CHECK(!tree->root || !(tree->root->parent_word & RBNODE_RED));
	for (struct rbnode *node = rbtree_first(tree); node; node = rbtree_next(node)) {
		const struct item *item = container_of(node, struct item, node);
		CHECK(!previous || previous->key < item->key ||
			(previous->key == item->key && previous->order < item->order));
		CHECK(rbtree_prev(node) == (previous ? &previous->node : NULL));
		previous = item;
		seen++;
	}
	CHECK(seen == count && rbtree_last(tree) == (previous ? &previous->node : NULL));
}

static void check_bounds(struct rbtree *tree, uint64_t key)
{
	struct rbnode *lower = NULL, *floor = NULL;

	for (struct rbnode *node = rbtree_first(tree); node; node = rbtree_next(node)) {
		if (!lower && key_of(node) >= key)
			lower = node;
		if (key_of(node) <= key)
			floor = node;
	}
	CHECK(rbtree_lower_bound(tree, key, key_of) == lower);
	CHECK(rbtree_floor(tree, key, key_of) == floor);
}

static void test_tree(void)
{
	static struct item items[150];
	struct rbtree tree;
	unsigned count = 0;

	test_name = "mm-rbtree";
	rbtree_init(&tree);
	for (unsigned i = 0; i < 60000; i++) {
		struct item *item = &items[host_below(i % 4000 < 2000 ? 150 : 12)];
		if (rbnode_linked(&item->node)) {
			rbtree_remove(&tree, &item->node);
			CHECK(!rbnode_linked(&item->node));
			count--;
		} else {
			item->key = host_below(90);
			item->order = i;
			rbtree_insert(&tree, &item->node, less);
			count++;
		}
		check_tree(&tree, count);
		check_bounds(&tree, host_below(92));
		CHECK(rbtree_empty(&tree) == (count == 0));
	}
	printf("ok %s\n", test_name);
}

static void test_gaps(void)
{
	static bool used[400];
	static struct region regions[200];

	test_name = "mm-region-gaps";
	for (unsigned round = 0; round < 2000; round++) {
		struct rbtree tree;
		unsigned count = 0;
		rbtree_init(&tree);
		memset(used, 0, sizeof(used));
		for (unsigned page = 0; page < 400 && count < 200;) {
			unsigned skip = (unsigned)host_below(9), size = 1 + (unsigned)host_below(9);
			if (page + skip + size > 400)
				break;
			page += skip;
			regions[count] = (struct region){ .start = page * PAGE_SIZE,
				.end = (page + size) * PAGE_SIZE };
			region_insert(&tree, &regions[count++]);
			memset(&used[page], 1, size);
			page += size;
		}
		unsigned size = 1 + (unsigned)host_below(10), alignment = 1u << host_below(4);
		unsigned lowest = 1 + (unsigned)host_below(400), expected = 0;
		for (unsigned page = lowest; page + size <= 400 && !expected; page++) {
			unsigned run = 0;
			while (run < size && !used[page + run])
				run++;
			if (run == size && page % alignment == 0)
				expected = page;
		}
		CHECK(region_gap(&tree, size * PAGE_SIZE, alignment * PAGE_SIZE, lowest * PAGE_SIZE,
			      400 * PAGE_SIZE) == expected * PAGE_SIZE);
	}
	printf("ok %s\n", test_name);
}

int main(int count, char **arguments)
{
	host_seed(count > 1 ? strtoull(arguments[1], NULL, 0) : 1);
	test_tree();
	test_gaps();
	return 0;
}
