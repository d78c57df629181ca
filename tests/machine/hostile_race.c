/* Memory that changes while it is used: mappings that go while calls use them, frames that get a
 * new owner while other threads still write to the old address, pages that must read zero after any
 * owner. Only what the methods state may be seen. */
#include "raw_thread.h"

static volatile uint32_t stop;
static uint64_t range; /* sixteen pages that come and go */

#define RANGE_PAGES 16

static uint64_t end_of(uint64_t duration_ms)
{
	return capos_now_ns() + duration_ms * MS_NS;
}

/* ---- calls into memory that goes ---- */

static int64_t message_into(uint64_t address)
{
	struct capos_submission submission = { .opcode = CAPOS_OPCODE_CALL,
		.method = CAPOS_VIRTUAL_MEMORY_USAGE,
		.cap = capos_caps.vm };
	struct capos_completion completion = { 0 };
	uint64_t *args = (uint64_t *)submission.args;
	args[0] = address; /* whatever is there: zeros, or nothing */
	args[1] = 16;
	args[2] = address + PAGE;
	args[3] = 1024;
	int64_t status = capos_ring_do(&submission, &completion);
	return status < 0 ? status : completion.result;
}

/* Whether this is a result that a call on such memory may give. */
static bool expected(int64_t result)
{
	return !capos_is_error(result) || result == CAPOS_E(BAD_ADDRESS) ||
		result == CAPOS_E(NOT_SEEDED) || result == CAPOS_E(MALFORMED_MESSAGE) ||
		result == CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER) ||
		result == CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER) ||
		result == CAPOS_TRANSPORT_E(APPLICATION_EXCEPTION) ||
		result == CAPOS_TRANSPORT_E(EXCEPTION_TRUNCATED);
}

static int64_t use_range(void *argument)
{
	uint64_t seed = (uint64_t)argument * 0x9e3779b97f4a7c15ull + 1, wrong = 0;
	while (!stop) {
		uint64_t random = random_next(&seed),
			 page = range + random / 8 % (RANGE_PAGES - 1) * PAGE;
		int64_t result;
		switch (random % 8) {
		case 0:
			result = capos_virtual_memory_usage(capos_caps.vm,
				(void *)(page + PAGE - 32), 64); /* across two pages */
			break;
		case 1:
			result = capos_entropy_source_fill(
				capos_caps.entropy, PAGE, (void *)(page + 512), PAGE);
			break;
		case 2:
			result = capos_park((uint32_t *)page, 0, capos_now_ns() + 20000);
			break;
		case 3:
			result = message_into(page);
			break;
		case 4:
			result = capos_call(capos_caps.timer, CAPOS_TIMER_NOW, page + PAGE - 8, 0,
				0, 0, 0); /* two words, on two pages */
			break;
		case 5:
			result = capos_host_share_write(capos_caps.host, "", 0, (void *)page,
					 PAGE) == CAPOS_E(DISCONNECTED)
				? CAPOS_E(BAD_ADDRESS)
				: 0;
			break;
		case 6:
			result = capos_system_info_release(
				capos_caps.system, (void *)(page + PAGE - 4), 64);
			break;
		default:
			result = capos_boot_image_read_manifest(
				capos_caps.boot, 0, PAGE, (void *)(page + 2048), PAGE);
		}
		wrong += !expected(result);
	}
	return (int64_t)wrong;
}

static void calls_survive_unmapping(void)
{
	struct capos_thread *threads[4];
	uint64_t end = end_of(300);
	capos_cap_t object = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, RANGE_PAGES * PAGE, &object));
	range = vm_reserve(3 * RANGE_PAGES * PAGE) + RANGE_PAGES * PAGE;
	stop = 0;
	for (uint64_t i = 0; i < 4; i++)
		OK(capos_thread_start(&threads[i], use_range, (void *)i, NULL));
	for (uint64_t i = 0; i < 8 || capos_now_ns() < end; i++) {
		uint64_t start = range + i % RANGE_PAGES * PAGE, size = (i / 3 % 4 + 1) * PAGE,
			 address = 0;
		switch (i % 4) {
		case 0:
			OK(vm_commit(range, RANGE_PAGES * PAGE, WRITE | (i % 8 ? DEMAND_ZERO : 0)));
			break;
		case 1:
			OK(vm_decommit(start, size));
			break;
		case 2:
			OK(vm_commit(start, size, i % 3 ? READ : 0));
			break;
		default:
			OK(vm_unmap(range, RANGE_PAGES * PAGE));
			OK(capos_memory_object_map(
				object, range, 0, RANGE_PAGES * PAGE, WRITE, &address));
			OK(vm_unmap(address, RANGE_PAGES * PAGE));
			OK(capos_virtual_memory_reserve(
				capos_caps.vm, range, RANGE_PAGES * PAGE, &address));
			CHECK_EQUAL(address, range);
		}
	}
	stop = 1;
	for (int i = 0; i < 4; i++) {
		int64_t wrong = -1;
		OK(capos_thread_join(threads[i], &wrong));
		CHECK_EQUAL(wrong, 0);
	}
	OK(vm_unmap(range - RANGE_PAGES * PAGE, 3 * RANGE_PAGES * PAGE));
	OK(capos_release(object));
}

/* ---- stale translations ---- */

static void skip_store(uint32_t kind, struct capos_thread_state *state)
{
	(void)kind;
	state->rip = state->r11;
}

/* Stores ones into the first page as fast as it can; faults are skipped. */
static int64_t store_ones(void *argument)
{
	uint64_t page = (uint64_t)argument;
	if (capos_notification_set_handler(skip_store) < 0)
		return 1;
	while (!stop)
		TRY_ACCESS("movq $-1, 64(%0)\n\tmovq $-1, 2048(%0)", "D"(page));
	return 0;
}

/* Frames are taken from a page to which other threads write, and given at once to another page. The
 * stores must not arrive there. */
static void stores_do_not_follow_the_frame(void)
{
	struct capos_thread *threads[3];
	uint64_t victim_page = vm_reserve(PAGE), other = vm_reserve(64 * PAGE), dirty = 0,
		 end = end_of(300);
	stop = 0;
	for (int i = 0; i < 3; i++)
		OK(capos_thread_start(&threads[i], store_ones, (void *)victim_page, NULL));
	for (uint64_t round = 0; round < 4 || capos_now_ns() < end; round++) {
		OK(vm_commit(victim_page, PAGE, WRITE));
		for (int i = 0; i < 8 && *(volatile uint64_t *)(victim_page + 64) == 0; i++)
			capos_thread_yield();
		OK(vm_decommit(victim_page, PAGE));
		uint64_t page = other + round % 64 * PAGE;
		OK(vm_commit(page, PAGE, WRITE));
		for (int i = 0; i < 4; i++) {
			dirty += *(volatile uint64_t *)(page + 64) ||
				*(volatile uint64_t *)(page + 2048);
			capos_thread_yield();
		}
		OK(vm_decommit(page, PAGE));
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		OK(capos_thread_join(threads[i], NULL));
	CHECK_EQUAL(dirty, 0);
	OK(vm_unmap(victim_page, PAGE));
	OK(vm_unmap(other, 64 * PAGE));
}

/* Write protection must hold at once on every CPU. */
static void protection_holds_at_once(void)
{
	struct capos_thread *threads[3];
	uint64_t page = vm_map(PAGE, WRITE), changed = 0, end = end_of(200);
	stop = 0;
	for (int i = 0; i < 3; i++)
		OK(capos_thread_start(&threads[i], store_ones, (void *)page, NULL));
	for (uint64_t round = 0; round < 4 || capos_now_ns() < end; round++) {
		OK(vm_protect(page, PAGE, WRITE));
		*(volatile uint64_t *)(page + 64) = 1;
		OK(vm_protect(page, PAGE, READ));
		uint64_t before = *(volatile uint64_t *)(page + 64);
		for (int i = 0; i < 4; i++) {
			changed += *(volatile uint64_t *)(page + 64) != before;
			capos_thread_yield();
		}
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		OK(capos_thread_join(threads[i], NULL));
	CHECK_EQUAL(changed, 0);
	OK(vm_unmap(page, PAGE));
}

/* ---- zeros under load ---- */

static int64_t fill_and_drop(void *argument)
{
	uint64_t seed = (uint64_t)argument + 12345,
		 size = (uint64_t)argument % 2 ? 2 * LARGE : 48 * PAGE, base, dirty = 0,
		 end = end_of(250);
	if (capos_virtual_memory_reserve(capos_caps.vm, 0, size, &base) < 0)
		return -1;
	while (capos_now_ns() < end) {
		uint64_t start = base + random_next(&seed) % (size / PAGE / 2) * PAGE;
		uint64_t length = (random_next(&seed) % (size / PAGE / 2) + 1) * PAGE;
		uint32_t prot = WRITE | (random_next(&seed) % 2 ? DEMAND_ZERO : 0);
		if (vm_commit(start, length, prot) < 0)
			return -2;
		for (uint64_t page = start; page < start + length; page += PAGE) {
			dirty += *(volatile uint64_t *)page ||
				*(volatile uint64_t *)(page + PAGE - 8);
			*(volatile uint64_t *)page = *(volatile uint64_t *)(page + PAGE - 8) =
				~0ull;
		}
		if (vm_decommit(start, length) < 0)
			return -3;
	}
	return vm_unmap(base, size) < 0 ? -4 : (int64_t)dirty;
}

static void fresh_pages_are_zero_under_load(void)
{
	struct capos_thread *threads[4];
	for (uint64_t i = 0; i < 4; i++)
		OK(capos_thread_start(&threads[i], fill_and_drop, (void *)i, NULL));
	for (int i = 0; i < 4; i++) {
		int64_t dirty = -1;
		OK(capos_thread_join(threads[i], &dirty));
		CHECK_EQUAL(dirty, 0);
	}
}

int main(void)
{
	RUN(calls_survive_unmapping);
	RUN(stores_do_not_follow_the_frame);
	RUN(protection_holds_at_once);
	RUN(fresh_pages_are_zero_under_load);
	return check_result();
}
