/* A filter for comparison with another implementation of Cap'n Proto: reads a message that is an
 * All of tests/schema/all.capnp, and writes what its C structure is as a message. */
#include <stdio.h>
#include <string.h>

#include "all.capnp.h"

#define WORDS 8192

static uint64_t input[1 + WORDS], output[1 + WORDS];

int main(void)
{
	struct capos_memory memory;
	struct capos_carried none = { .count = 0 };
	struct all all;
	size_t words = fread(input, 8, 1 + WORDS, stdin), room = WORDS;

	capos_memory_init(&memory, NULL, 0, 1 << 20);
	if (words < 1 || input[0] != (uint64_t)(words - 1) << 32)
		return 2; /* not one segment */
	int64_t status = capos_decode(&all_type, &all, input + 1, words - 1, &none, &memory);
	if (status == 0)
		status = capos_encode(&all_type, &all, output + 1, &room, &none);
	capos_memory_reset(&memory);
	if (status < 0) {
		fprintf(stderr, "status %lld\n", (long long)status);
		return 1;
	}
	output[0] = (uint64_t)room << 32;
	return fwrite(output, 8, 1 + room, stdout) != 1 + room;
}
