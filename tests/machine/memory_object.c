/* MemoryAllocator and MemoryObject: contents shared between mappings, offsets, protections, life
 * beyond the capability and beyond the mapping, ledgers, and every error in both forms. */
#include "support.h"

static capos_cap_t create(uint64_t size)
{
	capos_cap_t object = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, size, &object));
	return object;
}

static uint64_t map(capos_cap_t object, uint64_t offset, uint64_t size, uint32_t prot)
{
	uint64_t address = 0;
	OK(capos_memory_object_map(object, 0, offset, size, prot, &address));
	return address;
}

static void objects_are_made_and_charged(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t object = 0, large = 0;
	uint64_t pages = 0;
	OK(capos_memory_allocator_create_message(
		capos_caps.memory_allocator, 3 * PAGE + 1, &object));
	OK(capos_memory_object_info(object, &pages));
	CHECK_EQUAL(pages, 4);
	OK(capos_memory_object_info_message(object, &pages));
	CHECK_EQUAL(pages, 4);
	CHECK_EQUAL(program_usage().committed_pages - before.committed_pages, 4);
	CHECK_EQUAL(program_usage().reserved_pages, before.reserved_pages);
	OK(capos_release(object));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
	static const uint64_t wrong[] = { 1ull << 40, 1ull << 63, ~0ull - PAGE, ~0ull };
	for (unsigned i = 0; i < 4; i++) {
		CHECK_FAILS(MEMORY_ALLOCATOR_CREATE, NO_MEMORY,
			capos_memory_allocator_create(
				capos_caps.memory_allocator, wrong[i], &large));
		CHECK_FAILS(MEMORY_ALLOCATOR_CREATE, NO_MEMORY,
			capos_memory_allocator_create_message(
				capos_caps.memory_allocator, wrong[i], &large));
	}
	CHECK_FAILS(MEMORY_ALLOCATOR_CREATE, INVALID_ARGUMENT,
		capos_memory_allocator_create(capos_caps.memory_allocator, 0, &large));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void mappings_share_contents(void)
{
	capos_cap_t object = create(8 * PAGE);
	uint64_t a = map(object, 0, 8 * PAGE, WRITE), b = map(object, 0, 8 * PAGE, READ),
		 c = map(object, 5 * PAGE, PAGE, WRITE);
	for (uint64_t i = 0; i < 8 * PAGE; i += 512)
		CHECK_EQUAL(*(volatile uint64_t *)(b + i), 0);
	for (uint64_t i = 0; i < 8 * PAGE; i += 512)
		*(volatile uint64_t *)(a + i) = i * 3 + 1;
	for (uint64_t i = 0; i < 8 * PAGE; i += 512)
		CHECK_EQUAL(*(volatile uint64_t *)(b + i), i * 3 + 1);
	CHECK_EQUAL(*(volatile uint64_t *)c, 5 * PAGE * 3 + 1);
	*(volatile uint64_t *)(c + 8) = 99;
	CHECK_EQUAL(*(volatile uint64_t *)(b + 5 * PAGE + 8), 99);
	CHECK_EQUAL(try_write(b), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(vm_query(a).state, CAPOS_REGION_STATE_OBJECT);
	OK(capos_memory_object_unmap(object, a + 2 * PAGE, 2 * PAGE)); /* part of one mapping */
	CHECK_EQUAL(try_read(a + 2 * PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(*(volatile uint64_t *)(b + 2 * PAGE), 2 * PAGE * 3 + 1);
	CHECK_EQUAL(*(volatile uint64_t *)(a + 4 * PAGE), 4 * PAGE * 3 + 1);
	OK(vm_unmap(a, 2 * PAGE)); /* the space's own method does as well */
	OK(vm_unmap(a + 4 * PAGE, 4 * PAGE));
	OK(vm_unmap(b, 8 * PAGE));
	OK(capos_memory_object_unmap_message(object, c, PAGE));
	a = map(object, 0, 8 * PAGE, READ); /* not mapped meanwhile: contents stay */
	CHECK_EQUAL(*(volatile uint64_t *)(a + 7 * PAGE), 7 * PAGE * 3 + 1);
	OK(vm_unmap(a, 8 * PAGE));
	OK(capos_release(object));
}

static void mappings_outlive_the_capability(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t object = create(4 * PAGE);
	uint64_t a = map(object, PAGE, 2 * PAGE, WRITE);
	*(volatile int *)a = 1;
	OK(capos_release(object));
	*(volatile int *)(a + PAGE) = 2;
	CHECK(*(volatile int *)a == 1 && *(volatile int *)(a + PAGE) == 2);
	CHECK_EQUAL(program_usage().committed_pages - before.committed_pages,
		4); /* the whole object, until the last holder lets go */
	OK(vm_unmap(a, PAGE));
	CHECK_EQUAL(program_usage().committed_pages - before.committed_pages, 4);
	OK(vm_unmap(a + PAGE, PAGE));
	CHECK_USAGE_IS(before);
}

static void map_fails(void)
{
	capos_cap_t object = create(4 * PAGE);
	const struct {
		uint64_t hint, offset, size;
		uint32_t prot;
		int64_t status;
	} wrong[] = {
		{ 0, 0, 0, READ, CAPOS_E(INVALID_ARGUMENT) },
		{ 0, 0, PAGE, 8, CAPOS_E(INVALID_ARGUMENT) },
		{ 0, 0, PAGE, READ | DEMAND_ZERO, CAPOS_E(INVALID_ARGUMENT) },
		{ 0, 0, PAGE, WRITE | CAPOS_PROT_EXEC, CAPOS_E(PROTECTION_DENIED) },
		{ 0, 1, PAGE, READ, CAPOS_E(MISALIGNED) },
		{ 1, 0, PAGE, READ, CAPOS_E(MISALIGNED) },
		{ 0, 0, 5 * PAGE, READ, CAPOS_E(OUT_OF_RANGE) },
		{ 0, 4 * PAGE, PAGE, READ, CAPOS_E(OUT_OF_RANGE) },
		{ 0, PAGE, 4 * PAGE, READ, CAPOS_E(OUT_OF_RANGE) },
		{ 0, -PAGE, PAGE, READ, CAPOS_E(OUT_OF_RANGE) },
		{ 0, -PAGE, 2 * PAGE, READ, CAPOS_E(OUT_OF_RANGE) },
		{ 0, 1ull << 63, PAGE, READ, CAPOS_E(OUT_OF_RANGE) },
		{ CAPOS_USER_TOP, 0, PAGE, READ, CAPOS_E(OUT_OF_RANGE) },
		{ KERNEL_HALF, 0, PAGE, READ, CAPOS_E(OUT_OF_RANGE) },
		{ 0, 0, ~0ull, READ, CAPOS_E(OUT_OF_RANGE) },
		{ -PAGE, 0, 2 * PAGE, READ, CAPOS_E(OUT_OF_RANGE) },
	};
	uint64_t address;
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		CHECK_FAILS_WITH(MEMORY_OBJECT_MAP, wrong[i].status,
			capos_memory_object_map(object, wrong[i].hint, wrong[i].offset,
				wrong[i].size, wrong[i].prot, &address));
		CHECK_FAILS_WITH(MEMORY_OBJECT_MAP, wrong[i].status,
			capos_memory_object_map_message(object, wrong[i].hint, wrong[i].offset,
				wrong[i].size, wrong[i].prot, &address));
	}
	OK(capos_release(object));
}

static void unmap_and_protect_take_only_own_mappings(void)
{
	capos_cap_t object = create(4 * PAGE), other = create(4 * PAGE);
	uint64_t a = map(object, 0, 4 * PAGE, WRITE), b = map(other, 0, 4 * PAGE, WRITE),
		 own = vm_map(PAGE, WRITE);
	CHECK_FAILS(MEMORY_OBJECT_UNMAP, NOT_RESERVED, capos_memory_object_unmap(object, b, PAGE));
	CHECK_FAILS(MEMORY_OBJECT_PROTECT, NOT_RESERVED,
		capos_memory_object_protect(object, b, PAGE, READ));
	CHECK_FAILS(MEMORY_OBJECT_UNMAP, NOT_RESERVED,
		capos_memory_object_unmap_message(object, own, PAGE));
	CHECK_FAILS(MEMORY_OBJECT_PROTECT, NOT_RESERVED,
		capos_memory_object_protect_message(object, own, PAGE, READ));
	CHECK_FAILS(
		MEMORY_OBJECT_UNMAP, MISALIGNED, capos_memory_object_unmap(object, a + 1, PAGE));
	CHECK_FAILS(MEMORY_OBJECT_UNMAP, INVALID_ARGUMENT, capos_memory_object_unmap(object, a, 0));
	CHECK_FAILS(MEMORY_OBJECT_UNMAP, OUT_OF_RANGE,
		capos_memory_object_unmap(object, KERNEL_HALF, PAGE));
	CHECK_FAILS(MEMORY_OBJECT_PROTECT, INVALID_ARGUMENT,
		capos_memory_object_protect(object, a, PAGE, 16));
	CHECK_FAILS(MEMORY_OBJECT_PROTECT, PROTECTION_DENIED,
		capos_memory_object_protect(object, a, PAGE, WRITE | CAPOS_PROT_EXEC));
	CHECK_FAILS(MEMORY_OBJECT_PROTECT, MISALIGNED,
		capos_memory_object_protect(object, a + 1, PAGE, READ));
	CHECK_FAILS(MEMORY_OBJECT_PROTECT, OUT_OF_RANGE,
		capos_memory_object_protect(object, -PAGE, PAGE, READ));
	*(volatile int *)(a + PAGE) = 3;
	OK(capos_memory_object_protect(object, a + PAGE, PAGE, 0));
	CHECK_EQUAL(try_read(a + PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(try_write(a), 0);
	OK(capos_memory_object_protect_message(object, a + PAGE, PAGE, READ));
	CHECK_EQUAL(*(volatile int *)(a + PAGE), 3);
	CHECK_EQUAL(try_write(a + PAGE), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	OK(vm_protect(a + PAGE, PAGE, WRITE));
	CHECK_EQUAL(try_write(a + PAGE), 0);
	OK(vm_unmap(own, PAGE));
	OK(capos_memory_object_unmap(object, a, 4 * PAGE));
	OK(capos_memory_object_unmap(other, b, 4 * PAGE));
	OK(capos_release(object));
	OK(capos_release(other));
}

/* Decommitting a mapping leaves a reservation; the object keeps its contents. */
static void decommit_leaves_a_reservation(void)
{
	capos_cap_t object = create(2 * PAGE);
	uint64_t a = map(object, 0, 2 * PAGE, WRITE), b;
	*(volatile int *)a = 77;
	OK(vm_decommit(a, PAGE));
	CHECK_EQUAL(vm_query(a).state, CAPOS_REGION_STATE_RESERVED);
	CHECK_EQUAL(try_read(a), CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	OK(vm_commit(a, PAGE, WRITE));
	CHECK_EQUAL(*(volatile int *)a, 0);
	b = map(object, 0, PAGE, READ);
	CHECK_EQUAL(*(volatile int *)b, 77);
	OK(vm_unmap(b, PAGE));
	OK(vm_unmap(a, 2 * PAGE));
	OK(capos_release(object));
}

static void many_mappings_come_and_go(void)
{
	struct capos_memory_usage before = program_usage();
	static uint64_t addresses[500];
	capos_cap_t object = create(600 * PAGE); /* more pages than one table of frames holds */
	for (uint64_t i = 0; i < 500; i++) {
		addresses[i] = map(object, i * PAGE, (i % 100 + 1) * PAGE, WRITE);
		*(volatile uint64_t *)addresses[i] = i;
	}
	for (uint64_t i = 1; i < 500; i++)
		if (i % 100 > 1) /* the mapping before this one has a second page, which is this
		                    one's first */
			CHECK_EQUAL(*(volatile uint64_t *)(addresses[i - 1] + PAGE), i);
	for (uint64_t i = 0; i < 500; i++)
		OK(vm_unmap(addresses[i], (i % 100 + 1) * PAGE));
	OK(capos_release(object));
	CHECK_USAGE_IS(before);
	CHECK_EQUAL(program_usage().resident_pages, before.resident_pages);
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	RUN(objects_are_made_and_charged);
	RUN(mappings_share_contents);
	RUN(mappings_outlive_the_capability);
	RUN(map_fails);
	RUN(unmap_and_protect_take_only_own_mappings);
	RUN(decommit_leaves_a_reservation);
	RUN(many_mappings_come_and_go);
	capos_notification_set_handler(NULL);
	return check_result();
}
