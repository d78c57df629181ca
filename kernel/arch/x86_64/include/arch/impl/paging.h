/* See arch/paging.h. Entries of page tables, beyond what the processor defines (absent ones are 0):
 *
 *     63  62  61      52 51            12 11   9 8           0
 *     NX   0 | see below | frame address  | kind | flags, PRESENT = 1
 *
 * Bits 52 to 61 of a table count its non-zero entries. In all others bits 52 to 54 have the page's
 * protection, and bit 55 tells a bare block.
 *
 * The note of a 4 KiB table's frame (frame_note) holds how many of its pages have a frame, and
 * whether all are of one state and protection, as far as that is known.
 *
 * Accessed and dirty bits are set from the start, so that the processor need not write them. The
 * exception is the accessed bit of fixed entries (paging_fixed_entry): while it is clear no TLB
 * holds the entry, so its removal needs no flush. */
#ifndef CAPOS_ARCH_IMPL_PAGING_H
#define CAPOS_ARCH_IMPL_PAGING_H

#define PAGING_PRESENT 1ul
#define PAGING_ADDRESS 0x000ffffffffff000ul
#define PAGING_KIND_SHIFT 9
#define PAGING_PROT_SHIFT 52
#define PAGING_BARE (1ul << 55)

static inline enum paging_kind paging_kind(uint64_t entry)
{
	return (enum paging_kind)(entry >> PAGING_KIND_SHIFT & 7);
}

static inline paddr_t paging_frame(uint64_t entry)
{
	return entry & PAGING_ADDRESS;
}

static inline bool paging_is_present(uint64_t entry)
{
	return entry & PAGING_PRESENT;
}

static inline uint32_t paging_prot(uint64_t entry)
{
	return entry >> PAGING_PROT_SHIFT & 7;
}

#endif
