/* Quotas of CPU time: so many thousandths of one CPU, on all CPUs together, over QUOTA_PERIOD_NS.
 *
 * What a process has used is put in terms of time: paid_ns is when it will have had a right to all
 * that it has had. It is above the present for a process that has used too much. Such a process's
 * threads stop on their way to user mode, until that time is half a period ago. So a thread stops
 * with nothing of the kernel's held, what it has used too much is made up for, and time that was
 * not used is kept for one period only.
 *
 * A quota is charged with that of the parent, where it is made as a shared one (mm/ledger.h). Any
 * context. */
#ifndef CAPOS_SCHED_QUOTA_H
#define CAPOS_SCHED_QUOTA_H

#include <stdint.h>

#define QUOTA_PERIOD_NS 20000000ul
/* After so long a thread is looked at whose process has nothing left. */
#define QUOTA_STEP_NS 20000ul

struct quota {
	/* Set before the first thread runs, never changed. */
	struct quota *along;   /* the parent's, of a shared one; NULL: none */
	uint32_t limit;        /* thousandths of a CPU; 0: none of its own */
	const uint32_t *given; /* of these, what children have been given; atomic */

	/* Atomic. */
	uint64_t paid_ns;
	uint64_t stops; /* of threads */
};

/* Whether there is a limit, its own or one along with which it is charged. */
static inline const struct quota *quota_limited(const struct quota *quota)
{
	while (quota && !quota->limit)
		quota = quota->along;
	return quota;
}

/* Charges time that was had up to now. Returns how much more there is: 0: none. */
uint64_t quota_charge(struct quota *quota, uint64_t now_ns, uint64_t had_ns);
/* When a thread that leaves the kernel now may go on; 0: at once. */
uint64_t quota_stop(struct quota *quota, uint64_t now_ns);

#endif
