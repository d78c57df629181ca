/* Physical memory: a buddy allocator over the machine's RAM, and the count of reserved frames.
 *
 * A reserved frame belongs to a page that has none yet: commit reserves, and later faults take the
 * frames one by one. Free frames >= reserved frames, always; an allocation of anything else fails
 * when it would break that. */
#ifndef CAPOS_MM_FRAME_H
#define CAPOS_MM_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "arch/address.h"

/* 64 MiB blocks. The head of every free block is written when the machine boots, and an emulator
 * that backs guest memory with huge pages clears one for each. So many small blocks would cost more
 * than the rest of the boot. */
#define FRAME_ORDER_MAX 14

/* Boot, once, CPU 0. usable: disjoint RAM ranges; taken: ranges inside them already in use (kernel
 * image, boot image, tables). The allocator's own tables are placed in usable memory. The direct
 * map covers all of usable. */
void frames_init(const struct memory_range *usable, unsigned usable_count,
	const struct memory_range *taken, unsigned taken_count);

enum frame_flags {
	FRAME_ZERO = 1,     /* contents zero; otherwise undefined (poisoned in debug kernels) */
	FRAME_RESERVED = 2, /* takes 2^order frames reserved before: cannot fail for order 0 */
};

/* 2^order contiguous frames, aligned to their size. Returns 0 (never a valid frame) when there is
 * none. */
paddr_t frame_alloc(unsigned order, unsigned flags) MUST_CHECK;
/* order: the one it was allocated with (checked). */
void frame_free(paddr_t frame, unsigned order);
/* An allocated block becomes 2^order single frames, freed one by one. */
void frame_split(paddr_t frame, unsigned order);
/* The order an allocated block has. */
unsigned frame_order(paddr_t frame);

/* 16 bits beside an allocated single frame, for what its owner keeps to it; undefined at first. */
uint16_t *frame_note(paddr_t frame);

/* Frees RAM that was taken at boot and is no longer needed (whole frames inside the range). */
void frames_add(paddr_t start, paddr_t end);

/* Reserves count frames, or fails. */
bool frames_reserve(size_t count) MUST_CHECK;
void frames_unreserve(size_t count);

size_t frames_total(void);     /* managed by the allocator */
size_t frames_free(void);      /* not allocated */
size_t frames_available(void); /* neither allocated nor reserved */

#endif
