/* VirtualMemory method by method, in register form and in message form: the effect of each on
 * addresses and contents, and each of its errors. */
#include "support.h"

/* The two forms of one interface, so that every case runs through both. */
struct form {
	int64_t (*map)(capos_cap_t, uint64_t hint, uint64_t size, uint32_t prot, uint64_t *addr);
	int64_t (*unmap)(capos_cap_t, uint64_t addr, uint64_t size);
	int64_t (*protect)(capos_cap_t, uint64_t addr, uint64_t size, uint32_t prot);
	int64_t (*reserve)(capos_cap_t, uint64_t hint, uint64_t size, uint64_t *addr);
	int64_t (*commit)(capos_cap_t, uint64_t addr, uint64_t size, uint32_t prot);
	int64_t (*decommit)(capos_cap_t, uint64_t addr, uint64_t size);
	int64_t (*query)(capos_cap_t, uint64_t addr, uint64_t size, void *info, size_t capacity);
	int64_t (*usage)(capos_cap_t, void *usage, size_t capacity);
};

static const struct form register_form = { capos_virtual_memory_map, capos_virtual_memory_unmap,
	capos_virtual_memory_protect, capos_virtual_memory_reserve, capos_virtual_memory_commit,
	capos_virtual_memory_decommit, capos_virtual_memory_query, capos_virtual_memory_usage };

static const struct form message_form = { capos_virtual_memory_map_message,
	capos_virtual_memory_unmap_message, capos_virtual_memory_protect_message,
	capos_virtual_memory_reserve_message, capos_virtual_memory_commit_message,
	capos_virtual_memory_decommit_message, capos_virtual_memory_query_message,
	capos_virtual_memory_usage_message };

static const struct form *vm;
#define VM capos_caps.vm

/* Ranges that no method takes, with the error that each must give. page_ok: hint 0 is allowed for
 * map and reserve. */
static const struct bad_range {
	uint64_t address, size;
	int64_t status;
	bool only_addresses;
} bad_ranges[] = {
	{ 0x10000000, 0, CAPOS_E(INVALID_ARGUMENT), false },
	{ 0x10000001, PAGE, CAPOS_E(MISALIGNED), false },
	{ 0x10000fff, PAGE, CAPOS_E(MISALIGNED), false },
	{ CAPOS_USER_TOP - PAGE + 8, PAGE, CAPOS_E(MISALIGNED), false },
	{ CAPOS_USER_TOP, PAGE, CAPOS_E(OUT_OF_RANGE), false },
	{ CAPOS_USER_TOP - PAGE, 2 * PAGE, CAPOS_E(OUT_OF_RANGE), false },
	{ NON_CANONICAL, PAGE, CAPOS_E(OUT_OF_RANGE), false },
	{ KERNEL_HALF, PAGE, CAPOS_E(OUT_OF_RANGE), false },
	{ -PAGE, PAGE, CAPOS_E(OUT_OF_RANGE), false },
	{ -PAGE, 2 * PAGE, CAPOS_E(OUT_OF_RANGE), false },
	{ 0x10000000, CAPOS_USER_TOP, CAPOS_E(OUT_OF_RANGE), false },
	{ 0x10000000, ~0ull, CAPOS_E(OUT_OF_RANGE), false },
	{ 0x10000000, -0x10000000ull, CAPOS_E(OUT_OF_RANGE), false },
	{ 0, CAPOS_USER_TOP + 1, CAPOS_E(OUT_OF_RANGE), false },
	{ 0, ~0ull, CAPOS_E(OUT_OF_RANGE), false },
	{ 0, 1ull << 63, CAPOS_E(OUT_OF_RANGE), false },
	{ 0, PAGE, CAPOS_E(NOT_RESERVED), true },
	{ CAPOS_USER_TOP - PAGE, PAGE, CAPOS_E(NOT_RESERVED), true },
	{ 0x700000000000, PAGE, CAPOS_E(NOT_RESERVED), true },
	{ 0x700000000000, 1, CAPOS_E(NOT_RESERVED), true },
};

static void bad_ranges_are_rejected(void)
{
	for (unsigned i = 0; i < sizeof bad_ranges / sizeof bad_ranges[0]; i++) {
		const struct bad_range *bad = &bad_ranges[i];
		uint64_t address;
		CHECK_FAILS_WITH(
			VIRTUAL_MEMORY_UNMAP, bad->status, vm->unmap(VM, bad->address, bad->size));
		CHECK_FAILS_WITH(VIRTUAL_MEMORY_PROTECT, bad->status,
			vm->protect(VM, bad->address, bad->size, READ));
		CHECK_FAILS_WITH(VIRTUAL_MEMORY_COMMIT, bad->status,
			vm->commit(VM, bad->address, bad->size, WRITE));
		CHECK_FAILS_WITH(VIRTUAL_MEMORY_DECOMMIT, bad->status,
			vm->decommit(VM, bad->address, bad->size));
		if (bad->only_addresses)
			continue;
		CHECK_FAILS_WITH(VIRTUAL_MEMORY_MAP, bad->status,
			vm->map(VM, bad->address, bad->size, WRITE, &address));
		CHECK_FAILS_WITH(VIRTUAL_MEMORY_RESERVE, bad->status,
			vm->reserve(VM, bad->address, bad->size, &address));
	}
}

static void bad_protections_are_rejected(void)
{
	static const struct {
		uint32_t prot;
		int64_t status;
		bool map_only;
	} bad[] = {
		{ CAPOS_PROT_WRITE | CAPOS_PROT_EXEC, CAPOS_E(PROTECTION_DENIED), false },
		{ WRITE | CAPOS_PROT_EXEC, CAPOS_E(PROTECTION_DENIED), false },
		{ 8, CAPOS_E(INVALID_ARGUMENT), false },
		{ READ | 0x80000000, CAPOS_E(INVALID_ARGUMENT), false },
		{ WRITE | 512, CAPOS_E(INVALID_ARGUMENT), false },
		{ 0xffffffff, CAPOS_E(INVALID_ARGUMENT), false },
		{ WRITE | CAPOS_PROT_EXEC | DEMAND_ZERO, CAPOS_E(PROTECTION_DENIED), true },
	};
	uint64_t range = vm_map(PAGE, READ), address;
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK_FAILS_WITH(VIRTUAL_MEMORY_MAP, bad[i].status,
			vm->map(VM, 0, PAGE, bad[i].prot, &address));
		CHECK_FAILS_WITH(VIRTUAL_MEMORY_COMMIT, bad[i].status,
			vm->commit(VM, range, PAGE, bad[i].prot));
		if (!bad[i].map_only)
			CHECK_FAILS_WITH(VIRTUAL_MEMORY_PROTECT, bad[i].status,
				vm->protect(VM, range, PAGE, bad[i].prot));
	}
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, INVALID_ARGUMENT,
		vm->protect(VM, range, PAGE, READ | DEMAND_ZERO)); /* protect has no modes */
	CHECK_EQUAL(vm_query(range).prot, READ);
	OK(vm->unmap(VM, range, PAGE));
}

static void hints_are_taken_or_ignored(void)
{
	uint64_t wanted = 0x123456000, got = 0, other = 0;
	OK(vm->reserve(VM, wanted, 3 * PAGE, &got));
	CHECK_EQUAL(got, wanted);
	OK(vm->reserve(VM, wanted + 2 * PAGE, 2 * PAGE, &other)); /* overlaps: somewhere else */
	CHECK(other + 2 * PAGE <= wanted || other >= wanted + 3 * PAGE);
	OK(vm->unmap(VM, other, 2 * PAGE));
	OK(vm->map(VM, wanted + PAGE, PAGE, WRITE, &other));
	CHECK(other != wanted + PAGE);
	OK(vm->unmap(VM, other, PAGE));
	OK(vm->unmap(VM, wanted, 3 * PAGE));
	OK(vm->map(VM, CAPOS_USER_TOP - PAGE, PAGE, WRITE,
		&got)); /* the very last page is the program's */
	CHECK_EQUAL(got, CAPOS_USER_TOP - PAGE);
	*(volatile uint64_t *)(CAPOS_USER_TOP - 8) = 42;
	CHECK_EQUAL(*(volatile uint64_t *)(CAPOS_USER_TOP - 8), 42);
	OK(vm->unmap(VM, got, PAGE));
	OK(vm->reserve(VM, PAGE, PAGE, &got)); /* below where programs may be: the kernel chooses */
	CHECK(got >= 0x10000);
	OK(vm->unmap(VM, got, PAGE));
}

static void sizes_are_rounded_up(void)
{
	uint64_t address = 0;
	OK(vm->map(VM, 0, 1, WRITE, &address));
	CHECK_EQUAL(vm_query(address).state, CAPOS_REGION_STATE_COMMITTED);
	*(volatile char *)(address + PAGE - 1) = 1;
	OK(vm->protect(VM, address, 1, READ));
	CHECK_EQUAL(try_write(address + PAGE - 1), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	OK(vm->decommit(VM, address, PAGE - 1));
	CHECK_EQUAL(try_read(address), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	OK(vm->unmap(VM, address, 1));
	CHECK_FAILS(VIRTUAL_MEMORY_UNMAP, NOT_RESERVED, vm->unmap(VM, address, 1));
}

static void what_is_not_committed_cannot_be_touched(void)
{
	uint64_t range = 0;
	OK(vm->reserve(VM, 0, 4 * PAGE, &range));
	CHECK_EQUAL(try_read(range), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(fault.code, CAPOS_FAULT_MAPPING);
	CHECK_EQUAL(fault.address, range);
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, NOT_COMMITTED, vm->protect(VM, range, PAGE, READ));
	OK(vm->commit(VM, range + PAGE, PAGE, WRITE));
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, NOT_COMMITTED, vm->protect(VM, range, 2 * PAGE, READ));
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, NOT_COMMITTED,
		vm->protect(VM, range + PAGE, 2 * PAGE, READ));
	CHECK_EQUAL(try_write(range + PAGE), 0); /* it fails as a whole: still writable */
	CHECK_EQUAL(try_read(range + 2 * PAGE - 1), 0);
	CHECK_EQUAL(try_read(range + 2 * PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(fault.address, range + 2 * PAGE);
	OK(vm->decommit(VM, range, 4 * PAGE)); /* pages not committed are left alone */
	OK(vm->decommit(VM, range, 4 * PAGE));
	OK(vm->unmap(VM, range, 4 * PAGE));
	CHECK_EQUAL(try_read(range + PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_FAILS(VIRTUAL_MEMORY_COMMIT, NOT_RESERVED, vm->commit(VM, range, PAGE, WRITE));
	CHECK_FAILS(VIRTUAL_MEMORY_DECOMMIT, NOT_RESERVED, vm->decommit(VM, range, PAGE));
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, NOT_RESERVED, vm->protect(VM, range, PAGE, WRITE));
}

static void protections_hold(void)
{
	static const uint8_t return_instruction = 0xc3;
	uint64_t range = 0;
	OK(vm->map(VM, 0, PAGE, WRITE, &range));
	memcpy((void *)range, &return_instruction, 1);
	CHECK_EQUAL(try_call(range), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(fault.code, CAPOS_FAULT_PROTECTION);
	CHECK_EQUAL(fault.address, range);
	OK(vm->protect(VM, range, PAGE, EXEC));
	CHECK_EQUAL(try_call(range), 0);
	CHECK_EQUAL(try_write(range), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(fault.code, CAPOS_FAULT_PROTECTION);
	OK(vm->protect(VM, range, PAGE, READ));
	CHECK_EQUAL(try_read(range), 0);
	CHECK_EQUAL(try_call(range), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	OK(vm->protect(
		VM, range, PAGE, CAPOS_PROT_WRITE)); /* a processor cannot write without reading */
	CHECK_EQUAL(try_write(range), 0);
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, PROTECTION_DENIED,
		vm->protect(VM, range, PAGE, CAPOS_PROT_WRITE | CAPOS_PROT_EXEC));
	CHECK_EQUAL(try_write(range), 0);
	OK(vm->unmap(VM, range, PAGE));
}

static void no_access_keeps_contents(uint32_t mode)
{
	uint64_t range = 0;
	OK(vm->map(VM, 0, 8 * PAGE, WRITE | mode, &range));
	memset((void *)range, 0x5a, 8 * PAGE);
	OK(vm->protect(VM, range + 2 * PAGE, 4 * PAGE, 0));
	CHECK_EQUAL(try_read(range + 3 * PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(fault.code, CAPOS_FAULT_PROTECTION);
	CHECK_EQUAL(try_write(range + 3 * PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(vm_query(range + 3 * PAGE).prot, 0);
	CHECK_EQUAL(vm_query(range + 3 * PAGE).resident_pages, 4);
	CHECK_FAILS(CONSOLE_WRITE, BAD_ADDRESS,
		capos_console_write(capos_caps.standard_output, (void *)(range + 3 * PAGE), 1));
	OK(vm->protect(VM, range, 8 * PAGE, READ));
	for (uint64_t i = 0; i < 8 * PAGE; i += 64)
		CHECK_EQUAL(*(volatile uint8_t *)(range + i), 0x5a);
	OK(vm->unmap(VM, range, 8 * PAGE));
}

static void no_access_keeps_committed_contents(void)
{
	no_access_keeps_contents(0);
}

static void no_access_keeps_demand_zero_contents(void)
{
	no_access_keeps_contents(DEMAND_ZERO);
}

static void decommitted_pages_read_zero(uint32_t mode)
{
	uint64_t range = 0;
	OK(vm->map(VM, 0, 64 * PAGE, WRITE | mode, &range));
	memset((void *)range, 0xa5, 64 * PAGE);
	OK(vm->decommit(VM, range + 3 * PAGE, 30 * PAGE));
	CHECK_EQUAL(try_read(range + 3 * PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(try_read(range + 33 * PAGE - 1), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	OK(vm->commit(VM, range, 64 * PAGE, WRITE | mode));
	uint64_t wrong = 0;
	for (uint64_t i = 0; i < 64 * PAGE; i++)
		wrong += *(volatile uint8_t *)(range + i) !=
			(i / PAGE >= 3 && i / PAGE < 33 ? 0 : 0xa5);
	CHECK_EQUAL(wrong, 0);
	OK(vm->unmap(VM, range, 64 * PAGE));
}

static void decommitted_pages_charged_at_commit_read_zero(void)
{
	decommitted_pages_read_zero(0);
}

static void decommitted_demand_zero_pages_read_zero(void)
{
	decommitted_pages_read_zero(DEMAND_ZERO);
}

/* An aligned block that may be one 2 MiB page is changed in its middle. */
static void large_pages_split(void)
{
	uint64_t range = 0;
	OK(vm->map(VM, 0x40000000, 3 * LARGE, WRITE, &range));
	for (uint64_t offset = 0; offset < 3 * LARGE; offset += 8)
		*(uint64_t *)(range + offset) = offset;
	OK(vm->protect(VM, range + LARGE + 5 * PAGE, PAGE, READ));
	OK(vm->decommit(VM, range + LARGE + 7 * PAGE, 2 * PAGE));
	OK(vm->unmap(VM, range + 2 * LARGE - PAGE, 2 * PAGE)); /* across two */
	CHECK_EQUAL(try_write(range + LARGE + 5 * PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(try_write(range + LARGE + 4 * PAGE), 0);
	CHECK_EQUAL(try_write(range + LARGE + 6 * PAGE), 0);
	CHECK_EQUAL(try_read(range + LARGE + 7 * PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(try_read(range + 2 * LARGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	OK(vm->commit(VM, range + LARGE + 7 * PAGE, 2 * PAGE, READ));
	uint64_t wrong = 0;
	for (uint64_t offset = 0; offset < 3 * LARGE; offset += 8) {
		uint64_t page = offset / PAGE;
		if (page == 1023 || page == 1024)
			continue;
		wrong += *(volatile uint64_t *)(range + offset) !=
			(page == 519 || page == 520 ? 0 : offset);
	}
	CHECK_EQUAL(wrong, 0);
	OK(vm->unmap(VM, range, 2 * LARGE - PAGE));
	OK(vm->unmap(VM, range + 2 * LARGE + PAGE, LARGE - PAGE));
}

/* Four pages of write-only memory, which get frames when they are touched. */
static void query_looks_no_further(uint64_t pages)
{
	static const struct {
		uint64_t from, size, count, resident;
	} parts[] = { { 0, 0, 4, 1 }, { PAGE, 0, 4, 1 }, { 0, 1, 1, 0 }, { 5, PAGE, 2, 1 },
		{ PAGE, PAGE, 1, 1 }, { PAGE + 1, 1, 1, 1 }, { PAGE, 2 * PAGE, 2, 1 },
		{ 2 * PAGE, PAGE, 1, 0 }, { 2 * PAGE, 4 * PAGE, 2, 0 }, { 3 * PAGE, ~0ull, 1, 0 } };
	struct capos_region_info info;

	*(volatile char *)(pages + PAGE) = 1;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		uint64_t from = pages + parts[i].from;
		CHECK_EQUAL(vm->query(VM, from, parts[i].size, &info, sizeof info), sizeof info);
		CHECK_EQUAL(info.start, parts[i].size ? from & ~(PAGE - 1ull) : pages);
		CHECK_EQUAL(info.size, parts[i].count * PAGE);
		CHECK_EQUAL(info.resident_pages, parts[i].resident);
		CHECK_EQUAL(info.state, CAPOS_REGION_STATE_DEMAND_ZERO);
	}
}

static void query_describes_regions_and_gaps(void)
{
	struct capos_region_info info;
	uint64_t range = 0;
	OK(vm->reserve(VM, 0x200000000, 16 * PAGE, &range));
	OK(vm->commit(VM, range + 4 * PAGE, 4 * PAGE, READ));
	OK(vm->commit(VM, range + 8 * PAGE, 4 * PAGE, WRITE | DEMAND_ZERO));
	CHECK_EQUAL(vm->query(VM, range + 5 * PAGE + 17, 0, &info, sizeof info), sizeof info);
	CHECK(info.start == range + 4 * PAGE && info.size == 4 * PAGE &&
		info.state == CAPOS_REGION_STATE_COMMITTED && info.prot == READ);
	CHECK_EQUAL(vm->query(VM, range + 11 * PAGE, 0, &info, sizeof info), sizeof info);
	CHECK(info.start == range + 8 * PAGE && info.size == 4 * PAGE &&
		info.state == CAPOS_REGION_STATE_DEMAND_ZERO && info.prot == WRITE);
	CHECK_EQUAL(info.resident_pages, 0);
	CHECK_EQUAL(vm->query(VM, range + 12 * PAGE, 0, &info, sizeof info), sizeof info);
	CHECK(info.state == CAPOS_REGION_STATE_RESERVED && info.size == 4 * PAGE && info.prot == 0);
	CHECK_EQUAL(vm->query(VM, range + 16 * PAGE, 0, &info, sizeof info), sizeof info);
	CHECK(info.state == CAPOS_REGION_STATE_FREE && info.start == range + 16 * PAGE);
	CHECK_EQUAL(vm->query(VM, 0, 0, &info, sizeof info), sizeof info);
	CHECK(info.state == CAPOS_REGION_STATE_FREE && info.start == 0);
	query_looks_no_further(range + 8 * PAGE);
	CHECK_FAILS(VIRTUAL_MEMORY_QUERY, OUT_OF_RANGE,
		vm->query(VM, CAPOS_USER_TOP, 0, &info, sizeof info));
	CHECK_FAILS(
		VIRTUAL_MEMORY_QUERY, OUT_OF_RANGE, vm->query(VM, ~0ull, 0, &info, sizeof info));
	OK(vm->protect(
		VM, range + 4 * PAGE, 4 * PAGE, WRITE)); /* alike but for the mode: not joined */
	CHECK_EQUAL(vm_query(range + 4 * PAGE).size, 4 * PAGE);
	OK(vm->unmap(VM, range, 16 * PAGE));
}

static void answers_need_room(void)
{
	CHECK_FAILS(VIRTUAL_MEMORY_QUERY, BAD_ADDRESS,
		capos_virtual_memory_query(VM, 0, 0, (void *)8, 64));
	CHECK_FAILS(VIRTUAL_MEMORY_QUERY, BAD_ADDRESS,
		capos_virtual_memory_query(VM, 0, 0, (void *)KERNEL_HALF, 64));
	CHECK_FAILS(
		VIRTUAL_MEMORY_USAGE, BAD_ADDRESS, capos_virtual_memory_usage(VM, (void *)8, 64));
	CHECK_FAILS(VIRTUAL_MEMORY_USAGE, BAD_ADDRESS,
		capos_virtual_memory_usage(VM, (void *)(CAPOS_USER_TOP - 32), 64));
	struct capos_memory_usage usage = { 0 };
	CHECK_EQUAL(vm->usage(VM, &usage, sizeof usage), sizeof usage);
	CHECK(usage.machine_pages > usage.machine_free_pages && usage.committed_pages > 0 &&
		usage.peak_committed >= usage.committed_pages);
	uint64_t read_only = vm_map(PAGE, READ);
	CHECK_FAILS(VIRTUAL_MEMORY_USAGE, BAD_ADDRESS,
		capos_virtual_memory_usage(VM, (void *)read_only, 64));
	OK(vm_unmap(read_only, PAGE));
}

static void huge_reservations(void)
{
	uint64_t range = 0, top = 0;
	OK(vm->reserve(VM, 0, 1ull << 46, &range));
	OK(vm->commit(VM, range + (1ull << 45), PAGE, WRITE));
	*(volatile int *)(range + (1ull << 45)) = 5;
	CHECK_FAILS(VIRTUAL_MEMORY_COMMIT, NO_MEMORY, vm->commit(VM, range, 1ull << 46, WRITE));
	CHECK_EQUAL(*(volatile int *)(range + (1ull << 45)), 5);
	OK(vm->commit(VM, range, 1ull << 46, WRITE | DEMAND_ZERO));
	*(volatile int *)(range + (1ull << 46) - 4) = 6;
	OK(vm->reserve(VM, 0x7f0000000000, LARGE, &top));
	OK(vm->unmap(VM, top, LARGE));
	OK(vm->unmap(VM, range, 1ull << 46));
	CHECK_EQUAL(try_read(range + (1ull << 45)), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
}

/* The program's own pages: read-only text stays read-only, and pages that the kernel placed cannot
 * be taken away. */
static void program_memory_is_guarded(void)
{
	uint64_t text = (uintptr_t)&program_memory_is_guarded & ~(PAGE - 1),
		 ring = (uintptr_t)capos_ring();
	CHECK_EQUAL(try_write(text), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(try_write((uintptr_t)capos_cap_set()), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(try_write(capos_cap_set()->clock_address), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_FAILS(VIRTUAL_MEMORY_UNMAP, PROTECTION_DENIED, vm->unmap(VM, ring, PAGE));
	CHECK_FAILS(VIRTUAL_MEMORY_DECOMMIT, PROTECTION_DENIED, vm->decommit(VM, ring, PAGE));
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, PROTECTION_DENIED, vm->protect(VM, ring, PAGE, 0));
	CHECK_FAILS(VIRTUAL_MEMORY_COMMIT, PROTECTION_DENIED, vm->commit(VM, ring, PAGE, READ));
	CHECK_FAILS(VIRTUAL_MEMORY_UNMAP, PROTECTION_DENIED,
		vm->unmap(VM, capos_cap_set()->clock_address, PAGE));
}

static void run_all(const char *name, const struct form *form)
{
	vm = form;
	printf("# %s form\n", name);
	RUN(bad_ranges_are_rejected);
	RUN(bad_protections_are_rejected);
	RUN(hints_are_taken_or_ignored);
	RUN(sizes_are_rounded_up);
	RUN(what_is_not_committed_cannot_be_touched);
	RUN(protections_hold);
	RUN(no_access_keeps_committed_contents);
	RUN(no_access_keeps_demand_zero_contents);
	RUN(decommitted_pages_charged_at_commit_read_zero);
	RUN(decommitted_demand_zero_pages_read_zero);
	RUN(large_pages_split);
	RUN(query_describes_regions_and_gaps);
	RUN(answers_need_room);
	RUN(huge_reservations);
	RUN(program_memory_is_guarded);
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	run_all("register", &register_form);
	run_all("message", &message_form);
	capos_notification_set_handler(NULL);
	return check_result();
}
