/* The ledger of a process: what it is charged, and its limit. Charged are the pages it commits, and
 * the frames that the kernel needs because of it: page tables, slabs of records, buffers. It is an
 * object of its own because a memory object charges its creator for its whole life, which may be
 * longer than the creator's. The last user frees it. All operations are atomic, in any context.
 *
 * What is charged to a ledger that none above it pays for is taken out of the machine's pages. So
 * the machine has the frames for the whole limit of a ledger from its creation on, whatever others
 * without a limit use. The count of frames that are reserved for committed pages is in mm/frame.h.
 *
 * The ledger of a process that another one started is made out of that one's. Its whole limit is
 * charged to the parent while it exists; or it is shared, and the parent is charged along with it.
 * The ledger has the process's other budgets too, each of which is made in one of these ways
 * (mm/budget.h). What those took out of the parent's goes back when the process has ended, and the
 * memory when the ledger's last reference is gone.
 *
 * frame_alloc and kmem_alloc charge kernel memory, with the ledger as their payer. Callers charge
 * themselves what they take together with committed pages, and threads, and allocate PREPAID. */
#ifndef CAPOS_MM_LEDGER_H
#define CAPOS_MM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "mm/budget.h"
#include "mm/kmem.h"
#include "sched/quota.h"

#define LEDGER_DEPTH_MAX CAPOS_PROCESS_DEPTH_MAX

struct ledger {
	/* Set at creation, never changed. */
	uint64_t limit_pages;  /* 0: none of its own */
	struct ledger *parent; /* referenced, and pays for this record; NULL: the kernel does */
	struct ledger *along;  /* the parent of a shared one, else NULL */
	uint32_t depth;        /* ledgers above it */

	/* Atomic. */
	uint32_t references;
	bool ended; /* the counted budgets have given back what they took out of the parent's */
	uint64_t charged_pages, peak_pages;
	uint64_t refused;      /* how often the limit of pages was in the way */
	uint64_t kernel_pages; /* of charged_pages: the kernel's, without what threads cost */
	struct kmem_pool pool; /* the records among it */
	struct budget counted[BUDGETS_COUNTED];
	struct quota quota; /* of CPU time */
};

/* Of the ledger; not memory's. */
static inline struct budget *ledger_budget(struct ledger *ledger, enum capos_budget kind)
{
	return &ledger->counted[kind - CAPOS_BUDGET_THREADS];
}

/* Boot, while no ledger is charged. How many pages all ledgers together may be charged; until then
 * as many as one likes. */
void ledgers_begin(uint64_t pages);

/* One reference; NULL when memory is short. Without a parent nothing is shared. */
struct ledger *ledger_create(const struct ledger_limits *limits);
/* One reference. Fails with NO_MEMORY when memory is short, with LIMIT_REACHED at LEDGER_DEPTH_MAX,
 * and with the error of the budget of which the parent has not so much left. A ledger of which the
 * memory is not shared has a limit of that. */
status_t ledger_create_child(struct ledger *parent, const struct ledger_limits *limits,
	struct ledger **child) MUST_CHECK;
/* The process has ended, and nothing is charged to the counted budgets any more. */
void ledger_end(struct ledger *ledger);
struct ledger *ledger_retain(struct ledger *ledger);
/* With the last reference all must have been uncharged. A thread. */
void ledger_release(struct ledger *ledger);

/* Who pays for the records of a process: the kernel for a program of the boot image, because there
 * is one of each, else the process. */
static inline struct ledger *ledger_of_records(struct ledger *ledger)
{
	return ledger->parent ? ledger : KERNEL_PAYS;
}

/* Charges pages of the program and of the kernel. Fails and changes nothing when a limit would be
 * exceeded, or the machine has not so many left. */
bool ledger_charge(struct ledger *ledger, uint64_t pages, uint64_t kernel) MUST_CHECK;
void ledger_uncharge(struct ledger *ledger, uint64_t pages, uint64_t kernel);

/* Of each budget, by enum capos_budget. */
void ledger_usage(const struct ledger *ledger, struct capos_budget_usage usage[BUDGET_COUNT]);

#endif
