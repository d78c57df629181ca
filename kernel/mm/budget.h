/* Budgets of what is counted: threads, capabilities, calls that are outstanding, and thousandths of
 * a CPU, which the process's quota uses (sched/quota.h). A process has one of each in its ledger
 * (mm/ledger.h), which has memory's itself.
 *
 * A budget is made out of that of the parent. Its whole limit is taken there while it exists; or it
 * is shared, with a limit of its own or none, and the parent's is charged along with it. So a chain
 * of budgets ends at the first that is not shared. models/budget.pml models it. All operations are
 * atomic, in any context. */
#ifndef CAPOS_MM_BUDGET_H
#define CAPOS_MM_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include <capos/abi.h>

#include "capos_kernel/status.h"

#define BUDGET_UNLIMITED UINT32_MAX

#define BUDGET_COUNT (CAPOS_BUDGET_CPU + 1u)
#define BUDGETS_COUNTED (BUDGET_COUNT - 1u) /* those but memory's, which is the first */

/* What a ledger is made with (mm/ledger.h). */
struct ledger_limits {
	uint64_t pages;                   /* 0: none of its own */
	uint32_t counts[BUDGETS_COUNTED]; /* by enum capos_budget, without memory; likewise */
	uint32_t shared;                  /* bit for each that is only a ceiling */
};

struct budget {
	/* Set at creation, never changed. */
	struct budget *along; /* the parent's, of a shared one; else NULL */
	uint32_t limit;       /* BUDGET_UNLIMITED: none of its own */

	/* Atomic. */
	uint32_t used; /* at most limit */
	uint32_t peak;
	uint32_t refused; /* how often the limit was in the way */
};

/* The rest of budget_take: the peak, and the parents. */
bool budget_take_along(struct budget *budget, uint32_t count) MUST_CHECK;
void budget_refuse(struct budget *budget);
void budget_give_along(struct budget *budget, uint32_t count);

/* One level alone. *used: what it has in use after the charge. */
MUST_CHECK static inline bool budget_take_one(struct budget *budget, uint32_t count, uint32_t *used)
{
	uint32_t before = __atomic_load_n(&budget->used, __ATOMIC_RELAXED);
	do {
		if (__builtin_expect(count > budget->limit - before, 0)) {
			budget_refuse(budget);
			return false;
		}
	} while (!__atomic_compare_exchange_n(
		&budget->used, &before, before + count, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	*used = before + count;
	return true;
}

/* Charges the count. Fails and changes nothing when a limit would be exceeded. */
MUST_CHECK static inline bool budget_take(struct budget *budget, uint32_t count)
{
	uint32_t used;
	if (__builtin_expect(!budget_take_one(budget, count, &used), 0))
		return false;
	if (__builtin_expect(budget->along != NULL, 0) ||
		used > __atomic_load_n(&budget->peak, __ATOMIC_RELAXED))
		return budget_take_along(budget, count);
	return true;
}

static inline void budget_give(struct budget *budget, uint32_t count)
{
	__atomic_fetch_sub(&budget->used, count, __ATOMIC_RELAXED);
	if (__builtin_expect(budget->along != NULL, 0))
		budget_give_along(budget->along, count);
}

#endif
