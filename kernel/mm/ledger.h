/* The ledger of a process: what it is charged, and its limit. Charged are the pages it commits, and
 * the frames that the kernel needs because of it: page tables, slabs of records, buffers. It is an
 * object of its own because a memory object charges its creator for its whole life, which may be
 * longer than the creator's. The last user frees it. All operations are atomic, in any context. The
 * machine's own count, of reserved frames, is in mm/frame.h.
 *
 * frame_alloc and kmem_alloc charge kernel memory, with the ledger as their payer. Callers charge
 * themselves what they take together with committed pages, and threads, and allocate PREPAID. */
#ifndef CAPOS_MM_LEDGER_H
#define CAPOS_MM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "mm/kmem.h"

struct ledger {
	uint32_t references;
	uint64_t limit_pages; /* 0: none but the machine's. Never changed. */
	uint64_t charged_pages, peak_pages;
	uint64_t kernel_pages; /* of charged_pages: the kernel's, without what threads cost */
	struct kmem_pool pool; /* the records among it */
};

/* One reference; NULL when memory is short. */
struct ledger *ledger_create(uint64_t limit_pages);
struct ledger *ledger_retain(struct ledger *ledger);
/* With the last reference all must have been uncharged. */
void ledger_release(struct ledger *ledger);

/* Charges pages of the program and of the kernel. Fails and changes nothing when the limit would be
 * exceeded. */
bool ledger_charge(struct ledger *ledger, uint64_t pages, uint64_t kernel) MUST_CHECK;
void ledger_uncharge(struct ledger *ledger, uint64_t pages, uint64_t kernel);

#endif
