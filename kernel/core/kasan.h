/* Address checks of the debug kernel: every load and store that the compiler emits is looked up in
 * a shadow of memory, one byte for eight. An access to memory that has no owner is a panic. See
 * kasan.c. Other kernels have no such cost. Any context. */
#ifndef CAPOS_CORE_KASAN_H
#define CAPOS_CORE_KASAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why memory must not be touched. A shadow byte below these values is a count of the open bytes
 * among its eight. */
enum kasan_state {
	KASAN_FREE_FRAME = 0xff,
	KASAN_FREE_OBJECT = 0xfb,
	KASAN_OBJECT_END = 0xfc, /* behind the requested size */
	KASAN_GLOBAL_END = 0xf9,
};

#ifdef CAPOS_KASAN
/* Boot, before the second CPU. shadow is that of the direct map's first shadowed_bytes, cleared.
 * Checks begin. */
void kasan_init(uint8_t *shadow, uint64_t shadowed_bytes);
#define KASAN_SHADOW_RATIO 8u

/* The range begins at a multiple of 8. Poisoning covers whole granules; a partial last one stays
 * unchanged. */
void kasan_poison(const void *start, size_t size_bytes, enum kasan_state state);
/* Opens the last granule as far as the size says. */
void kasan_unpoison(const void *start, size_t size_bytes);
/* For accesses the compiler does not see: those of assembly. */
void kasan_check(const void *start, size_t size_bytes, bool write);
#else
static inline void kasan_poison(const void *start, size_t size_bytes, enum kasan_state state)
{
	(void)start, (void)size_bytes, (void)state;
}

static inline void kasan_unpoison(const void *start, size_t size_bytes)
{
	(void)start, (void)size_bytes;
}

static inline void kasan_check(const void *start, size_t size_bytes, bool write)
{
	(void)start, (void)size_bytes, (void)write;
}
#endif

#endif
