/* The kernel's random generator. It is a device, because the processor and entropy devices feed it.
 * Its users are the loader and the EntropySource capability. Any context that may take an
 * OBJECT lock, after entropy_init. */
#ifndef CAPOS_DEV_ENTROPY_H
#define CAPOS_DEV_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/chacha.h"

struct virtio_device;

#define ENTROPY_BLOCK_BYTES CHACHA_BLOCK_BYTES

/* The random bytes of one request, block by block. Its contents are secret; entropy_end() wipes
 * them. */
struct entropy_stream {
	uint8_t key[CHACHA_KEY_BYTES];
	uint32_t counter;
};

/* Boot, once: seeds from the processor, or else, when there is one, from the entropy device, which
 * is left as it was found. */
void entropy_init(const struct virtio_device *rng);
/* Mixes in bytes of an entropy device, which may be fewer than were asked for. It counts as a
 * source when it has given as many as a key has. */
void entropy_add(const void *bytes, size_t size);
/* False while there has been no seed; the stream must not be used then. */
bool entropy_begin(struct entropy_stream *stream);
void entropy_next(struct entropy_stream *stream, uint8_t block[ENTROPY_BLOCK_BYTES]);
void entropy_end(struct entropy_stream *stream);
/* Fills kernel memory with random bytes. False while there has been no seed, and the memory is
 * unchanged. */
bool entropy_fill(void *buffer, size_t size);
/* The sources that have given seeds, as EntropySource.status reports them. */
uint32_t entropy_sources(void);

#endif
