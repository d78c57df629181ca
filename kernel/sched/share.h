/* Shares: what each process has of a CPU.
 *
 * Run time and fairness belong to the process. For each CPU a process has a share: the threads of
 * it that wait there, and the time that it has had there, which stays when its threads end or
 * sleep. So neither new threads nor threads that take turns gain a process anything. A run queue
 * is an order of shares by that time; inside a share the threads are in the order of theirs.
 *
 * The share of the thread that runs is the one served. It is not in the order, so where the
 * threads of one process are all there is, nothing is done for shares but a comparison.
 *
 * A share that begins to compete is placed at most SHARE_CREDIT before the least advanced one; its
 * time is never set back otherwise. So between two moments a process has at most what a process
 * has that computes all the time, plus the credit and a slice. The credit is a slice because the
 * least time stands still for so long: a process that has used less than its part meanwhile is
 * still behind every other when it wakes.
 *
 * No function here knows a clock or a CPU: tests/host/sched tests them. Callers hold the queue's
 * lock. */
#ifndef CAPOS_SCHED_SHARE_H
#define CAPOS_SCHED_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/percpu.h"
#include "core/rbtree.h"

/* Run queues; docs/abi.md, Scheduling, says what programs may expect of them. */
#define SLICE_NS 4000000ul
#define SHARE_CREDIT_NS SLICE_NS
#define WAKE_CREDIT_NS 2000000ul
#define WAKE_MARGIN_NS 500000ul

/* A cache line. Guarded by the lock of the CPU's run queue. */
struct share {
	struct rbtree threads; /* that wait, by virtual run time */
	struct rbnode node;    /* among run_queue.shares: has threads that wait and is not served */
	uint64_t had_ns; /* what the process has had of the CPU, in the queue's virtual time */
	uint64_t least_vruntime_ns; /* of its threads */
	uint32_t count;             /* threads that wait */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct share) == 64, "one cache line");

extern struct share kernel_shares[]; /* of the kernel's own threads */

/* Times are compared by their difference: a new queue's least time is 0, and credit goes below
 * it. */
static inline bool is_behind(uint64_t time_ns, uint64_t other_ns)
{
	return (int64_t)(time_ns - other_ns) < 0;
}

/* Charges the share served for the time up to now, once. Only while a thread of it runs, or when
 * it has just stopped: not necessary before another has begun or the CPU idles. */
static inline void share_charge(struct run_queue *run, uint64_t now)
{
	uint64_t since = run->charged_ns;
	if (is_behind(now, since))
		return; /* another CPU charged it up to a later time, or another share pays for this
		         */
	run->served->had_ns += now - since;
	run->charged_ns = now;
}

/* The share, which is not the one served, has its first waiting thread. busy: a thread of the
 * share served runs, and has been charged. */
void share_begin(struct run_queue *run, struct share *share, bool busy);
/* The share's last waiting thread was taken by another CPU. */
void share_withdraw(struct run_queue *run, struct share *share);
/* Chooses the share to serve where shares compete: the one served if it has a thread and is not
 * behind its turn. turn_over: its slice has ended, or it gives the rest away; else it stays until
 * another is WAKE_MARGIN behind it. */
void share_choose(struct run_queue *run, uint64_t now, bool turn_over);
/* The share, which is not the one served, pays for the time up to now instead of that one. */
void share_bill(struct run_queue *run, struct share *share, uint64_t now);
/* The share, which is not the one served, makes good for so much time that that one loses by it. */
void share_compensate(struct run_queue *run, struct share *share, uint64_t ns);
/* The share served, if it is the only one with a thread to run, goes behind the next. */
void share_yield(struct run_queue *run, uint64_t now);

/* Whether a share that waits takes the CPU from the one served at once. */
static inline bool share_takes(const struct run_queue *run, const struct share *share)
{
	return (int64_t)(run->served->had_ns - share->had_ns) > (int64_t)WAKE_MARGIN_NS;
}

#endif
