/* VirtualMemory and its two ledgers: what each method reserves, charges and uncharges; pages
 * charged at commit and demand-zero pages; exhaustion. */
#include "support.h"

#define CHECK_LEDGER(reserved, committed)                                              \
	do {                                                                           \
		struct capos_memory_usage now_ = program_usage();                      \
		CHECK_EQUAL(now_.reserved_pages - before.reserved_pages, reserved);    \
		CHECK_EQUAL(now_.committed_pages - before.committed_pages, committed); \
	} while (0)

static void reserving_charges_no_memory(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t range = vm_reserve(1ull << 40);
	CHECK_LEDGER(1 << 28, 0);
	CHECK_EQUAL(program_usage().machine_free_pages, before.machine_free_pages);
	OK(vm_unmap(range, 1ull << 40));
	CHECK_LEDGER(0, 0);
}

static void committed_pages_are_charged_at_commit(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t range = vm_reserve(64 * PAGE);
	OK(vm_commit(range, 64 * PAGE, WRITE));
	CHECK_LEDGER(64, 64);
	OK(vm_decommit(range + 16 * PAGE, 16 * PAGE));
	CHECK_LEDGER(64, 48);
	OK(vm_decommit(range, 64 * PAGE));
	CHECK_LEDGER(64, 0);
	OK(vm_unmap(range, 64 * PAGE));
	CHECK_LEDGER(0, 0);
}

static void committing_again_charges_nothing(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t range = vm_reserve(32 * PAGE);
	OK(vm_commit(range + 8 * PAGE, 8 * PAGE, WRITE));
	memset((void *)(range + 8 * PAGE), 7, 8 * PAGE);
	OK(vm_commit(range + 8 * PAGE, 8 * PAGE, WRITE));
	CHECK_LEDGER(32, 8);
	OK(vm_commit(range, 32 * PAGE, WRITE)); /* the rest around it */
	CHECK_LEDGER(32, 32);
	for (uint64_t i = 0; i < 32; i++)
		CHECK_EQUAL(*(uint8_t *)(range + i * PAGE), i / 8 == 1 ? 7 : 0);
	OK(vm_unmap(range, 32 * PAGE));
	CHECK_LEDGER(0, 0);
}

static void demand_zero_pages_are_charged_at_first_touch(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t range = vm_map(1ull << 34, WRITE | DEMAND_ZERO);
	CHECK_LEDGER(1 << 22, 0);
	for (uint64_t i = 0; i < 10; i++)
		*(volatile char *)(range + i * (1ull << 30)) = 1;
	CHECK_LEDGER(1 << 22, 10);
	CHECK_EQUAL(*(volatile char *)(range + PAGE), 0);
	CHECK_LEDGER(1 << 22, 11);
	OK(vm_decommit(range, 1ull << 31)); /* three of the touched pages */
	CHECK_LEDGER(1 << 22, 8);
	OK(vm_unmap(range, 1ull << 34));
	CHECK_LEDGER(0, 0);
}

/* Committing committed pages in the other mode changes nothing. */
static void modes_are_kept(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t range = vm_reserve(16 * PAGE);
	OK(vm_commit(range, 4 * PAGE, WRITE | DEMAND_ZERO));
	OK(vm_commit(range, 8 * PAGE, WRITE));
	CHECK_LEDGER(16, 4);
	OK(vm_commit(range, 16 * PAGE, WRITE | DEMAND_ZERO));
	CHECK_LEDGER(16, 4);
	CHECK_EQUAL(vm_query(range).state, CAPOS_REGION_STATE_DEMAND_ZERO);
	CHECK_EQUAL(vm_query(range + 4 * PAGE).state, CAPOS_REGION_STATE_COMMITTED);
	CHECK_EQUAL(vm_query(range + 8 * PAGE).state, CAPOS_REGION_STATE_DEMAND_ZERO);
	memset((void *)range, 1, 16 * PAGE);
	CHECK_LEDGER(16, 16);
	OK(vm_unmap(range, 16 * PAGE));
	CHECK_LEDGER(0, 0);
}

static void unmapping_several_regions_gives_back_each(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t range = vm_reserve(64 * PAGE);
	OK(vm_commit(range, 16 * PAGE, WRITE));
	OK(vm_commit(range + 16 * PAGE, 16 * PAGE, WRITE | DEMAND_ZERO));
	OK(vm_commit(range + 48 * PAGE, 16 * PAGE, READ));
	*(volatile char *)(range + 20 * PAGE) = 1;
	*(volatile char *)(range + 30 * PAGE) = 1;
	CHECK_LEDGER(64, 34);
	OK(vm_unmap(range + 8 * PAGE, 16 * PAGE)); /* half of the committed part, half of the
	                                              demand-zero part with one touched page */
	CHECK_LEDGER(48, 25);
	CHECK_FAILS(VIRTUAL_MEMORY_UNMAP, NOT_RESERVED,
		vm_unmap(range, 16 * PAGE)); /* part of it is gone */
	CHECK_LEDGER(48, 25);
	*(volatile char *)range = 1;
	OK(vm_unmap(range, 8 * PAGE));
	OK(vm_unmap(range + 24 * PAGE, 40 * PAGE));
	CHECK_LEDGER(0, 0);
}

static void reservation_ledger_is_bounded(void)
{
	struct capos_memory_usage before = program_usage();
	CHECK_EQUAL(before.reserved_limit, CAPOS_RESERVED_PAGES_MAX);
	uint64_t address, first = vm_reserve(1ull << 46);
	CHECK_FAILS(VIRTUAL_MEMORY_RESERVE, NO_RESERVATION,
		capos_virtual_memory_reserve(
			capos_caps.vm, 0, 1ull << 46, &address)); /* not all of 2^47 is free */
	CHECK_FAILS(VIRTUAL_MEMORY_MAP, NO_RESERVATION,
		capos_virtual_memory_map(
			capos_caps.vm, 0, 1ull << 46, WRITE | DEMAND_ZERO, &address));
	uint64_t second = vm_reserve(1ull << 45);
	OK(vm_unmap(first, 1ull << 46));
	OK(vm_unmap(second, 1ull << 45));
	CHECK_LEDGER(0, 0);
}

/* A commit of more than there is fails as a whole, changes nothing, and is never granted in
 * part. */
static void too_much_fails_as_a_whole(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t size = (before.machine_pages + 1) * PAGE, address;
	CHECK_FAILS(VIRTUAL_MEMORY_MAP, NO_MEMORY,
		capos_virtual_memory_map(capos_caps.vm, 0, size, WRITE, &address));
	CHECK_FAILS(VIRTUAL_MEMORY_MAP, NO_MEMORY,
		capos_virtual_memory_map(capos_caps.vm, 0, 1ull << 40, WRITE, &address));
	CHECK_LEDGER(0, 0);
	uint64_t range = vm_reserve(size);
	OK(vm_commit(range + 8 * PAGE, PAGE, READ));
	CHECK_FAILS(VIRTUAL_MEMORY_COMMIT, NO_MEMORY, vm_commit(range, size, WRITE));
	CHECK_LEDGER(size / PAGE, 1);
	CHECK_EQUAL(vm_query(range).state, CAPOS_REGION_STATE_RESERVED);
	CHECK_EQUAL(vm_query(range + 8 * PAGE).prot, READ);
	OK(vm_unmap(range, size));
	CHECK_LEDGER(0, 0);
	CHECK_EQUAL(program_usage().machine_free_pages, before.machine_free_pages);
}

/* Commits up to the machine's last page hold: every page can be written. */
static void every_committed_page_gets_its_frame(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t range = vm_reserve((before.machine_pages + 1) * PAGE), end = range, step = LARGE;
	while (step >= PAGE) {
		if (vm_commit(end, step, WRITE) == 0)
			end += step;
		else
			step /= 2;
	}
	CHECK_FAILS(VIRTUAL_MEMORY_COMMIT, NO_MEMORY, vm_commit(end, PAGE, WRITE));
	CHECK((end - range) / PAGE > before.machine_free_pages * 9 / 10);
	CHECK((end - range) / PAGE <= before.machine_free_pages);
	for (uint64_t page = range; page < end; page += PAGE)
		*(volatile uint64_t *)page = page;
	uint64_t wrong = 0;
	for (uint64_t page = range; page < end; page += PAGE)
		wrong += *(volatile uint64_t *)page != page;
	CHECK_EQUAL(wrong, 0);
	CHECK_EQUAL(program_usage().committed_pages - before.committed_pages, (end - range) / PAGE);
	OK(vm_unmap(range, (before.machine_pages + 1) * PAGE));
	CHECK_LEDGER(0, 0);
	CHECK_EQUAL(program_usage().machine_free_pages, before.machine_free_pages);
}

static void decommitting_page_by_page_gives_memory_back(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t range = vm_map(512 * PAGE, WRITE);
	memset((void *)range, 0xee, 512 * PAGE);
	CHECK(program_usage().resident_pages - before.resident_pages >= 512);
	for (uint64_t page = 0; page < 512; page += 2)
		OK(vm_decommit(range + page * PAGE, PAGE));
	CHECK_LEDGER(512, 256);
	CHECK(program_usage().machine_free_pages + 256 + 32 >=
		before.machine_free_pages); /* 32: the kernel keeps books of 512 regions */
	OK(vm_unmap(range, 512 * PAGE));
	CHECK(program_usage().machine_free_pages + 2 >=
		before.machine_free_pages); /* the kernel's heap may keep a page or two until the
	                                       end */
	CHECK_EQUAL(program_usage().resident_pages, before.resident_pages);
	CHECK_LEDGER(0, 0);
}

int main(void)
{
	RUN(reserving_charges_no_memory);
	RUN(committed_pages_are_charged_at_commit);
	RUN(committing_again_charges_nothing);
	RUN(demand_zero_pages_are_charged_at_first_touch);
	RUN(modes_are_kept);
	RUN(unmapping_several_regions_gives_back_each);
	RUN(reservation_ledger_is_bounded);
	RUN(too_much_fails_as_a_whole);
	RUN(every_committed_page_gets_its_frame);
	RUN(decommitting_page_by_page_gives_memory_back);
	return check_result();
}
