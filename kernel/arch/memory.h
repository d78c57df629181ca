/* Copying and filling memory in the way that is cheapest on this processor. core/string.h has the
 * functions for other code, which check what they touch; these check nothing. Any context. */
#ifndef CAPOS_ARCH_MEMORY_H
#define CAPOS_ARCH_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* From the lowest byte up. */
static inline void bytes_copy(void *to, const void *from, size_t size);
static inline void bytes_fill(void *to, uint8_t byte, size_t size);
/* `to` is a multiple of 8. */
static inline void words_fill(void *to, uint64_t word, size_t count);

/* What was copied there is not read from its origin again: for copies of memory that a program
 * may change, of which the compiler knows nothing. */
static inline void copy_is_made(const void *copy)
{
	__asm__ volatile("" : : "r"(copy) : "memory");
}

#include "arch/impl/memory.h"

#endif
