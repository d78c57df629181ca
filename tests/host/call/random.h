/* Random words for the host tests here: xorshift with the same seed in every run, so that a failure
 * repeats. */
#ifndef TEST_CALL_RANDOM_H
#define TEST_CALL_RANDOM_H

#include <stdint.h>

static inline uint64_t random_word(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15ull;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

#endif
