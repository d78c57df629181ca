/* Memory that is given back at once: see capos/schema.h. */
#include <stdlib.h>
#include <string.h>

#include <capos/schema.h>

#include "internal.h"

#define BLOCK_BYTES 4096

struct capos_memory_block {
	struct capos_memory_block *next;
	uint64_t bytes[];
};

void capos_memory_init(struct capos_memory *memory, void *first, size_t first_size, size_t limit)
{
	*memory = (struct capos_memory){
		.next = first,
		.end = first ? (char *)first + first_size : NULL,
		.first = first,
		.first_size = first_size,
		.limit = limit,
	};
}

/* Room for size bytes in a block of its own, or in one that others share. */
static bool add_block(struct capos_memory *memory, size_t size)
{
	size_t bytes = size > BLOCK_BYTES ? size : BLOCK_BYTES;

	if (bytes > memory->limit - memory->taken)
		bytes = size;
	if (bytes > memory->limit - memory->taken)
		return false;
	struct capos_memory_block *block = malloc(sizeof(*block) + bytes);
	if (!block)
		return false;
	block->next = memory->blocks;
	memory->blocks = block;
	memory->taken += bytes;
	memory->next = (char *)block->bytes;
	memory->end = memory->next + bytes;
	return true;
}

void *capos_memory_take(struct capos_memory *memory, size_t size)
{
	if (size > SIZE_MAX - 7)
		return NULL;
	size = size ? round_up(size, 8) : 8; /* so that nothing is something, too */
	if (size > (size_t)(memory->end - memory->next) && !add_block(memory, size))
		return NULL;
	void *taken = memory->next;
	memory->next += size;
	return memset(taken, 0, size);
}

void capos_memory_reset(struct capos_memory *memory)
{
	while (memory->blocks) {
		struct capos_memory_block *block = memory->blocks;

		memory->blocks = block->next;
		free(block);
	}
	capos_memory_init(memory, memory->first, memory->first_size, memory->limit);
}
