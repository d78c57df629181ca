/* See host.h. The kernel's frame_take, frames_reserve and kmem_alloc are compiled under other
 * names, so that those here can fail on purpose. */
#include "host.h"

#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/impl/x86.h"
#include "arch/paging.h"
#include "arch/tlb.h"
#include "core/log.h"
#include "core/object.h"
#include "mm/kmem.h"
#include "mm/park.h"
#include "sched/sched.h"

const char *test_name = "?";

struct cpu_features cpu_features = { .nx = true };
uint64_t kernel_pml4[512];

/* ---- memory ---- */

static char *arena;
static size_t arena_size;

void *phys_to_virt(paddr_t pa)
{
	CHECK(pa < arena_size);
	return arena + pa;
}

paddr_t virt_to_phys(const void *va)
{
	CHECK((const char *)va >= arena && (const char *)va < arena + arena_size);
	return (paddr_t)((const char *)va - arena);
}

void host_arena(size_t size)
{
	arena_size = size;
	arena = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(arena != MAP_FAILED);
	memset(kernel_pml4, 0x5c, sizeof(kernel_pml4));
}

void host_memory(size_t size, const struct memory_range *taken, unsigned taken_count)
{
	struct memory_range usable = { 0, size };

	host_arena(size);
	frames_init(&usable, 1, taken, taken_count);
}

/* ---- failures ---- */

paddr_t frame_take_real(unsigned order, unsigned flags);
void frame_give_real(paddr_t frame, unsigned order);
bool frames_reserve_real(size_t count);
void *kmem_alloc_real(struct ledger *payer, size_t size);

static unsigned fail_countdown;
static bool fail_happened;

void host_fail(unsigned countdown)
{
	fail_countdown = countdown;
	fail_happened = false;
}

bool host_failed(void)
{
	return fail_happened;
}

static bool inject_failure(void)
{
	if (!fail_countdown || --fail_countdown)
		return false;
	fail_happened = true;
	return true;
}

paddr_t frame_take(unsigned order, unsigned flags)
{
	if ((!(flags & FRAME_RESERVED) || order > 0) && inject_failure())
		return 0;
	return frame_take_real(order, flags);
}

bool frames_reserve(size_t count)
{
	return !inject_failure() && frames_reserve_real(count);
}

void *kmem_alloc(struct ledger *payer, size_t size)
{
	return inject_failure() ? NULL : kmem_alloc_real(payer, size);
}

/* No object of mm holds others. */
void object_destroy_later(void)
{
	CHECK(false);
}

/* ---- numbers ---- */

static uint64_t random_state = 1;
static const uint8_t *random_bytes, *random_end;

void host_seed(uint64_t seed)
{
	random_state = seed * 2 + 1;
	random_bytes = NULL;
}

void host_bytes(const uint8_t *bytes, size_t size)
{
	random_bytes = bytes;
	random_end = bytes + size;
}

bool host_exhausted(void)
{
	return random_bytes && random_bytes == random_end;
}

uint64_t host_random(void)
{
	if (random_bytes) {
		uint64_t value = 0;
		for (int i = 0; i < 2 && random_bytes < random_end; i++)
			value = value << 8 | *random_bytes++;
		return value;
	}
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dul >> 16;
}

/* ---- the processor ---- */

#define TLB_MAX 65536u

/* A remembered translation of a 4 KiB page, and the tables walked for it. An open hash by page;
 * dead entries have page ~0. */
struct tlb_entry {
	uint64_t page;
	uint64_t frame; /* of the 4 KiB page */
	uint64_t flags;
	paddr_t tables[3];
};
static struct tlb_entry tlb[TLB_MAX];
static unsigned tlb_used, flushes;

void host_tlb_reset(void)
{
	tlb_used = 0;
}

static struct tlb_entry *tlb_lookup(uint64_t page)
{
	for (unsigned i = 0; i < tlb_used; i++)
		if (tlb[i].page == page)
			return &tlb[i];
	return NULL;
}

void tlb_flush_range(struct aspace *space, uint64_t start, uint64_t end)
{
	CHECK(spin_held(&space->lock) && start < end);
	flushes++;
	for (unsigned i = 0; i < tlb_used;) {
		if (tlb[i].page >= start && tlb[i].page < end) {
			tlb[i] = tlb[--tlb_used];
		} else {
			/* Any invalidation drops all cached tables. */
			memset(tlb[i].tables, 0, sizeof(tlb[i].tables));
			i++;
		}
	}
}

unsigned host_flushes(void)
{
	unsigned count = flushes;

	flushes = 0;
	return count;
}

void tlb_serve(void)
{
}

void (*host_others)(void);

void sched_preemption_point(void)
{
	if (host_others)
		host_others();
}

void sched_yield(void)
{
}

/* Nothing else would end the wait. */
status_t wait_queue_wait(
	struct wait_queue *queue, struct spinlock *lock, uint64_t deadline_ns, bool interruptible)
{
	(void)queue, (void)lock, (void)deadline_ns, (void)interruptible;
	CHECK(!"a change waits for another one");
	return STATUS_OK;
}

uint32_t wait_queue_wake(struct wait_queue *queue, uint32_t count)
{
	(void)queue, (void)count;
	return 0;
}

void wait_queue_wake_all(struct wait_queue *queue, struct spinlock *lock)
{
	(void)queue, (void)lock;
}

void tlb_evict(struct aspace *space)
{
	(void)space;
	host_tlb_reset();
}

void frame_give(paddr_t frame, unsigned order)
{
	for (unsigned i = 0; i < tlb_used; i++) {
		CHECK(tlb[i].frame >> (12 + order) != frame >> (12 + order));
		for (unsigned j = 0; j < 3; j++)
			CHECK(tlb[i].tables[j] != frame || !frame);
	}
	frame_give_real(frame, order);
}

#define FLAG_WRITE 2ul
#define FLAG_USER 4ul
#define FLAG_ACCESSED 0x20ul
#define FLAG_LARGE 0x80ul
#define FLAG_NX (1ul << 63)

/* The page walk of the Intel SDM, volume 3, section 4.5, for user accesses; false: not present. A
 * translation is remembered only after the accessed bits are set (section 4.10.2.3). */
static bool page_walk(struct aspace *space, uint64_t page, struct tlb_entry *found)
{
	uint64_t table = space->root, rights = FLAG_WRITE | FLAG_USER, nx = 0;

	*found = (struct tlb_entry){ .page = page };
	for (int level = 4; level >= 1; level--) {
		unsigned shift = 12 + 9 * ((unsigned)level - 1);
		uint64_t *slot = &((uint64_t *)phys_to_virt(table))[page >> shift & 511];
		uint64_t entry = *slot;
		if (!(entry & 1))
			return false;
		*slot |= FLAG_ACCESSED;
		rights &= entry;
		nx |= entry & FLAG_NX;
		table = entry & PAGING_ADDRESS;
		if (level == 1 || (level == 2 && (entry & FLAG_LARGE))) {
			CHECK(level == 1 || table % LARGE_PAGE_SIZE == 0);
			found->frame = table + (page & ((1ul << shift) - 1));
			found->flags = rights | nx;
			return true;
		}
		CHECK(!(entry & FLAG_LARGE));
		found->tables[level - 2] = table;
	}
	return false;
}

static bool permits(uint64_t flags, enum fault_access access)
{
	CHECK(flags & FLAG_USER);
	CHECK(!(flags & FLAG_WRITE) || (flags & FLAG_NX));
	return access == FAULT_WRITE   ? flags & FLAG_WRITE
		: access == FAULT_EXEC ? !(flags & FLAG_NX)
				       : true;
}

enum fault_outcome host_access(
	struct aspace *space, uint64_t address, enum fault_access access, uint64_t **word)
{
	uint64_t page = address & ~(PAGE_SIZE - 1);

	for (int tries = 0; tries < 3; tries++) {
		struct tlb_entry *entry = tlb_lookup(page), walked;
		if (!entry && page_walk(space, page, &walked)) {
			if (tlb_used == TLB_MAX)
				host_tlb_reset();
			entry = &tlb[tlb_used++];
			*entry = walked;
		}
		if (entry && permits(entry->flags, access)) {
			*word = phys_to_virt(entry->frame + address % PAGE_SIZE);
			return FAULT_RESOLVED;
		}
		if (entry) /* a page fault drops the translation that caused it */
			*entry = tlb[--tlb_used];
		enum fault_outcome outcome = aspace_fault(space, address, access);
		CHECK(!spin_held(&space->lock));
		if (outcome != FAULT_RESOLVED)
			return outcome;
	}
	CHECK(!"a fault that was resolved comes back");
	return FAULT_NOTHING;
}

/* ---- other functions that the kernel's memory code calls ---- */

static unsigned drains;
static uint64_t drain_start, drain_end;

bool park_drain(struct aspace *space, uint64_t start, uint64_t end)
{
	CHECK(spin_held(&space->lock));
	/* A thread that waits there must find the word gone already. */
	for (unsigned i = 0; i < tlb_used; i++)
		CHECK(tlb[i].page < start || tlb[i].page >= end);
	drains++;
	drain_start = start;
	drain_end = end;
	return false;
}

unsigned host_drains(uint64_t *start, uint64_t *end)
{
	unsigned count = drains;

	drains = 0;
	*start = drain_start;
	*end = drain_end;
	return count;
}

_Noreturn void panic(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printf("FAIL %s: panic: ", test_name);
	vprintf(format, arguments);
	printf("\n");
	fflush(stdout);
	abort();
}
