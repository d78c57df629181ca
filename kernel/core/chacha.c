/* ChaCha20 block function: the core of the random generator (dev/entropy.c). Words are little
 * endian in the RFC and on this machine. */
#include "core/chacha.h"

#include "core/string.h"

static inline uint32_t rotate_left(uint32_t value, unsigned count)
{
	return value << count | value >> (32 - count);
}

static inline void quarter_round(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b];
	s[d] = rotate_left(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate_left(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate_left(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate_left(s[b] ^ s[c], 7);
}

void chacha20_block(const uint8_t key[CHACHA_KEY_BYTES], uint32_t counter, const uint8_t nonce[12],
	uint8_t block[CHACHA_BLOCK_BYTES])
{
	uint32_t start[16] = { 0x61707865, 0x3320646e, 0x79622d32,
		0x6b206574 }; /* "expand 32-byte k" */
	uint32_t state[16];
	memcpy(start + 4, key, CHACHA_KEY_BYTES);
	start[12] = counter;
	memcpy(start + 13, nonce, 12);
	memcpy(state, start, sizeof state);
	for (int round = 0; round < 20; round += 2) {
#pragma GCC unroll 4
		for (unsigned i = 0; i < 4; i++) /* columns */
			quarter_round(state, i, 4 + i, 8 + i, 12 + i);
#pragma GCC unroll 4
		for (unsigned i = 0; i < 4; i++) /* diagonals */
			quarter_round(state, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
	}
	for (unsigned i = 0; i < 16; i++)
		state[i] += start[i];
	memcpy(block, state, CHACHA_BLOCK_BYTES);
}
