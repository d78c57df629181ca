/* The heap: size classes over VirtualMemory.
 *
 * Every block is preceded by a header of 16 bytes that says how large it is and carries a check
 * word made from a random secret and the block's address, so that a wrong pointer or a second free
 * is found at once instead of corrupting the heap. Small blocks (up to 32 KiB) belong to one of 40
 * classes, four to each doubling, each with its own lock and list of free blocks; new ones are cut
 * from an arena that grows by mappings of 64 KiB at first and 1 MiB later. Larger blocks are
 * mappings of their own and go back to the system when freed; one that the system cannot take back
 * for lack of memory of its own is kept for the next request. All memory is committed, so
 * exhaustion gives NULL here and never a fault later. */
#include <stdlib.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <capos/caps.h>
#include <capos/stubs.h>
#include <capos/thread.h>

#include "internal.h"

#define FREED_BYTE 0xdb /* of small blocks, in the libraries of ./capos explore */

#define HEADER_BYTES 16
#define GRANULE_BYTES 16
#define SMALL_MAX_BYTES (32 * 1024)
#define CLASS_COUNT 40
#define ARENA_FIRST_BYTES (64 * 1024)
#define ARENA_GROWTH_MAX_BYTES (1024 * 1024)
#define AT_RANDOM 25

enum block_state {
	BLOCK_SMALL = 1, /* size is the class's */
	BLOCK_LARGE = 2, /* size is what the caller can use; the mapping is that and a page's worth
	                    of header */
	BLOCK_ALIGNED = 3, /* size is the distance back to the block this one lies in */
	BLOCK_FREE = 4,
};

struct block {
	uint64_t size; /* low 56 bits; enum block_state above */
	uint64_t check;
};

struct free_block {
	struct block header;
	struct free_block *next;
};

static struct {
	struct capos_mutex lock;
	struct free_block *free;
} classes[CLASS_COUNT];

/* The arena: memory that is mapped and not yet cut. */
static struct {
	struct capos_mutex lock;
	uintptr_t next;
	uintptr_t end;
	uint64_t growth_bytes;
} arena;

/* Large blocks that are free and could not be unmapped. */
static struct {
	struct capos_mutex lock;
	struct free_block *free;
} kept;

/* Classes 0..7 are 16 to 128 in steps of 16; then each doubling is divided in four. */
static uint32_t class_of(size_t size)
{
	uint32_t log2;

	if (size <= 128)
		return size <= GRANULE_BYTES ? 0 : (uint32_t)((size - 1) / GRANULE_BYTES);
	log2 = 63 - (uint32_t)__builtin_clzl(size - 1);
	return 8 + (log2 - 7) * 4 + (uint32_t)((size - 1) >> (log2 - 2) & 3);
}

static size_t class_size(uint32_t class)
{
	if (class < 8)
		return (class + 1) * GRANULE_BYTES;
	return (size_t)(4 + (class - 8) % 4 + 1) << (5 + (class - 8) / 4);
}

/* The secret comes from the random bytes every program starts with. Racing first callers compute
 * the same value. */
static uint64_t check_word(const struct block *block)
{
	static uint64_t secret;

	if (__atomic_load_n(&secret, __ATOMIC_RELAXED) == 0) {
		const void *bytes = (const void *)capos_auxiliary(AT_RANDOM);
		uint64_t fresh = 0x9e3779b97f4a7c15;

		if (bytes != NULL)
			memcpy(&fresh, bytes, sizeof(fresh));
		__atomic_store_n(&secret, fresh | 1, __ATOMIC_RELAXED);
	}
	return (secret ^ (uintptr_t)block) * 0xff51afd7ed558ccd ^ block->size;
}

static void set_header(struct block *block, enum block_state state, uint64_t size)
{
	block->size = size | (uint64_t)state << 56;
	block->check = check_word(block);
}

static enum block_state state_of(const struct block *block)
{
	return (enum block_state)(block->size >> 56);
}

static uint64_t size_of(const struct block *block)
{
	return block->size & (((uint64_t)1 << 56) - 1);
}

static void *payload(struct block *block)
{
	return block + 1;
}

/* The checked header of a pointer that the program gives back. A pointer inside an aligned
 * allocation leads to the outer block. */
static struct block *block_of(void *pointer)
{
	struct block *block = (struct block *)pointer - 1;

	if (((uintptr_t)pointer & (GRANULE_BYTES - 1)) != 0)
		fail("free or realloc of a pointer that malloc did not return");
	if (block->check != check_word(block))
		fail("free or realloc of a pointer that malloc did not return, or the heap is "
		     "overwritten");
	if (state_of(block) == BLOCK_ALIGNED) {
		block = (struct block *)((char *)block - size_of(block));
		if (block->check != check_word(block))
			fail("the heap is overwritten");
	}
	if (state_of(block) == BLOCK_FREE)
		fail("free or realloc of memory that is free already");
	return block;
}

static void check_free(const struct block *block)
{
	if (state_of(block) != BLOCK_FREE || block->check != check_word(block))
		fail("the heap is overwritten");
}

static void *map(uint64_t size)
{
	uint64_t address;

	if (capos_virtual_memory_map(
		    capos_caps.vm, 0, size, CAPOS_PROT_READ | CAPOS_PROT_WRITE, &address) < 0)
		return NULL;
	return (void *)address;
}

/* Makes room for size bytes. The rest of the old piece is abandoned unless the new one adjoins it.
 * That is at most one class's size each time, and the next piece is larger. */
static bool arena_grow(size_t size)
{
	uint64_t needed = round_up(size, CAPOS_PAGE_SIZE);
	uint64_t growth = arena.growth_bytes != 0 ? arena.growth_bytes : ARENA_FIRST_BYTES;
	uint64_t next_growth = growth < ARENA_GROWTH_MAX_BYTES ? growth * 2 : growth;
	void *piece;

	if (growth < needed)
		growth = needed;
	piece = map(growth);
	if (piece == NULL) {
		/* When memory is short, takes only what is needed, and tries the present size again
		 * the next time. */
		next_growth = arena.growth_bytes;
		growth = needed;
		piece = map(growth);
		if (piece == NULL)
			return false;
	}
	if ((uintptr_t)piece != arena.end)
		arena.next = (uintptr_t)piece;
	arena.end = (uintptr_t)piece + growth;
	arena.growth_bytes = next_growth;
	return true;
}

static struct block *arena_cut(size_t size)
{
	struct block *block = NULL;

	capos_mutex_lock(&arena.lock);
	if (arena.end - arena.next >= size || arena_grow(size)) {
		block = (struct block *)arena.next;
		arena.next += size;
	}
	capos_mutex_unlock(&arena.lock);
	return block;
}

static void *allocate_small(size_t size)
{
	uint32_t class = class_of(size);
	struct block *block;

	capos_mutex_lock(&classes[class].lock);
	block = (struct block *)classes[class].free;
	if (block != NULL) {
		check_free(block);
		classes[class].free = ((struct free_block *)block)->next;
	}
	capos_mutex_unlock(&classes[class].lock);
	if (block == NULL)
		block = arena_cut(HEADER_BYTES + class_size(class));
	if (block == NULL)
		return NULL;
	set_header(block, BLOCK_SMALL, class_size(class));
	return payload(block);
}

/* Takes the smallest kept block of at least size bytes off the list. */
static struct block *take_kept(size_t size)
{
	struct free_block **best = NULL, *block = NULL;

	capos_mutex_lock(&kept.lock);
	for (struct free_block **link = &kept.free; *link != NULL; link = &(*link)->next) {
		check_free(&(*link)->header);
		if (size_of(&(*link)->header) >= size &&
			(best == NULL || size_of(&(*link)->header) < size_of(&(*best)->header)))
			best = link;
	}
	if (best != NULL) {
		block = *best;
		*best = block->next;
	}
	capos_mutex_unlock(&kept.lock);
	return (struct block *)block;
}

/* *zeroed tells whether the memory reads zero, as a fresh mapping does. */
static void *allocate_large(size_t size, bool *zeroed)
{
	struct block *block;
	uint64_t total;

	if (size > CAPOS_USER_TOP)
		return NULL;
	block = take_kept(size);
	*zeroed = block == NULL;
	if (block != NULL) {
		set_header(block, BLOCK_LARGE, size_of(block));
		return payload(block);
	}
	total = round_up(HEADER_BYTES + size, CAPOS_PAGE_SIZE);
	block = map(total);
	if (block == NULL)
		return NULL;
	set_header(block, BLOCK_LARGE, total - HEADER_BYTES);
	return payload(block);
}

static void *allocate(size_t size, bool *zeroed)
{
	void *block;

	*zeroed = false;
	block = size <= SMALL_MAX_BYTES ? allocate_small(size) : allocate_large(size, zeroed);
	if (block == NULL)
		errno = ENOMEM;
	return block;
}

void *malloc(size_t size)
{
	bool zeroed;

	return allocate(size, &zeroed);
}

static void push_free(struct capos_mutex *lock, struct free_block **list, struct block *block)
{
	struct free_block *free = (struct free_block *)block;

	set_header(block, BLOCK_FREE, size_of(block));
	capos_mutex_lock(lock);
	free->next = *list;
	*list = free;
	capos_mutex_unlock(lock);
}

/* Gives the block back to the system, and with it those that could not be given back earlier. The
 * kernel joins mappings that adjoin and look alike. To take one out of the middle it needs memory,
 * and may have none. */
static void free_large(struct block *block)
{
	while (block != NULL) {
		int64_t status = capos_virtual_memory_unmap(
			capos_caps.vm, (uintptr_t)block, HEADER_BYTES + size_of(block));

		if (status == CAPOS_E(NO_MEMORY)) {
			push_free(&kept.lock, &kept.free, block);
			return;
		}
		if (status < 0)
			fail("a large block cannot be unmapped");
		block = take_kept(0);
	}
}

void free(void *pointer)
{
	struct block *block;
	uint32_t class;

	if (pointer == NULL)
		return;
	block = block_of(pointer);
	if (state_of(block) == BLOCK_LARGE) {
		free_large(block);
		return;
	}
	class = class_of(size_of(block));
#ifdef CAPOS_EXPLORE
	/* What still uses it finds no value of its own there, and no pointer to follow. */
	memset(payload(block), FREED_BYTE, size_of(block));
#endif
	push_free(&classes[class].lock, &classes[class].free, block);
}

void *calloc(size_t count, size_t size)
{
	size_t total;
	bool zeroed;
	void *block;

	if (__builtin_mul_overflow(count, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	block = allocate(total, &zeroed);
	if (block != NULL && !zeroed)
		memset(block, 0, total);
	return block;
}

/* How much of the block the pointer's owner can use. */
static size_t usable_size(void *pointer)
{
	struct block *block = block_of(pointer);

	return size_of(block) - (size_t)((char *)pointer - (char *)payload(block));
}

void *realloc(void *pointer, size_t size)
{
	size_t usable;
	void *moved;

	if (pointer == NULL)
		return malloc(size);
	usable = usable_size(pointer);
	/* The block stays while the size fits and at least a quarter of it is used. */
	if (size <= usable && (size >= usable / 4 || usable <= 64))
		return pointer;
	moved = malloc(size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, pointer, size < usable ? size : usable);
	free(pointer);
	return moved;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	uintptr_t outer, inner;

	if (alignment == 0 || (alignment & (alignment - 1)) != 0 ||
		size > SIZE_MAX - alignment - HEADER_BYTES) {
		errno = EINVAL;
		return NULL;
	}
	if (alignment <= GRANULE_BYTES)
		return malloc(size);
	outer = (uintptr_t)malloc(size + alignment + HEADER_BYTES);
	if (outer == 0)
		return NULL;
	if ((outer & (alignment - 1)) == 0)
		return (void *)outer;
	inner = round_up(outer + HEADER_BYTES, alignment);
	set_header((struct block *)inner - 1, BLOCK_ALIGNED, inner - outer);
	return (void *)inner;
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
	if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
		return EINVAL;
	*block = aligned_alloc(alignment, size);
	return *block != NULL ? 0 : ENOMEM;
}
