/* See quota.h. */
#include "sched/quota.h"

#include <stdbool.h>
#include <stddef.h>

#define WHOLE 1000ul /* thousandths */

/* What the process itself may use. It never stops for good, whatever it gives away. */
static uint64_t rate_of(const struct quota *quota)
{
	uint32_t given = __atomic_load_n(quota->given, __ATOMIC_RELAXED);
	return given < quota->limit ? quota->limit - given : 1;
}

/* Of one level. The time that is left, in CPU time. */
static uint64_t charge(struct quota *quota, uint64_t now_ns, uint64_t had_ns)
{
	uint64_t rate = rate_of(quota), cost = had_ns * WHOLE / rate, paid;
	uint64_t earliest = now_ns > QUOTA_PERIOD_NS ? now_ns - QUOTA_PERIOD_NS : 0;
	uint64_t old = __atomic_load_n(&quota->paid_ns, __ATOMIC_RELAXED);
	do
		paid = (old < earliest ? earliest : old) + cost;
	while (!__atomic_compare_exchange_n(
		&quota->paid_ns, &old, paid, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return paid < now_ns ? (now_ns - paid) * rate / WHOLE : 0;
}

uint64_t quota_charge(struct quota *quota, uint64_t now_ns, uint64_t had_ns)
{
	uint64_t least = UINT64_MAX;
	for (; quota; quota = quota->along) {
		uint64_t left = quota->limit ? charge(quota, now_ns, had_ns) : UINT64_MAX;
		if (left < least)
			least = left;
	}
	return least;
}

uint64_t quota_stop(struct quota *quota, uint64_t now_ns)
{
	uint64_t until_ns = 0;
	for (struct quota *level = quota; level; level = level->along) {
		uint64_t paid = __atomic_load_n(&level->paid_ns, __ATOMIC_RELAXED);
		if (!level->limit || paid < now_ns)
			continue;
		__atomic_fetch_add(&level->stops, 1, __ATOMIC_RELAXED);
		if (paid + QUOTA_PERIOD_NS / 2 > until_ns)
			until_ns = paid + QUOTA_PERIOD_NS / 2;
	}
	return until_ns;
}
