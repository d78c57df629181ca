/* How long calls keep interrupts off, however much they have to do. A thread sleeps a moment at a
 * time meanwhile, so that a timer interrupt is nearly always due soon; the kernel notes how late
 * one comes at worst. The bounds hold where a nanosecond is an instruction; elsewhere the calls are
 * made all the same. */
#include "raw_thread.h"

#define SIZE (64ull << 20)
#define MOMENT_NS 50000
#define REGIONS 20000ull
#define SLEEPERS 1000u

static bool exact;
static uint64_t limit_ns, finish, watching;

static int64_t watch(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&finish, __ATOMIC_SEQ_CST)) {
		capos_sleep_ns(MOMENT_NS);
		__atomic_store_n(&watching, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

/* 1 M instructions in the release kernel, 10 M in the debug kernel, which is told by how long it
 * takes over a small call. */
static void set_limit(void)
{
	uint64_t start = capos_now_ns(), took;
	for (int i = 0; i < 10; i++)
		(void)vm_usage();
	took = (capos_now_ns() - start) / 10;
	exact = time_is_exact();
	limit_ns = !exact ? UINT64_MAX : took < 2000 ? 1000000 : 10000000;
}

static uint64_t worst_ns(void)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	return info.timer_late_ns;
}

/* What was called before this has kept interrupts off at most so long. */
static void check_worst(const char *what)
{
	uint64_t worst = worst_ns();
	if (exact)
		printf("# %s: timer interrupts at most %llu instructions late so far\n", what,
			(unsigned long long)worst);
	CHECK(worst < limit_ns);
}

static void touch(uint64_t address, uint64_t size, uint64_t step)
{
	for (uint64_t i = 0; i < size; i += step)
		*(volatile char *)(address + i) = 1;
}

static void committed_memory(void)
{
	uint64_t address = vm_map(SIZE, WRITE);
	check_worst("map");
	touch(address, SIZE, PAGE);
	check_worst("first touch of 2 MiB pages");
	OK(vm_protect(address + PAGE, SIZE - 2 * PAGE, READ));
	OK(vm_protect(address, SIZE, WRITE));
	check_worst("protect");
	OK(vm_decommit(address, SIZE));
	check_worst("decommit");
	OK(vm_commit(address, SIZE, WRITE));
	OK(vm_unmap(address, SIZE));
	check_worst("unmap");
}

static void demand_zero_memory(void)
{
	uint64_t address = vm_map(SIZE, WRITE | DEMAND_ZERO), wide = 8ull << 30;
	touch(address, SIZE, PAGE);
	OK(vm_protect(address, SIZE, READ));
	check_worst("protect of small pages");
	(void)vm_query(address);
	check_worst("query of small pages");
	OK(vm_unmap(address, SIZE));
	check_worst("unmap of small pages");
	address = vm_map(wide, WRITE | DEMAND_ZERO);
	touch(address, wide, LARGE);
	(void)vm_query(address);
	check_worst("query of a page in each 2 MiB");
	OK(vm_commit(address, wide, READ));
	check_worst("commit of what is committed");
	OK(vm_protect(address, wide, WRITE));
	check_worst("protect of a page in each 2 MiB");
	OK(vm_decommit(address, wide));
	OK(vm_unmap(address, wide));
	check_worst("decommit of a page in each 2 MiB");
}

static void memory_objects(void)
{
	capos_cap_t object = 0;
	uint64_t address = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, SIZE, &object));
	check_worst("MemoryAllocator.create");
	OK(capos_memory_object_map(object, 0, 0, SIZE, WRITE, &address));
	check_worst("MemoryObject.map");
	touch(address, SIZE, PAGE);
	OK(capos_memory_object_protect(object, address, SIZE, READ));
	check_worst("MemoryObject.protect");
	(void)vm_query(address);
	check_worst("query of a memory object");
	OK(capos_memory_object_unmap(object, address, SIZE));
	check_worst("MemoryObject.unmap");
	OK(capos_release(object));
	check_worst("release of the last capability to an object");
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, SIZE, &object));
	OK(capos_memory_object_map(object, 0, 0, SIZE, WRITE, &address));
	touch(address, SIZE, PAGE);
	OK(capos_release(object));
	OK(vm_unmap(address, SIZE));
	check_worst("unmap of the last mapping of an object");
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
	check_worst("protect over many regions");
	OK(vm_decommit(base, REGIONS / 2 * PAGE));
	check_worst("decommit of many regions");
	OK(vm_unmap(base, REGIONS * PAGE));
	check_worst("unmap of many regions");
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
	check_worst("unpark of many threads");
	wait_for_threads(before);
	OK(vm_unmap(page, PAGE));
	check_worst("end of many threads");
}

int main(void)
{
	struct capos_thread *watcher;
	set_limit();
	OK(capos_thread_start(&watcher, watch, NULL, NULL));
	while (!__atomic_load_n(&watching, __ATOMIC_SEQ_CST))
		capos_sleep_ns(MS_NS);
	RUN(committed_memory);
	RUN(demand_zero_memory);
	RUN(memory_objects);
	RUN(many_regions);
	RUN(many_waiters);
	__atomic_store_n(&finish, 1, __ATOMIC_SEQ_CST);
	OK(capos_thread_join(watcher, NULL));
	return check_result();
}
