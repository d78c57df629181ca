/* Values of a user's schema: from C to a message and back, older and newer senders, and messages of
 * an enemy. The argument seeds the random ones. */
#include <stdio.h>
#include <stdlib.h>

#include "../../schema/all_values.h"

#define WORDS 4096u

static int failures;
static const char *why;

#define CHECK(condition)                        \
	do {                                    \
		if (!(condition) && !why)       \
			why = "" #condition ""; \
	} while (0)

static void run(const char *name, void (*test)(void))
{
	why = NULL;
	test();
	if (why)
		printf("FAIL schema %s: %s\n", name, why);
	else
		printf("ok schema %s\n", name);
	failures += why != NULL;
}

static uint64_t random_state;

static uint64_t random_word(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 33 ^ random_state << 17;
}

/* Decodes a copy that is as long as the message, so that a byte read behind it is noticed. */
static int64_t decode(const struct capos_struct_type *type, void *value, const uint64_t *message,
	size_t words, struct capos_carried *came, size_t limit, void (*look)(void *value))
{
	struct capos_memory memory;
	uint64_t *copy = malloc(words * 8 + 1);

	if (words)
		memcpy(copy, message, words * 8);
	capos_memory_init(&memory, NULL, 0, limit);
	int64_t status = capos_decode(type, value, copy, words, came, &memory);
	CHECK(memory.taken <= limit);
	if (status == 0 && look)
		look(value);
	capos_memory_reset(&memory);
	free(copy);
	return status;
}

static uint64_t message[WORDS];

static size_t encode_full(struct capos_carried *goes)
{
	struct all all = full_all();
	capos_cap_t events[] = { 11, 12, 13 };
	size_t words = WORDS;

	all.events = (struct capos_cap_list)ITEMS(events);
	all.event = 14;
	CHECK(capos_encode(&all_type, &all, message, &words, goes) == 0);
	return words;
}

static void is_full(void *value)
{
	const struct all *all = value;
	struct all full = full_all();

	CHECK(same_all(all, &full));
	CHECK(all->events.count == 3 && all->events.items[2] == 13 && all->event == 14);
}

static void there_and_back(void)
{
	struct capos_carried goes = { .count = 0 };
	struct all all;
	size_t words = encode_full(&goes);

	CHECK(goes.count == 4);
	CHECK(decode(&all_type, &all, message, words, &goes, 1 << 16, is_full) == 0);
	CHECK(goes.named == 15);
}

static void has_presets(void *value)
{
	const struct all *all = value;

	CHECK(all->bit && all->small == -3 && all->medium == 3 && all->real == 0.5f);
	CHECK(all->shape.area == 1.5 && all->tree.at.y == 7);
	CHECK(all->tree.at.color == COLOR_DARK_GREEN && all->shape.which == SHAPE_NONE);
	CHECK(all->text[0] == '\0' && all->data.size == 0 && all->texts.count == 0);
	CHECK(!all->tree.left && !all->event);
}

/* An older sender has fewer words and pointers, or none. */
static void an_older_sender(void)
{
	const uint64_t empty[] = { 0xfffffffc }, one[] = { 1ull << 32, 0 };
	struct capos_carried none = { .count = 0 };
	struct all all;

	CHECK(decode(&all_type, &all, NULL, 0, &none, 0, has_presets) == 0);
	CHECK(decode(&all_type, &all, empty, 1, &none, 0, has_presets) == 0);
	CHECK(decode(&all_type, &all, one, 2, &none, 0, has_presets) == 0);
}

/* A newer sender has more of both, which is passed over. */
static void a_newer_sender(void)
{
	const uint64_t words[] = { 3ull << 32 | 2ull << 48, 5ull | 0xfffffff9ull << 32, 1, 99, 1,
		2 };
	struct capos_carried none = { .count = 0 };
	struct point point;

	CHECK(decode(&point_type, &point, words, 6, &none, 0, NULL) == 0);
	CHECK(point.x == 5 && point.y == (-7 ^ 7) && point.color == COLOR_RED);
}

static void refused(
	const struct capos_struct_type *type, const uint64_t *words, size_t count, int64_t wanted)
{
	struct capos_carried came = { .count = 2, .caps = { 1, 2 } };
	union {
		struct node node;
		struct all all;
	} value;

	CHECK(decode(type, &value, words, count, &came, 1 << 16, NULL) == wanted);
}

#define STRUCT(offset, data, pointers) \
	((uint64_t)(uint32_t)((offset) * 4) | (uint64_t)(data) << 32 | (uint64_t)(pointers) << 48)
#define LIST(offset, size, count) \
	((uint64_t)(uint32_t)((offset) * 4) | 1 | (uint64_t)(size) << 32 | (uint64_t)(count) << 35)

static void wrong_pointers(void)
{
	const uint64_t roots[] = { STRUCT(0, 1, 0), STRUCT(-2, 1, 0), STRUCT(1 << 28, 0, 1),
		STRUCT(0, 0xffff, 0xffff), LIST(0, 2, 1), 2, 3, STRUCT(-1, 0, 2) };
	const uint64_t names[] = { STRUCT(-1, 0, 0), LIST(0, 2, 0), LIST(0, 2, 8), LIST(0, 3, 1),
		LIST(-4, 2, 1), LIST(0, 2, (1 << 29) - 1), 2, 3, LIST(4, 2, 1) };

	for (size_t i = 0; i < COUNT(roots); i++)
		refused(&node_type, &roots[i], 1, CAPOS_E(MALFORMED_MESSAGE));
	for (size_t i = 0; i < COUNT(names); i++) {
		uint64_t words[] = { STRUCT(0, 0, 1), names[i], 0x6161616161616161 };

		refused(&node_type, words, 3, CAPOS_E(MALFORMED_MESSAGE));
	}
}

/* A structure that is in itself, by a pointer and by a list. */
static void circles(void)
{
	const uint64_t left[] = { STRUCT(0, 0, 3), 0, 0, STRUCT(-3, 0, 3) };
	const uint64_t child[] = { STRUCT(0, 0, 4), 0, LIST(2, 7, 3), 0, 0, STRUCT(1, 0, 3), 0,
		LIST(-3, 7, 3), 0 };

	refused(&node_type, left, COUNT(left), CAPOS_E(MALFORMED_MESSAGE));
	refused(&node_type, child, COUNT(child), CAPOS_E(MALFORMED_MESSAGE));
}

/* Much from few words: items of nothing, and lists that share what is in them. */
static void amplification(void)
{
	uint64_t nothing[] = { STRUCT(0, 0, 2), 0, LIST(0, 7, 0), (uint64_t)0xfffffff0 };
	uint64_t shared[300] = { STRUCT(0, 0, 2), 0, LIST(0, 7, 0) };

	refused(&node_type, nothing, COUNT(nothing), CAPOS_E(NO_MEMORY));
	/* 17 nodes, each with the next 17 as its children, and so on */
	shared[2] = LIST(0, 7, 17 * 2);
	for (size_t level = 0; level < 8; level++) {
		size_t at = 3 + level * 35;

		shared[at] = STRUCT(17, 0, 2);
		for (size_t i = 0; i < 17; i++) {
			size_t pointer = at + 2 + i * 2;

			shared[pointer] = level == 7 ? 0 : LIST(at + 35 - pointer - 1, 7, 34);
		}
	}
	refused(&node_type, shared, COUNT(shared), CAPOS_E(NO_MEMORY));
}

static void capabilities(void)
{
	struct capos_carried goes = { .count = 0 }, came = { .count = 3, .caps = { 1, 2, 3 } };
	struct all all;
	size_t words = encode_full(&goes);
	uint64_t *first = NULL;

	CHECK(decode(&all_type, &all, message, words, &came, 1 << 16, NULL) ==
		CAPOS_E(MALFORMED_MESSAGE)); /* the fourth has not come */
	for (size_t i = 0; i < words; i++)
		if (message[i] == (3 | 1ull << 32))
			first = &message[i];
	CHECK(first);
	if (first)
		*first = 3; /* the first capability, twice */
	CHECK(decode(&all_type, &all, message, words, &goes, 1 << 16, NULL) ==
		CAPOS_E(MALFORMED_MESSAGE));
}

static void limits_of_a_sender(void)
{
	struct capos_carried goes = { .count = 0 };
	capos_cap_t nine[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct node chain[40] = { { 0 } };
	struct all all = full_all();
	size_t words = WORDS;

	CHECK(capos_encode(&all_type, &all, message, &words, &goes) == 0);
	for (size_t room = 0; room < words; room++) {
		size_t less = room;

		CHECK(capos_encode(&all_type, &all, message, &less, &goes) ==
			CAPOS_E(OUT_OF_RANGE));
	}
	all.events = (struct capos_cap_list)ITEMS(nine);
	words = WORDS;
	CHECK(capos_encode(&all_type, &all, message, &words, &goes) == CAPOS_E(OUT_OF_RANGE));
	for (size_t i = 0; i + 1 < COUNT(chain); i++)
		chain[i].left = &chain[i + 1];
	words = WORDS;
	CHECK(capos_encode(&node_type, chain, message, &words, &goes) == CAPOS_E(INVALID_ARGUMENT));
}

static volatile bool equal;

static void use(void *value)
{
	equal = same_all(value, value);
}

/* A message with words that are random, or copies of others. */
static void random_messages(void)
{
	static uint64_t words[WORDS];
	struct capos_carried goes = { .count = 0 };
	size_t count = encode_full(&goes);
	unsigned accepted = 0;

	for (unsigned round = 0; round < 20000; round++) {
		struct all all;
		size_t shown = random_word() % 8 ? count : random_word() % count;

		memcpy(words, message, count * 8);
		for (uint64_t changes = 1 + random_word() % 3; changes; changes--) {
			uint64_t *word = &words[random_word() % count];

			switch (random_word() % 4) {
			case 0:
				*word = random_word();
				break;
			case 1:
				*word ^= 1ull << random_word() % 64;
				break;
			case 2:
				*word = words[random_word() % count];
				break;
			default:
				*word += (random_word() % 9 - 4) * 4;
			}
		}
		accepted += decode(&all_type, &all, words, shown, &goes, 1 << 16, use) == 0;
	}
	CHECK(accepted > 100 && accepted < 19900);
}

int main(int argc, char **argv)
{
	random_state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	run("there_and_back", there_and_back);
	run("an_older_sender", an_older_sender);
	run("a_newer_sender", a_newer_sender);
	run("wrong_pointers", wrong_pointers);
	run("circles", circles);
	run("amplification", amplification);
	run("capabilities", capabilities);
	run("limits_of_a_sender", limits_of_a_sender);
	run("random_messages", random_messages);
	return failures != 0;
}
