/* The capability ring, entry by entry: order, fullness, hostile indices, reserved fields, both
 * forms of a call, errors as messages. */
#include <capos/capos.h>

#include "check.h"

static struct capos_ring_header *ring;

static struct capos_submission *slot(uint32_t index)
{
	return &capos_ring_submissions(ring)[index % CAPOS_RING_SUBMISSIONS];
}

static void push(const struct capos_submission *submission)
{
	*slot(ring->submission_tail) = *submission;
	__atomic_store_n(&ring->submission_tail, ring->submission_tail + 1, __ATOMIC_RELEASE);
}

static int64_t enter(void)
{
	return capos_syscall(CAPOS_SYS_CAP_ENTER, 0, 0, 0, 0, 0, 0);
}

static struct capos_completion pop(void)
{
	struct capos_completion completion = { .result = 12345 };
	if (ring->completion_head != ring->completion_tail) {
		completion = capos_ring_completions(
			ring)[ring->completion_head % CAPOS_RING_COMPLETIONS];
		__atomic_store_n(
			&ring->completion_head, ring->completion_head + 1, __ATOMIC_RELEASE);
	}
	return completion;
}

/* Pushes one submission, enters, and pops its completion. */
static struct capos_completion perform(struct capos_submission submission)
{
	push(&submission);
	enter();
	return pop();
}

static void ring_nop_echoes_user_data(void)
{
	struct capos_completion got =
		perform((struct capos_submission){ .user_data = 0x1122334455667788 });
	CHECK_EQUAL(got.result, 0);
	CHECK_EQUAL(got.user_data, 0x1122334455667788);
	CHECK_EQUAL(enter(), 0);
}

static void ring_takes_all_in_order(void)
{
	for (uint64_t i = 0; i < CAPOS_RING_SUBMISSIONS; i++)
		push(&(struct capos_submission){ .user_data = i });
	CHECK_EQUAL(enter(), CAPOS_RING_SUBMISSIONS);
	for (uint64_t i = 0; i < CAPOS_RING_SUBMISSIONS; i++)
		CHECK_EQUAL(pop().user_data, i);
	CHECK_EQUAL(ring->completion_head, ring->completion_tail);
}

static void ring_stops_when_completions_are_full(void)
{
	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < CAPOS_RING_SUBMISSIONS; i++)
			push(&(struct capos_submission){ .user_data = i });
		CHECK_EQUAL(enter(), CAPOS_RING_SUBMISSIONS * (round + 1));
	}
	push(&(struct capos_submission){ .user_data = 99 });
	CHECK_EQUAL(enter(), CAPOS_RING_COMPLETIONS);
	CHECK_EQUAL(ring->submission_tail - ring->submission_head, 1); /* not taken */
	pop();
	CHECK_EQUAL(enter(), CAPOS_RING_COMPLETIONS);
	CHECK_EQUAL(ring->submission_tail - ring->submission_head, 0);
	for (uint32_t i = 0; i + 1 < CAPOS_RING_COMPLETIONS; i++)
		pop();
	CHECK_EQUAL(pop().user_data, 99);
}

static void ring_rejects_a_wild_tail(void)
{
	uint32_t tail = ring->submission_tail, completions = ring->completion_tail;
	ring->submission_tail = tail + CAPOS_RING_SUBMISSIONS + 1;
	CHECK_FAILS(SYS_CAP_ENTER, INVALID_REQUEST, enter());
	ring->submission_tail = tail - 1;
	CHECK_FAILS(SYS_CAP_ENTER, INVALID_REQUEST, enter());
	ring->submission_tail = tail;
	CHECK_EQUAL(enter(), 0);
	CHECK_EQUAL(ring->completion_tail, completions);
}

static void ring_rejects_a_wild_completion_head(void)
{
	uint32_t head = ring->completion_head;
	ring->completion_head = head + 1;
	CHECK_FAILS(SYS_CAP_ENTER, INVALID_REQUEST, enter());
	ring->completion_head = head - CAPOS_RING_COMPLETIONS - 1;
	CHECK_FAILS(SYS_CAP_ENTER, INVALID_REQUEST, enter());
	ring->completion_head = head;
	CHECK_EQUAL(enter(), 0);
}

static void ring_keeps_its_own_indices(void)
{
	uint32_t head = ring->submission_head, tail = ring->completion_tail;
	ring->submission_head = head + 7;
	ring->completion_tail = tail - 5;
	enter();
	CHECK_EQUAL(ring->submission_head, head);
	CHECK_EQUAL(ring->completion_tail, tail);
}

static void ring_indices_wrap(void)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct capos_completion got = perform((struct capos_submission){ .user_data = i });
		CHECK_EQUAL(got.user_data, i);
	}
}

static void ring_reserved_fields_must_be_zero(void)
{
	struct capos_submission nop = { .flags = 1 }, method = { .method = 1 }, cap = { .cap = 1 },
				argument = { .args = { 0, 0, 0, 0, 0, 1 } };
	CHECK_FAILS(OPCODE_NOP, INVALID_REQUEST, perform(nop).result);
	CHECK_FAILS(OPCODE_NOP, INVALID_REQUEST, perform(method).result);
	CHECK_FAILS(OPCODE_NOP, INVALID_REQUEST, perform(cap).result);
	CHECK_FAILS(OPCODE_NOP, INVALID_REQUEST, perform(argument).result);
	struct capos_submission call = {
		.opcode = CAPOS_OPCODE_CALL, .cap = capos_caps.timer, .args = { 0, 0, 0, 0, 1, 0 }
	};
	CHECK_FAILS(OPCODE_CALL, INVALID_REQUEST, perform(call).result);
	struct capos_submission compact = {
		.opcode = CAPOS_OPCODE_COMPACT, .flags = 1, .cap = capos_caps.timer
	};
	CHECK_FAILS(OPCODE_COMPACT, INVALID_REQUEST, perform(compact).result);
	struct capos_submission release = {
		.opcode = CAPOS_OPCODE_RELEASE, .cap = capos_caps.timer, .args = { 1 }
	};
	CHECK_FAILS(OPCODE_RELEASE, INVALID_REQUEST, perform(release).result);
	struct capos_submission park = {
		.opcode = CAPOS_OPCODE_PARK, .cap = capos_caps.park, .args = { 0, 0, 0, 1 }
	};
	CHECK_FAILS(OPCODE_PARK, INVALID_REQUEST, perform(park).result);
	struct capos_submission unpark = {
		.opcode = CAPOS_OPCODE_UNPARK, .cap = capos_caps.park, .args = { 0, 0, 1 }
	};
	CHECK_FAILS(OPCODE_UNPARK, INVALID_REQUEST, perform(unpark).result);
}

static void ring_rejects_unknown_opcodes(void)
{
	const uint8_t unsupported[] = { 15, 128, 255 };
	for (unsigned i = 0; i < sizeof unsupported; i++)
		CHECK_EQUAL(perform((struct capos_submission){ .opcode = unsupported[i] }).result,
			CAPOS_TRANSPORT_E(UNSUPPORTED_OPCODE));
}

static void ring_rejects_forged_capabilities(void)
{
	const uint32_t forged[] = { 0, 1, 0xffffffff, 0x0001ffff, capos_caps.timer ^ 0x10000,
		capos_caps.timer + 64 };
	for (unsigned i = 0; i < sizeof forged / sizeof forged[0]; i++) {
		struct capos_submission call = { .opcode = CAPOS_OPCODE_COMPACT, .cap = forged[i] };
		CHECK_FAILS(OPCODE_COMPACT, INVOKE_FAILED, perform(call).result);
		call.opcode = CAPOS_OPCODE_CALL;
		CHECK_FAILS(OPCODE_CALL, INVOKE_FAILED, perform(call).result);
		call.opcode = CAPOS_OPCODE_RELEASE;
		CHECK_FAILS(OPCODE_RELEASE, INVOKE_FAILED, perform(call).result);
		call.opcode = CAPOS_OPCODE_PARK;
		CHECK_FAILS(OPCODE_PARK, INVOKE_FAILED, perform(call).result);
		call.opcode = CAPOS_OPCODE_UNPARK;
		CHECK_FAILS(OPCODE_UNPARK, INVOKE_FAILED, perform(call).result);
	}
	struct capos_submission call = {
		.opcode = CAPOS_OPCODE_COMPACT, .cap = capos_caps.timer, .method = 4
	};
	CHECK_FAILS(OPCODE_COMPACT, INVOKE_FAILED, perform(call).result);
}

static void ring_compact_calls(void)
{
	uint64_t now[2] = { 0 };
	struct capos_submission call = { .opcode = CAPOS_OPCODE_COMPACT,
		.cap = capos_caps.timer,
		.method = CAPOS_TIMER_NOW,
		.args = { (uintptr_t)now } };
	CHECK_EQUAL(perform(call).result, 0);
	CHECK(now[0] != 0 && now[1] != 0);
	call.args[0] = 8; /* nothing is mapped there */
	CHECK_FAILS(OPCODE_COMPACT, INVALID_RESULT_BUFFER, perform(call).result);

	struct capos_submission map = { .opcode = CAPOS_OPCODE_COMPACT,
		.cap = capos_caps.vm,
		.method = CAPOS_VIRTUAL_MEMORY_RESERVE,
		.args = { 0, 1 << 20 } };
	struct capos_completion got = perform(map);
	CHECK_EQUAL(got.result, 0);
	CHECK(got.value != 0 && got.value % CAPOS_PAGE_SIZE == 0);
	CHECK_EQUAL(capos_virtual_memory_unmap(capos_caps.vm, got.value, 1 << 20), 0);
}

static void ring_returns_capabilities(void)
{
	struct capos_submission create = { .opcode = CAPOS_OPCODE_COMPACT,
		.cap = capos_caps.memory_allocator,
		.method = CAPOS_MEMORY_ALLOCATOR_CREATE,
		.args = { 8192 } };
	struct capos_completion got = perform(create);
	CHECK_EQUAL(got.result, 0);
	CHECK(got.cap != 0);
	uint64_t pages = 0;
	CHECK_EQUAL(capos_memory_object_info(got.cap, &pages), 0);
	CHECK_EQUAL(pages, 2);
	CHECK_EQUAL(
		perform((struct capos_submission){ .opcode = CAPOS_OPCODE_RELEASE, .cap = got.cap })
			.result,
		0);
	CHECK_EQUAL(capos_memory_object_info(got.cap, &pages), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	CHECK_EQUAL(
		perform((struct capos_submission){ .opcode = CAPOS_OPCODE_RELEASE, .cap = got.cap })
			.result,
		CAPOS_TRANSPORT_E(INVOKE_FAILED));
}

/* A message with a root struct of data words and nothing else. */
struct message {
	uint32_t segments, words;
	uint64_t root;
	uint64_t data[3];
};

static struct message message_of(uint32_t data_words)
{
	return (struct message){ .words = 1 + data_words, .root = (uint64_t)data_words << 32 };
}

static struct capos_completion message_call(uint32_t cap, uint16_t method, const void *params,
	uint64_t params_size, void *result, uint64_t result_size)
{
	return perform((struct capos_submission){ .opcode = CAPOS_OPCODE_CALL,
		.method = method,
		.cap = cap,
		.args = { (uintptr_t)params, params_size, (uintptr_t)result, result_size } });
}

static void ring_message_calls(void)
{
	uint64_t result[32];
	struct message none = message_of(0);
	struct capos_completion got =
		message_call(capos_caps.timer, CAPOS_TIMER_NOW, &none, 16, result, sizeof result);
	CHECK_EQUAL(got.result, 8 + 8 + 16);
	CHECK_EQUAL(result[0], 3ull << 32);
	CHECK_EQUAL(result[1], 2ull << 32);
	CHECK(result[2] != 0);

	struct message reserve = message_of(2);
	reserve.data[1] = 65536;
	got = message_call(
		capos_caps.vm, CAPOS_VIRTUAL_MEMORY_RESERVE, &reserve, 32, result, sizeof result);
	CHECK_EQUAL(got.result, 24);
	CHECK_EQUAL(capos_virtual_memory_unmap(capos_caps.vm, result[2], 65536), 0);
}

/* The code field of the CapException in a result buffer. */
static uint64_t exception_code(const uint64_t *result)
{
	return result[2] >> 16 & 0xffff;
}

static void ring_errors_are_exceptions(void)
{
	uint64_t result[64];
	struct message reserve = message_of(2); /* size 0 */
	struct capos_completion got = message_call(
		capos_caps.vm, CAPOS_VIRTUAL_MEMORY_RESERVE, &reserve, 32, result, sizeof result);
	CHECK_FAILS(OPCODE_CALL, APPLICATION_EXCEPTION, got.result);
	CHECK_EQUAL(exception_code(result), CAPOS_ERROR_INVALID_ARGUMENT);
	got = message_call(capos_caps.vm, CAPOS_VIRTUAL_MEMORY_RESERVE, &reserve, 32, result, 40);
	CHECK_FAILS(OPCODE_CALL, EXCEPTION_TRUNCATED, got.result);

	uint64_t junk[4] = { 1ull << 32, ~0ull };
	got = message_call(capos_caps.vm, CAPOS_VIRTUAL_MEMORY_RESERVE, junk, sizeof junk, result,
		sizeof result);
	CHECK_EQUAL(got.result, CAPOS_TRANSPORT_E(APPLICATION_EXCEPTION));
	CHECK_FAILS(OPCODE_CALL, MALFORMED_MESSAGE,
		-(int64_t)(CAPOS_ERROR_BASE + exception_code(result)));
}

static void ring_message_buffers_are_checked(void)
{
	uint64_t result[32];
	struct message none = message_of(0);
	uint16_t now = CAPOS_TIMER_NOW;
	uint32_t timer = capos_caps.timer;
	CHECK_FAILS(OPCODE_CALL, INVALID_PARAMS_BUFFER,
		message_call(timer, now, (void *)8, 16, result, sizeof result).result);
	CHECK_EQUAL(message_call(timer, now, (void *)0xffff800000000000, 16, result, sizeof result)
			    .result,
		CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER));
	CHECK_EQUAL(
		message_call(timer, now, &none, CAPOS_MESSAGE_BYTES_MAX + 1, result, sizeof result)
			.result,
		CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER));
	CHECK_EQUAL(message_call(timer, now, &none, ~0ull, result, sizeof result).result,
		CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER));
	CHECK_FAILS(OPCODE_CALL, INVALID_RESULT_BUFFER,
		message_call(timer, now, &none, 16, (void *)8, sizeof result).result);
	CHECK_EQUAL(message_call(timer, now, &none, 16, (void *)0xffff800000000000, sizeof result)
			    .result,
		CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	CHECK_EQUAL(message_call(timer, now, &none, 16, result, 16).result,
		CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	CHECK_EQUAL(message_call(timer, now, &none, 16, result, ~0ull).result, 32);
}

static void ring_undelivered_capability_is_dropped(void)
{
	struct capos_process_info before, after;
	struct message create = message_of(1);
	create.data[0] = 4096;
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &before, sizeof before),
		sizeof before);
	struct capos_completion got = message_call(capos_caps.memory_allocator,
		CAPOS_MEMORY_ALLOCATOR_CREATE, &create, 24, (void *)8, 64);
	CHECK_EQUAL(got.result, CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	CHECK_EQUAL(got.cap, 0);
	CHECK_EQUAL(
		capos_system_info_process(capos_caps.system, &after, sizeof after), sizeof after);
	CHECK_EQUAL(after.capabilities, before.capabilities);
}

static uint8_t large[CAPOS_MESSAGE_BYTES_MAX + 64];

static void ring_large_messages(void)
{
	/* EntropySource.fill as a message: a full-size result. */
	struct message fill = message_of(1);
	fill.data[0] = 60000;
	struct capos_completion got = message_call(capos_caps.entropy, CAPOS_ENTROPY_SOURCE_FILL,
		&fill, 24, large, CAPOS_MESSAGE_BYTES_MAX);
	CHECK_EQUAL(got.result, 8 + 8 + 8 + 60000);
	unsigned ones = 0;
	for (unsigned i = 0; i < 60000; i++)
		ones += (unsigned)__builtin_popcount(large[24 + i]);
	CHECK(ones > 238000 && ones < 242000); /* 240 000 expected, standard deviation 346 */
	CHECK_EQUAL(capos_entropy_source_fill_message(capos_caps.entropy, 16, large, 16), 16);
}

static void ring_parks(void)
{
	static uint32_t word = 5;
	struct capos_submission park = { .opcode = CAPOS_OPCODE_PARK,
		.cap = capos_caps.park,
		.args = { (uintptr_t)&word, 4, 0 } };
	struct capos_completion got = perform(park);
	CHECK_EQUAL(got.result, 0);
	CHECK_EQUAL(got.value, CAPOS_PARK_RESULT_MISMATCH);
	park.args[1] = 5;
	CHECK_EQUAL(perform(park).value, CAPOS_PARK_RESULT_TIMED_OUT);
	park.args[0]++;
	CHECK_FAILS(OPCODE_PARK, MISALIGNED, perform(park).result);
	park.args[0] = 8;
	CHECK_FAILS(OPCODE_PARK, BAD_ADDRESS, perform(park).result);
	struct capos_submission unpark = { .opcode = CAPOS_OPCODE_UNPARK,
		.cap = capos_caps.park,
		.args = { (uintptr_t)&word, 1 } };
	CHECK_EQUAL(perform(unpark).result, 0);
	CHECK_EQUAL(perform(unpark).value, 0);
}

int main(void)
{
	ring = capos_ring();
	RUN(ring_nop_echoes_user_data);
	RUN(ring_takes_all_in_order);
	RUN(ring_stops_when_completions_are_full);
	RUN(ring_rejects_a_wild_tail);
	RUN(ring_rejects_a_wild_completion_head);
	RUN(ring_keeps_its_own_indices);
	RUN(ring_indices_wrap);
	RUN(ring_reserved_fields_must_be_zero);
	RUN(ring_rejects_unknown_opcodes);
	RUN(ring_rejects_forged_capabilities);
	RUN(ring_compact_calls);
	RUN(ring_returns_capabilities);
	RUN(ring_message_calls);
	RUN(ring_errors_are_exceptions);
	RUN(ring_message_buffers_are_checked);
	RUN(ring_undelivered_capability_is_dropped);
	RUN(ring_large_messages);
	RUN(ring_parks);
	return check_result();
}
