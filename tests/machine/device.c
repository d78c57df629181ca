/* DeviceManager and Device, with the machine's entropy device: a driver that works, and one that
 * tries everything that a driver can write. After each the device serves the next, and all that was
 * charged has come back.
 *
 * // test: limit 48M
 */
#include "spawn.h"

#include <capos/thread.h>

#define FOREVER CAPOS_WAIT_FOREVER
#define ENTROPY 4u
#define SIZE 8u /* of the queue */
#define POOL_PAGES 16u
#define POOL (POOL_PAGES * PAGE)
#define WRITES CAPOS_DEVICE_BUFFER_WRITE
#define MORE CAPOS_DEVICE_BUFFER_MORE
#define PATIENCE_NS 10000000000ull

static capos_cap_t manager; /* 0: the machine has no entropy device */
static uint32_t number;

/* A driver and what it holds. */
static struct {
	capos_cap_t device, pool, event;
	uint8_t *bytes; /* of the pool */
} driver;

static void find_device(void)
{
	uint32_t type = 0, there = 0;
	manager = capos_cap("devices");
	if (!manager)
		return;
	while (capos_device_manager_type_of(manager, there, &type) == 0 && type != ENTROPY)
		there++;
	number = there;
	if (type != ENTROPY)
		manager = 0;
}

static void pool_make(uint64_t pages)
{
	uint64_t address = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, pages * PAGE, &driver.pool));
	OK(capos_memory_object_map(driver.pool, 0, 0, pages * PAGE, WRITE, &address));
	driver.bytes = (uint8_t *)address;
}

static void pool_drop(uint64_t pages)
{
	OK(capos_memory_object_unmap(driver.pool, (uint64_t)driver.bytes, pages * PAGE));
	OK(capos_release(driver.pool));
}

static void agree(void)
{
	uint64_t agreed = 0;
	OK(capos_device_negotiate(driver.device, 0, &agreed));
	CHECK_EQUAL(agreed & ~(1ull << 32 | 1ull << 33 | 1ull << 36), 0);
}

static void begin(void)
{
	OK(capos_device_manager_open(manager, number, &driver.device));
	driver.event = event_create();
	pool_make(POOL_PAGES);
	agree();
	OK(capos_device_add_queue(driver.device, 0, SIZE, driver.pool));
	OK(capos_device_bind(driver.device, driver.event, 1));
	OK(capos_device_start(driver.device));
}

static void end(void)
{
	OK(capos_release(driver.device));
	OK(capos_release(driver.event));
	pool_drop(POOL_PAGES);
}

static int64_t submit(uint64_t offset, uint64_t length, uint32_t flags, uint64_t token)
{
	const struct capos_device_buffer buffer = { offset, token, (uint32_t)length, flags };
	return capos_device_submit(driver.device, 0, &buffer, sizeof buffer, &(uint64_t){ 0 });
}

/* Waits for the next that the device has finished with. */
static struct capos_device_done next_done(void)
{
	struct capos_device_done done = { .token = ~0ull };
	uint64_t until_ns = capos_now_ns() + PATIENCE_NS;
	int64_t got;
	while ((got = capos_device_collect(driver.device, 0, &done, sizeof done)) == 0 &&
		capos_now_ns() < until_ns) {
		OK(capos_device_acknowledge(driver.device));
		event_take(driver.event, 1, capos_now_ns() + 100 * MS_NS);
	}
	CHECK_EQUAL(got, sizeof done);
	return done;
}

static unsigned zeros(uint64_t offset, uint64_t length)
{
	unsigned count = 0;
	for (uint64_t i = 0; i < length; i++)
		count += driver.bytes[offset + i] == 0;
	return count;
}

/* ---- a driver that works ---- */

static void bytes_arrive_where_they_should(void)
{
	begin();
	OK(submit(PAGE + 100, 64, WRITES, 7));
	struct capos_device_done done = next_done();
	CHECK_EQUAL(done.token, 7);
	CHECK_EQUAL(done.length, 64);
	CHECK(zeros(PAGE + 100, 64) < 16);
	CHECK_EQUAL(zeros(0, PAGE + 100), PAGE + 100);
	CHECK_EQUAL(zeros(PAGE + 164, POOL - PAGE - 164), POOL - PAGE - 164);
	end();
}

/* A request of several buffers, over several pages. */
static void a_request_may_have_parts(void)
{
	const struct capos_device_buffer parts[] = { { 3 * PAGE - 10, 9, PAGE + 20, WRITES | MORE },
		{ 100, 8, 30, WRITES | MORE }, { 8 * PAGE, 8, 50, WRITES } };
	uint64_t left = 0;
	begin();
	OK(capos_device_submit_message(driver.device, 0, parts, sizeof parts, &left));
	CHECK_EQUAL(left, SIZE - 5);
	struct capos_device_done done = next_done();
	CHECK_EQUAL(done.token, 9);
	CHECK(done.length > 0 && done.length <= PAGE + 100);
	CHECK(zeros(3 * PAGE - 10, 20) < 10);
	CHECK_EQUAL(zeros(0, 100), 100);
	CHECK_EQUAL(zeros(4 * PAGE + 10, 4 * PAGE - 10), 4 * PAGE - 10);
	end();
}

static void interrupts_wait_until_acknowledged(void)
{
	begin();
	OK(submit(0, 16, WRITES, 1));
	CHECK_EQUAL(event_take(driver.event, 1, capos_now_ns() + PATIENCE_NS), 1);
	CHECK_EQUAL(next_done().token, 1);
	/* next_done may have acknowledged. */
	OK(submit(0, 16, WRITES, 2));
	event_take(driver.event, 1, capos_now_ns() + 50 * MS_NS);
	OK(submit(0, 16, WRITES, 3));
	CHECK_EQUAL(event_take(driver.event, 1, capos_now_ns() + 50 * MS_NS), 0);
	OK(capos_device_acknowledge_message(driver.device));
	CHECK_EQUAL(event_take(driver.event, 1, 0), 1);
	CHECK_EQUAL(next_done().token, 2);
	CHECK_EQUAL(next_done().token, 3);
	end();
}

/* The event is another; then none; then its last capability is gone. */
static void events_come_and_go(void)
{
	begin();
	capos_cap_t other = event_create();
	OK(capos_device_bind_message(driver.device, other, 6));
	OK(submit(0, 16, WRITES, 1));
	CHECK_EQUAL(event_take(other, ~0ull, capos_now_ns() + PATIENCE_NS), 6);
	CHECK_EQUAL(next_done().token, 1);
	CHECK_EQUAL(event_take(driver.event, ~0ull, 0), 0);
	OK(capos_release(other));
	OK(submit(0, 16, WRITES, 2));
	CHECK_EQUAL(next_done().token, 2);
	OK(capos_device_bind(driver.device, driver.event, 0));
	OK(submit(0, 16, WRITES, 3));
	CHECK_EQUAL(next_done().token, 3);
	CHECK_EQUAL(event_take(driver.event, ~0ull, 0), 0);
	CHECK_FAILS(DEVICE_BIND, NOT_FOUND, capos_device_bind(driver.device, driver.pool, 1));
	CHECK_FAILS(DEVICE_BIND, NOT_FOUND, capos_device_bind_message(driver.device, 0, 1));
	end();
}

/* One that was bound through a copy is signalled until that is taken back. */
static void events_end_with_a_lease(void)
{
	capos_cap_t lease = 0, copy = 0;
	begin();
	OK(capos_lease_factory_create(capos_caps.lease_factory, driver.device, &lease));
	OK(capos_lease_copy(lease, &copy));
	OK(capos_device_bind(copy, driver.event, 8));
	OK(submit(0, 16, WRITES, 1));
	CHECK_EQUAL(event_take(driver.event, ~0ull, capos_now_ns() + PATIENCE_NS), 8);
	CHECK_EQUAL(next_done().token, 1);
	OK(capos_lease_revoke(lease));
	OK(capos_device_acknowledge(driver.device));
	event_take(driver.event, ~0ull, 0);
	OK(submit(0, 16, WRITES, 2));
	CHECK_EQUAL(event_take(driver.event, ~0ull, capos_now_ns() + 50 * MS_NS), 0);
	OK(capos_device_acknowledge(driver.device)); /* something is there, and nobody to tell */
	CHECK_EQUAL(event_take(driver.event, ~0ull, 0), 0);
	OK(capos_device_bind(driver.device, driver.event, 1));
	CHECK_EQUAL(next_done().token, 2);
	OK(capos_release(copy));
	OK(capos_release(lease));
	end();
}

/* ---- what a driver may not do ---- */

static void devices_are_taken_once(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t other = 0;
	uint32_t type;
	CHECK_FAILS(DEVICE_MANAGER_TYPE_OF, NOT_FOUND,
		capos_device_manager_type_of(manager, UINT32_MAX, &type));
	CHECK_FAILS(DEVICE_MANAGER_TYPE_OF, NOT_FOUND,
		capos_device_manager_type_of_message(manager, 16, &type));
	CHECK_FAILS(DEVICE_MANAGER_OPEN, NOT_FOUND,
		capos_device_manager_open(manager, UINT32_MAX, &other));
	OK(capos_device_manager_open_message(manager, number, &driver.device));
	CHECK_FAILS(DEVICE_MANAGER_OPEN, BUSY, capos_device_manager_open(manager, number, &other));
	CHECK_FAILS(DEVICE_MANAGER_OPEN, BUSY,
		capos_device_manager_open_message(manager, number, &other));
	OK(capos_release(driver.device));
	for (unsigned i = 0; i < 200; i++) {
		OK(capos_device_manager_open(manager, number, &driver.device));
		OK(capos_release(driver.device));
	}
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void states_are_kept(void)
{
	struct capos_device_done done;
	OK(capos_device_manager_open(manager, number, &driver.device));
	pool_make(POOL_PAGES);
	CHECK_FAILS(DEVICE_START, WRONG_STATE, capos_device_start(driver.device));
	CHECK_FAILS(DEVICE_ACKNOWLEDGE, WRONG_STATE, capos_device_acknowledge(driver.device));
	CHECK_FAILS(DEVICE_ADD_QUEUE, WRONG_STATE,
		capos_device_add_queue(driver.device, 0, SIZE, driver.pool));
	agree();
	OK(capos_device_add_queue_message(driver.device, 0, SIZE, driver.pool));
	CHECK_FAILS(DEVICE_ADD_QUEUE, WRONG_STATE,
		capos_device_add_queue(driver.device, 0, SIZE, driver.pool));
	CHECK_FAILS(DEVICE_SUBMIT, WRONG_STATE, submit(0, 16, WRITES, 1));
	OK(capos_device_start_message(driver.device));
	CHECK_FAILS(DEVICE_START, WRONG_STATE, capos_device_start(driver.device));
	CHECK_FAILS(DEVICE_ADD_QUEUE, WRONG_STATE,
		capos_device_add_queue(driver.device, 1, SIZE, driver.pool));
	OK(submit(0, 64, WRITES, 1));
	OK(capos_device_reset_message(driver.device));
	CHECK_FAILS(DEVICE_SUBMIT, WRONG_STATE, submit(0, 16, WRITES, 1));
	CHECK_FAILS(DEVICE_COLLECT, WRONG_STATE,
		capos_device_collect(driver.device, 0, &done, sizeof done));
	CHECK_FAILS(DEVICE_ACKNOWLEDGE, WRONG_STATE, capos_device_acknowledge(driver.device));
	OK(capos_device_reset(driver.device));
	OK(capos_release(driver.device));
	pool_drop(POOL_PAGES);
}

static void queues_are_checked(void)
{
	static const uint32_t sizes[] = { 0, 3, 7, 9, 100, 512, 1u << 15, 1u << 16, 1u << 31,
		UINT32_MAX };
	uint64_t agreed;
	capos_cap_t large = 0;
	OK(capos_device_manager_open(manager, number, &driver.device));
	driver.event = event_create();
	pool_make(POOL_PAGES);
	for (unsigned bit = 0; bit < 64; bit++)
		if (bit >= 24 && bit < 50 && bit != 27)
			CHECK_FAILS(DEVICE_NEGOTIATE, NO_RIGHTS,
				capos_device_negotiate(driver.device, 1ull << bit, &agreed));
	OK(capos_device_negotiate_message(
		driver.device, ~0ull << 50 | 1ull << 27 | 0xffffff, &agreed));
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		CHECK_FAILS(DEVICE_ADD_QUEUE, INVALID_ARGUMENT,
			capos_device_add_queue(driver.device, 0, sizes[i], driver.pool));
	for (uint32_t queue = 1; queue; queue *= 2)
		CHECK_FAILS(DEVICE_ADD_QUEUE, NOT_FOUND,
			capos_device_add_queue(driver.device, queue, SIZE, driver.pool));
	CHECK_FAILS(DEVICE_ADD_QUEUE, NOT_FOUND,
		capos_device_add_queue(driver.device, 0, SIZE, driver.event));
	CHECK_FAILS(DEVICE_ADD_QUEUE, NOT_FOUND,
		capos_device_add_queue(driver.device, 0, SIZE, driver.pool ^ 0x10000));
	OK(capos_memory_allocator_create(
		capos_caps.memory_allocator, (CAPOS_DEVICE_POOL_PAGES_MAX + 1) * PAGE, &large));
	CHECK_FAILS(DEVICE_ADD_QUEUE, LIMIT_REACHED,
		capos_device_add_queue(driver.device, 0, SIZE, large));
	OK(capos_release(large));
	end();
}

/* Memory beside the pool, which the device must not reach. */
static void only_the_pool_is_written(void)
{
	static const uint64_t offsets[] = { POOL, POOL - 15, POOL + PAGE, POOL - PAGE, 1ull << 31,
		1ull << 32, 1ull << 52, 1ull << 63, ~0ull, ~0ull - 15, KERNEL_HALF, -PAGE };
	static const uint32_t lengths[] = { 16, PAGE + 1, 1u << 20, 1u << 31, UINT32_MAX,
		UINT32_MAX - 14 };
	begin();
	for (unsigned i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
		for (unsigned j = 0; j < sizeof lengths / sizeof lengths[0]; j++)
			if (offsets[i] >= POOL || lengths[j] > POOL - offsets[i]) {
				CHECK_FAILS(DEVICE_SUBMIT, OUT_OF_RANGE,
					submit(offsets[i], lengths[j], WRITES, 1));
				CHECK_FAILS(DEVICE_SUBMIT, OUT_OF_RANGE,
					submit(offsets[i], lengths[j], 0, 1));
			}
	CHECK_FAILS(DEVICE_SUBMIT, INVALID_ARGUMENT, submit(0, 0, WRITES, 1));
	for (uint32_t flag = 4; flag; flag *= 2)
		CHECK_FAILS(DEVICE_SUBMIT, INVALID_ARGUMENT, submit(0, 16, WRITES | flag, 1));
	/* None of them was given to the device. */
	CHECK_EQUAL(zeros(0, POOL), POOL);
	OK(submit(POOL - 16, 16, WRITES, 5));
	CHECK_EQUAL(next_done().token, 5);
	end();
}

static int64_t submit_array(const struct capos_device_buffer *buffers, size_t size)
{
	return capos_device_submit(driver.device, 0, buffers, size, &(uint64_t){ 0 });
}

static void requests_are_checked_as_a_whole(void)
{
	static struct capos_device_buffer many[CAPOS_DEVICE_BATCH_MAX + 1];
	const size_t one = sizeof many[0];
	const struct capos_device_buffer wrong[][2] = {
		{ { 0, 1, 16, WRITES | MORE }, { 0, 1, 16, 0 } },      /* read behind written */
		{ { 0, 1, 16, WRITES }, { 0, 1, 16, WRITES | MORE } }, /* without an end */
		{ { 0, 1, 16, WRITES }, { 0, 1, 0, WRITES } },
	};
	begin();
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		CHECK_FAILS(DEVICE_SUBMIT, INVALID_ARGUMENT, submit_array(wrong[i], 2 * one));
	for (unsigned i = 0; i <= CAPOS_DEVICE_BATCH_MAX; i++)
		many[i] = (struct capos_device_buffer){ i, i, 1, WRITES };
	CHECK_FAILS(DEVICE_SUBMIT, INVALID_ARGUMENT, submit_array(many, sizeof many));
	CHECK_FAILS(DEVICE_SUBMIT, INVALID_ARGUMENT, submit_array(many, 0));
	CHECK_FAILS(DEVICE_SUBMIT, INVALID_ARGUMENT, submit_array(many, one - 1));
	CHECK_FAILS(DEVICE_SUBMIT, INVALID_ARGUMENT, submit_array(many, one + 1));
	CHECK_FAILS(DEVICE_SUBMIT, LIMIT_REACHED, submit_array(many, (SIZE + 1) * one));
	CHECK_FAILS(DEVICE_SUBMIT, LIMIT_REACHED, submit(1, SIZE * PAGE, WRITES, 1));
	CHECK_FAILS(DEVICE_SUBMIT, BAD_ADDRESS, submit_array((void *)(KERNEL_HALF), one));
	CHECK_FAILS(DEVICE_SUBMIT, NOT_FOUND,
		capos_device_submit(driver.device, 1, many, one, &(uint64_t){ 0 }));
	CHECK_FAILS(DEVICE_SUBMIT, NOT_FOUND,
		capos_device_submit(driver.device, UINT32_MAX, many, one, &(uint64_t){ 0 }));
	CHECK_EQUAL(zeros(0, POOL), POOL);
	end();
}

/* The same memory in all entries of the queue, which stays full until they are collected. */
static void a_queue_is_full_until_collected(void)
{
	bool seen[SIZE] = { false };
	begin();
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < SIZE; i++) {
			OK(submit(0, 16, WRITES, i));
			seen[i] = false;
		}
		CHECK_FAILS(DEVICE_SUBMIT, LIMIT_REACHED, submit(0, 16, WRITES, 1));
		for (unsigned i = 0; i < SIZE; i++) {
			struct capos_device_done done = next_done();
			CHECK(done.token < SIZE && !seen[done.token % SIZE]);
			seen[done.token % SIZE] = true;
		}
	}
	end();
}

static void results_are_checked(void)
{
	struct capos_device_done done[2];
	begin();
	CHECK_FAILS(DEVICE_COLLECT, INVALID_ARGUMENT,
		capos_device_collect(driver.device, 0, done, sizeof done[0] - 1));
	CHECK_FAILS(DEVICE_COLLECT, NOT_FOUND,
		capos_device_collect(driver.device, 1, done, sizeof done));
	CHECK_EQUAL(capos_device_collect(driver.device, 0, done, sizeof done), 0);
	OK(submit(0, 16, WRITES, 1));
	OK(submit(16, 16, WRITES, 2));
	event_take(driver.event, 1, capos_now_ns() + PATIENCE_NS);
	capos_sleep_ns(20 * MS_NS);
	CHECK_FAILS(DEVICE_COLLECT, BAD_ADDRESS,
		capos_device_collect(driver.device, 0, (void *)KERNEL_HALF, sizeof done[0]));
	CHECK_EQUAL(next_done().token, 2); /* the first has been taken */
	CHECK_FAILS(DEVICE_INFO, BAD_ADDRESS,
		capos_device_info(driver.device, (void *)KERNEL_HALF, 64));
	end();
}

static void configuration_is_bounded(void)
{
	struct capos_device_description info = { 0 };
	uint64_t value = 0;
	OK(capos_device_manager_open(manager, number, &driver.device));
	CHECK_EQUAL(capos_device_info(driver.device, &info, sizeof info), sizeof info);
	CHECK_EQUAL(capos_device_info_message(driver.device, &info, sizeof info), sizeof info);
	CHECK_EQUAL(info.type, ENTROPY);
	CHECK(info.queue_sizes[0] || info.queue_sizes[1]);
	CHECK_EQUAL(info.status, 0);
	static const uint32_t widths[] = { 0, 3, 5, 8, 16, 1u << 31, UINT32_MAX };
	for (unsigned i = 0; i < sizeof widths / sizeof widths[0]; i++) {
		CHECK_FAILS(DEVICE_READ_CONFIG, INVALID_ARGUMENT,
			capos_device_read_config(driver.device, 0, widths[i], &value));
		CHECK_FAILS(DEVICE_WRITE_CONFIG, INVALID_ARGUMENT,
			capos_device_write_config(driver.device, 0, widths[i], 0));
	}
	CHECK_FAILS(DEVICE_READ_CONFIG, MISALIGNED,
		capos_device_read_config(driver.device, 2, 4, &value));
	CHECK_FAILS(DEVICE_WRITE_CONFIG, MISALIGNED,
		capos_device_write_config_message(driver.device, 1, 2, 0));
	for (uint32_t offset = info.config_size; offset; offset = offset * 2 & ~3u) {
		CHECK_FAILS(DEVICE_READ_CONFIG, OUT_OF_RANGE,
			capos_device_read_config_message(driver.device, offset, 4, &value));
		CHECK_FAILS(DEVICE_WRITE_CONFIG, OUT_OF_RANGE,
			capos_device_write_config(driver.device, offset, 4, 0));
	}
	CHECK_FAILS(DEVICE_READ_CONFIG, OUT_OF_RANGE,
		capos_device_read_config(driver.device, UINT32_MAX - 3, 4, &value));
	CHECK_FAILS(DEVICE_WRITE_CONFIG, OUT_OF_RANGE,
		capos_device_write_config(driver.device, UINT32_MAX - 3, 4, 0));
	for (uint32_t offset = 0; offset < info.config_size; offset++) {
		OK(capos_device_write_config(driver.device, offset, 1, 0xff));
		OK(capos_device_read_config(driver.device, offset, 1, &value));
		CHECK(value <= 0xff);
	}
	OK(capos_release(driver.device));
}

/* ---- memory ---- */

static void all_is_charged_and_comes_back(void)
{
	struct capos_memory_usage before = program_usage();
	begin();
	/* The pool's pages have got their frames, though none was touched. */
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages + POOL_PAGES);
	/* The queue keeps the pool. */
	pool_drop(POOL_PAGES);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages + POOL_PAGES);
	OK(submit(0, 64, WRITES, 1));
	OK(capos_device_reset(driver.device));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
	OK(capos_release(driver.device));
	OK(capos_release(driver.event));
}

static void without_memory(void)
{
	int64_t status = 0;
	uint64_t size = 1ull << 30;
	OK(capos_device_manager_open(manager, number, &driver.device));
	driver.event = event_create();
	pool_make(POOL_PAGES);
	agree();
	uint64_t range = commit_all(size);
	for (unsigned i = 0; i < 64 && status == 0; i++) { /* what slabs still have */
		status = capos_device_add_queue(driver.device, 0, SIZE, driver.pool);
		if (status == 0)
			agree();
	}
	CHECK_FAILS(DEVICE_ADD_QUEUE, NO_MEMORY, status);
	OK(vm_unmap(range, size));
	end();
}

static void no_slot_for_the_device(void)
{
	static capos_cap_t events[CAPOS_CAP_SLOTS_MAX];
	unsigned count = 0;
	int64_t created;
	while ((created = capos_event_factory_create(capos_caps.event_factory, &events[count])) ==
		0)
		count++;
	CHECK_EQUAL(created, CAPOS_E(NO_SLOTS));
	CHECK_FAILS(DEVICE_MANAGER_OPEN, NO_SLOTS,
		capos_device_manager_open(manager, number, &driver.device));
	while (count)
		OK(capos_release(events[--count]));
}

/* ---- drivers that die ---- */

/* How far a driver comes before it ends. */
enum stage { OPENED, AGREED, QUEUED, RUNNING, GIVEN, FULL, STAGES };

static int role_driver(int argc, char **argv)
{
	int stage = argc > 2 ? argv[2][0] - '0' : 0;
	int64_t status;
	find_device();
	/* The parent looks now and then whether it is still free. */
	while ((status = capos_device_manager_open(manager, number, &driver.device)) ==
		CAPOS_E(BUSY))
		capos_sleep_ns(MS_NS);
	OK(status);
	pool_make(POOL_PAGES);
	if (stage >= AGREED)
		agree();
	if (stage >= QUEUED)
		OK(capos_device_add_queue(driver.device, 0, SIZE, driver.pool));
	if (stage >= RUNNING)
		OK(capos_device_start(driver.device));
	for (unsigned i = 0; stage >= GIVEN && i < (stage == FULL ? SIZE : 1); i++)
		OK(submit(0, PAGE, WRITES, i));
	if (argc > 2 && argv[2][1] == 's')
		capos_sleep_ns(FOREVER / 2);
	return check_why[0] ? 1 : 3;
}

/* Holds a copy of a device until it is killed. */
static int role_holder(int argc, char **argv)
{
	(void)argc, (void)argv;
	capos_sleep_ns(FOREVER / 2);
	return 1;
}

/* A process that has never had a device has no slab for the record of one, but for what the debug
 * kernel's larger records leave. */
static int role_poor(int argc, char **argv)
{
	(void)argc, (void)argv;
	find_device();
	commit_all(1ull << 30);
	int64_t status = capos_device_manager_open(manager, number, &driver.device);
	CHECK(GETS(DEVICE_MANAGER_OPEN, NO_MEMORY, status) || status == 0);
	provoked_print();
	return check_why[0] != 0;
}

static const struct role roles[] = { { "driver", role_driver }, { "holder", role_holder },
	{ "poor", role_poor } };

static capos_cap_t spawn_driver(
	const char *role, const char *more, const char *name, capos_cap_t cap)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, more);
	capos_cap_t process = 0;
	grant(&grants, name, cap);
	OK(spawn_with(&grants, &args, 0, &process));
	return process;
}

static void no_memory_for_the_record(void)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("poor", NULL);
	capos_cap_t process = 0;
	grant(&grants, "devices", manager);
	OK(spawn_with(&grants, &args, 1024, &process));
	finishes(process, CAPOS_EXIT_KIND_EXITED, 0);
}

static void wait_until_taken(void)
{
	capos_cap_t other = 0;
	while (capos_device_manager_open(manager, number, &other) == 0) {
		OK(capos_release(other));
		capos_sleep_ns(5 * MS_NS);
	}
}

static void drivers_die_in_each_state(void)
{
	for (int stage = 0; stage < STAGES; stage++) {
		char text[3] = { (char)('0' + stage), 0, 0 };
		finishes(spawn_driver("driver", text, "devices", manager), CAPOS_EXIT_KIND_EXITED,
			3);
		begin(); /* it is free at once */
		OK(submit(0, 64, WRITES, 1));
		CHECK_EQUAL(next_done().token, 1);
		end();
	}
}

static void drivers_are_killed(void)
{
	for (int stage = QUEUED; stage < STAGES; stage++) {
		char text[3] = { (char)('0' + stage), 's', 0 };
		capos_cap_t child = spawn_driver("driver", text, "devices", manager);
		wait_until_taken();
		capos_sleep_ns((uint64_t)stage * MS_NS);
		OK(capos_process_kill(child));
		finishes(child, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
		begin();
		end();
	}
}

/* A copy in another process keeps the device, and its queue. */
static void a_copy_keeps_the_device(void)
{
	capos_cap_t other = 0;
	begin();
	capos_cap_t child = spawn_driver("holder", NULL, "device", driver.device);
	end();
	CHECK_FAILS(DEVICE_MANAGER_OPEN, BUSY, capos_device_manager_open(manager, number, &other));
	OK(capos_process_kill(child));
	finish(child);
	begin();
	end();
}

/* ---- everything at once ---- */

/* Sets the device up again and again, with a pool that takes long. */
static volatile bool stop_setting_up;
static int64_t set_up(void *unused)
{
	(void)unused;
	while (!stop_setting_up) {
		capos_device_add_queue(driver.device, 0, SIZE, driver.pool);
		capos_device_negotiate(driver.device, 0, &(uint64_t){ 0 });
	}
	return 0;
}

static void one_call_sets_up_at_a_time(void)
{
	struct capos_thread *thread = NULL;
	struct capos_device_description info;
	uint64_t agreed, until_ns = capos_now_ns() + 1000 * MS_NS;
	unsigned seen = 0;
	OK(capos_device_manager_open(manager, number, &driver.device));
	driver.event = event_create();
	pool_make(POOL_PAGES);
	stop_setting_up = false;
	OK(capos_thread_start(&thread, set_up, NULL, NULL));
	while (seen != 31 && capos_now_ns() < until_ns) {
		capos_cap_t device = driver.device;
		seen |= GETS(DEVICE_INFO, BUSY, capos_device_info(device, &info, sizeof info));
		seen |= GETS(DEVICE_START, BUSY, capos_device_start(device)) << 1;
		seen |= GETS(DEVICE_RESET, BUSY, capos_device_reset(device)) << 2;
		seen |= GETS(DEVICE_NEGOTIATE, BUSY, capos_device_negotiate(device, 0, &agreed))
			<< 3;
		seen |= GETS(DEVICE_ADD_QUEUE, BUSY,
				capos_device_add_queue(device, 0, SIZE, driver.pool))
			<< 4;
	}
	stop_setting_up = true;
	OK(capos_thread_join(thread, NULL));
	end();
	begin();
	end();
}

static uint64_t odd_number(uint64_t *seed)
{
	static const uint64_t odd[] = { 0, 1, 2, 7, 8, 15, 16, 64, PAGE - 1, PAGE, POOL - 1, POOL,
		1ull << 31, 1ull << 32, ~0ull, ~0ull - 7 };
	uint64_t random = random_next(seed);
	return random & 1 ? odd[(random >> 8) % (sizeof odd / sizeof odd[0])] : random >> 44;
}

static void any_call(uint64_t *seed)
{
	struct capos_device_buffer buffers[4];
	struct capos_device_done done[4];
	uint64_t random = random_next(seed), value;
	uint32_t queue = (random >> 8) % 16 ? 0 : (uint32_t)odd_number(seed);
	for (unsigned i = 0; i < 4; i++)
		buffers[i] = (struct capos_device_buffer){ odd_number(seed), i,
			(uint32_t)odd_number(seed), (uint32_t)(random >> (16 + 3 * i)) % 5 };
	switch (random % 16) {
	case 0:
		capos_device_reset(driver.device);
		break;
	case 1:
		capos_device_negotiate(driver.device, odd_number(seed), &value);
		break;
	case 2:
	case 3:
		capos_device_add_queue(driver.device, queue, 1u << random % 9, driver.pool);
		break;
	case 4:
	case 5:
		capos_device_start(driver.device);
		break;
	case 6:
		capos_device_write_config(driver.device, (uint32_t)odd_number(seed), 4, random);
		break;
	case 7:
		capos_device_acknowledge(driver.device);
		break;
	case 8:
	case 9:
		capos_device_collect(driver.device, queue, done, sizeof done);
		break;
	case 10:
		capos_device_bind(driver.device, driver.event, odd_number(seed));
		break;
	default:
		capos_device_submit(driver.device, queue, buffers,
			(1 + (random >> 40) % 4) * sizeof buffers[0], &value);
	}
}

static uint64_t first_seed;
static int64_t any_calls(void *index)
{
	uint64_t seed = first_seed + 2 * (uint64_t)index;
	for (unsigned i = 0; i < 3000; i++)
		any_call(&seed);
	return 0;
}

/* Several threads call anything; memory beside the pool stays as it is. */
static void anything_by_several_threads(void)
{
	struct capos_thread *threads[3] = { NULL };
	struct capos_memory_usage before = program_usage();
	uint8_t *beside = (uint8_t *)vm_map(POOL, WRITE);
	unsigned changed = 0;
	memset(beside, 0x5a, POOL);
	begin();
	for (uint64_t i = 0; i < 3; i++)
		OK(capos_thread_start(&threads[i], any_calls, (void *)i, NULL));
	for (unsigned i = 0; i < 3; i++)
		OK(capos_thread_join(threads[i], NULL));
	end();
	for (uint64_t i = 0; i < POOL; i++)
		changed += beside[i] != 0x5a;
	CHECK_EQUAL(changed, 0);
	OK(vm_unmap((uint64_t)beside, POOL));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
	bytes_arrive_where_they_should();
}

/* ---- bytes for the generator ---- */

static void seeds_are_taken(void)
{
	uint8_t bytes[CAPOS_ENTROPY_SEED_MAX + 1] = { 1 };
	capos_cap_t sink = capos_cap("entropy_seed");
	uint32_t sources = 0;
	OK(capos_entropy_seed_add(sink, bytes, 32));
	OK(capos_entropy_seed_add_message(sink, bytes, CAPOS_ENTROPY_SEED_MAX));
	OK(capos_entropy_source_status(capos_caps.entropy, &sources));
	CHECK(sources & 4);
	CHECK_FAILS(ENTROPY_SEED_ADD, INVALID_ARGUMENT, capos_entropy_seed_add(sink, bytes, 0));
	CHECK_FAILS(ENTROPY_SEED_ADD, INVALID_ARGUMENT,
		capos_entropy_seed_add_message(sink, bytes, sizeof bytes));
	CHECK_FAILS(ENTROPY_SEED_ADD, BAD_ADDRESS,
		capos_entropy_seed_add(sink, (void *)KERNEL_HALF, 16));
}

static void run_device_tests(void)
{
	RUN(bytes_arrive_where_they_should);
	RUN(a_request_may_have_parts);
	RUN(interrupts_wait_until_acknowledged);
	RUN(events_come_and_go);
	RUN(events_end_with_a_lease);
	RUN(devices_are_taken_once);
	RUN(states_are_kept);
	RUN(queues_are_checked);
	RUN(only_the_pool_is_written);
	RUN(requests_are_checked_as_a_whole);
	RUN(a_queue_is_full_until_collected);
	RUN(results_are_checked);
	RUN(configuration_is_bounded);
	RUN(all_is_charged_and_comes_back);
	RUN(without_memory);
	RUN(no_memory_for_the_record);
	RUN(no_slot_for_the_device);
	RUN(drivers_die_in_each_state);
	RUN(drivers_are_killed);
	RUN(a_copy_keeps_the_device);
	RUN(one_call_sets_up_at_a_time);
	RUN(anything_by_several_threads);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0)
		return code;
	first_seed = random_seed(argc, argv);
	find_device();
	if (manager)
		run_device_tests();
	else
		check_skip("device", "the machine has no entropy device");
	RUN(seeds_are_taken);
	return check_result();
}
