/* Finds data races, in the kernel that is built for that (kernel.mk): two accesses of the same
 * memory on different CPUs, of which one is a write and one no atomic operation. See kcsan.c. Other
 * kernels have no such cost. */
#ifndef CAPOS_CORE_KCSAN_H
#define CAPOS_CORE_KCSAN_H

#include <stdint.h>

#ifdef CAPOS_KCSAN
/* Boot, when all CPUs run. */
void kcsan_begin(void);
/* Any context. A seed chooses from now on how many accesses lie between two that are watched: up to
 * twice as many as given. 0: it has no say any more. */
void kcsan_seed(uint64_t stream, uint32_t gap);
#else
static inline void kcsan_begin(void)
{
}
static inline void kcsan_seed(uint64_t stream, uint32_t gap)
{
	(void)stream, (void)gap;
}
#endif

#endif
