/* Ring and register calls with a fake thread: the real table, codec and dispatch, methods that
 * return what the test wants, user memory that is one array. Random contents of the ring page stand
 * for a hostile program. The kernel's state must stay sound, and every error must be one that the
 * interface knows. */
#include "ring_kernel.h"
#include "random.h"

static struct capos_completion perform(struct capos_submission submission)
{
	submissions()[ring.header.submission_tail++ % CAPOS_RING_SUBMISSIONS] = submission;
	int64_t available = ring_enter(0, 0);
	CHECK(available == 1);
	return completions()[ring.header.completion_head++ % CAPOS_RING_COMPLETIONS];
}

/* ---- tests ---- */

static void compact_forms(void)
{
	setup();
	struct capos_submission map = { .opcode = CAPOS_OPCODE_COMPACT,
		.cap = vm,
		.method = CAPOS_VIRTUAL_MEMORY_MAP,
		.args = { 1000, 200, 3 } };
	struct capos_completion got = perform(map);
	CHECK(got.result == 0 && got.value == 1203 && got.cap == 0);
	got = perform((struct capos_submission){ .opcode = CAPOS_OPCODE_COMPACT,
		.cap = vm,
		.method = CAPOS_VIRTUAL_MEMORY_MAP,
		.args = { 1000, 200, 1ull << 32 } });
	CHECK(got.result == STATUS(INVALID_ARGUMENT) && got.value == 0);
	got = perform((struct capos_submission){ .opcode = CAPOS_OPCODE_COMPACT,
		.cap = timer,
		.method = CAPOS_TIMER_NOW,
		.args = { USER_BASE } });
	CHECK(got.result == 0 && ((uint64_t *)user_memory)[0] == 111 &&
		((uint64_t *)user_memory)[1] == 222);
	got = perform((struct capos_submission){ .opcode = CAPOS_OPCODE_COMPACT,
		.cap = entropy,
		.method = CAPOS_ENTROPY_SOURCE_FILL,
		.args = { 5, USER_BASE, 5 } });
	CHECK(got.result == 0 && got.value == 5 && user_memory[4] == 4);
	got = perform((struct capos_submission){ .opcode = CAPOS_OPCODE_COMPACT,
		.cap = allocator,
		.method = CAPOS_MEMORY_ALLOCATOR_CREATE,
		.args = { 1 } });
	CHECK(got.result == 0 && got.cap && got.value == got.cap && object_count() == 1);
	got = perform((struct capos_submission){ .opcode = CAPOS_OPCODE_RELEASE, .cap = got.cap });
	CHECK(got.result == 0 && object_count() == 0);
	teardown();
}

static void unsent_capability_gives_its_slot_back(void)
{
	setup();
	uint32_t before = cap_table_count(&process.caps);
	struct capos_completion got =
		perform((struct capos_submission){ .opcode = CAPOS_OPCODE_COMPACT,
			.cap = allocator,
			.method = CAPOS_MEMORY_ALLOCATOR_CREATE,
			.args = { 0 } });
	CHECK(got.result == STATUS(INVALID_ARGUMENT) && got.cap == 0);
	CHECK(cap_table_count(&process.caps) == before);
	teardown();
}

static void register_forms(void)
{
	setup();
	struct trap_frame frame = { .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8,
		.rdi = vm | (uint64_t)CAPOS_VIRTUAL_MEMORY_MAP << 32,
		.rsi = 1,
		.rdx = 2,
		.r10 = 3 };
	CHECK(syscall_entry(&frame) == 6);
	frame.r10 = 1ull << 32;
	CHECK(syscall_entry(&frame) == STATUS(INVALID_ARGUMENT));
	frame.rdi = vm | 77ull << 32;
	CHECK(syscall_entry(&frame) == STATUS_TRANSPORT(INVOKE_FAILED));
	frame.rdi = park;
	CHECK(syscall_entry(&frame) ==
		STATUS_TRANSPORT(INVOKE_FAILED)); /* an interface without methods */
	frame = (struct trap_frame){ .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_UNPARK << 8,
		.rdi = park,
		.rsi = 4,
		.rdx = ~0ull };
	CHECK(syscall_entry(&frame) == UINT32_MAX);
	teardown();
}

/* A signed result goes to memory, whatever its value, in both forms. */
static void signed_results(void)
{
	setup();
	const int64_t values[] = { 0, 1, -1, -4095, INT64_MAX, INT64_MIN, 1795000000000000000,
		1ll << 47 };
	for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
		wall_ns = values[i];
		memset(user_memory, 0x55, 16);
		struct trap_frame frame = { .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8,
			.rdi = timer | (uint64_t)CAPOS_TIMER_WALL << 32,
			.rsi = USER_BASE };
		CHECK(syscall_entry(&frame) == 0);
		CHECK(memcmp(user_memory, &wall_ns, 8) == 0 && user_memory[8] == 0x55);
		memset(user_memory, 0x55, 16);
		struct capos_completion got =
			perform((struct capos_submission){ .opcode = CAPOS_OPCODE_COMPACT,
				.cap = timer,
				.method = CAPOS_TIMER_WALL,
				.args = { USER_BASE } });
		CHECK(got.result == 0 && got.value == 0 && memcmp(user_memory, &wall_ns, 8) == 0 &&
			user_memory[8] == 0x55);
	}
	struct trap_frame frame = { .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8,
		.rdi = timer | (uint64_t)CAPOS_TIMER_WALL << 32,
		.rsi = USER_BASE + USER_BYTES - 4 };
	CHECK(syscall_entry(&frame) == STATUS_TRANSPORT(INVALID_RESULT_BUFFER));
	teardown();
}

/* The traced path must give the same results as the short one. */
static void watched_calls_answer_alike(void)
{
	setup();
	for (int watched = 0; watched < 2; watched++) {
		trace_enabled = watched;
		struct trap_frame frame = { .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8,
			.rdi = vm | (uint64_t)CAPOS_VIRTUAL_MEMORY_MAP << 32,
			.rsi = 1,
			.rdx = 2,
			.r10 = 3 };
		CHECK(syscall_entry(&frame) == 6);
		frame.r10 = 1ull << 32;
		CHECK(syscall_entry(&frame) == STATUS(INVALID_ARGUMENT));
		frame.rdi = vm | 77ull << 32;
		CHECK(syscall_entry(&frame) == STATUS_TRANSPORT(INVOKE_FAILED));
		frame.rdi = (vm ^ 0x10000) | (uint64_t)CAPOS_VIRTUAL_MEMORY_MAP << 32;
		CHECK(syscall_entry(&frame) == STATUS_TRANSPORT(INVOKE_FAILED));
		frame = (struct trap_frame){ .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_PARK << 8,
			.rdi = park,
			.rsi = 4,
			.rdx = 1ull << 32 };
		CHECK(syscall_entry(&frame) == STATUS(INVALID_ARGUMENT));
		frame.rdx = 1;
		CHECK(syscall_entry(&frame) == CAPOS_PARK_RESULT_MISMATCH);
		frame.rdi = timer;
		CHECK(syscall_entry(&frame) == STATUS_TRANSPORT(INVOKE_FAILED));
		frame.rdi = park | 1ull << 32;
		CHECK(syscall_entry(&frame) == STATUS_TRANSPORT(INVALID_REQUEST));
	}
	trace_enabled = false;
	teardown();
}

static void allocation_failures(void)
{
	for (int step = 0; step < 12; step++) {
		setup();
		uint64_t message[3] = { 2ull << 32, 1ull << 32, 64 };
		memcpy(user_memory, message, sizeof message);
		kmem_fail_after = step;
		submissions()[0] = (struct capos_submission){ .opcode = CAPOS_OPCODE_CALL,
			.cap = allocator,
			.method = CAPOS_MEMORY_ALLOCATOR_CREATE,
			.args = { USER_BASE, sizeof message, USER_BASE + 4096, 256 } };
		ring.header.submission_tail = 1;
		CHECK(ring_enter(0, 0) == 1);
		kmem_fail_after = -1;
		CHECK((completions()[0].result < 0) == (completions()[0].cap == 0));
		teardown();
	}
}

/* A word that a hostile program might choose. */
static uint64_t hostile_word(void)
{
	switch (random_word() % 8) {
	case 0:
		return random_word();
	case 1:
		return USER_BASE + random_word() % (USER_BYTES + 64);
	case 2:
		return USER_BASE + USER_BYTES - random_word() % 64;
	case 3:
		return 0;
	case 4:
		return ~0ull - random_word() % 8;
	case 5:
		return 1ull << random_word() % 64;
	default:
		return random_word() % 300;
	}
}

static void fill_hostile_entry(struct capos_submission *entry)
{
	const cap_id_t caps[] = { timer, vm, allocator, entropy, park, (cap_id_t)random_word(), 0 };
	*entry = (struct capos_submission){
		.opcode = random_word() % 4 ? (uint8_t)(random_word() % 9) : (uint8_t)random_word(),
		.flags = random_word() % 8 ? 0 : (uint8_t)random_word(),
		.method =
			random_word() % 8 ? (uint16_t)(random_word() % 3) : (uint16_t)random_word(),
		.cap = caps[random_word() % 7],
		.user_data = random_word(),
	};
	for (unsigned i = 0; i < 6; i++)
		entry->args[i] = i >= 4 && random_word() % 4 ? 0 : hostile_word();
	if (random_word() % 2) { /* a message call with a plausible message */
		uint64_t message[5] = { (1 + random_word() % 4) << 32, (random_word() % 4) << 32,
			hostile_word(), hostile_word(), hostile_word() };
		memcpy(user_memory + 512, message, sizeof message);
		entry->args[0] = USER_BASE + 512;
		entry->args[1] = 8 + (message[0] >> 32) * 8;
	}
}

static void hostile_ring(void)
{
	setup();
	for (int i = 0; i < 200000; i++) {
		uint32_t count = (uint32_t)(random_word() % (CAPOS_RING_SUBMISSIONS + 1));
		for (uint32_t k = 0; k < count; k++)
			fill_hostile_entry(&submissions()[(thread.submission_head + k) %
				CAPOS_RING_SUBMISSIONS]);
		ring.header.submission_tail = random_word() % 16 ? thread.submission_head + count
								 : (uint32_t)random_word();
		ring.header.completion_head =
			random_word() % 16 ? thread.completion_tail : (uint32_t)random_word();
		if (random_word() % 4 == 0) {
			ring.header.submission_head = (uint32_t)random_word();
			ring.header.completion_tail = (uint32_t)random_word();
		}
		thread.in_handler = random_word() % 16 == 0;
		uint32_t head = thread.submission_head, tail = thread.completion_tail;
		int64_t available = ring_enter(random_word(), random_word());
		uint32_t taken = thread.submission_head - head;
		CHECK(taken == thread.completion_tail - tail && taken <= CAPOS_RING_SUBMISSIONS);
		CHECK(ring.header.submission_head == thread.submission_head &&
			ring.header.completion_tail == thread.completion_tail);
		CHECK(available >= 0 ||
			(available == STATUS_TRANSPORT(INVALID_REQUEST) && taken == 0));
		for (uint32_t k = 0; k < taken; k++) {
			struct capos_completion *got =
				&completions()[(tail + k) % CAPOS_RING_COMPLETIONS];
			CHECK(got->user_data ==
				submissions()[(head + k) % CAPOS_RING_SUBMISSIONS].user_data);
			CHECK(result_known(got->result) && got->flags == 0 && got->size == 0);
			if (got->cap)
				CHECK(cap_table_release(&process.caps, got->cap));
			/* The program may release what it has. It gets that back so that the test
			 * can go on. */
		}
		if (cap_table_count(&process.caps) != 5) {
			kmem_free(KERNEL_PAYS, thread.scratch);
			cap_table_destroy(&process.caps);
			uint32_t kept_head = thread.submission_head,
				 kept_tail = thread.completion_tail;
			setup();
			thread.submission_head = kept_head;
			thread.completion_tail = kept_tail;
		}
	}
	CHECK(calls > 10000);
	teardown();
}

int main(void)
{
	RUN(compact_forms);
	RUN(unsent_capability_gives_its_slot_back);
	RUN(register_forms);
	RUN(signed_results);
	RUN(watched_calls_answer_alike);
	RUN(allocation_failures);
	RUN(hostile_ring);
	return check_failures != 0;
}
