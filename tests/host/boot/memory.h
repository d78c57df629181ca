/* A machine's physical memory for host tests: one block of the exact size, so that a sanitizer sees
 * any access outside, and helpers that write tables and tags into it. */
#ifndef TEST_BOOT_MEMORY_H
#define TEST_BOOT_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Makes new memory from address 0 on, all zero, in place of the old. */
uint8_t *memory_new(size_t size);
void memory_free(void);

/* A growing block of bytes. */
struct bytes {
	uint8_t data[4096];
	uint32_t size;
};
void bytes_add(struct bytes *bytes, uint64_t value, unsigned size);
void bytes_align(struct bytes *bytes, uint32_t alignment);

#endif
