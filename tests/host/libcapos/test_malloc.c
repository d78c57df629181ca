/* The heap over a mocked VirtualMemory: alignment, contents, reuse, exhaustion, misuse. */
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <capos/caps.h>
#include <capos/thread.h>

void *capos_malloc(size_t size);
void *capos_calloc(size_t count, size_t size);
void *capos_realloc(void *block, size_t size);
void *capos_aligned_alloc(size_t alignment, size_t size);
void capos_free(void *block);

struct capos_caps capos_caps;
static uint64_t mapped_bytes;
static uint64_t limit_bytes = UINT64_MAX;
static bool unmap_fails;
static jmp_buf failed;

int64_t capos_virtual_memory_map(
	capos_cap_t cap, uint64_t hint, uint64_t size, uint32_t prot, uint64_t *addr)
{
	void *memory;

	(void)cap, (void)hint, (void)prot;
	if (size > limit_bytes || mapped_bytes > limit_bytes - size)
		return CAPOS_E(NO_MEMORY);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return CAPOS_E(NO_MEMORY);
	mapped_bytes += size;
	*addr = (uintptr_t)memory;
	return 0;
}

int64_t capos_virtual_memory_unmap(capos_cap_t cap, uint64_t addr, uint64_t size)
{
	(void)cap;
	if (unmap_fails)
		return CAPOS_E(NO_MEMORY);
	mapped_bytes -= size;
	return munmap((void *)addr, size);
}

void capos_mutex_lock(struct capos_mutex *mutex)
{
	mutex->state++;
}

void capos_mutex_unlock(struct capos_mutex *mutex)
{
	mutex->state--;
}

uint64_t capos_auxiliary(uint64_t type)
{
	static const uint64_t random[2] = { 0x1234567890abcdef, 0 };

	return type == 25 ? (uintptr_t)random : 0;
}

void fail(const char *message)
{
	(void)message;
	longjmp(failed, 1);
}

static int failures;

static void report(const char *name, bool good)
{
	printf("%s libcapos %s\n", good ? "ok" : "FAIL", name);
	failures += !good;
}

static bool filled(const unsigned char *block, size_t size, unsigned char byte)
{
	for (size_t i = 0; i < size; i++) {
		if (block[i] != byte)
			return false;
	}
	return true;
}

/* Random allocations. Each is filled with a byte of its own, which must still be there when it is
 * freed. */
static bool test_contents(void)
{
	enum { SLOTS = 300 };
	static unsigned char *blocks[SLOTS];
	static size_t sizes[SLOTS];
	uint64_t state = 1;

	for (int i = 0; i < 60000; i++) {
		size_t slot, size;

		state = state * 6364136223846793005u + 1442695040888963407u;
		slot = (state >> 33) % SLOTS;
		size = (state >> 40) % ((state >> 20) % 8 == 0 ? 100000 : 600);
		if (blocks[slot] != NULL && !filled(blocks[slot], sizes[slot], (unsigned char)slot))
			return false;
		if (blocks[slot] != NULL && (state >> 50) % 3 == 0) {
			size_t kept = size < sizes[slot] ? size : sizes[slot];

			blocks[slot] = capos_realloc(blocks[slot], size);
			if (!filled(blocks[slot], kept, (unsigned char)slot))
				return false;
		} else {
			capos_free(blocks[slot]);
			blocks[slot] = (state >> 55) % 4 == 0
				? capos_aligned_alloc(1u << (state >> 58) % 13, size)
				: capos_malloc(size);
		}
		if (blocks[slot] == NULL || ((uintptr_t)blocks[slot] & 15) != 0)
			return false;
		memset(blocks[slot], (int)slot, size);
		sizes[slot] = size;
	}
	for (size_t slot = 0; slot < SLOTS; slot++)
		capos_free(blocks[slot]);
	return true;
}

static bool test_reuse(void)
{
	uint64_t before;

	for (int i = 0; i < 2; i++) {
		before = mapped_bytes;
		for (int k = 0; k < 10000; k++)
			capos_free(capos_malloc(1 + (size_t)k % 50000));
	}
	return mapped_bytes == before;
}

static bool test_alignment(void)
{
	for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2) {
		unsigned char *block = capos_aligned_alloc(alignment, 100);

		if (block == NULL || ((uintptr_t)block & (alignment - 1)) != 0)
			return false;
		memset(block, 1, 100);
		block = capos_realloc(block, 300);
		if (!filled(block, 100, 1))
			return false;
		capos_free(block);
	}
	return capos_aligned_alloc(24, 100) == NULL && capos_aligned_alloc(0, 100) == NULL;
}

static bool test_calloc(void)
{
	unsigned char *block = capos_malloc(1000);

	memset(block, 0xff, 1000);
	capos_free(block);
	block = capos_calloc(10, 100);
	return filled(block, 1000, 0) && capos_calloc(SIZE_MAX / 2, 3) == NULL;
}

static bool test_exhaustion(void)
{
	void *kept = capos_malloc(100), *small = kept;
	bool good;

	limit_bytes = mapped_bytes;
	good = capos_malloc(1 << 20) == NULL && capos_malloc(SIZE_MAX) == NULL &&
		capos_malloc(SIZE_MAX - 20) == NULL;
	good &= capos_aligned_alloc(4096, SIZE_MAX - 4096) == NULL && errno == EINVAL;
	while (small != NULL)
		small = capos_malloc(30000);
	good &= errno == ENOMEM;
	limit_bytes = UINT64_MAX;
	small = capos_malloc(30000);
	good &= small != NULL;
	capos_free(kept);
	return good;
}

/* A little memory is left. Memory that is given out must be mapped, whatever requests failed
 * before. */
static bool test_pressure(void)
{
	enum { BLOCKS = 64 };
	static const size_t sizes[] = { 200, 9000, 30000, 3000 };
	unsigned char *blocks[BLOCKS];
	size_t count = 0;

	/* The arena's rest and all free blocks are used up first. */
	limit_bytes = mapped_bytes;
	for (size_t size = 32768; size >= 16; size -= 16) {
		while (capos_malloc(size) != NULL)
			;
	}
	limit_bytes = mapped_bytes + 160 * 1024;
	for (; count < BLOCKS; count++) {
		size_t size = sizes[count % 4];

		blocks[count] = capos_malloc(size);
		if (blocks[count] == NULL)
			break;
		memset(blocks[count], (int)count, size);
	}
	limit_bytes = UINT64_MAX;
	for (size_t i = 0; i < count; i++) {
		if (!filled(blocks[i], sizes[i % 4], (unsigned char)i))
			return false;
		capos_free(blocks[i]);
	}
	return count >= 8 && count < BLOCKS;
}

/* The system may be unable to take a mapping back. The heap then uses it again, cleared where that
 * is asked for, and gives it back later. */
static bool test_unmap_fails(void)
{
	uint64_t before = mapped_bytes, most;
	unsigned char *large = capos_malloc(500000), *small = capos_malloc(100000), *block;
	bool good;

	memset(large, 0xff, 500000);
	memset(small, 0xff, 100000);
	if (setjmp(failed) != 0)
		return false;
	unmap_fails = true;
	capos_free(large);
	capos_free(small);
	most = mapped_bytes;
	block = capos_calloc(90000, 1);
	good = block == small && filled(block, 90000, 0);
	capos_free(block);
	block = capos_malloc(200000);
	good &= block == large && mapped_bytes == most;
	unmap_fails = false;
	capos_free(block);
	return good && mapped_bytes == before;
}

static bool caught(void *first, void *second)
{
	if (setjmp(failed) != 0)
		return true;
	capos_free(first);
	capos_free(second);
	return false;
}

static bool test_misuse(void)
{
	static uint64_t not_a_block[8] __attribute__((aligned(16)));
	char *block = capos_malloc(100);
	bool good = caught(block, block);
	char *aligned = capos_aligned_alloc(1024, 100);

	good &= caught(aligned, aligned);
	unmap_fails = true;
	block = capos_malloc(100000);
	good &= caught(block, block);
	unmap_fails = false;
	good &= caught(NULL, not_a_block + 4);
	block = capos_malloc(100);
	good &= caught(NULL, block + 16) && caught(NULL, block + 8);
	block = capos_malloc(16);
	memset(block, 0, 40); /* over the end, into the next header */
	return good;
}

int main(void)
{
	report("heap contents", test_contents());
	report("heap reuse", test_reuse());
	report("heap alignment", test_alignment());
	report("calloc", test_calloc());
	report("heap exhaustion", test_exhaustion());
	report("heap under pressure", test_pressure());
	report("heap when a block cannot be unmapped", test_unmap_fails());
	report("heap misuse is found", test_misuse());
	return failures != 0;
}
