/*
 * What the race detector has of the system: memory, a spin lock, and the end of the program.
 */
#include "race.h"

#define CHUNK (1ull << 20)
#define CLASSES 40
#define SMALLEST 5 /* log2 */
#define SPINS 64
#define STATUS_DEAD 2

static race_host_function *host_function;
static struct race_lock memory_lock;

/* By log2 of the size; a block's first word is the next block. */
static u64 zeroed_lists[CLASSES], dirty_lists[CLASSES];
static u64 chunk, chunk_left;

void __race_set_host(race_host_function *host, const char *const *variables)
{
	host_function = host;
	race_options(variables);
}

u64 race_host(enum race_host_op op, u64 a, u64 b)
{
	return host_function(op, a, b);
}

void race_die(const char *why)
{
	size_t length = 0;

	while (why[length])
		length++;
	race_host(RACE_HOST_WRITE, (u64)why, length);
	race_host(RACE_HOST_EXIT, STATUS_DEAD, 0);
	__builtin_trap();
}

void race_spin(u32 *spins)
{
	if (++*spins % SPINS == 0)
		race_host(RACE_HOST_YIELD, 0, 0);
	else
		__builtin_ia32_pause();
}

void race_lock(struct race_lock *lock)
{
	u32 spins = 0;

	while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED))
			race_spin(&spins);
}

void race_unlock(struct race_lock *lock)
{
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

u64 race_map(enum race_host_op op, u64 size)
{
	u64 memory = race_host(op, size, 0);

	if (!memory)
		race_die("race: no memory is left for the race detector\n");
	return memory;
}

static u32 size_class(size_t size)
{
	u32 class = SMALLEST;

	if (size > 1ull << SMALLEST)
		class = 64 - (u32)__builtin_clzll(size - 1);
	return class;
}

size_t race_alloc_size(size_t size)
{
	return 1ull << size_class(size);
}

/* The caller has the lock. What is left of a chunk that is too small is lost. */
static u64 take(u64 *lists, u32 class)
{
	u64 size = 1ull << class, block = lists[class];

	if (block) {
		lists[class] = *(u64 *)block;
		return block;
	}
	if (size >= CHUNK / 8)
		return race_map(RACE_HOST_MAP, size);
	if (chunk_left < size) {
		chunk = race_map(RACE_HOST_MAP, CHUNK);
		chunk_left = CHUNK;
	}
	block = chunk;
	chunk += size;
	chunk_left -= size;
	return block;
}

static void *alloc_from(u64 *lists, size_t size)
{
	u64 block;

	race_lock(&memory_lock);
	block = take(lists, size_class(size));
	race_unlock(&memory_lock);
	*(u64 *)block = 0;
	return (void *)block;
}

static void free_to(u64 *lists, void *memory, size_t size)
{
	u32 class = size_class(size);

	race_lock(&memory_lock);
	*(u64 *)memory = lists[class];
	lists[class] = (u64)memory;
	race_unlock(&memory_lock);
}

void *race_alloc(size_t size)
{
	return alloc_from(zeroed_lists, size);
}

void *race_alloc_dirty(size_t size)
{
	return alloc_from(dirty_lists, size);
}

void race_free(void *memory, size_t size)
{
	u64 *words = memory, count = race_alloc_size(size) / 8;

	for (u64 i = 0; i < count; i++)
		words[i] = 0;
	free_to(zeroed_lists, memory, size);
}

void race_free_dirty(void *memory, size_t size)
{
	free_to(dirty_lists, memory, size);
}
