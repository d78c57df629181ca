/* The charge for a thread: stack, ring and buffers while it lives, and the record as long as a
 * capability names it. All but the record is uncharged by the time that join returns. */
#include "raw_thread.h"

#define SPAWNED 8

static uint64_t committed(void)
{
	return program_usage().committed_pages;
}

static void threads_are_charged(void)
{
	uint64_t before = committed(), flag = 0;
	capos_cap_t handles[SPAWNED];
	for (int i = 0; i < SPAWNED; i++)
		handles[i] = raw_spawn(raw_park, (uint64_t)&flag, 0);
	uint64_t each = (committed() - before) / SPAWNED;
	CHECK(each >= 4); /* a kernel stack of two pages or more, a ring page, the record */
	CHECK_EQUAL(committed() - before, each * SPAWNED);
	raw_wake((uint32_t *)&flag);
	for (int i = 0; i < SPAWNED; i++) {
		int64_t code = -1;
		OK(capos_thread_handle_join(handles[i], CAPOS_WAIT_FOREVER, &code));
		CHECK_EQUAL(code, 0);
	}
	CHECK_EQUAL(committed() - before, SPAWNED); /* the records */
	for (int i = 0; i < SPAWNED; i++)
		OK(capos_release(handles[i]));
	/* The CPU on which a thread ended drops its reference to the record last, a moment after
	 * join has returned. */
	for (uint64_t start = capos_now_ns();
		committed() != before && capos_now_ns() - start < 20000 * MS_NS;)
		capos_thread_yield();
	CHECK_EQUAL(committed(), before);
}

static void failed_threads_are_not(void)
{
	capos_cap_t handle = 0;
	uint64_t before = committed();
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, OUT_OF_RANGE,
		capos_thread_spawner_spawn(
			capos_caps.thread_spawner, CAPOS_USER_TOP, 0, 0, 0, 0, "", &handle));
	CHECK_EQUAL(committed(), before);
}

int main(void)
{
	RUN(threads_are_charged);
	RUN(failed_threads_are_not);
	return check_result();
}
