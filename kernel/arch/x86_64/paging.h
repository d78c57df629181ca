/* User page tables: where a space keeps, for every committed page, its frame or the claim to one.
 *
 * Entries beyond what the processor defines (absent ones are 0):
 *
 *     63  62 61      52 51            12 11   9 8           0
 *     NX   0 | entries | frame address  | kind | flags, PRESENT = 1
 *              in use,
 *              of tables
 *
 *     PAGING_TABLE        a lower table; counts its non-zero entries, so that an emptied table is
 *                         noticed at no cost
 *     PAGING_COMMITTED    no frame yet, but one is reserved for this page (in a directory: for all
 *                         512, and one for a table)
 *     PAGING_FOREIGN_PENDING  no frame yet: the memory object has to be asked
 *     PAGING_FOREIGN      a frame that belongs to a memory object or to the kernel
 *     PAGING_OWNED        a frame of this page alone, freed with the entry (in a directory: a
 *                         2 MiB frame, and one reserved for a table)
 *     PAGING_DEMAND_ZERO  a frame charged at first touch, freed with the entry
 *
 * A demand-zero page without a frame has no entry, nor has a page that is not committed. A frame's
 * entry with PRESENT clear belongs to a page with protection none, or to one whose removal is under
 * way. A directory entry for 2 MiB always has a frame reserved for a table, so splitting it never
 * fails. Callers that add entries bring the tables along in a pool, so nothing here fails halfway.
 *
 * Accessed and dirty bits are set from the start: nobody reads them and the processor need not
 * write them. Callers hold the space's lock. Ranges are page-aligned and in the user half. */
#ifndef CAPOS_ARCH_PAGING_H
#define CAPOS_ARCH_PAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "arch/address.h"

#define PAGING_PRESENT 1ul
#define PAGING_ADDRESS 0x000ffffffffff000ul

enum paging_kind {
	PAGING_ABSENT,
	PAGING_TABLE,
	PAGING_COMMITTED,
	PAGING_FOREIGN_PENDING,
	PAGING_FOREIGN,
	PAGING_OWNED,
	PAGING_DEMAND_ZERO,
};

static inline enum paging_kind paging_kind(uint64_t entry)
{
	return (enum paging_kind)(entry >> 9 & 7);
}

static inline bool paging_has_frame(uint64_t entry)
{
	return paging_kind(entry) >= PAGING_FOREIGN;
}

/* Zeroed frames to become tables. */
struct table_pool {
	paddr_t first;
	size_t count;
};

/* All or nothing. */
bool table_pool_fill(struct table_pool *pool, size_t count) MUST_CHECK;
void table_pool_drain(struct table_pool *pool);

/* The entry for a 4 KiB page: a frame with a protection (none: not present). */
uint64_t paging_entry(enum paging_kind kind, paddr_t frame, uint32_t prot);

/* A new top-level table with the kernel's half in it; 0 when memory is short. */
paddr_t paging_create(void) MUST_CHECK;
/* The user half must be empty. */
void paging_destroy(paddr_t root);

/* What adding entries for every page of [start, end), now absent, takes. tables: from a pool.
 * large_blocks: aligned blocks of 2 MiB that get one directory entry; each needs a frame reserved
 * for a table. counted: blocks of any level that hold the page before this address are left out, as
 * counted already (0: none). use_large_blocks: whether entries for whole large blocks are wanted.
 */
struct paging_need {
	size_t tables, large_blocks;
};
void paging_count_need(paddr_t root, uint64_t start, uint64_t end, uint64_t counted,
	bool use_large_blocks, struct paging_need *need);

/* Gives every page of [start, end), now absent, an entry: the first, then each `step` more than the
 * one before. Entries without frames use whole directory entries where they can. */
void paging_fill(paddr_t root, uint64_t start, uint64_t end, uint64_t entry, uint64_t step,
	struct table_pool *pool);

/* Gives the one page an entry if it has none and there is a table for it. Otherwise false, and
 * nothing is changed. */
bool paging_add(paddr_t root, uint64_t address, uint64_t entry) MUST_CHECK;

/* The entry the processor would find for an address, at whatever level its walk ends (1: 4 KiB
 * table, 2: directory, ...). */
uint64_t *paging_find(paddr_t root, uint64_t address, unsigned *level);
/* Changes a non-zero entry that paging_find returned into another. */
void paging_replace(uint64_t *slot, uint64_t entry);
/* A committed directory entry becomes 2 MiB of memory, if there is a frame that size. */
bool paging_populate_large(uint64_t *slot, uint32_t prot);

/* When one directory entry covers the pages on both sides of the address, puts a table in its
 * place. Returns whether translations in use changed shape (the caller flushes the 2 MiB); counts
 * the table. */
bool paging_split(paddr_t root, uint64_t address, uint64_t *tables) MUST_CHECK;

/* Puts a table in the place of a 2 MiB directory entry. */
void paging_split_entry(uint64_t *slot, uint64_t *tables);

/* Changes the protection of every frame in [start, end). Returns whether any access that was
 * possible no longer is. */
bool paging_protect(paddr_t root, uint64_t start, uint64_t end, uint32_t prot) MUST_CHECK;

/* Where a step of a long walk from start ends, at end or a multiple of 2 MiB: after so many tables
 * of 4 KiB pages and 2 MiB entries. */
uint64_t paging_step(paddr_t root, uint64_t start, uint64_t end, unsigned tables);

/* Removal takes two steps with a TLB flush in between: hide makes all entries of [start, end) and
 * the tables they leave empty invisible to the processor; clear then frees the frames and tables
 * and gives reservations back. Between the two the lock is kept. */
bool paging_hide(
	paddr_t root, uint64_t start, uint64_t end) MUST_CHECK; /* whether a flush is needed */
struct paging_cleared {
	size_t resident;    /* pages that had a frame */
	size_t demand_zero; /* of them, charged at first touch */
	size_t tables;
};
void paging_clear(paddr_t root, uint64_t start, uint64_t end, struct paging_cleared *cleared);

/* Pages of [start, end) that have a frame. */
size_t paging_resident(paddr_t root, uint64_t start, uint64_t end);

#endif
