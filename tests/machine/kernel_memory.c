/* What the kernel keeps for a process is charged to it: each test makes the kernel keep as much of
 * one kind as the process's limit allows, compares the charge with what the machine has lost, and
 * gives it back.
 *
 * // test: limit 8M
 */
#include "raw_thread.h"

#include <capos/thread.h>

#define GIB (1ull << 30)
#define BASE 0x100000000000ull
#define MANY 4000u /* pages of any kind: more than the limit */
/* Slabs that are kept although nothing is in them, one a size, and pages of the program's heap. */
#define SLACK 24u

static struct capos_memory_usage before;

static void begin(void)
{
	before = vm_usage();
	CHECK(before.committed_limit && before.committed_pages < before.committed_limit);
}

/* The machine has lost what the process is charged. */
static void check_charged(void)
{
	struct capos_memory_usage now = vm_usage();
	uint64_t charged = now.committed_pages - before.committed_pages,
		 taken = before.machine_free_pages - now.machine_free_pages;
	CHECK(now.committed_pages <= now.committed_limit);
	if (taken > charged + charged / 10 + SLACK || taken + SLACK + taken / 10 < charged)
		CHECK_EQUAL(charged, taken);
}

/* As above, and the limit is what was reached: hardly a page is left of it. */
static void check_full(uint64_t left)
{
	struct capos_memory_usage now = vm_usage();
	check_charged();
	CHECK(now.committed_limit - now.committed_pages <= left);
}

static void check_given_back(void)
{
	struct capos_memory_usage now = vm_usage();
	CHECK(now.kernel_pages <= before.kernel_pages + SLACK);
	CHECK(now.committed_pages <= before.committed_pages + SLACK);
	CHECK(now.machine_free_pages + SLACK >= before.machine_free_pages);
	CHECK_EQUAL(now.committed_pages - now.kernel_pages,
		before.committed_pages - before.kernel_pages);
}

static void page_tables(void)
{
	begin();
	capos_cap_t object = 0;
	uint64_t address, count = 0;
	int64_t status;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object));
	while ((status = capos_memory_object_map(
			object, BASE + count * GIB, 0, PAGE, READ, &address)) == 0)
		count++;
	CHECK(GETS(MEMORY_OBJECT_MAP, NO_MEMORY, status));
	CHECK(count > 500 && count < MANY);
	check_full(3);
	for (uint64_t i = 0; i < count; i++)
		OK(capos_memory_object_unmap(object, BASE + i * GIB, PAGE));
	OK(capos_release(object));
	check_given_back();
}

/* Tables that a first touch needs, in a range for which none were set aside. */
static void tables_of_demand_zero_pages(void)
{
	begin();
	uint64_t range = 0, count = 0;
	OK(capos_virtual_memory_map(capos_caps.vm, BASE, MANY * GIB, WRITE | DEMAND_ZERO, &range));
	CHECK_EQUAL(range, BASE);
	while (count < MANY && try_write(range + count * GIB) == 0)
		count++;
	CHECK(count > 500 && count < MANY);
	check_full(3);
	OK(vm_unmap(range, MANY * GIB));
	check_given_back();
}

/* Tables that are reserved for blocks of 2 MiB are taken from the machine too. */
static void tables_of_blocks(void)
{
	begin();
	uint64_t range = vm_map(GIB - LARGE, WRITE | DEMAND_ZERO);
	CHECK(vm_usage().committed_pages >= before.committed_pages + 511);
	check_charged();
	*(volatile char *)(range + 3 * PAGE) = 1;
	check_charged();
	OK(vm_unmap(range, GIB - LARGE));
	check_given_back();
}

/* Most records go, and one stays in each slab. */
static void records_of_regions(void)
{
	begin();
	uint64_t address, count = 0;
	int64_t status;
	while ((status = capos_virtual_memory_reserve(
			capos_caps.vm, BASE + 2 * count * PAGE, PAGE, &address)) == 0)
		count++;
	CHECK(GETS(VIRTUAL_MEMORY_RESERVE, NO_MEMORY, status));
	CHECK(count > 10000);
	check_charged();
	for (uint64_t i = 0; i < count; i++)
		if (i % 31)
			OK(vm_unmap(BASE + 2 * i * PAGE, PAGE));
	check_charged();
	for (uint64_t i = 0; i < count; i += 31)
		OK(vm_unmap(BASE + 2 * i * PAGE, PAGE));
	check_given_back();
}

static capos_cap_t made[MANY];

/* Small objects, the tables of their frames, and the capabilities to them. */
static void objects(void)
{
	begin();
	uint64_t count = 0;
	int64_t status = 0;
	while (count < MANY &&
		(status = capos_memory_allocator_create(
			 capos_caps.memory_allocator, PAGE, &made[count])) == 0)
		count++;
	CHECK(GETS(MEMORY_ALLOCATOR_CREATE, NO_MEMORY, status));
	CHECK(count > 300);
	check_full(3);
	while (count)
		OK(capos_release(made[--count]));
	check_given_back();
}

/* ---- calls that wait with a large message ---- */

#define MESSAGE_BYTES 65536u
#define CALLERS 300

/* A program that has reached its limit ends when it touches a new page, so callers start while
 * there is more left than a thread and its message take. */
#define LEFT_PAGES 100u

static uint8_t message[MESSAGE_BYTES] __attribute__((aligned(8)));
static struct capos_thread *callers[CALLERS];
static capos_cap_t awaited;

static void make_message(void)
{
	const uint32_t framing[2] = { 0, (MESSAGE_BYTES - 8) / 8 };
	const uint64_t words[2] = { 1ull << 32, UINT64_MAX }; /* a struct of one word of data */
	memcpy(message, framing, sizeof framing);
	memcpy(message + 8, words, sizeof words);
}

/* ThreadHandle.join without end, in a message that is larger than it has to be. */
static int64_t join_at_length(void *unused)
{
	uint8_t results[256];
	struct capos_submission submission = { .opcode = CAPOS_OPCODE_CALL,
		.method = CAPOS_THREAD_HANDLE_JOIN,
		.cap = awaited,
		.args = {
			(uintptr_t)message, sizeof message, (uintptr_t)results, sizeof results } };
	struct capos_completion completion = { 0 };
	(void)unused;
	int64_t result = capos_ring_do(&submission, &completion);
	if (result != CAPOS_TRANSPORT_E(APPLICATION_EXCEPTION))
		return result;
	uint16_t code; /* behind the framing and the pointer to the CapException */
	memcpy(&code, results + 16 + CAPOS_CAP_EXCEPTION_CODE_BYTE, sizeof code);
	return -(int64_t)(code + CAPOS_ERROR_BASE);
}

static uint64_t pages_left(void)
{
	struct capos_memory_usage now = vm_usage();
	return now.committed_limit - now.committed_pages;
}

static unsigned start_callers(void)
{
	struct capos_thread_options options = { .stack_size_bytes = 16384 };
	unsigned count = 0;
	while (count < CALLERS && pages_left() > LEFT_PAGES) {
		OK(capos_thread_start(&callers[count++], join_at_length, NULL, &options));
		capos_sleep_ns(5 * MS_NS); /* so that most of them wait by now */
	}
	return count;
}

static void a_further_message_fails(void)
{
	uint64_t size = (pages_left() - 20) * PAGE, filler = vm_map(size, WRITE);
	CHECK_EQUAL(join_at_length(NULL), CAPOS_E(NO_MEMORY));
	OK(vm_unmap(filler, size));
}

static void messages(void)
{
	begin();
	uint32_t word = 0;
	awaited = raw_spawn(raw_park, (uint64_t)&word, 0);
	unsigned count = start_callers();
	CHECK(count > 20 && count < CALLERS);
	check_charged();
	a_further_message_fails();
	raw_wake(&word);
	for (unsigned i = 0; i < count; i++) {
		int64_t result = -1;
		OK(capos_thread_join(callers[i], &result));
		CHECK(result >= 0);
	}
	CHECK_EQUAL(raw_join(awaited), 0);
	wait_for_threads(1);
	check_charged();
}

/* Commits page by page until the limit is reached; returns the end. */
static uint64_t commit_to_the_limit(uint64_t range)
{
	while (vm_commit(range, PAGE, WRITE) == 0)
		range += PAGE;
	return range;
}

/* Reserves until no record is left. */
static uint64_t use_up_records(void)
{
	uint64_t address, count = 0;
	while (capos_virtual_memory_reserve(
		       capos_caps.vm, BASE + 2 * count * PAGE, PAGE, &address) == 0)
		count++;
	return count;
}

/* Unmaps and decommits that need memory, with not a page left: what is held goes back. */
static void giving_back_at_the_limit(void)
{
	begin();
	uint64_t huge = 0, block = 2 * BASE + GIB; /* which takes two tables to cut */
	OK(capos_virtual_memory_map(capos_caps.vm, 2 * BASE, 4 * GIB, WRITE | DEMAND_ZERO, &huge));
	CHECK_EQUAL(huge, 2 * BASE);
	uint64_t bare = vm_reserve(3 * PAGE), own = vm_map(3 * PAGE, WRITE);
	*(volatile char *)(block - PAGE) = 1;
	*(volatile char *)own = 1;
	uint64_t range = vm_reserve(MANY * PAGE);
	commit_to_the_limit(range);
	uint64_t records = use_up_records(), charged = vm_usage().committed_pages;
	CHECK_EQUAL(charged, vm_usage().committed_limit);
	OK(vm_unmap(bare + PAGE, PAGE)); /* nothing goes that could pay for a record */
	CHECK_EQUAL(vm_query(bare + PAGE).state, CAPOS_REGION_STATE_RESERVED);
	CHECK_EQUAL(vm_usage().committed_pages, charged);
	OK(vm_unmap(own + PAGE, PAGE)); /* the page pays */
	CHECK_EQUAL(vm_query(own + PAGE).state, CAPOS_REGION_STATE_FREE);
	commit_to_the_limit(range);
	OK(vm_decommit(block - PAGE, 100 * PAGE)); /* to the middle of a block without a table */
	CHECK_EQUAL(vm_query(block - PAGE).state, CAPOS_REGION_STATE_RESERVED);
	CHECK_EQUAL(vm_query(block).state, CAPOS_REGION_STATE_DEMAND_ZERO);
	for (uint64_t i = 0; i < records; i++)
		OK(vm_unmap(BASE + 2 * i * PAGE, PAGE));
	OK(vm_unmap(bare, 3 * PAGE));
	OK(vm_unmap(own, PAGE));
	OK(vm_unmap(own + 2 * PAGE, PAGE));
	OK(vm_unmap(range, MANY * PAGE));
	OK(vm_unmap(huge, 4 * GIB));
	check_given_back();
}

/* After all that the rest of the limit is the program's. */
static void the_limit_is_for_all(void)
{
	begin();
	uint64_t size = MANY * PAGE, range = vm_reserve(size), end = commit_to_the_limit(range);
	check_full(1);
	CHECK((end - range) / PAGE * 10 >= (before.committed_limit - before.committed_pages) * 9);
	OK(vm_unmap(range, size));
	check_given_back();
}

/* A process at its limit can touch no new page, of its own data and stack neither. */
static void touch_own_pages(void)
{
	volatile char stack[32768];
	for (unsigned i = 0; i < sizeof stack; i += 1024)
		stack[i] = 0;
	memset(made, 1, sizeof made);
	memset(callers, 1, sizeof callers);
	make_message();
}

int main(void)
{
	touch_own_pages();
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	RUN(page_tables);
	RUN(tables_of_demand_zero_pages);
	RUN(tables_of_blocks);
	RUN(records_of_regions);
	RUN(objects);
	RUN(messages);
	RUN(giving_back_at_the_limit);
	RUN(the_limit_is_for_all);
	return check_result();
}
