/* The ledger of a process: what it is charged, and its limit. Charged are the pages it commits, and
 * the frames that the kernel needs because of it: page tables, slabs of records, buffers. It is an
 * object of its own because a memory object charges its creator for its whole life, which may be
 * longer than the creator's. The last user frees it. All operations are atomic, in any context. The
 * machine's own count, of reserved frames, is in mm/frame.h.
 *
 * The ledger of a process that another one started is made out of that one's. Its whole limit is
 * charged to the parent while it exists; or it is shared, and the parent is charged along with it.
 *
 * frame_alloc and kmem_alloc charge kernel memory, with the ledger as their payer. Callers charge
 * themselves what they take together with committed pages, and threads, and allocate PREPAID. */
#ifndef CAPOS_MM_LEDGER_H
#define CAPOS_MM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "mm/kmem.h"

#define LEDGER_DEPTH_MAX CAPOS_PROCESS_DEPTH_MAX

struct ledger {
	/* Set at creation, never changed. */
	uint64_t limit_pages;  /* 0: none of its own */
	struct ledger *parent; /* referenced, and pays for this record; NULL: the kernel does */
	struct ledger *along;  /* the parent of a shared one, else NULL */
	uint32_t depth;        /* ledgers above it */

	/* Atomic. */
	uint32_t references;
	uint64_t charged_pages, peak_pages;
	uint64_t kernel_pages; /* of charged_pages: the kernel's, without what threads cost */
	struct kmem_pool pool; /* the records among it */
};

/* One reference; NULL when memory is short. */
struct ledger *ledger_create(uint64_t limit_pages);
/* One reference. Fails with NO_MEMORY when memory is short or the parent cannot be charged, with
 * LIMIT_REACHED at LEDGER_DEPTH_MAX. A ledger that is not shared has a limit. */
status_t ledger_create_child(
	struct ledger *parent, uint64_t limit_pages, bool shared, struct ledger **child) MUST_CHECK;
struct ledger *ledger_retain(struct ledger *ledger);
/* With the last reference all must have been uncharged. A thread. */
void ledger_release(struct ledger *ledger);

/* Who pays for the records of a process: the kernel for a program of the boot image, because there
 * is one of each, else the process. */
static inline struct ledger *ledger_of_records(struct ledger *ledger)
{
	return ledger->parent ? ledger : KERNEL_PAYS;
}

/* Charges pages of the program and of the kernel. Fails and changes nothing when the limit would be
 * exceeded. */
bool ledger_charge(struct ledger *ledger, uint64_t pages, uint64_t kernel) MUST_CHECK;
void ledger_uncharge(struct ledger *ledger, uint64_t pages, uint64_t kernel);

#endif
