/* libFuzzer target: any bytes as the words of a message that is an All of tests/schema/all.capnp.
 * What is accepted is read to its last byte, and comes back the same from a message made of it. */
#include <stdlib.h>
#include <string.h>

#include "../../schema/all_values.h"

#define WORDS (1u << 16)

/* Reads every byte: NaN is not equal to itself, so what is equal is of no interest. */
static volatile bool equal;

static void use_all(const struct all *all)
{
	equal = same_all(all, all);
}

static uint64_t words[WORDS], again[WORDS];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct capos_memory memory, other;
	struct capos_carried came = { .count = 4, .caps = { 1, 2, 3, 4 } }, goes = { .count = 0 };
	struct capos_carried back = { .count = 0 };
	struct all all, same;
	size_t count = size / 8, room = WORDS, second = WORDS;
	uint64_t *message = malloc(count * 8); /* of its size, so that no byte behind it is read */

	if (count)
		memcpy(message, data, count * 8);
	capos_memory_init(&memory, NULL, 0, 1 << 16);
	capos_memory_init(&other, NULL, 0, 1 << 20);
	if (capos_decode(&all_type, &all, message, count, &came, &memory) == 0) {
		use_all(&all);
		int64_t status = capos_encode(&all_type, &all, words, &room, &goes);
		if (status == 0) {
			if (capos_decode(&all_type, &same, words, room, &goes, &other) < 0)
				abort();
			use_all(&same);
			if (capos_encode(&all_type, &same, again, &second, &back) < 0)
				abort();
			if (second != room || memcmp(words, again, room * 8) != 0)
				abort();
		}
	}
	capos_memory_reset(&memory);
	capos_memory_reset(&other);
	free(message);
	return 0;
}
