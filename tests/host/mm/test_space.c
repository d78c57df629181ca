/* Properties of address spaces that a random walk would not show by itself. */
#include "arch/impl/x86.h"
#include "arch/paging.h"
#include "host.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/region.h"
#include "mm/memory_object.h"

#define MIB (1ul << 20)
#define GIB (1ul << 30)
#define UNCACHED 0u /* memory types, as in PAT_VALUE */
#define COMBINING 1u
#define REGISTERS 0x80000000ul /* above all memory */
#define RW (CAPOS_PROT_READ | CAPOS_PROT_WRITE)

static size_t frames_before, available_before;

static struct aspace *begin(const char *name, uint64_t limit)
{
	test_name = name;
	kmem_trim(KERNEL_PAYS);
	frames_before = frames_free();
	available_before = frames_available();
	struct aspace *space =
		aspace_create(ledger_create(&(struct ledger_limits){ .pages = limit }));
	CHECK(space);
	return space;
}

/* Everything is as before. */
static void check_nothing_lost(void)
{
	kmem_trim(KERNEL_PAYS);
	CHECK(frames_free() == frames_before && frames_available() == available_before &&
		object_count() == 0);
}

static void end(struct aspace *space)
{
	aspace_destroy(space);
	check_nothing_lost();
	printf("ok %s\n", test_name);
}

static uint64_t map(struct aspace *space, uint64_t hint, uint64_t size, uint32_t prot)
{
	uint64_t address;

	CHECK(aspace_map(space, hint, size, prot, &address) == STATUS_OK);
	return address;
}

static uint64_t *word_at(struct aspace *space, uint64_t address)
{
	uint64_t *word;

	CHECK(host_access(space, address, FAULT_WRITE, &word) == FAULT_RESOLVED);
	return word;
}

static void test_large_pages(void)
{
	struct aspace *space = begin("mm-space-large-pages", 0);
	uint64_t address = map(space, 0, 8 * MIB, RW);

	CHECK(address % LARGE_PAGE_SIZE == 0);
	CHECK(space->resident_pages == 0 && space->table_frames == 2);
	*word_at(space, address + 3 * MIB) = 77;
	CHECK(space->resident_pages == 512 && space->table_frames == 2);
	/* A hole in the middle leaves the rest as it was. */
	CHECK(aspace_unmap(space, address + 3 * MIB + PAGE_SIZE, PAGE_SIZE) == STATUS_OK);
	CHECK(space->resident_pages == 511 && space->table_frames == 3);
	CHECK(*word_at(space, address + 3 * MIB) == 77);
	CHECK(program_pages(space->ledger) == 2047 && space->reserved_pages == 2047);
	/* Demand-zero memory never takes more than what is touched. */
	uint64_t demand_zero = map(space, 0, 64 * MIB, RW | CAPOS_COMMIT_DEMAND_ZERO);
	for (unsigned i = 0; i < 5; i++)
		*word_at(space, demand_zero + i * 9 * MIB) = i;
	CHECK(program_pages(space->ledger) == 2047 + 5 && space->resident_pages == 511 + 5);
	CHECK(aspace_decommit(space, demand_zero, 64 * MIB) == STATUS_OK);
	CHECK(program_pages(space->ledger) == 2047);
	/* Without a block that large, pages come singly. */
	host_fail(1);
	*word_at(space, address + 6 * MIB) = 5;
	CHECK(host_failed() && space->resident_pages == 511 + 16);
	end(space);
}

static void test_addresses(void)
{
	struct aspace *space = begin("mm-space-addresses", 0);
	uint64_t a, b, c;

	CHECK(aspace_reserve(space, 0, 1, &a) == STATUS_OK &&
		aspace_reserve(space, 0, PAGE_SIZE, &b) == STATUS_OK);
	CHECK(b == a + PAGE_SIZE);
	CHECK(aspace_unmap(space, b, PAGE_SIZE) == STATUS_OK &&
		aspace_reserve(space, 0, 2 * PAGE_SIZE, &c) == STATUS_OK && c == b);
	/* Hints: taken, taken already, too low, at the very end. */
	CHECK(aspace_reserve(space, 0x10000, PAGE_SIZE, &a) == STATUS_OK && a == 0x10000);
	CHECK(aspace_reserve(space, 0x10000, PAGE_SIZE, &a) == STATUS_OK && a > 0x10000);
	CHECK(aspace_reserve(space, 0xf000, PAGE_SIZE, &a) == STATUS_OK && a > 0x10000);
	CHECK(aspace_reserve(space, 0xf000, 2 * PAGE_SIZE, &a) == STATUS_OK && a > 0x10000);
	CHECK(aspace_reserve(space, CAPOS_USER_TOP - PAGE_SIZE, PAGE_SIZE, &a) == STATUS_OK &&
		a == CAPOS_USER_TOP - PAGE_SIZE);
	CHECK(aspace_reserve(space, CAPOS_USER_TOP, PAGE_SIZE, &a) == STATUS(OUT_OF_RANGE));
	/* Reservations of any size, and removal in time proportional to what is touched. */
	CHECK(aspace_reserve(space, 0, 1ul << 46, &a) == STATUS_OK);
	CHECK(aspace_commit(space, a, 1ul << 46, RW | CAPOS_COMMIT_DEMAND_ZERO) == STATUS_OK);
	for (uint64_t i = 0; i < 40; i++)
		*word_at(space, a + i * 1500 * GIB) = i;
	CHECK(space->resident_pages == 40);
	CHECK(aspace_unmap(space, a, 1ul << 46) == STATUS_OK && space->resident_pages == 0 &&
		space->table_frames == 0);
	/* The search begins anew below when nothing is left above. */
	CHECK(aspace_reserve(space, 0x100000000, CAPOS_USER_TOP - PAGE_SIZE - 0x100000000, &a) ==
			STATUS_OK &&
		a == 0x100000000);
	space->search_hint = 0x100000000;
	CHECK(aspace_reserve(space, 0, 16 * MIB, &a) == STATUS_OK && a < 0x100000000);
	CHECK(aspace_reserve(space, 0, 4 * GIB, &a) == STATUS(NO_RESERVATION));
	space->reserved_pages_max = space->reserved_pages + 1;
	CHECK(aspace_reserve(space, 0, 2 * PAGE_SIZE, &a) == STATUS(NO_RESERVATION));
	CHECK(aspace_reserve(space, 0, PAGE_SIZE, &a) == STATUS_OK);
	end(space);
}

static void test_query(void)
{
	struct aspace *space = begin("mm-space-query", 0);
	struct capos_region_info info;

	(void)map(space, 0x40000000, 4 * PAGE_SIZE, RW);
	CHECK(aspace_protect(space, 0x40001000, PAGE_SIZE, CAPOS_PROT_READ) == STATUS_OK);
	CHECK(aspace_query(space, 0x40002fff, 0, &info) == STATUS_OK && info.start == 0x40002000 &&
		info.size == 0x2000);
	CHECK(info.state == CAPOS_REGION_STATE_COMMITTED && info.prot == RW &&
		info.resident_pages == 2);
	CHECK(aspace_query(space, 5, 0, &info) == STATUS_OK && info.start == 0 &&
		info.size == 0x40000000);
	CHECK(info.state == CAPOS_REGION_STATE_FREE);
	CHECK(aspace_query(space, 0x40004000, 0, &info) == STATUS_OK && info.start == 0x40004000);
	CHECK(info.size == CAPOS_USER_TOP - 0x40004000 && info.prot == 0 &&
		info.resident_pages == 0);
	CHECK(aspace_query(space, CAPOS_USER_TOP, 0, &info) == STATUS(OUT_OF_RANGE));
	end(space);
}

/* Once memory is committed, no other demand can take it back, and neither protecting nor
 * decommitting any part of it needs memory. */
static void test_committed_memory_is_there(void)
{
	struct aspace *space = begin("mm-space-committed-memory-is-there", 0);
	uint64_t address = map(space, 0x40000000 - 3 * PAGE_SIZE, 6 * MIB, RW),
		 demand_zero = map(space, 0, MIB, RW | CAPOS_COMMIT_DEMAND_ZERO);
	struct memory_object *object;
	uint64_t shared, *word;

	CHECK(memory_object_create(space->ledger, MIB, &object) == STATUS_OK);
	CHECK(aspace_map_object(space, object, NULL, 0, 0, MIB, RW, &shared) == STATUS_OK);
	*word_at(space, address + 3 * PAGE_SIZE) = 1;
	paddr_t hog, hogs = 0;
	for (unsigned order = FRAME_ORDER_MAX + 1; order-- > 0;)
		while ((hog = frame_alloc(KERNEL_PAYS, order, 0)) != 0) {
			*(paddr_t *)phys_to_virt(hog) = hogs;
			hogs = hog;
		}
	CHECK(frames_available() == 0 && !frames_reserve(1));
	CHECK(host_access(space, demand_zero, FAULT_WRITE, &word) == FAULT_NO_MEMORY);
	CHECK(aspace_commit(space, demand_zero, MIB, RW) == STATUS_OK);
	for (uint64_t offset = 0; offset < 6 * MIB; offset += 2 * PAGE_SIZE)
		CHECK(aspace_protect(space, address + offset, PAGE_SIZE, CAPOS_PROT_READ) ==
			STATUS_OK);
	for (uint64_t offset = 0; offset < MIB; offset += 2 * PAGE_SIZE)
		CHECK(aspace_protect(space, shared + offset, PAGE_SIZE, CAPOS_PROT_READ) ==
				STATUS_OK &&
			aspace_decommit(space, demand_zero + offset, PAGE_SIZE) == STATUS_OK);
	CHECK(space->region_count == 3);
	CHECK(aspace_protect(space, address, 6 * MIB, RW) == STATUS_OK);
	CHECK(aspace_protect(space, shared, MIB, RW) == STATUS_OK);
	for (uint64_t offset = 0; offset < 6 * MIB; offset += PAGE_SIZE)
		*word_at(space, address + offset) = offset;
	for (uint64_t offset = 0; offset < MIB; offset += PAGE_SIZE)
		*word_at(space, shared + offset) = offset;
	for (uint64_t offset = 0; offset < 3 * MIB; offset += 2 * PAGE_SIZE)
		CHECK(aspace_decommit(space, address + offset, PAGE_SIZE) == STATUS_OK);
	CHECK(aspace_unmap(space, address, 6 * MIB) == STATUS_OK);
	CHECK(host_access(space, demand_zero + PAGE_SIZE, FAULT_WRITE, &word) == FAULT_RESOLVED);
	CHECK(host_access(space, demand_zero, FAULT_WRITE, &word) == FAULT_NOTHING);
	while (hogs) {
		hog = hogs;
		hogs = *(paddr_t *)phys_to_virt(hog);
		frame_free(KERNEL_PAYS, hog, frame_order(hog));
	}
	object_release(memory_object_header(object));
	end(space);
}

static void test_tables_counted_once(void)
{
	struct aspace *space = begin("mm-space-tables-counted-once", 0);
	uint64_t address;

	/* Every other page is committed: 128 pieces in one table. Hardly a frame is left beyond
	 * what they need. */
	CHECK(aspace_reserve(space, 0x40000000, MIB, &address) == STATUS_OK);
	for (unsigned i = 0; i < 256; i += 2)
		CHECK(aspace_commit(space, address + i * PAGE_SIZE, PAGE_SIZE,
			      CAPOS_COMMIT_DEMAND_ZERO | RW) == STATUS_OK);
	paddr_t hog, hogs = 0;
	while (frames_available() > 128 + 8) {
		CHECK((hog = frame_alloc(KERNEL_PAYS, 0, 0)) != 0);
		*(paddr_t *)phys_to_virt(hog) = hogs;
		hogs = hog;
	}
	CHECK(aspace_commit(space, address, MIB, RW) == STATUS_OK);
	CHECK(space->table_frames == 3);
	while (hogs) {
		hog = hogs;
		hogs = *(paddr_t *)phys_to_virt(hog);
		frame_free(KERNEL_PAYS, hog, 0);
	}
	end(space);
}

static void test_objects(void)
{
	struct aspace *creator = begin("mm-space-objects", 50),
		      *other = aspace_create(ledger_create(&(struct ledger_limits){ 0 }));
	struct memory_object *object, *found, *second;
	struct lease *lease;
	uint64_t here, there, offset;

	CHECK(memory_object_create(creator->ledger, 0, &object) == STATUS(INVALID_ARGUMENT));
	CHECK(memory_object_create(creator->ledger, 50 * PAGE_SIZE, &object) == STATUS(NO_MEMORY));
	CHECK(memory_object_create(creator->ledger, ~0ul, &object) == STATUS(NO_MEMORY));
	CHECK(memory_object_create(other->ledger, 1ul << 60, &object) == STATUS(NO_MEMORY));
	CHECK(memory_object_create(creator->ledger, 39 * PAGE_SIZE + 1, &object) == STATUS_OK &&
		object->pages == 40);
	CHECK(memory_object_create(creator->ledger, 7 * PAGE_SIZE, &second) == STATUS(NO_MEMORY));
	CHECK(aspace_map_object(creator, object, NULL, 0, 0, 40 * PAGE_SIZE, RW, &here) ==
		STATUS_OK);
	CHECK(aspace_map_object(other, object, NULL, 0, 8 * PAGE_SIZE, 32 * PAGE_SIZE, RW,
		      &there) == STATUS_OK);
	CHECK(aspace_map_object(other, object, NULL, 0, 8 * PAGE_SIZE, 33 * PAGE_SIZE, RW,
		      &offset) == STATUS(OUT_OF_RANGE));
	CHECK(aspace_map_object(other, object, NULL, 0, 8, PAGE_SIZE, RW, &offset) ==
		STATUS(MISALIGNED));
	CHECK(aspace_map_object(other, object, NULL, 0, 1ul << 63, PAGE_SIZE, RW, &offset) ==
		STATUS(OUT_OF_RANGE));
	CHECK(aspace_map_object(other, object, NULL, 0, 0, PAGE_SIZE, RW | CAPOS_PROT_EXEC,
		      &offset) == STATUS(PROTECTION_DENIED));
	*word_at(creator, here + 9 * PAGE_SIZE) = 1234;
	CHECK(*word_at(other, there + PAGE_SIZE) == 1234);
	host_tlb_reset();
	/* The object and offset under an address, also behind a cut. */
	CHECK(aspace_protect(other, there + 4 * PAGE_SIZE, PAGE_SIZE, CAPOS_PROT_READ) ==
		STATUS_OK);
	CHECK(aspace_lookup_object(
		other, user_ptr(there + 5 * PAGE_SIZE + 12), &found, &offset, &lease));
	CHECK(found == object && offset == 13 * PAGE_SIZE + 12 && !lease);
	object_release(memory_object_header(found));
	CHECK(!aspace_lookup_object(other, user_ptr(there - PAGE_SIZE), &found, &offset, &lease));
	/* The charge is the creator's, whatever process holds the object, and its ledger outlives
	 * it. */
	CHECK(program_pages(creator->ledger) == 40 && program_pages(other->ledger) == 0);
	struct ledger *ledger = creator->ledger;
	aspace_destroy(creator);
	CHECK(program_pages(ledger) == 40);
	object_release(memory_object_header(object));
	CHECK(*word_at(other, there + PAGE_SIZE) == 1234 && object_count() == 1);
	CHECK(aspace_unmap_object(other, object, there, 32 * PAGE_SIZE) == STATUS_OK &&
		object_count() == 0);
	end(other);
}

static unsigned keepers_gone;

static void keeper_destroy(struct object *object)
{
	(void)object;
	keepers_gone++;
}

/* What a processor makes of the entry of a 4 KiB page: of bits 7, 4 and 3. */
static unsigned memory_type(uint64_t entry)
{
	return PAT_VALUE >> 8 * ((entry >> 7 & 1) << 2 | (entry >> 3 & 3)) & 0xff;
}

/* The entry of a page of device registers is of that type, and stays so when its protection
 * changes. */
static bool is_register(struct aspace *space, uint64_t address, paddr_t frame, unsigned type)
{
	unsigned level;
	uint64_t entry = *paging_find(space->root, address, &level);

	return level == 1 && paging_frame(entry) == frame && memory_type(entry) == type;
}

/* combines: the mapping; type: the memory type that it gets. */
static void test_registers(const char *name, bool combines, unsigned type)
{
	static const struct object_ops keeper_ops = { .destroy = keeper_destroy };
	struct aspace *space = begin(name, 0);
	struct object keeper;
	struct memory_object *object;
	uint64_t address;

	object_init(&keeper, NULL, &keeper_ops);
	keepers_gone = 0;
	CHECK(memory_object_create_registers(space->ledger, REGISTERS, 4 * PAGE_SIZE, combines,
		      &keeper, &object) == STATUS_OK);
	object_release(&keeper);
	CHECK(aspace_map_object(space, object, NULL, 0, PAGE_SIZE, 3 * PAGE_SIZE, RW, &address) ==
		STATUS_OK);
	CHECK(aspace_map_object(space, object, NULL, 0, PAGE_SIZE, 4 * PAGE_SIZE, RW, &address) ==
		STATUS(OUT_OF_RANGE));
	object_release(memory_object_header(object));
	CHECK(program_pages(space->ledger) == 0); /* they are no memory */
	CHECK(is_register(space, address, REGISTERS + PAGE_SIZE, type) &&
		is_register(space, address + 2 * PAGE_SIZE, REGISTERS + 3 * PAGE_SIZE, type));
	CHECK(aspace_protect(space, address, PAGE_SIZE, 0) == STATUS_OK &&
		aspace_protect(space, address, PAGE_SIZE, CAPOS_PROT_READ) == STATUS_OK &&
		is_register(space, address, REGISTERS + PAGE_SIZE, type));
	/* The mapping keeps what the registers belong to. */
	CHECK(keepers_gone == 0 && object_count() == 2);
	aspace_destroy(space);
	CHECK(keepers_gone == 1);
	check_nothing_lost();
	CHECK(frames_overlap(0, PAGE_SIZE << 10) && !frames_overlap(REGISTERS, 2 * REGISTERS));
	printf("ok %s\n", test_name);
}

/* Each allocation of a creation fails in turn; nothing stays behind. */
static void test_creation_fails(void)
{
	struct aspace *space = begin("mm-space-creation-fails", 0), *second;
	struct memory_object *object;
	unsigned failures = 0;

	for (unsigned n = 1;; n++) {
		size_t before = (kmem_trim(KERNEL_PAYS), frames_free()),
		       available = frames_available();
		host_fail(n);
		second = aspace_create(ledger_create(&(struct ledger_limits){ 0 }));
		CHECK(!second == host_failed());
		if (second)
			aspace_destroy(second);
		kmem_trim(KERNEL_PAYS);
		CHECK(frames_free() == before && frames_available() == available);
		if (!host_failed())
			break;
		failures++;
	}
	CHECK(failures >= 3);
	failures = 0;
	for (unsigned n = 1;; n++) {
		size_t before = (kmem_trim(KERNEL_PAYS), frames_free()),
		       available = frames_available();
		host_fail(n);
		status_t status = memory_object_create(space->ledger, 5 * MIB, &object);
		CHECK(status == (host_failed() ? STATUS(NO_MEMORY) : STATUS_OK));
		if (status == STATUS_OK)
			object_release(memory_object_header(object));
		kmem_trim(KERNEL_PAYS);
		kmem_trim(space->ledger);
		CHECK(frames_free() == before && frames_available() == available &&
			program_pages(space->ledger) == 0);
		if (!host_failed())
			break;
		failures++;
	}
	CHECK(failures >= 5);
	host_fail(0);
	end(space);
}

/* Holes and protections are no regions; what is no longer reserved is. */
static void test_region_bound(void)
{
	struct aspace *space = begin("mm-space-region-bound", 0);
	uint64_t address, other, pages = 2 * (REGIONS_MAX + 16ul), size = pages * PAGE_SIZE;
	struct capos_region_info info;
	unsigned cut = 0, before;

	CHECK(aspace_reserve(space, 0x40000000, size, &address) == STATUS_OK);
	CHECK(aspace_commit(space, address, size, RW | CAPOS_COMMIT_DEMAND_ZERO) == STATUS_OK);
	for (uint64_t i = 0; i < pages; i += 4)
		CHECK(aspace_decommit(space, address + i * PAGE_SIZE, PAGE_SIZE) == STATUS_OK &&
			aspace_protect(space, address + (i + 2) * PAGE_SIZE, PAGE_SIZE, 0) ==
				STATUS_OK);
	CHECK(space->region_count == 1);
	CHECK(aspace_query(space, address + 9 * PAGE_SIZE, 0, &info) == STATUS_OK &&
		info.size == PAGE_SIZE);
	do {
		before = space->region_count;
		CHECK(aspace_unmap(space, address + (2 * cut + 1) * PAGE_SIZE, PAGE_SIZE) ==
			STATUS_OK);
		cut++;
	} while (space->region_count > before);
	/* The last one found no record: its page is gone, and its address stays reserved. */
	CHECK(aspace_query(space, address + (2 * cut - 1) * PAGE_SIZE, 0, &info) == STATUS_OK &&
		info.state == CAPOS_REGION_STATE_RESERVED);
	CHECK(space->region_count <= REGIONS_MAX && space->region_count > REGIONS_MAX - 4);
	CHECK(cut == space->region_count);
	/* What needs no region more still goes. */
	CHECK(aspace_decommit(space, address + (pages - 9) * PAGE_SIZE, PAGE_SIZE) == STATUS_OK);
	for (unsigned i = 1; i + 1 < cut; i++)
		CHECK(aspace_unmap(space, address + 2 * i * PAGE_SIZE, PAGE_SIZE) == STATUS_OK);
	CHECK(aspace_reserve(space, 0, PAGE_SIZE, &other) == STATUS_OK);
	end(space);
}

/* A change that is under way when others run: they see what is done of it. */
static struct aspace *changing_space;
static uint64_t changing;
static unsigned seen_changing;

static void others_touch(void)
{
	uint64_t *word;

	seen_changing++;
	CHECK(host_access(changing_space, changing + 100 * MIB - PAGE_SIZE, FAULT_READ, &word) ==
		FAULT_RESOLVED);
	CHECK(aspace_protect(changing_space, changing - PAGE_SIZE, PAGE_SIZE, RW) == STATUS_OK);
}

static void test_changes_in_steps(void)
{
	struct aspace *space = changing_space = begin("mm-space-changes-in-steps", 0);
	struct capos_region_info info;

	changing = map(space, 0, 100 * MIB + PAGE_SIZE, RW | CAPOS_COMMIT_DEMAND_ZERO) + PAGE_SIZE;
	for (uint64_t offset = changing; offset < changing + 100 * MIB; offset += LARGE_PAGE_SIZE)
		*word_at(space, offset) = offset;
	host_others = others_touch;
	CHECK(aspace_protect(space, changing, 100 * MIB, CAPOS_PROT_READ) == STATUS_OK);
	CHECK(seen_changing >= 6);
	seen_changing = 0;
	CHECK(aspace_query(space, changing, 0, &info) == STATUS_OK && info.start == changing &&
		info.size == 100 * MIB && info.prot == CAPOS_PROT_READ);
	CHECK(aspace_commit(space, changing, 100 * MIB, RW) == STATUS_OK);
	CHECK(seen_changing >= 6);
	host_others = NULL;
	CHECK(aspace_query(space, changing, 0, &info) == STATUS_OK &&
		info.start == changing - PAGE_SIZE && info.size == 100 * MIB + PAGE_SIZE);
	CHECK(info.resident_pages == space->resident_pages);
	end(space);
}

static void test_pinned(void)
{
	struct aspace *space = begin("mm-space-pinned", 0);
	paddr_t frame = frame_alloc(KERNEL_PAYS, 0, FRAME_ZERO);
	uint64_t address, *word;

	CHECK(frame &&
		aspace_map_frames(space, 0, false, frame, PAGE_SIZE, RW, true, &address) ==
			STATUS_OK);
	CHECK(word_at(space, address) == phys_to_virt(frame));
	CHECK(aspace_unmap(space, address, PAGE_SIZE) == STATUS(PROTECTION_DENIED));
	CHECK(aspace_protect(space, address, PAGE_SIZE, CAPOS_PROT_READ) ==
		STATUS(PROTECTION_DENIED));
	CHECK(aspace_decommit(space, address, PAGE_SIZE) == STATUS(PROTECTION_DENIED));
	CHECK(aspace_commit(space, address, PAGE_SIZE, RW) == STATUS(PROTECTION_DENIED));
	CHECK(aspace_write_zero(space, user_ptr(address), 8) == STATUS(BAD_ADDRESS));
	CHECK(aspace_unmap_kernel(space, address, PAGE_SIZE) == STATUS_OK);
	CHECK(host_access(space, address, FAULT_READ, &word) == FAULT_NOTHING);
	/* Read-only frames cannot be made writable or executable, but hidden and shown again. */
	CHECK(aspace_map_frames(space, 0, false, frame, PAGE_SIZE, CAPOS_PROT_READ, false,
		      &address) == STATUS_OK);
	CHECK(aspace_protect(space, address, PAGE_SIZE, RW) == STATUS(PROTECTION_DENIED));
	CHECK(aspace_protect(space, address, PAGE_SIZE, CAPOS_PROT_READ | CAPOS_PROT_EXEC) ==
		STATUS(PROTECTION_DENIED));
	CHECK(aspace_protect(space, address, PAGE_SIZE, 0) == STATUS_OK);
	CHECK(host_access(space, address, FAULT_READ, &word) == FAULT_FORBIDDEN);
	CHECK(aspace_protect(space, address, PAGE_SIZE, CAPOS_PROT_READ) == STATUS_OK);
	CHECK(host_access(space, address, FAULT_READ, &word) == FAULT_RESOLVED);
	aspace_destroy(space);
	frame_free(KERNEL_PAYS, frame, 0);
	check_nothing_lost();
	printf("ok %s\n", test_name);
}

/* ---- taking away in steps ---- */

#define STEPS_SIZE (80 * MIB) /* a table for each 2 MiB of it */

static struct aspace *shared;
static uint64_t going;
static unsigned interruptions;

/* What other threads try while the range is on its way. */
static void others_get_nothing(void)
{
	uint64_t *word, other, last = going + STEPS_SIZE - PAGE_SIZE;

	interruptions++;
	CHECK(!spin_held(&shared->lock));
	CHECK(host_access(shared, last - PAGE_SIZE, FAULT_READ, &word) ==
		FAULT_NOTHING); /* it had no frame, and gets none */
	CHECK(host_access(shared, going, FAULT_READ, &word) == FAULT_NOTHING);
	CHECK(aspace_write_zero(shared, user_ptr(last - PAGE_SIZE), 8) == STATUS(BAD_ADDRESS));
	CHECK(aspace_unmap(shared, last, PAGE_SIZE) == STATUS(NOT_RESERVED));
	CHECK(aspace_unmap_kernel(shared, going, PAGE_SIZE) == STATUS(NOT_RESERVED));
	CHECK(aspace_decommit(shared, last, PAGE_SIZE) == STATUS(NOT_RESERVED));
	CHECK(aspace_commit(shared, going, PAGE_SIZE, RW) == STATUS(NOT_RESERVED));
	CHECK(aspace_protect(shared, going, STEPS_SIZE, CAPOS_PROT_READ) == STATUS(NOT_RESERVED));
	/* Neighbours of the same kind stay apart from it, and so does what is mapped meanwhile. */
	CHECK(aspace_protect(shared, going - PAGE_SIZE, PAGE_SIZE, RW) == STATUS_OK);
	other = map(shared, going, PAGE_SIZE, RW);
	CHECK(other + PAGE_SIZE <= going || other >= going + STEPS_SIZE);
	CHECK(aspace_unmap(shared, other, PAGE_SIZE) == STATUS_OK);
}

static void touch_each_table(uint64_t address)
{
	for (uint64_t offset = address; offset < address + STEPS_SIZE; offset += LARGE_PAGE_SIZE)
		*word_at(shared, offset) = 1;
}

static void test_steps(void)
{
	shared = begin("mm-space-steps", 0);
	uint64_t start = map(shared, 0, STEPS_SIZE + 2 * PAGE_SIZE, RW | CAPOS_COMMIT_DEMAND_ZERO),
		 *word;
	going = start + PAGE_SIZE;
	*word_at(shared, start) = 5;
	*word_at(shared, going + STEPS_SIZE) = 6;
	for (unsigned round = 0; round < 2; round++) {
		touch_each_table(going);
		uint64_t committed = program_pages(shared->ledger);
		interruptions = 0;
		host_others = others_get_nothing;
		CHECK((round ? aspace_unmap : aspace_decommit)(shared, going, STEPS_SIZE) ==
			STATUS_OK);
		host_others = NULL;
		CHECK(interruptions >= 2 &&
			program_pages(shared->ledger) == committed - STEPS_SIZE / LARGE_PAGE_SIZE);
		CHECK(host_access(shared, going, FAULT_READ, &word) == FAULT_NOTHING);
		CHECK(*word_at(shared, start) == 5 && *word_at(shared, going + STEPS_SIZE) == 6);
		if (!round) /* decommitted: still there, and an ordinary reservation */
			CHECK(aspace_commit(shared, going, STEPS_SIZE,
				      RW | CAPOS_COMMIT_DEMAND_ZERO) == STATUS_OK &&
				shared->region_count == 1);
	}
	CHECK(shared->region_count == 2);
	touch_each_table(map(shared, 0, STEPS_SIZE, RW | CAPOS_COMMIT_DEMAND_ZERO));
	end(shared);
}

/* A page of the kernel's that the processor never used goes without a flush, and any other with
 * one. */
static void test_unused_pages(void)
{
	struct aspace *space = begin("mm-space-unused-pages", 0);
	paddr_t frames[2] = { frame_alloc(KERNEL_PAYS, 0, FRAME_ZERO),
		frame_alloc(KERNEL_PAYS, 0, FRAME_ZERO) };
	uint64_t kept = map(space, 0, PAGE_SIZE, RW), pages[2];

	*word_at(space, kept) = 1;
	for (unsigned i = 0; i < 2; i++)
		CHECK(frames[i] &&
			aspace_map_frames(space, 0, false, frames[i], PAGE_SIZE, RW, true,
				&pages[i]) == STATUS_OK);
	*word_at(space, pages[1]) = 2;
	host_flushes();
	for (unsigned i = 0; i < 2; i++) {
		CHECK(aspace_unmap_kernel(space, pages[i], PAGE_SIZE) == STATUS_OK);
		CHECK(host_flushes() == i);
		frame_free(KERNEL_PAYS, frames[i], 0);
	}
	end(space);
}

int main(void)
{
	host_memory(64 * MIB, NULL, 0);
	test_large_pages();
	test_addresses();
	test_query();
	test_committed_memory_is_there();
	test_tables_counted_once();
	test_objects();
	test_registers("mm-space-registers-uncached", false, UNCACHED);
	cpu_features.pat = true;
	test_registers("mm-space-registers-combining", true, COMBINING);
	cpu_features.pat = false; /* a processor without the table */
	test_registers("mm-space-registers-without-table", true, UNCACHED);
	test_creation_fails();
	test_region_bound();
	test_changes_in_steps();
	test_pinned();
	test_unused_pages();
	test_steps();
	return 0;
}
