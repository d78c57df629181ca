/* Explore builds alone, before every file (kernel.mk): points at which a seed may let other CPUs go
 * first. QEMU runs several CPUs in turns when it counts instructions, and the instruction `pause`
 * ends a turn (sched/explore.h). Each atomic operation is such a point, because what one CPU does
 * between two of them is what others may see half done; a lock is taken and released by atomic
 * operations.
 *
 * The macros have the names of the compiler's functions, so that no source says it twice. They do
 * not stand for themselves again inside their own text. */
#ifndef CAPOS_CORE_TURNS_H
#define CAPOS_CORE_TURNS_H

#ifndef __ASSEMBLER__
#include <stdbool.h>

/* Whether a seed chooses such turns now. */
extern bool explore_races;
/* Any context. Ends the turn if the seed says so. Provided by proc/explore.c, whose own atomic
 * operations are no points. */
void explore_race(void);

/* Any context. */
static inline bool explore_chooses_turns(void)
{
	return __atomic_load_n(&explore_races, __ATOMIC_RELAXED);
}

#define EXPLORE_POINT() (__builtin_expect(explore_chooses_turns(), 0) ? explore_race() : (void)0)

#ifndef CAPOS_EXPLORE_ITSELF
#define __atomic_load_n(...) (EXPLORE_POINT(), __atomic_load_n(__VA_ARGS__))
#define __atomic_store_n(...) (EXPLORE_POINT(), __atomic_store_n(__VA_ARGS__))
#define __atomic_exchange_n(...) (EXPLORE_POINT(), __atomic_exchange_n(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (EXPLORE_POINT(), __atomic_compare_exchange_n(__VA_ARGS__))
#define __atomic_fetch_add(...) (EXPLORE_POINT(), __atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_sub(...) (EXPLORE_POINT(), __atomic_fetch_sub(__VA_ARGS__))
#define __atomic_fetch_and(...) (EXPLORE_POINT(), __atomic_fetch_and(__VA_ARGS__))
#define __atomic_fetch_or(...) (EXPLORE_POINT(), __atomic_fetch_or(__VA_ARGS__))
#define __atomic_add_fetch(...) (EXPLORE_POINT(), __atomic_add_fetch(__VA_ARGS__))
#define __atomic_sub_fetch(...) (EXPLORE_POINT(), __atomic_sub_fetch(__VA_ARGS__))
#define __atomic_and_fetch(...) (EXPLORE_POINT(), __atomic_and_fetch(__VA_ARGS__))
#define __atomic_or_fetch(...) (EXPLORE_POINT(), __atomic_or_fetch(__VA_ARGS__))
#define __atomic_thread_fence(...) (EXPLORE_POINT(), __atomic_thread_fence(__VA_ARGS__))
#endif
#endif

#endif
