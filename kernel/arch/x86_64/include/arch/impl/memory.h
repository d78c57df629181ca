/* See arch/memory.h. Eight bytes at a time with `rep`, which is one instruction a word: the cost
 * that matters in instruction-exact measurement and good enough on hardware for the kernel's small
 * copies. */
#ifndef CAPOS_ARCH_IMPL_MEMORY_H
#define CAPOS_ARCH_IMPL_MEMORY_H

static inline void bytes_copy(void *to, const void *from, size_t size)
{
	size_t words = size / 8, tail = size % 8;
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(tail) : : "memory");
}

static inline void words_fill(void *to, uint64_t word, size_t count)
{
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(word) : "memory");
}

static inline void bytes_fill(void *to, uint8_t byte, size_t size)
{
	uint64_t pattern = 0x0101010101010101ul * byte;
	size_t words = size / 8, tail = size % 8;
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(tail) : "a"(pattern) : "memory");
}

#endif
