/* A machine for the memory tests: RAM is one host mapping, the processor's page walk and TLB are
 * simulated, and every allocation that may fail can be made to fail.
 *
 * The TLB is the strictest one the architecture allows: it keeps every translation and every table
 * it has walked until it is told to drop them. The test stops when a frame is freed while the TLB
 * still holds it. */
#ifndef TESTS_HOST_MM_HOST_H
#define TESTS_HOST_MM_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mm/aspace.h"
#include "mm/ledger.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("FAIL %s: %s:%d: %s\n", test_name, __FILE__, __LINE__, #condition); \
			fflush(stdout);                                                            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

extern const char *test_name;

/* RAM from 0 to size, all of it given to the allocator except the named ranges. */
void host_memory(size_t size, const struct memory_range *taken, unsigned taken_count);
/* The RAM without an allocator on it, for tests of frames_init. */
void host_arena(size_t size);

/* Makes the n-th allocation from now on that may fail do so (1: the next); 0: none. Returns whether
 * an allocation failed since the last call. */
void host_fail(unsigned countdown);
bool host_failed(void);

/* Reproducible pseudo-random numbers, or a fuzzer's bytes (then 0 for ever after the last). */
void host_seed(uint64_t seed);
void host_bytes(const uint8_t *bytes, size_t size);
bool host_exhausted(void);
uint64_t host_random(void);
/* Below the bound. */
static inline uint64_t host_below(uint64_t bound)
{
	return host_random() % bound;
}

/* The processor reads or writes a word of the space. Faults are handed to aspace_fault. */
enum fault_outcome host_access(
	struct aspace *space, uint64_t address, enum fault_access access, uint64_t **word);
/* Drops everything from the TLB. */
void host_tlb_reset(void);
/* The number of tlb_flush_range calls since the last question. */
unsigned host_flushes(void);

/* The charge without the kernel's memory. */
static inline uint64_t program_pages(const struct ledger *ledger)
{
	return ledger->charged_pages - ledger->kernel_pages;
}

/* Called at the preemption points of long work. NULL: not called. */
extern void (*host_others)(void);

/* The number of park_drain calls since the last question, and the range of the last one. */
unsigned host_drains(uint64_t *start, uint64_t *end);

#endif
