/* User page tables: where a space keeps, for every page, whether it is committed and how, its
 * protection, and its frame or the claim to one.
 *
 * An entry is a word of 64 bits, 0 where nothing is. Beside what the processor reads from it, the
 * architecture finds room in it for the following. mm/ has to do with entries of pages only.
 *
 *     PAGING_TABLE                a lower table. The architecture counts its non-zero entries, so
 *                                 that an emptied table is noticed at no cost
 *     PAGING_COMMITTED            no frame yet, but one is reserved for this page
 *     PAGING_DEMAND_ZERO_PENDING  no frame yet; one is charged and taken at first touch
 *     PAGING_FOREIGN_PENDING      no frame yet; the memory object has to be asked
 *     PAGING_FOREIGN              a frame that belongs to a memory object or to the kernel
 *     PAGING_OWNED                a frame of this page alone, freed with the entry
 *     PAGING_DEMAND_ZERO          a frame charged at first touch, freed with the entry
 *
 * All but tables have the page's protection (paging_prot). A page that is not committed has no
 * entry. A frame's entry that is hidden from the processor (not paging_is_present) belongs to a
 * page with protection none, or to one whose removal is under way.
 *
 * One entry of a higher table stands for all the pages it covers when they are alike: a block. A
 * frame is reserved for a table with each block of 2 MiB, so putting a table in its place cannot
 * fail, except with bare blocks. Those are parts of pages committed demand-zero a whole GiB or 512
 * GiB at a time, where reservations would cost more than is ever touched. Only PAGING_OWNED blocks
 * have a frame, of 2 MiB. Callers that add entries bring the other tables along in a pool. So
 * nothing here fails halfway, and removal and protection need memory for bare blocks only.
 *
 * Callers hold the space's lock, unless said otherwise, and their thread is the only one that uses
 * the tables until they release it. Nothing here blocks or lets other threads run; a long walk is
 * cut into steps by the caller (paging_step). Ranges are page-aligned and in the user half. */
#ifndef CAPOS_ARCH_PAGING_H
#define CAPOS_ARCH_PAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "arch/address.h"

struct ledger;

enum paging_kind {
	PAGING_ABSENT,
	PAGING_TABLE,
	PAGING_COMMITTED,
	PAGING_DEMAND_ZERO_PENDING,
	PAGING_FOREIGN_PENDING,
	PAGING_FOREIGN,
	PAGING_OWNED,
	PAGING_DEMAND_ZERO,
};

/* Pure, like all functions of an entry alone. */
static inline enum paging_kind paging_kind(uint64_t entry);
static inline bool paging_has_frame(uint64_t entry)
{
	return paging_kind(entry) >= PAGING_FOREIGN;
}
static inline paddr_t paging_frame(uint64_t entry);
/* Whether programs can reach the frame, as far as the protection goes. */
static inline bool paging_is_present(uint64_t entry);
/* Of an entry that is no table. */
static inline uint32_t paging_prot(uint64_t entry);

/* Zeroed frames to become tables, which the caller charges. */
struct table_pool {
	paddr_t first;
	size_t count;
};

/* All or nothing. Any context that may take the FRAMES lock, like the next one. */
bool table_pool_fill(struct table_pool *pool, size_t count) MUST_CHECK;
void table_pool_drain(struct table_pool *pool);

/* The entry for a 4 KiB page: a frame with a protection (none: not present), or the claim to one
 * (frame 0). */
uint64_t paging_entry(enum paging_kind kind, paddr_t frame, uint32_t prot);
/* The entry of a page of device registers, which no processor caches. combines: the processor may
 * gather writes, and send them later and in another order. It keeps that whatever the protection
 * becomes. */
uint64_t paging_device_entry(paddr_t frame, uint32_t prot, bool combines);
/* The entry of a frame of the kernel's, in which the processor notes that it has used it, if it
 * can: its removal needs no flush before that. Nothing but the processor may change it until it is
 * hidden, because the note may come at any time. */
uint64_t paging_fixed_entry(paddr_t frame, uint32_t prot);
/* The entry that a block stands for at each of its pages. */
uint64_t paging_page_entry(uint64_t entry);

/* A new top-level table with the kernel's half in it; 0 when memory is short. Any context that may
 * take the KMEM lock. */
paddr_t paging_create(struct ledger *payer) MUST_CHECK;
/* The user half must be empty. Any context that may take the FRAMES lock, when no CPU has the
 * tables loaded. */
void paging_destroy(struct ledger *payer, paddr_t root);

/* What a change of a range would find and need; each call adds to it. */
struct paging_survey {
	uint64_t absent; /* pages without an entry */
	bool differs;    /* a page with an entry has another protection */
	size_t tables;   /* to give every absent page an entry: from a pool */
	size_t reserved; /* frames to reserve with blocks */
};
/* fill: the entry the absent pages are to get, of a kind without a frame. A range may be surveyed
 * in parts that paging_step makes. */
void paging_survey(
	paddr_t root, uint64_t start, uint64_t end, uint64_t fill, struct paging_survey *survey);
/* Tables that paging_apply takes from a pool at most, beyond what a survey said, when entries
 * outside the range have gone since. */
#define PAGING_EDGE_TABLES 6u

/* Gives every page of [start, end) that has an entry the protection, and the others, when fill is
 * not 0, an entry: the first absent one fill, then each `step` more than the one before. Blocks
 * that cross an edge must be split or have that protection. Returns whether any access that was
 * possible no longer is. */
bool paging_apply(paddr_t root, uint64_t start, uint64_t end, uint32_t prot, uint64_t fill,
	uint64_t step, struct table_pool *pool) MUST_CHECK;

/* The entry the processor would find for an address, at whatever level its walk ends. Level 1 has
 * the entries of pages; one of level 2 covers LARGE_PAGE_SIZE, which is what a table of level 1
 * covers. */
uint64_t *paging_find(paddr_t root, uint64_t address, unsigned *level);
/* Whether one look shows that the range has no entries, as one that was only reserved. */
bool paging_empty(paddr_t root, uint64_t start, uint64_t end);
/* Gives an entry of a 4 KiB table that has no frame one; paging_note_resident follows, once for
 * several of one table. */
void paging_populate(uint64_t *slot, uint64_t entry);
void paging_note_resident(const uint64_t *slot, size_t count);
/* A committed block of a directory becomes 2 MiB of memory, if there is a frame that size. */
bool paging_populate_large(uint64_t *slot);

/* Puts a table in the place of a block of the level. False: it is bare and memory is short. payer:
 * charged then; for other blocks the table has been charged with them. */
bool paging_split_entry(uint64_t *slot, unsigned level, struct ledger *payer) MUST_CHECK;

/* Where a step of a long walk from start ends, at end or between two entries of a higher table:
 * after so many tables of 4 KiB pages and blocks. */
uint64_t paging_step(paddr_t root, uint64_t start, uint64_t end, unsigned tables);

/* Removal takes two steps with a TLB flush in between. hide makes all entries of [start, end), and
 * the tables they leave empty, invisible to the processor. clear then frees the frames and tables
 * and gives reservations back. The lock is kept between the two. No block may cross an edge. */
bool paging_hide(
	paddr_t root, uint64_t start, uint64_t end) MUST_CHECK; /* whether a flush is needed */
struct paging_cleared {
	size_t resident; /* pages that had a frame */
	size_t charged;  /* pages that were charged: committed ones, and demand-zero ones touched */
	size_t tables;
	size_t tables_reserved; /* with blocks */
};
void paging_clear(paddr_t root, uint64_t start, uint64_t end, struct paging_cleared *cleared);

/* The pages around an address that are alike: of one state (enum capos_region_state) and
 * protection. */
struct paging_run {
	uint64_t start, end; /* so far */
	uint32_t state, prot;
	uint64_t resident; /* pages that have a frame */
};
void paging_run_begin(paddr_t root, uint64_t address, struct paging_run *run);
/* Lengthens the run within [low, high), by so many tables or entries at most. Returns whether it is
 * whole. */
bool paging_run_extend(paddr_t root, uint64_t low, uint64_t high, unsigned pieces,
	struct paging_run *run) MUST_CHECK;

#include "arch/impl/paging.h"

#endif
