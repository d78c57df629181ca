/* Physical memory: a buddy allocator over the machine's RAM, and the count of reserved frames.
 *
 * A reserved frame belongs to a page that has none yet: commit reserves, and later faults take the
 * frames one by one. Free frames >= reserved frames, always; an allocation of anything else fails
 * when it would break that. Any context that may take the FRAMES lock.
 *
 * Each allocation names its payer, so that none is charged to no one by mistake: the ledger of the
 * process for which the kernel needs the frames, or one of the two words below. The same payer is
 * named when they are freed. docs/decisions/0010-kernel-memory.md lists who pays for what. */
#ifndef CAPOS_MM_FRAME_H
#define CAPOS_MM_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "arch/address.h"

struct ledger;

/* Payers that are not charged. KERNEL_PAYS: the number is fixed at boot, or one for each process.
 * PREPAID: the caller charges it together with something else (mm/ledger.h). */
#define KERNEL_PAYS ((struct ledger *)0)
#define PREPAID ((struct ledger *)0)

/* 64 MiB blocks. The head of every free block is written when the machine boots, and an emulator
 * that backs guest memory with huge pages clears one for each. So many small blocks would cost more
 * than the rest of the boot. */
#define FRAME_ORDER_MAX 14

/* Boot, once, CPU 0. usable: disjoint RAM ranges; taken: ranges inside them already in use (kernel
 * image, boot image, tables). The allocator's own tables are placed in usable memory. The direct
 * map covers all of usable. */
void frames_init(const struct memory_range *usable, unsigned usable_count,
	const struct memory_range *taken, unsigned taken_count);

/* Whether any of [start, end) is RAM, used or not. After boot's frames_init. */
bool frames_overlap(paddr_t start, paddr_t end);

enum frame_flags {
	FRAME_ZERO = 1,     /* contents zero; otherwise undefined (poisoned in debug kernels) */
	FRAME_RESERVED = 2, /* takes 2^order frames reserved before: cannot fail for order 0 */
};

/* For the two functions below only. */
paddr_t frame_take(unsigned order, unsigned flags) MUST_CHECK;
paddr_t frame_take_charged(struct ledger *payer, unsigned order, unsigned flags) MUST_CHECK;
void frame_give(paddr_t frame, unsigned order);
void frame_give_charged(struct ledger *payer, paddr_t frame, unsigned order);

/* 2^order contiguous frames, aligned to their size. Returns 0 (never a valid frame) when there is
 * none, or the payer's limit does not allow them. */
MUST_CHECK static inline paddr_t frame_alloc(struct ledger *payer, unsigned order, unsigned flags)
{
	return payer ? frame_take_charged(payer, order, flags) : frame_take(order, flags);
}

/* order: the one it was allocated with (checked). */
static inline void frame_free(struct ledger *payer, paddr_t frame, unsigned order)
{
	if (payer)
		frame_give_charged(payer, frame, order);
	else
		frame_give(frame, order);
}
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
