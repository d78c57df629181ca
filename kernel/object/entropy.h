/* The kernel's random generator, and the EntropySource capability over it. */
#ifndef CAPOS_OBJECT_ENTROPY_H
#define CAPOS_OBJECT_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>

struct virtio_device;

/* Boot, once: seeds from the processor and, when there is one, the entropy device. */
void entropy_init(struct virtio_device *rng);
/* Random bytes into kernel memory; false while there has been no seed (the memory is then
 * untouched). */
bool entropy_fill(void *buffer, size_t size);

#endif
