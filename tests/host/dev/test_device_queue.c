/* A device queue: what a driver may ask for and what a device may say, case by case, and at random
 * with a good device and a bad one (queue_steps.h). */
#define CHECK_GROUP "dev"
#include "queue_steps.h"

#include "check.h"

#define WRITES CAPOS_DEVICE_BUFFER_WRITE
#define POOL (STEPS_POOL_PAGES * PAGE_SIZE)

static bool give(uint64_t offset, uint32_t length, uint32_t flags)
{
	struct capos_device_buffer buffer = { .offset = offset, .length = length, .flags = flags };
	return steps_submit(&buffer, 1);
}

static void places(void)
{
	CHECK(device_queue_used_offset(1) == 64 && device_queue_used_offset(64) == 2048);
	CHECK(device_queue_used_offset(256) == 8192);
	CHECK(device_queue_bytes(256) == 8192 + 6 + 256 * 8);
}

static void outside_the_pool(void)
{
	steps_begin(8);
	CHECK(!give(POOL, 1, WRITES) && !give(POOL - 1, 2, WRITES) && !give(0, 0, WRITES));
	CHECK(!give(UINT64_MAX, 1, 0) && !give(UINT64_MAX - 1, 3, 0) && !give(1ull << 63, 16, 0));
	CHECK(!give(0, UINT32_MAX, WRITES) && !give(0, 16, 4) && !give(0, 16, 1u << 31));
	CHECK(steps.queue.available[1] == 0 && steps.queue.free_count == 8);
	CHECK(give(POOL - 1, 1, WRITES) && give(0, 1, 0) && steps_are_good());
}

static void pages_are_entries(void)
{
	steps_begin(4);
	CHECK(!give(1, 4 * PAGE_SIZE, WRITES)); /* touches five */
	CHECK(give(PAGE_SIZE - 1, 2 * PAGE_SIZE + 2, WRITES) && steps.queue.free_count == 0);
	CHECK(steps_are_good() && !give(0, 1, 0));
	CHECK(steps.queue.descriptors[0].length == 1 && steps.queue.descriptors[3].length == 1);
	steps_finish(0, UINT32_MAX);
	CHECK(steps_collect() && steps.returned == 1 && steps.queue.free_count == 4);
}

/* An entry in the middle of a chain, one that is free, one that does not exist, one twice. */
static void entries_that_were_not_given(void)
{
	static const uint32_t wrong[] = { 1, 3, 4, 5, 0x10000, UINT32_MAX };
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		steps_begin(4);
		CHECK(give(PAGE_SIZE - 1, 2, WRITES));
		steps_finish(wrong[i], 0);
		CHECK(steps_collect() && steps.returned == 0 && steps.queue.wrong);
	}
	steps_begin(4);
	CHECK(give(0, 1, WRITES));
	steps_finish(0, 1);
	steps_finish(0, 1);
	CHECK(steps_collect() && steps.returned == 1 && steps.queue.wrong);
	steps_begin(4);
	CHECK(give(0, 1, WRITES));
	steps.queue.used[1] = 0x8000; /* more than it ever had */
	CHECK(steps_collect() && steps.returned == 1 && steps.queue.wrong && steps_are_good());
}

static uint64_t state = 88172645463325252ull;
static uint32_t random_below(uint32_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state % limit);
}

/* Finishes in any order what is outstanding. */
static void finish_any(void)
{
	uint32_t first = random_below(steps.queue.size);
	for (uint32_t i = 0; i < steps.queue.size; i++) {
		uint32_t id = (first + i) % steps.queue.size;
		if (steps.entries[id].count) {
			steps_finish(id, random_below(UINT32_MAX));
			return;
		}
	}
}

static void a_good_device_returns_all(void)
{
	for (uint32_t size = 1; size <= CAPOS_DEVICE_QUEUE_SIZE_MAX; size *= 2) {
		steps_begin(size);
		while (steps.given < STEPS_REQUESTS && !check_why[0]) {
			uint32_t length = 1 + random_below(2 * PAGE_SIZE);
			if (!give(random_below(POOL - length), length, random_below(2)) ||
				random_below(3) == 0)
				finish_any();
			CHECK(steps_collect() && !steps.queue.wrong);
		}
		while (steps.returned < steps.given && !check_why[0]) {
			finish_any();
			CHECK(steps_collect());
		}
		CHECK(steps.queue.free_count == size && steps_are_good());
	}
}

int main(void)
{
	RUN(places);
	RUN(outside_the_pool);
	RUN(pages_are_entries);
	RUN(entries_that_were_not_given);
	RUN(a_good_device_returns_all);
	return check_failures != 0;
}
