/* The slow half of spinlocks and the debug kernel's checks. models/tlb.pml models that waiting
 * serves TLB requests. */
#include "core/lock.h"

#include "arch/cpu.h"
#include "arch/tlb.h"
#include "core/log.h"
#include "core/percpu.h"

#define LOCKED 1u
#define CLAIMED 0x10000u
/* Reads of a lock before it is claimed. They take longer than nearly all locks stay taken. */
#define PATIENCE_READS 256

void spin_lock_slow(struct spinlock *lock)
{
	bool claimed = false;

	for (uint32_t looks = 0;; looks++) {
		uint32_t seen = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
		bool mine = claimed ? !(seen & LOCKED) : seen == 0;
		bool claim = !claimed && looks >= PATIENCE_READS && seen == LOCKED;
		uint32_t wanted = mine ? LOCKED : LOCKED | CLAIMED;

		if ((mine || claim) &&
			__atomic_compare_exchange_n(&lock->word, &seen, wanted, false,
				__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			if (mine)
				return;
			claimed = true;
		}
		tlb_serve();
		cpu_relax();
		explore_lock_waits(looks);
	}
}

#ifdef CAPOS_DEBUG
static const char *const rank_names[] = {
#define LOCK_RANK(name, reason) #name,
#include "core/lock_ranks.def"
#undef LOCK_RANK
};

/* Two locks of one rank may nest only where a written order decides: run queues, by CPU number. */
void lock_check_acquire(struct spinlock *lock)
{
	struct percpu *cpu = percpu();
	if (cpu->in_panic)
		return;
	if (cpu->held_count) {
		uint16_t top = cpu->held_ranks[cpu->held_count - 1];
		if (lock->rank <= top)
			panic("lock order: %s taken while %s is held", rank_names[lock->rank],
				rank_names[top]);
	}
	VERIFY(cpu->held_count < sizeof cpu->held_ranks / sizeof cpu->held_ranks[0]);
	cpu->held_ranks[cpu->held_count++] = lock->rank;
	lock->owner = (uint16_t)(cpu->id + 1);
}

void lock_check_release(struct spinlock *lock)
{
	struct percpu *cpu = percpu();
	if (cpu->in_panic)
		return;
	VERIFY(lock->owner == cpu->id + 1);
	lock->owner = 0;
	for (uint32_t i = cpu->held_count; i-- > 0;) {
		if (cpu->held_ranks[i] != lock->rank)
			continue;
		for (cpu->held_count--; i < cpu->held_count; i++)
			cpu->held_ranks[i] = cpu->held_ranks[i + 1];
		return;
	}
	panic("lock %s released but not held", rank_names[lock->rank]);
}

void assert_held(const struct spinlock *lock)
{
	const struct percpu *cpu = percpu();
	if (!cpu->in_panic && (!lock->locked || lock->owner != cpu->id + 1))
		panic("lock %s is not held", rank_names[lock->rank]);
}

void assert_may_take(enum lock_rank rank)
{
	const struct percpu *cpu = percpu();
	if (cpu->in_panic || !cpu->held_count)
		return;
	uint16_t top = cpu->held_ranks[cpu->held_count - 1];
	if (rank <= top)
		panic("lock order: %s may be needed while %s is held", rank_names[rank],
			rank_names[top]);
}

void assert_none_held(void)
{
	const struct percpu *cpu = percpu();
	if (!cpu->in_panic && cpu->held_count)
		panic("lock %s is held where none may be",
			rank_names[cpu->held_ranks[cpu->held_count - 1]]);
}
#endif
