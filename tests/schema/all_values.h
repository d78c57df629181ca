/* Values of tests/schema/all.capnp: one with every field, a comparison of two, and a look at every
 * byte of one. */
#ifndef CAPOS_TESTS_ALL_VALUES_H
#define CAPOS_TESTS_ALL_VALUES_H

#include <stdbool.h>
#include <string.h>

#include "all.capnp.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ITEMS(array) { (array), COUNT(array) }

static const struct point all_corners[] = { { 1, -2, COLOR_RED }, { 3, 7, COLOR_BLUE } };
static const struct node all_leaves[] = { { .name = "first" },
	{ .name = "second", .at = { .y = 1 } } };
static const struct node all_left = { .name = "left", .children = ITEMS(all_leaves) };
static const bool all_bits[] = { true, false, true, true, false, false, true, false, true };
static const uint8_t all_bytes[] = { 1, 2, 3, 255, 0, 9, 8, 7, 6, 5 };
static const uint16_t all_words[] = { 1, 65535, 3 };
static const double all_reals[] = { 0.5, -1e300 };
static const char *const all_texts[] = { "", "a text", "another that has more than eight bytes" };
static const struct capos_data all_blobs[] = { { "\0\1", 2 }, { NULL, 0 }, { "123456789", 9 } };
static const int32_t all_row[] = { 1, -2, 3 }, all_row2[] = { -5 };
static const struct capos_int32_list all_grid[] = { ITEMS(all_row), { NULL, 0 }, ITEMS(all_row2) };
static const enum color all_colors[] = { COLOR_BLUE, COLOR_RED, COLOR_DARK_GREEN };
static const struct shape all_shapes[] = {
	{ .area = 2, .which = SHAPE_CIRCLE, .circle = 1.25f },
	{ .area = -1, .which = SHAPE_BOX, .box = { 3, 4, "a box" } },
	{ .which = SHAPE_NONE },
	{ .which = SHAPE_CORNERS, .corners = ITEMS(all_corners) },
};

/* Without capabilities. */
__attribute__((unused)) static struct all full_all(void)
{
	return (struct all){
		.small = -100,
		.medium = 60000,
		.wide = INT64_MIN,
		.real = 3.5f,
		.data = { all_bytes, sizeof all_bytes },
		.text = "some text",
		.tree = { "root", ITEMS(all_leaves), &all_left, { 5, 6, COLOR_BLUE } },
		.shape = all_shapes[3],
		.bits = ITEMS(all_bits),
		.bytes = ITEMS(all_bytes),
		.words = ITEMS(all_words),
		.reals = ITEMS(all_reals),
		.texts = ITEMS(all_texts),
		.blobs = ITEMS(all_blobs),
		.grid = ITEMS(all_grid),
		.colors = ITEMS(all_colors),
		.shapes = ITEMS(all_shapes),
	};
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_bytes(const void *a, size_t a_size, const void *b, size_t b_size)
{
	return a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0);
}

/* Of numbers without padding. */
#define SAME_LIST(a, b)                                                 \
	same_bytes((a).items, (a).count * sizeof *(a).items, (b).items, \
		(b).count * sizeof *(b).items)

static bool same_node(const struct node *a, const struct node *b)
{
	if (!a || !b)
		return a == b;
	bool same = same_text(a->name, b->name) && a->children.count == b->children.count &&
		same_bytes(&a->at, sizeof a->at, &b->at, sizeof b->at) &&
		same_node(a->left, b->left);
	for (size_t i = 0; same && i < a->children.count; i++)
		same = same_node(&a->children.items[i], &b->children.items[i]);
	return same;
}

static bool same_shape(const struct shape *a, const struct shape *b)
{
	if (a->area != b->area || a->which != b->which)
		return false;
	switch (a->which) {
	case SHAPE_CIRCLE:
		return a->circle == b->circle;
	case SHAPE_BOX:
		return a->box.width == b->box.width && a->box.height == b->box.height &&
			same_text(a->box.name, b->box.name);
	case SHAPE_CORNERS:
		return SAME_LIST(a->corners, b->corners);
	default:
		return true;
	}
}

static bool same_lists(const struct all *a, const struct all *b)
{
	if (a->texts.count != b->texts.count || a->blobs.count != b->blobs.count ||
		a->grid.count != b->grid.count || a->shapes.count != b->shapes.count)
		return false;
	for (size_t i = 0; i < a->texts.count; i++)
		if (!same_text(a->texts.items[i], b->texts.items[i]))
			return false;
	for (size_t i = 0; i < a->blobs.count; i++)
		if (!same_bytes(a->blobs.items[i].bytes, a->blobs.items[i].size,
			    b->blobs.items[i].bytes, b->blobs.items[i].size))
			return false;
	for (size_t i = 0; i < a->grid.count; i++)
		if (!SAME_LIST(a->grid.items[i], b->grid.items[i]))
			return false;
	for (size_t i = 0; i < a->shapes.count; i++)
		if (!same_shape(&a->shapes.items[i], &b->shapes.items[i]))
			return false;
	return true;
}

/* Capabilities are not compared. */
__attribute__((unused)) static bool same_all(const struct all *a, const struct all *b)
{
	return a->bit == b->bit && a->small == b->small && a->medium == b->medium &&
		a->wide == b->wide && a->real == b->real &&
		same_bytes(a->data.bytes, a->data.size, b->data.bytes, b->data.size) &&
		same_text(a->text, b->text) && same_node(&a->tree, &b->tree) &&
		same_shape(&a->shape, &b->shape) && SAME_LIST(a->bits, b->bits) &&
		SAME_LIST(a->bytes, b->bytes) && SAME_LIST(a->words, b->words) &&
		SAME_LIST(a->reals, b->reals) && SAME_LIST(a->colors, b->colors) &&
		same_lists(a, b);
}

#endif
