/* See memory.h. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#include "mm/frame.h"

static uint8_t *memory;
static size_t memory_size;

uint8_t *memory_new(size_t size)
{
	free(memory);
	memory = calloc(1, size ? size : 1);
	memory_size = size;
	return memory;
}

void memory_free(void)
{
	free(memory);
	memory = NULL;
	memory_size = 0;
}

/* No code may even ask for an address outside. */
void *phys_to_virt(paddr_t pa)
{
	if (pa > memory_size)
		abort();
	return memory + pa;
}

void bytes_add(struct bytes *bytes, uint64_t value, unsigned size)
{
	memcpy(bytes->data + bytes->size, &value, size);
	bytes->size += size;
}

void bytes_align(struct bytes *bytes, uint32_t alignment)
{
	while (bytes->size % alignment)
		bytes_add(bytes, 0, 1);
}
