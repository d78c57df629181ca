/* Memory that is given back and protected page by page: it takes no memory and knows no limit, a
 * reservation stays one region however many holes it has, and queries and usage stay exact. */
#include "support.h"

/* Every other page of these would be more regions than a space can have. */
#define PAGES 140000ull

static uint64_t taken, taken_size;

/* Commits all memory the machine has, in one range; the pages stay untouched. */
static void take_all_memory(void)
{
	taken_size = (program_usage().machine_pages + 1) * PAGE;
	taken = commit_all(taken_size);
}

static void many_holes_are_one_region(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t address = vm_reserve(PAGES * PAGE);
	OK(vm_commit(address, PAGES * PAGE, WRITE | DEMAND_ZERO));
	for (uint64_t i = 1; i < PAGES; i += 2)
		OK(vm_decommit(address + i * PAGE, PAGE));
	CHECK_EQUAL(vm_query(address).size, PAGE);
	CHECK_EQUAL(vm_query(address + PAGE).state, CAPOS_REGION_STATE_RESERVED);
	OK(vm_commit(address, PAGES * PAGE, WRITE | DEMAND_ZERO));
	CHECK_EQUAL(vm_query(address + PAGES / 2 * PAGE).start, address);
	CHECK_EQUAL(vm_query(address + PAGES / 2 * PAGE).size, PAGES * PAGE);
	for (uint64_t i = 0; i < PAGES; i += 2)
		OK(vm_protect(address + i * PAGE, PAGE, i % 4 ? READ : 0));
	CHECK_EQUAL(vm_query(address + 2 * PAGE).prot, READ);
	CHECK_EQUAL(vm_protect(address + PAGE, PAGE, WRITE | EXEC), CAPOS_E(PROTECTION_DENIED));
	OK(vm_protect(address, PAGES * PAGE, READ));
	CHECK_EQUAL(vm_query(address + PAGE).size, PAGES * PAGE);
	CHECK_EQUAL(program_usage().reserved_pages, before.reserved_pages + PAGES);
	OK(vm_unmap(address, PAGES * PAGE));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

/* Small pages, large ones, such as were never touched, and demand-zero ones. */
static void giving_back_needs_no_memory(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t small = vm_map(64 * PAGE, WRITE), large = vm_map(2 * LARGE, WRITE),
		 idle = vm_map(LARGE, WRITE), zero = vm_map(LARGE, WRITE | DEMAND_ZERO);
	for (uint64_t i = 0; i < 64; i++)
		*(volatile uint64_t *)(small + i * PAGE) = i;
	*(volatile uint64_t *)(large + 5 * PAGE) = 5;
	take_all_memory();
	for (uint64_t i = 1; i < 64; i += 2) {
		OK(vm_protect(large + i * PAGE, PAGE, i % 4 == 1 ? READ : 0));
		OK(vm_protect(idle + i * PAGE, PAGE, READ));
		OK(vm_protect(zero + i * PAGE, PAGE, READ));
	}
	for (uint64_t i = 0; i < 64; i += 2) {
		OK(vm_decommit(small + i * PAGE, PAGE));
		OK(vm_decommit(idle + i * PAGE, PAGE));
		OK(vm_decommit(zero + i * PAGE, PAGE));
	}
	CHECK_EQUAL(*(volatile uint64_t *)(large + 5 * PAGE), 5);
	for (uint64_t i = 1; i < 64; i += 2)
		CHECK_EQUAL(*(volatile uint64_t *)(small + i * PAGE), i);
	for (uint64_t i = 0; i < taken_size / PAGE; i += 2)
		OK(vm_decommit(taken + i * PAGE, PAGE));
	OK(vm_unmap(taken, taken_size));
	OK(vm_unmap(small, 64 * PAGE));
	OK(vm_unmap(large, 2 * LARGE));
	OK(vm_unmap(idle, LARGE));
	OK(vm_unmap(zero, LARGE));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
	CHECK_EQUAL(program_usage().resident_pages, before.resident_pages);
}

/* A whole GiB committed demand-zero takes next to nothing, and can be used like any other memory.
 */
static void huge_ranges_are_nearly_free(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t size = 1ull << 44, address = vm_map(size, WRITE | DEMAND_ZERO);
	CHECK(before.machine_free_pages - program_usage().machine_free_pages < 600);
	CHECK_EQUAL(vm_query(address + size / 2).start, address);
	CHECK_EQUAL(vm_query(address + size / 2).size, size);
	OK(vm_decommit(address + size / 2, PAGE));
	OK(vm_protect(address + size / 4, PAGE, READ));
	CHECK_EQUAL(vm_query(address).size, size / 4);
	CHECK_EQUAL(vm_query(address + size - PAGE).size, size / 2 - PAGE);
	*(volatile uint64_t *)(address + size / 2 + PAGE) = 1;
	CHECK_EQUAL(vm_query(address + size - PAGE).resident_pages, 1);
	OK(vm_unmap(address, size));
	CHECK_EQUAL(program_usage().machine_free_pages, before.machine_free_pages);
}

/* ---- random changes against an array of pages ---- */

#define MODEL_PAGES 2048u

static struct {
	uint8_t state, prot;
	bool resident;
} model[MODEL_PAGES];

static void compare_query(uint64_t address, unsigned page)
{
	struct capos_region_info info = vm_query(address + page * PAGE);
	unsigned first = page, end = page + 1, resident = 0;
	while (first && model[first - 1].state == model[page].state &&
		model[first - 1].prot == model[page].prot)
		first--;
	while (end < MODEL_PAGES && model[end].state == model[page].state &&
		model[end].prot == model[page].prot)
		end++;
	for (unsigned i = first; i < end; i++)
		resident += model[i].resident;
	CHECK_EQUAL(info.start, address + first * PAGE);
	CHECK_EQUAL(info.size, (end - first) * PAGE);
	CHECK_EQUAL(info.state, model[page].state);
	CHECK_EQUAL(info.prot, model[page].prot);
	CHECK(info.state == CAPOS_REGION_STATE_COMMITTED || info.resident_pages == resident);
}

static void change_model(unsigned first, unsigned count, unsigned what)
{
	for (unsigned i = first; i < first + count; i++) {
		if (what == 0) {
			model[i].state = CAPOS_REGION_STATE_RESERVED;
			model[i].prot = 0;
			model[i].resident = false;
			continue;
		}
		if (model[i].state == CAPOS_REGION_STATE_RESERVED)
			model[i].state = what == 1 ? CAPOS_REGION_STATE_DEMAND_ZERO
						   : CAPOS_REGION_STATE_COMMITTED;
		model[i].prot = what == 3 ? READ : WRITE;
	}
}

static void queries_are_exact(void)
{
	uint64_t seed = 4711, outer = vm_reserve((MODEL_PAGES + 2) * PAGE), address = outer + PAGE;
	OK(vm_unmap(outer, PAGE));
	OK(vm_unmap(address + MODEL_PAGES * PAGE, PAGE));
	change_model(0, MODEL_PAGES, 0);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned count = 1 + (unsigned)(random_next(&seed) % (round % 8 ? 20 : 1200));
		unsigned first = (unsigned)(random_next(&seed) % (MODEL_PAGES - count));
		unsigned what = (unsigned)(random_next(&seed) % 4);
		uint64_t start = address + first * PAGE, size = count * PAGE;
		if (what == 0)
			OK(vm_decommit(start, size));
		else
			OK(vm_commit(start, size,
				what == 1           ? WRITE | DEMAND_ZERO
					: what == 2 ? WRITE
						    : READ));
		change_model(first, count, what);
		if (what == 1 && model[first].state == CAPOS_REGION_STATE_DEMAND_ZERO) {
			*(volatile char *)start = 1;
			model[first].resident = true;
		}
		compare_query(address, (unsigned)(random_next(&seed) % MODEL_PAGES));
		compare_query(address, first);
	}
	OK(vm_unmap(address, MODEL_PAGES * PAGE));
}

int main(void)
{
	RUN(many_holes_are_one_region);
	RUN(giving_back_needs_no_memory);
	RUN(huge_ranges_are_nearly_free);
	RUN(queries_are_exact);
	return check_result();
}
