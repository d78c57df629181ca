/* ThreadSpawner, ThreadHandle and ThreadControl, method by method, with each error. Most threads
 * here are raw ones: a few instructions that use no stack and no TLS, so that only the kernel is
 * under test. */
#include "raw_thread.h"

static struct entry_registers seen;

static void threads_start_with_the_stated_registers(void)
{
	memset(&seen, 0xff, sizeof seen);
	capos_cap_t handle = raw_spawn(raw_record, (uint64_t)&seen, 0x123450);
	CHECK_EQUAL(raw_join(handle), 77);
	CHECK_EQUAL(seen.rdi, (uint64_t)&seen);
	CHECK_EQUAL(seen.rsp, 0x123450); /* neither read nor written */
	CHECK(seen.rsi != 0 && seen.rdx % PAGE == 0 && seen.rdx != (uint64_t)capos_ring());
	const uint64_t zero[] = { seen.rax, seen.rbx, seen.rbp, seen.r8, seen.r9, seen.r10,
		seen.r12, seen.r13, seen.r14, seen.r15 };
	for (unsigned i = 0; i < sizeof zero / sizeof zero[0]; i++)
		CHECK_EQUAL(zero[i], 0);
}

static void spawn_fails(void)
{
	const uint64_t entry = (uint64_t)raw_exit, top = CAPOS_USER_TOP;
	static const char long_name[] = "a name of exactly 32 characters!";
	capos_cap_t spawner = capos_caps.thread_spawner, handle;
	const struct {
		uint64_t entry, stack, fs_base;
		const char *name;
		int64_t status;
	} wrong[] = {
		{ 0, 0, 0, "", CAPOS_E(INVALID_ARGUMENT) },
		{ top, 0, 0, "", CAPOS_E(OUT_OF_RANGE) },
		{ KERNEL_HALF, 0, 0, "", CAPOS_E(OUT_OF_RANGE) },
		{ ~0ull, 0, 0, "", CAPOS_E(OUT_OF_RANGE) },
		{ entry, top + 1, 0, "", CAPOS_E(OUT_OF_RANGE) },
		{ entry, NON_CANONICAL, 0, "", CAPOS_E(OUT_OF_RANGE) },
		{ entry, 0, top, "", CAPOS_E(OUT_OF_RANGE) },
		{ entry, 0, NON_CANONICAL, "", CAPOS_E(OUT_OF_RANGE) },
		{ entry, 0, ~0ull, "", CAPOS_E(OUT_OF_RANGE) },
		{ entry, 0, 0, long_name, CAPOS_E(INVALID_ARGUMENT) },
	};
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		CHECK_FAILS_WITH(THREAD_SPAWNER_SPAWN, wrong[i].status,
			capos_thread_spawner_spawn(spawner, wrong[i].entry, wrong[i].stack, 0,
				wrong[i].fs_base, 0, wrong[i].name, &handle));
		CHECK_FAILS_WITH(THREAD_SPAWNER_SPAWN, wrong[i].status,
			capos_thread_spawner_spawn_message(spawner, wrong[i].entry, wrong[i].stack,
				0, wrong[i].fs_base, 0, wrong[i].name, &handle));
	}
	uint64_t words[7] = { entry, 0, 0, 0, 0, 8,
		4 }; /* more words than registers: they lie in memory; the name does not */
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, BAD_ADDRESS,
		capos_call(spawner, CAPOS_THREAD_SPAWNER_SPAWN, (uint64_t)words, 0, 0, 0, 0));
	words[5] = KERNEL_HALF;
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, BAD_ADDRESS,
		capos_call(spawner, CAPOS_THREAD_SPAWNER_SPAWN, (uint64_t)words, 0, 0, 0, 0));
	CHECK_FAILS(OPCODE_COMPACT, INVALID_PARAMS_BUFFER,
		capos_call(spawner, CAPOS_THREAD_SPAWNER_SPAWN, 8, 0, 0, 0, 0));
	CHECK_FAILS(OPCODE_COMPACT, INVALID_PARAMS_BUFFER,
		capos_call(spawner, CAPOS_THREAD_SPAWNER_SPAWN, KERNEL_HALF, 0, 0, 0, 0));
	CHECK_EQUAL(thread_count(), 1);
}

static void both_forms_spawn(void)
{
	capos_cap_t handle = 0;
	struct capos_thread_info info;
	OK(capos_thread_spawner_spawn_message(capos_caps.thread_spawner, (uint64_t)raw_exit, 0,
		1234, 0, 0, "a name of exactly 31 characters", &handle));
	CHECK_EQUAL(capos_thread_handle_info_message(handle, &info, sizeof info), sizeof info);
	CHECK(memcmp(info.name, "a name of exactly 31 characters", 32) == 0);
	int64_t code = 0;
	OK(capos_thread_handle_join_message(handle, CAPOS_WAIT_FOREVER, &code));
	CHECK_EQUAL(code, 1234);
	CHECK_EQUAL(capos_thread_handle_info(handle, &info, sizeof info), sizeof info);
	CHECK_EQUAL(info.state, CAPOS_THREAD_STATE_KIND_ENDED);
	OK(capos_release(handle));
}

static void join_waits_and_fails(void)
{
	uint32_t word = 0;
	int64_t code = 0;
	capos_cap_t self = 0, handle = raw_spawn(raw_park, (uint64_t)&word, 0);
	uint64_t before = capos_now_ns();
	CHECK_FAILS(
		THREAD_HANDLE_JOIN, TIMED_OUT, capos_thread_handle_join(handle, 3 * MS_NS, &code));
	CHECK(capos_now_ns() - before >= 3 * MS_NS);
	CHECK_FAILS(THREAD_HANDLE_JOIN, TIMED_OUT, capos_thread_handle_join(handle, 0, &code));
	CHECK_EQUAL(capos_call(handle, CAPOS_THREAD_HANDLE_JOIN, 0, 0, 0, 0, 0),
		CAPOS_E(TIMED_OUT)); /* in registers */
	raw_wake(&word);
	CHECK_EQUAL(
		capos_call(handle, CAPOS_THREAD_HANDLE_JOIN, ~0ull - 1, (uint64_t)&code, 0, 0, 0),
		0); /* a timeout past the end of time */
	CHECK_EQUAL(capos_call(handle, CAPOS_THREAD_HANDLE_JOIN, 0, 8, 0, 0, 0),
		CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	OK(capos_thread_handle_join(handle, 0, &code)); /* again, and at once */
	OK(capos_release(handle));
	OK(capos_thread_control_self(capos_caps.thread_control, &self));
	CHECK_FAILS(THREAD_HANDLE_JOIN, WRONG_STATE, capos_thread_handle_join(self, 0, &code));
	OK(capos_release(self));
	handle = raw_spawn(raw_exit, (uint64_t)-5, 0);
	OK(capos_thread_handle_join(handle, CAPOS_WAIT_FOREVER, &code));
	CHECK_EQUAL(code, -5);
	OK(capos_release(handle));
	handle = raw_spawn(raw_exit, (uint64_t)-1000000, 0);
	CHECK_EQUAL(
		capos_call(handle, CAPOS_THREAD_HANDLE_JOIN, ~0ull, (uint64_t)&code, 0, 0, 0), 0);
	CHECK_EQUAL(code, -1000000);
	OK(capos_release(handle));
}

static int64_t join_and_count(void *argument)
{
	int64_t code = 0;
	return capos_thread_handle_join(*(capos_cap_t *)argument, CAPOS_WAIT_FOREVER, &code) == 0 &&
		code == 0;
}

static void many_join_one(void)
{
	uint32_t word = 0;
	capos_cap_t handle = raw_spawn(raw_park, (uint64_t)&word, 0);
	struct capos_thread *joiners[8];
	for (int i = 0; i < 8; i++)
		OK(capos_thread_start(&joiners[i], join_and_count, &handle, NULL));
	capos_sleep_ns(2 * MS_NS);
	raw_wake(&word);
	for (int i = 0; i < 8; i++) {
		int64_t joined = 0;
		OK(capos_thread_join(joiners[i], &joined));
		CHECK_EQUAL(joined, 1);
	}
	OK(capos_release(handle));
}

/* ---- exitThread ---- */

static int64_t exit_in_registers(void *argument)
{
	(void)argument;
	capos_thread_control_exit_thread(capos_caps.thread_control);
	return 1;
}

static int64_t exit_in_a_message(void *argument)
{
	(void)argument;
	capos_thread_control_exit_thread_message(capos_caps.thread_control);
	return 2;
}

/* With more submissions behind it, which are not executed. */
static int64_t exit_over_the_ring(void *argument)
{
	struct capos_submission leave = { .opcode = CAPOS_OPCODE_COMPACT,
		.method = CAPOS_THREAD_CONTROL_EXIT_THREAD,
		.cap = capos_caps.thread_control };
	struct capos_submission after = { .opcode = CAPOS_OPCODE_COMPACT,
		.method = CAPOS_TIMER_NOW,
		.cap = capos_caps.timer,
		.args = { (uint64_t)argument } };
	capos_ring_push(&leave);
	capos_ring_push(&after);
	capos_ring_enter(2, CAPOS_WAIT_FOREVER);
	return 3;
}

static void threads_exit_by_method(void)
{
	int64_t (*const bodies[])(
		void *) = { exit_in_registers, exit_in_a_message, exit_over_the_ring };
	uint64_t now[2] = { 0, 0 };
	struct capos_memory_usage before = program_usage();
	for (unsigned i = 0; i < 30; i++) {
		struct capos_thread *thread;
		int64_t code = -1;
		OK(capos_thread_start(&thread, bodies[i % 3], now, NULL));
		OK(capos_thread_handle_join(
			capos_thread_handle(thread), CAPOS_WAIT_FOREVER, &code));
		CHECK_EQUAL(code, 0);
		OK(capos_thread_join(thread, NULL));
	}
	CHECK(now[0] == 0 && now[1] == 0);
	wait_for_threads(1);
	struct capos_memory_usage after = program_usage();
	CHECK_EQUAL(after.reserved_pages, before.reserved_pages);
	CHECK_EQUAL(after.committed_pages, before.committed_pages);
}

static void detached_threads_are_freed(void)
{
	for (int i = 0; i < 20; i++) {
		capos_cap_t handle = raw_spawn(raw_exit, 0, 0);
		OK(i % 2 ? capos_thread_handle_detach(handle)
			 : capos_thread_handle_detach_message(handle));
		OK(capos_release(handle));
	}
	wait_for_threads(1);
}

static void what_needs_a_living_thread_fails_after_its_end(void)
{
	struct capos_thread_state state = { .rip = 0x10000 };
	capos_cap_t handle = raw_spawn(raw_exit, 0, 0);
	uint64_t ns = ~0ull;
	int64_t code;
	OK(capos_thread_handle_join(handle, CAPOS_WAIT_FOREVER, &code));
	CHECK_FAILS(THREAD_HANDLE_NOTIFY, NOT_FOUND, capos_thread_handle_notify(handle, 40, 0));
	CHECK_FAILS(THREAD_HANDLE_SUSPEND, NOT_FOUND, capos_thread_handle_suspend(handle));
	CHECK_FAILS(THREAD_HANDLE_RESUME, NOT_FOUND, capos_thread_handle_resume(handle));
	CHECK_FAILS(THREAD_HANDLE_READ_STATE, NOT_FOUND,
		capos_thread_handle_read_state(handle, &state, sizeof state));
	CHECK_FAILS(THREAD_HANDLE_WRITE_STATE, NOT_FOUND,
		capos_thread_handle_write_state(handle, &state, sizeof state));
	CHECK_FAILS(
		THREAD_HANDLE_SET_AFFINITY, NOT_FOUND, capos_thread_handle_set_affinity(handle, 1));
	CHECK_FAILS(THREAD_HANDLE_SUSPEND, NOT_FOUND, capos_thread_handle_suspend_message(handle));
	CHECK_FAILS(THREAD_HANDLE_READ_STATE, NOT_FOUND,
		capos_thread_handle_read_state_message(handle, &state, sizeof state));
	CHECK_FAILS(THREAD_HANDLE_WRITE_STATE, NOT_FOUND,
		capos_thread_handle_write_state_message(handle, &state, sizeof state));
	OK(capos_thread_handle_cpu_time(handle, &ns));
	CHECK(ns < 1000 * MS_NS);
	OK(capos_release(handle));
}

static void arguments_of_handle_methods_are_checked(void)
{
	uint32_t word = 0;
	capos_cap_t self = 0, handle = raw_spawn(raw_park, (uint64_t)&word, 0);
	static const uint32_t kinds[] = { 0, 1, 9, 12, 31, CAPOS_NOTIFY_USER_LAST + 1, 64, 65,
		0xffffffff };
	for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		CHECK_FAILS(THREAD_HANDLE_NOTIFY, INVALID_ARGUMENT,
			capos_thread_handle_notify(handle, kinds[i], 0));
		CHECK_FAILS(THREAD_HANDLE_NOTIFY, INVALID_ARGUMENT,
			capos_thread_handle_notify_message(handle, kinds[i], 0));
	}
	CHECK_FAILS(THREAD_HANDLE_SET_AFFINITY, INVALID_ARGUMENT,
		capos_thread_handle_set_affinity(handle, 0));
	if (capos_cpu_count() < 64)
		CHECK_FAILS(THREAD_HANDLE_SET_AFFINITY, INVALID_ARGUMENT,
			capos_thread_handle_set_affinity(handle, 1ull << 63));
	OK(capos_thread_handle_set_affinity_message(handle, ~0ull));
	CHECK_FAILS(THREAD_HANDLE_RESUME, WRONG_STATE, capos_thread_handle_resume(handle));
	CHECK_FAILS(THREAD_HANDLE_RESUME, WRONG_STATE, capos_thread_handle_resume_message(handle));
	OK(capos_thread_control_self_message(capos_caps.thread_control, &self));
	CHECK_FAILS(THREAD_HANDLE_SUSPEND, WRONG_STATE, capos_thread_handle_suspend(self));
	OK(capos_release(self));
	raw_wake(&word);
	CHECK_EQUAL(raw_join(handle), 0);
}

static void fs_base_is_kept(void)
{
	capos_cap_t control = capos_caps.thread_control;
	uint64_t own = 0, read = 0;
	OK(capos_thread_control_get_fs_base(control, &own));
	OK(capos_thread_control_get_fs_base_message(control, &read));
	CHECK_EQUAL(own, read);
	CHECK_EQUAL(*(uint64_t *)own, own);
	static const uint64_t wrong[] = { CAPOS_USER_TOP, NON_CANONICAL, KERNEL_HALF, ~0ull };
	for (unsigned i = 0; i < 4; i++) {
		CHECK_FAILS(THREAD_CONTROL_SET_FS_BASE, OUT_OF_RANGE,
			capos_thread_control_set_fs_base(control, wrong[i]));
		CHECK_FAILS(THREAD_CONTROL_SET_FS_BASE, OUT_OF_RANGE,
			capos_thread_control_set_fs_base_message(control, wrong[i]));
	}
	static const uint64_t taken[] = { 0, 8, 0x7ffffffff000 - 1 };
	for (unsigned i = 0; i < 3; i++) {
		int64_t status = capos_thread_control_set_fs_base(control, taken[i]);
		int64_t yielded = capos_thread_control_yield(control),
			got = capos_thread_control_get_fs_base(control, &read);
		int64_t back = capos_thread_control_set_fs_base(
			control, own); /* before anything needs TLS */
		CHECK(status == 0 && yielded == 0 && got == 0 && back == 0);
		CHECK_EQUAL(read, taken[i]);
	}
}

static void masks_add_and_remove(void)
{
	capos_cap_t control = capos_caps.thread_control;
	uint64_t previous = 1;
	OK(capos_thread_control_set_mask(control, 0, 0, &previous));
	CHECK_EQUAL(previous, 0);
	OK(capos_thread_control_set_mask(control, 7ull << 40, 0, &previous));
	OK(capos_thread_control_set_mask_message(control, 1ull << 50, 2ull << 40, &previous));
	CHECK_EQUAL(previous, 7ull << 40);
	OK(capos_thread_control_set_mask(
		control, ~0ull, ~0ull, &previous)); /* what is cleared is cleared last */
	CHECK_EQUAL(previous, 5ull << 40 | 1ull << 50);
	OK(capos_thread_control_set_mask(control, 0, 0, &previous));
	CHECK_EQUAL(previous, 0);
}

static void arguments_of_control_methods_are_checked(void)
{
	capos_cap_t control = capos_caps.thread_control;
	static const uint64_t intervals[] = { 1, 99999, 1ull << 63, ~0ull };
	for (unsigned i = 0; i < 4; i++) {
		CHECK_FAILS(THREAD_CONTROL_SET_PROFILE, INVALID_ARGUMENT,
			capos_thread_control_set_profile(control, intervals[i]));
		CHECK_FAILS(THREAD_CONTROL_SET_PROFILE, INVALID_ARGUMENT,
			capos_thread_control_set_profile_message(control, intervals[i]));
	}
	for (unsigned i = 0; i < 4; i++)
		CHECK_FAILS(THREAD_CONTROL_SET_PROCESS_PROFILE, INVALID_ARGUMENT,
			capos_thread_control_set_process_profile_message(control, intervals[i]));
	OK(capos_thread_control_set_process_profile_message(control, 100000));
	OK(capos_thread_control_set_process_profile_message(control, 0));
	OK(capos_thread_control_set_profile(control, 100000));
	OK(capos_thread_control_set_profile(control, 0));
	CHECK_FAILS(THREAD_CONTROL_SET_NOTIFICATION, OUT_OF_RANGE,
		capos_thread_control_set_notification(control, CAPOS_USER_TOP, 0x10000, PAGE));
	CHECK_FAILS(THREAD_CONTROL_SET_NOTIFICATION, OUT_OF_RANGE,
		capos_thread_control_set_notification(control, KERNEL_HALF, 0x10000, PAGE));
	CHECK_FAILS(THREAD_CONTROL_SET_NOTIFICATION, OUT_OF_RANGE,
		capos_thread_control_set_notification(control, 0x10000, CAPOS_USER_TOP, PAGE));
	CHECK_FAILS(THREAD_CONTROL_SET_NOTIFICATION, INVALID_ARGUMENT,
		capos_thread_control_set_notification(control, 0x10000, 0x10000, 0));
	CHECK_FAILS(THREAD_CONTROL_SET_NOTIFICATION, INVALID_ARGUMENT,
		capos_thread_control_set_notification(control, 0x10000, 0x10000, ~0ull));
	CHECK_FAILS(THREAD_CONTROL_SET_NOTIFICATION, INVALID_ARGUMENT,
		capos_thread_control_set_notification_message(
			control, 0x10000, 0x10000, CAPOS_USER_TOP));
	CHECK_FAILS(THREAD_CONTROL_RESUME, BAD_ADDRESS, capos_thread_control_resume(control, 8));
	CHECK_FAILS(THREAD_CONTROL_RESUME, BAD_ADDRESS,
		capos_thread_control_resume(control, KERNEL_HALF));
	CHECK_FAILS(THREAD_CONTROL_RESUME, BAD_ADDRESS,
		capos_thread_control_resume_message(control, 8));
	OK(capos_thread_control_yield_message(control));
}

static void info_tells(void)
{
	struct capos_thread_info info, of_handle;
	CHECK_EQUAL(capos_thread_control_info(capos_caps.thread_control, &info, sizeof info),
		sizeof info);
	CHECK_EQUAL(info.thread_id, capos_ring()->thread_id);
	CHECK_EQUAL(info.state, CAPOS_THREAD_STATE_KIND_RUNNING);
	CHECK(info.cpu < capos_cpu_count() && info.affinity != 0);
	CHECK_FAILS(THREAD_CONTROL_INFO, BAD_ADDRESS,
		capos_thread_control_info(capos_caps.thread_control, (void *)8, sizeof info));
	CHECK_EQUAL(
		capos_thread_control_info_message(capos_caps.thread_control, &info, sizeof info),
		sizeof info);
	uint32_t word = 0;
	capos_cap_t handle = raw_spawn(raw_park, (uint64_t)&word, 0);
	raw_wait_blocked(handle, &of_handle);
	CHECK_FAILS(THREAD_HANDLE_INFO, BAD_ADDRESS,
		capos_thread_handle_info(handle, (void *)KERNEL_HALF, sizeof info));
	raw_wake(&word);
	CHECK_EQUAL(raw_join(handle), 0);
}

static void cpu_time_is_counted(void)
{
	uint64_t spinner_ns = 0, parked_ns = 0, flag = 0, start = capos_now_ns();
	uint32_t word = 0;
	capos_cap_t spinner = raw_spawn(raw_spin, (uint64_t)&flag, 0),
		    parked = raw_spawn(raw_park, (uint64_t)&word, 0);
	do {
		capos_sleep_ns(5 * MS_NS);
		OK(capos_thread_handle_cpu_time(spinner, &spinner_ns));
	} while (spinner_ns < 20 * MS_NS && capos_now_ns() - start < 5000 * MS_NS);
	CHECK(spinner_ns >= 20 * MS_NS);
	OK(capos_thread_handle_cpu_time_message(spinner, &spinner_ns));
	CHECK(spinner_ns <= capos_now_ns() - start);
	OK(capos_thread_handle_cpu_time(parked, &parked_ns));
	CHECK(parked_ns < spinner_ns / 2);
	__atomic_store_n(&flag, 1, __ATOMIC_SEQ_CST);
	raw_wake(&word);
	CHECK_EQUAL(raw_join(spinner), 0);
	CHECK_EQUAL(raw_join(parked), 0);
}

/* Each spinner is sent to one CPU after the other and must get there, even when it is alone on its
 * CPU. */
static void affinity_is_followed(void)
{
	uint32_t cpus = capos_cpu_count();
	uint64_t flag = 0;
	capos_cap_t spinners[4];
	for (unsigned i = 0; i < 4; i++)
		spinners[i] = raw_spawn(raw_spin, (uint64_t)&flag, 0);
	for (uint32_t round = 0; round < cpus * 2; round++) {
		for (unsigned i = 0; i < 4; i++)
			OK(capos_thread_handle_set_affinity(
				spinners[i], 1ull << (round + i) % cpus));
		for (unsigned i = 0; i < 4; i++) {
			struct capos_thread_info info;
			uint64_t start = capos_now_ns();
			do {
				capos_sleep_ns(MS_NS);
				capos_thread_handle_info(spinners[i], &info, sizeof info);
			} while (info.cpu != (round + i) % cpus &&
				capos_now_ns() - start < 2000 * MS_NS);
			CHECK_EQUAL(info.cpu, (round + i) % cpus);
			CHECK_EQUAL(info.affinity, 1ull << (round + i) % cpus);
		}
	}
	__atomic_store_n(&flag, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQUAL(raw_join(spinners[i]), 0);
}

static void threads_are_limited(void)
{
	raw_threads_are_limited(~0ull);
}

int main(void)
{
	RUN(threads_start_with_the_stated_registers);
	RUN(spawn_fails);
	RUN(both_forms_spawn);
	RUN(join_waits_and_fails);
	RUN(many_join_one);
	RUN(threads_exit_by_method);
	RUN(detached_threads_are_freed);
	RUN(what_needs_a_living_thread_fails_after_its_end);
	RUN(arguments_of_handle_methods_are_checked);
	RUN(fs_base_is_kept);
	RUN(masks_add_and_remove);
	RUN(arguments_of_control_methods_are_checked);
	RUN(info_tells);
	RUN(cpu_time_is_counted);
	RUN(affinity_is_followed);
	if (capos_cpu_count() == 1)
		RUN(threads_are_limited);
	else
		check_skip("threads_are_limited",
			"4096 ends with a TLB shootdown each; thread_limit does it with a "
			"release kernel");
	return check_result();
}
