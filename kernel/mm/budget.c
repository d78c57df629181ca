/* See budget.h; models/budget.pml is the model. */
#include "mm/budget.h"

#include <stddef.h>

#include "core/log.h"

void budget_refuse(struct budget *budget)
{
	__atomic_fetch_add(&budget->refused, 1, __ATOMIC_RELAXED);
}

static void give_one(struct budget *budget, uint32_t count)
{
	uint32_t used = __atomic_fetch_sub(&budget->used, count, __ATOMIC_RELAXED);

	VERIFY(used >= count);
}

/* After the charge, because one that fails further up is no peak. */
static void note_peak(struct budget *budget)
{
	uint32_t now = __atomic_load_n(&budget->used, __ATOMIC_RELAXED);
	uint32_t peak = __atomic_load_n(&budget->peak, __ATOMIC_RELAXED);

	while (now > peak &&
		!__atomic_compare_exchange_n(
			&budget->peak, &peak, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* The budget itself has been charged. */
bool budget_take_along(struct budget *budget, uint32_t count)
{
	uint32_t used;

	for (struct budget *level = budget->along; level; level = level->along) {
		if (budget_take_one(level, count, &used))
			continue;
		for (struct budget *taken = budget; taken != level; taken = taken->along)
			give_one(taken, count);
		return false;
	}
	for (struct budget *level = budget; level; level = level->along)
		note_peak(level);
	return true;
}

void budget_give_along(struct budget *budget, uint32_t count)
{
	for (; budget; budget = budget->along)
		give_one(budget, count);
}
