/* Calls on an address space without room: with as many regions as it can have, with no free
 * address, with no memory. Each method is called in both forms and must change nothing. Threads
 * also end in such a space. */
#include "raw_thread.h"

#define FILLER_PAGES \
	0x40000ull /* alternating pages of this many make more regions than a space can have */
#define HUGE (4ull << 30)
#define EXTRA_MAX 256
#define THREADS 40

static uint64_t filler, extra[EXTRA_MAX];
static unsigned extra_count;

static void check_as_before(const struct capos_memory_usage *before)
{
	struct capos_memory_usage now = program_usage();
	CHECK_EQUAL(now.reserved_pages, before->reserved_pages);
	CHECK_EQUAL(now.committed_pages, before->committed_pages);
	CHECK_EQUAL(now.resident_pages, before->resident_pages);
}

/* Every other page is a region of its own, until the kernel has had enough: of regions, or on a
 * small machine of memory for them. */
static uint64_t holes;

static void fill_regions(void)
{
	filler = vm_reserve(FILLER_PAGES * PAGE);
	for (holes = 0; 2 * holes + 1 < FILLER_PAGES; holes++) {
		uint64_t hole = filler + (2 * holes + 1) * PAGE;
		OK(vm_unmap(hole, PAGE));
		if (vm_query(hole).state != CAPOS_REGION_STATE_FREE)
			break;
	}
	CHECK(2 * holes + 1 < FILLER_PAGES);
	CHECK(holes > 1000);
	extra_count = 0;
	while (extra_count < EXTRA_MAX &&
		capos_virtual_memory_reserve(capos_caps.vm, 0x600000000000 + 2 * extra_count * PAGE,
			PAGE, &extra[extra_count]) == 0)
		extra_count++;
	CHECK(extra_count < EXTRA_MAX);
}

static void empty_regions(void)
{
	for (uint64_t i = 0; i < holes; i++)
		OK(vm_unmap(filler + 2 * i * PAGE, PAGE));
	OK(vm_unmap(filler + 2 * holes * PAGE, (FILLER_PAGES - 2 * holes) * PAGE));
	for (unsigned i = 0; i < extra_count; i++)
		OK(vm_unmap(extra[i], PAGE));
}

/* The page in the middle of a region has gone, and its address is still reserved. */
static void check_kept(uint64_t page, uint64_t committed)
{
	struct capos_region_info info = vm_query(page);
	CHECK_EQUAL(info.state, CAPOS_REGION_STATE_RESERVED);
	CHECK(info.start == page && info.size == PAGE);
	CHECK(try_read(page) == CAPOS_NOTIFICATION_KIND_PAGE_FAULT && fault.code == 1);
	CHECK_EQUAL(vm_usage().committed_pages, committed);
}

/* An unmap that would need a region more gives back the page. */
static void unmap_in_the_middle(uint64_t page)
{
	uint64_t committed = vm_usage().committed_pages;
	OK(capos_virtual_memory_unmap(capos_caps.vm, page, PAGE));
	check_kept(page, committed - 1);
	OK(vm_commit(page, PAGE, WRITE));
	OK(capos_virtual_memory_unmap_message(capos_caps.vm, page, PAGE));
	check_kept(page, committed - 1);
	OK(vm_commit(page, PAGE, WRITE));
	CHECK_EQUAL(*(volatile uint8_t *)page, 0);
	memset((void *)page, 0x5a, PAGE);
}

/* The same for the second and the fourth page of five of an object. */
static void object_in_the_middle(capos_cap_t object, uint64_t mapped)
{
	uint64_t committed = vm_usage().committed_pages, page = mapped + PAGE;
	OK(capos_memory_object_unmap(object, page, PAGE));
	check_kept(page, committed);
	OK(capos_memory_object_unmap_message(object, page, PAGE));
	OK(vm_decommit(page, PAGE));
	OK(vm_commit(page, PAGE, WRITE)); /* memory of the process's own */
	CHECK_EQUAL(*(volatile uint64_t *)page, 0);
	CHECK_EQUAL(vm_query(page).state, CAPOS_REGION_STATE_COMMITTED);
	CHECK_EQUAL(vm_usage().committed_pages, committed + 1);
	OK(vm_decommit(page, PAGE));
	check_kept(page, committed);
	page = mapped + 3 * PAGE;
	OK(vm_decommit(page, PAGE));
	OK(capos_virtual_memory_decommit_message(capos_caps.vm, page, PAGE));
	check_kept(page, committed);
	CHECK_EQUAL(*(volatile uint64_t *)(mapped + 2 * PAGE), 99);
	CHECK_EQUAL(vm_query(mapped + 4 * PAGE).state, CAPOS_REGION_STATE_OBJECT);
}

/* Holes and protections are no regions. */
static void the_rest_needs_no_region(capos_cap_t object, uint64_t own, uint64_t mapped)
{
	capos_cap_t vm = capos_caps.vm;
	OK(capos_virtual_memory_protect(vm, own, PAGE, 0));
	OK(capos_virtual_memory_protect_message(vm, own, PAGE, READ));
	CHECK(vm_query(own).size == PAGE && vm_query(own).prot == READ);
	CHECK_EQUAL(*(volatile uint8_t *)own, 0x5a);
	OK(capos_virtual_memory_decommit(vm, own, PAGE));
	OK(capos_virtual_memory_decommit_message(vm, own, PAGE));
	CHECK(vm_query(own).size == PAGE && vm_query(own).prot == 0);
	OK(capos_virtual_memory_commit(vm, own, PAGE, READ));
	OK(capos_virtual_memory_commit_message(vm, own, PAGE, WRITE));
	CHECK(vm_query(own).size == 3 * PAGE && vm_query(own).prot == WRITE);
	CHECK_EQUAL(*(volatile uint8_t *)own, 0);
	OK(capos_memory_object_protect(object, mapped, PAGE, READ));
	CHECK(vm_query(mapped).size == PAGE && vm_query(mapped).prot == READ);
	OK(capos_memory_object_protect_message(object, mapped, PAGE, WRITE));
}

static void adding_fails(capos_cap_t object, int64_t status)
{
	uint64_t address = 0;
	CHECK_FAILS_WITH(VIRTUAL_MEMORY_RESERVE, status,
		capos_virtual_memory_reserve(capos_caps.vm, 0, PAGE, &address));
	CHECK_FAILS_WITH(VIRTUAL_MEMORY_RESERVE, status,
		capos_virtual_memory_reserve_message(capos_caps.vm, 0, PAGE, &address));
	CHECK_FAILS_WITH(VIRTUAL_MEMORY_MAP, status,
		capos_virtual_memory_map(capos_caps.vm, 0, PAGE, WRITE | DEMAND_ZERO, &address));
	CHECK_FAILS_WITH(VIRTUAL_MEMORY_MAP, status,
		capos_virtual_memory_map_message(
			capos_caps.vm, 0, PAGE, WRITE | DEMAND_ZERO, &address));
	CHECK_FAILS_WITH(MEMORY_OBJECT_MAP, status,
		capos_memory_object_map(object, 0, 0, PAGE, READ, &address));
	CHECK_FAILS_WITH(MEMORY_OBJECT_MAP, status,
		capos_memory_object_map_message(object, 0, 0, PAGE, READ, &address));
	CHECK_FAILS_WITH(BOOT_IMAGE_MAP, status,
		capos_boot_image_map(
			capos_caps.boot, &address)); /* for the first time in this process */
	CHECK_FAILS_WITH(
		BOOT_IMAGE_MAP, status, capos_boot_image_map_message(capos_caps.boot, &address));
}

static void regions_are_limited(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t object = 0, handle = 0, spawner = capos_caps.thread_spawner;
	uint64_t own = 0, mapped = 0, entry = (uint64_t)raw_exit;
	OK(capos_virtual_memory_map(capos_caps.vm, 0x500000000000, 3 * PAGE, WRITE, &own));
	memset((void *)own, 0x5a, 3 * PAGE);
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, 8 * PAGE, &object));
	OK(capos_memory_object_map(object, 0, 0, 8 * PAGE, WRITE, &mapped));
	*(volatile uint64_t *)(mapped + 2 * PAGE) = 99;
	fill_regions();
	if (vm_usage().machine_free_pages > 100) { /* else the page that goes pays for a region */
		unmap_in_the_middle(own + PAGE);
		object_in_the_middle(object, mapped);
	}
	struct capos_memory_usage full = program_usage();
	adding_fails(object, CAPOS_E(NO_MEMORY));
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_MEMORY,
		capos_thread_spawner_spawn(spawner, entry, 0, 0, 0, 0, "", &handle));
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_MEMORY,
		capos_thread_spawner_spawn_message(spawner, entry, 0, 0, 0, 0, "", &handle));
	CHECK_EQUAL(thread_count(), 1);
	check_as_before(&full);
	CHECK(vm_query(own + PAGE).size == 3 * PAGE && vm_query(own + PAGE).prot == WRITE);
	CHECK_EQUAL(*(volatile uint8_t *)(own + PAGE), 0x5a);
	CHECK_EQUAL(*(volatile uint64_t *)(mapped + 2 * PAGE), 99);
	the_rest_needs_no_region(object, own + PAGE, mapped + 5 * PAGE);
	OK(vm_protect(own, 3 * PAGE, READ)); /* neither do the edges of regions */
	OK(vm_decommit(own, 3 * PAGE));
	OK(vm_unmap(own, 3 * PAGE));
	OK(capos_memory_object_protect(object, mapped + 4 * PAGE, 4 * PAGE, READ));
	OK(capos_memory_object_unmap(object, mapped, 8 * PAGE));
	empty_regions();
	OK(capos_release(object));
	check_as_before(&before);
}

/* Reserves every address, in the largest pieces that fit. */
static unsigned take_all_addresses(uint64_t starts[EXTRA_MAX], uint64_t sizes[EXTRA_MAX])
{
	unsigned count = 0;
	for (uint64_t size = 1ull << 46; size >= PAGE; size /= 2)
		while (count < EXTRA_MAX &&
			capos_virtual_memory_reserve(capos_caps.vm, 0, size, &starts[count]) == 0)
			sizes[count++] = size;
	CHECK(count < EXTRA_MAX);
	return count;
}

static void addresses_run_out(void)
{
	static uint64_t starts[EXTRA_MAX], sizes[EXTRA_MAX];
	struct capos_memory_usage before = program_usage();
	capos_cap_t object = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object));
	unsigned count = take_all_addresses(starts, sizes);
	adding_fails(object, CAPOS_E(NO_RESERVATION));
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_RESERVATION,
		capos_thread_spawner_spawn(capos_caps.thread_spawner, (uint64_t)raw_exit, 0, 0, 0,
			0, "", &object)); /* its ring page */
	for (unsigned i = 0; i < count; i++)
		OK(vm_unmap(starts[i], sizes[i]));
	OK(capos_release(object));
	check_as_before(&before);
}

/* With all memory taken, handles are given while the capability table has room. */
static void a_larger_table_fails(void)
{
	static capos_cap_t made[CAPOS_CAP_SLOTS_MAX];
	const capos_cap_t control = capos_caps.thread_control;
	unsigned count = 0;
	int64_t status = 0;
	while (count < CAPOS_CAP_SLOTS_MAX &&
		(status = capos_thread_control_self(control, &made[count])) == 0)
		count++;
	CHECK_FAILS(THREAD_CONTROL_SELF, NO_MEMORY, status);
	while (count)
		OK(capos_release(made[--count]));
}

/* Of a range so large that no tables are set aside for it, a part that was never touched. */
static void parts_of_huge_ranges_need_tables(uint64_t part)
{
	capos_cap_t vm = capos_caps.vm;
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, NO_MEMORY,
		capos_virtual_memory_protect(vm, part, PAGE, READ));
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, NO_MEMORY,
		capos_virtual_memory_protect_message(vm, part, PAGE, READ));
	OK(capos_virtual_memory_decommit(vm, part, PAGE));
	OK(capos_virtual_memory_unmap(vm, part, PAGE));
	CHECK_EQUAL(vm_query(part).state, CAPOS_REGION_STATE_DEMAND_ZERO);
	CHECK_FAILS(VIRTUAL_MEMORY_COMMIT, NO_MEMORY,
		capos_virtual_memory_commit(vm, part, PAGE, READ));
	CHECK_FAILS(VIRTUAL_MEMORY_COMMIT, NO_MEMORY,
		capos_virtual_memory_commit_message(vm, part, PAGE, READ));
}

static void memory_runs_out(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t size = (before.machine_pages + 1) * PAGE, address, entry = (uint64_t)raw_exit;
	capos_cap_t object = 0, handle = 0, spawner = capos_caps.thread_spawner;
	uint64_t huge = vm_map(HUGE, WRITE | DEMAND_ZERO), range = commit_all(size);
	parts_of_huge_ranges_need_tables(huge + HUGE / 2);
	CHECK_FAILS(VIRTUAL_MEMORY_MAP, NO_MEMORY,
		capos_virtual_memory_map(capos_caps.vm, 0, PAGE, WRITE, &address));
	CHECK_FAILS(VIRTUAL_MEMORY_MAP, NO_MEMORY,
		capos_virtual_memory_map_message(capos_caps.vm, 0, PAGE, WRITE, &address));
	CHECK_FAILS(MEMORY_ALLOCATOR_CREATE, NO_MEMORY,
		capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object));
	CHECK_FAILS(MEMORY_ALLOCATOR_CREATE, NO_MEMORY,
		capos_memory_allocator_create_message(capos_caps.memory_allocator, PAGE, &object));
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_MEMORY,
		capos_thread_spawner_spawn(spawner, entry, 0, 0, 0, 0, "", &handle));
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_MEMORY,
		capos_thread_spawner_spawn_message(spawner, entry, 0, 0, 0, 0, "", &handle));
	a_larger_table_fails();
	CHECK_EQUAL(thread_count(), 1);
	OK(vm_unmap(huge, HUGE));
	OK(vm_unmap(range, size));
	check_as_before(&before);
}

/* ---- threads that end when nothing is left ---- */

static uint32_t words[THREADS];
static capos_cap_t handles[THREADS];

static void spawn_parked(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		words[i] = 0;
		handles[i] = raw_spawn(raw_park, (uint64_t)&words[i],
			0); /* one after the other: their ring pages are neighbours */
	}
}

/* Every second thread first, so that these have neighbours on both sides; then the others. */
static void end_one_by_one(void)
{
	for (unsigned n = 0; n < THREADS; n++) {
		unsigned i = n < THREADS / 2 ? 2 * n + 1 : 2 * (n - THREADS / 2);
		raw_wake(&words[i]);
		CHECK_EQUAL(raw_join(handles[i]), 0);
	}
	wait_for_threads(1);
}

static void threads_end_when_regions_are_at_their_limit(void)
{
	struct capos_memory_usage before = program_usage();
	spawn_parked();
	fill_regions();
	end_one_by_one();
	empty_regions();
	check_as_before(&before);
}

static void threads_end_when_memory_has_run_out(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t size = (before.machine_pages + 1) * PAGE;
	spawn_parked();
	uint64_t range = commit_all(size);
	extra_count = 0; /* and what the kernel's heap has left of whole pages */
	while (extra_count < EXTRA_MAX &&
		capos_virtual_memory_reserve(capos_caps.vm, 0x600000000000 + 2 * extra_count * PAGE,
			PAGE, &extra[extra_count]) == 0)
		extra_count++;
	end_one_by_one();
	OK(vm_unmap(range, size));
	for (unsigned i = 0; i < extra_count; i++)
		OK(vm_unmap(extra[i], PAGE));
	check_as_before(&before);
}

static void the_boot_image_is_mapped_at_last(void)
{
	uint64_t address = 0;
	OK(capos_boot_image_map_message(capos_caps.boot, &address));
	CHECK_EQUAL(*(volatile uint64_t *)address, CAPOS_BOOT_IMAGE_MAGIC);
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	volatile char stack[16384];
	for (unsigned i = 0; i < sizeof stack;
		i += 1024) /* frames for the stack while there are some */
		stack[i] = 0;
	uint64_t own = 0;
	OK(capos_virtual_memory_reserve_message(
		capos_caps.vm, 0, PAGE, &own)); /* the thread's scratch */
	OK(vm_unmap(own, PAGE));
	RUN(regions_are_limited);
	RUN(addresses_run_out);
	RUN(memory_runs_out);
	RUN(threads_end_when_regions_are_at_their_limit);
	RUN(threads_end_when_memory_has_run_out);
	RUN(the_boot_image_is_mapped_at_last);
	return check_result();
}
