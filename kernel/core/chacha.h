/* The ChaCha20 block function of RFC 8439, section 2.3. Pure. */
#ifndef CAPOS_CORE_CHACHA_H
#define CAPOS_CORE_CHACHA_H

#include <stddef.h>
#include <stdint.h>

#define CHACHA_KEY_BYTES 32u
#define CHACHA_BLOCK_BYTES 64u

void chacha20_block(const uint8_t key[CHACHA_KEY_BYTES], uint32_t counter, const uint8_t nonce[12],
	uint8_t block[CHACHA_BLOCK_BYTES]);

#endif
