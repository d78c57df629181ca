/* Spinlocks. The kernel runs with interrupts off, so a lock is held for a bounded time and needs no
 * interrupt state. A CPU that waits for a lock serves pending TLB shootdowns, because the holder
 * may wait for its answer.
 *
 * The first CPU that finds the lock free gets it, until one has waited long. That CPU then claims
 * the lock and is the only one that can take it next. A strict order of arrival would cost much
 * where CPUs are themselves scheduled, as in a virtual machine. Without any order, one CPU that
 * takes the lock again and again could keep the others out for good.
 *
 * Every lock has a rank from lock_ranks.def; a CPU may only take locks of a higher rank than those
 * it holds. Debug kernels check each acquisition.
 *
 * A function that relies on its caller's lock says so by its name, which ends in _locked, or in its
 * comment, and asserts it. Debug kernels check that too, and tidy that the assertion is there.
 *
 * Any context, with interrupts off: no handler can then ask for a lock that its own CPU has. A
 * thread does not block and does not reach a preemption point while it holds one. */
#ifndef CAPOS_CORE_LOCK_H
#define CAPOS_CORE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/log.h"

enum lock_rank {
#define LOCK_RANK(name, reason) LOCK_RANK_##name,
#include "core/lock_ranks.def"
#undef LOCK_RANK
	LOCK_RANKS
};

struct spinlock {
	union {
		uint32_t word; /* 0: any CPU may take it */
		struct {
			uint16_t locked;
			uint16_t claimed; /* a waiter is the next */
		};
	};
	uint16_t rank;
	uint16_t owner; /* CPU number + 1 while held; debug kernels check it */
};

#define SPINLOCK_INIT(name) { { 0 }, LOCK_RANK_##name, 0 }

static inline void spin_init(struct spinlock *lock, enum lock_rank rank)
{
	*lock = (struct spinlock){ .rank = (uint16_t)rank };
}

#ifdef CAPOS_HOST_TEST
static inline void spin_lock(struct spinlock *lock)
{
	lock->locked++;
}
static inline void spin_unlock(struct spinlock *lock)
{
	lock->locked--;
}
static inline bool spin_held(const struct spinlock *lock)
{
	return lock->locked != 0;
}
static inline void assert_held(const struct spinlock *lock)
{
	ASSERT(spin_held(lock));
}
static inline void assert_none_held(void)
{
}
static inline void assert_may_take(enum lock_rank rank)
{
	(void)rank;
}
#else
#ifdef CAPOS_EXPLORE
/* Any context. A CPU has looked at a taken lock so often. Provided by proc/explore.c. */
void explore_lock_waits(uint32_t looks);
#else
#define EXPLORE_POINT() ((void)0) /* core/turns.h */
static inline void explore_lock_waits(uint32_t looks)
{
	(void)looks;
}
#endif
void spin_lock_slow(struct spinlock *lock);
#ifdef CAPOS_DEBUG
void lock_check_acquire(struct spinlock *lock);
void lock_check_release(struct spinlock *lock);
/* Stop the machine unless this CPU has the lock, has none at all, or has none that forbids to take
 * one of the rank. A CPU that reports a panic passes. */
void assert_held(const struct spinlock *lock);
void assert_none_held(void);
void assert_may_take(enum lock_rank rank);
#else
static inline void lock_check_acquire(struct spinlock *lock)
{
	(void)lock;
}
static inline void lock_check_release(struct spinlock *lock)
{
	(void)lock;
}
static inline void assert_held(const struct spinlock *lock)
{
	(void)lock;
}
static inline void assert_none_held(void)
{
}
static inline void assert_may_take(enum lock_rank rank)
{
	(void)rank;
}
#endif

static inline void spin_lock(struct spinlock *lock)
{
	uint32_t free = 0;

	if (!__atomic_compare_exchange_n(
		    &lock->word, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		spin_lock_slow(lock);
	lock_check_acquire(lock);
}

static inline void spin_unlock(struct spinlock *lock)
{
	lock_check_release(lock);
	__atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
	EXPLORE_POINT(); /* after it, besides: what comes next relied on the lock */
}
#endif

#endif
