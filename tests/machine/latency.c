/* How long calls keep interrupts off, however much they have to do. A thread sleeps a moment at a
 * time meanwhile, so that a timer interrupt is nearly always due soon; the kernel notes how late
 * one comes at worst. The bounds hold where a nanosecond is an instruction; elsewhere the calls are
 * made all the same. */
#include "late.h"
#include "raw_thread.h"

#define SIZE (64ull << 20)
#define REGIONS 20000ull
#define SLEEPERS 1000u
#define FACETS 20000u

static void touch(uint64_t address, uint64_t size, uint64_t step)
{
	for (uint64_t i = 0; i < size; i += step)
		*(volatile char *)(address + i) = 1;
}

static void committed_memory(void)
{
	uint64_t address = vm_map(SIZE, WRITE);
	late_check("map");
	touch(address, SIZE, PAGE);
	late_check("first touch of 2 MiB pages");
	OK(vm_protect(address + PAGE, SIZE - 2 * PAGE, READ));
	OK(vm_protect(address, SIZE, WRITE));
	late_check("protect");
	OK(vm_decommit(address, SIZE));
	late_check("decommit");
	OK(vm_commit(address, SIZE, WRITE));
	OK(vm_unmap(address, SIZE));
	late_check("unmap");
}

static void demand_zero_memory(void)
{
	uint64_t address = vm_map(SIZE, WRITE | DEMAND_ZERO), wide = 8ull << 30;
	touch(address, SIZE, PAGE);
	OK(vm_protect(address, SIZE, READ));
	late_check("protect of small pages");
	(void)vm_query(address);
	late_check("query of small pages");
	OK(vm_unmap(address, SIZE));
	late_check("unmap of small pages");
	address = vm_map(wide, WRITE | DEMAND_ZERO);
	touch(address, wide, LARGE);
	(void)vm_query(address);
	late_check("query of a page in each 2 MiB");
	OK(vm_commit(address, wide, READ));
	late_check("commit of what is committed");
	OK(vm_protect(address, wide, WRITE));
	late_check("protect of a page in each 2 MiB");
	OK(vm_decommit(address, wide));
	OK(vm_unmap(address, wide));
	late_check("decommit of a page in each 2 MiB");
}

static void memory_objects(void)
{
	capos_cap_t object = 0;
	uint64_t address = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, SIZE, &object));
	late_check("MemoryAllocator.create");
	OK(capos_memory_object_map(object, 0, 0, SIZE, WRITE, &address));
	late_check("MemoryObject.map");
	touch(address, SIZE, PAGE);
	OK(capos_memory_object_protect(object, address, SIZE, READ));
	late_check("MemoryObject.protect");
	(void)vm_query(address);
	late_check("query of a memory object");
	OK(capos_memory_object_unmap(object, address, SIZE));
	late_check("MemoryObject.unmap");
	OK(capos_release(object));
	late_check("release of the last capability to an object");
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, SIZE, &object));
	OK(capos_memory_object_map(object, 0, 0, SIZE, WRITE, &address));
	touch(address, SIZE, PAGE);
	OK(capos_release(object));
	OK(vm_unmap(address, SIZE));
	late_check("unmap of the last mapping of an object");
}

/* The same page of an object, mapped many times side by side, is as many regions. */
static void many_regions(void)
{
	capos_cap_t object = 0;
	uint64_t base = 0x500000000000, address = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object));
	for (uint64_t i = 0; i < REGIONS; i++)
		OK(capos_memory_object_map(object, base + i * PAGE, 0, PAGE, WRITE, &address));
	CHECK_EQUAL(address, base + (REGIONS - 1) * PAGE);
	OK(vm_protect(base, REGIONS * PAGE, READ));
	late_check("protect over many regions");
	OK(vm_decommit(base, REGIONS / 2 * PAGE));
	late_check("decommit of many regions");
	OK(vm_unmap(base, REGIONS * PAGE));
	late_check("unmap of many regions");
	OK(capos_release(object));
}

/* The watcher itself is one of many that are runnable then: only the kernel's note counts. */
static void many_waiters(void)
{
	uint64_t page = vm_map(PAGE, WRITE);
	uint32_t before = thread_count();
	for (unsigned i = 0; i < SLEEPERS; i++)
		OK(capos_release(raw_spawn(raw_park, page, 0)));
	capos_sleep_ns(100 * MS_NS);
	raw_wake((uint32_t *)page);
	late_check("unpark of many threads");
	wait_for_threads(before);
	OK(vm_unmap(page, PAGE));
	late_check("end of many threads");
}

/* Calls of 64 KiB, by themselves and as many as a ring takes. */
static void random_bytes(void)
{
	static uint8_t bytes[65536];
	struct capos_ring_header *ring = capos_ring();
	OK(capos_random_fill(bytes, sizeof bytes));
	late_check("EntropySource.fill");
	for (unsigned i = 0; i < CAPOS_RING_SUBMISSIONS; i++)
		capos_ring_submissions(ring)[ring->submission_tail++ % CAPOS_RING_SUBMISSIONS] =
			(struct capos_submission){ .opcode = CAPOS_OPCODE_COMPACT,
				.cap = capos_caps.entropy,
				.method = CAPOS_ENTROPY_SOURCE_FILL,
				.args = { sizeof bytes, (uint64_t)bytes, sizeof bytes } };
	CHECK_EQUAL(capos_syscall(CAPOS_SYS_CAP_ENTER, 0, 0, 0, 0, 0, 0), CAPOS_RING_SUBMISSIONS);
	for (; ring->completion_head != ring->completion_tail; ring->completion_head++)
		CHECK_EQUAL(
			capos_ring_completions(ring)[ring->completion_head % CAPOS_RING_COMPLETIONS]
				.result,
			0);
	late_check("a ring full of EntropySource.fill");
}

/* Of facets that have no holder records stay until they are told of. */
static void facets_without_holders(void)
{
	capos_cap_t endpoint = 0, facet = 0;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 1, &endpoint));
	for (unsigned i = 0; i < FACETS; i++) {
		OK(capos_endpoint_make_facet(endpoint, i, &facet));
		OK(capos_release(facet));
	}
	late_check("release of many facets");
	OK(capos_release(endpoint));
	late_check("release of an endpoint with records of many facets");
}

int main(void)
{
	struct capos_thread *watcher;
	late_set_limit();
	late_watch(&watcher);
	RUN(committed_memory);
	RUN(demand_zero_memory);
	RUN(memory_objects);
	RUN(many_regions);
	RUN(many_waiters);
	RUN(random_bytes);
	RUN(facets_without_holders);
	late_watch_end(watcher);
	return check_result();
}
