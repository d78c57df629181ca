/* Calls through the ring by the C library: several outstanding, waiting for one and for any,
 * cancel, time-outs, other operations of the ring meanwhile, and the server's side; and with a
 * caller and a server that take turns on one CPU. */
#include <capos/ring_call.h>

#include "support.h"

#define CALLS 4

static capos_cap_t endpoint, facet;

/* Answers with the message turned round, and the capabilities that came. A message of one byte is
 * answered with an error, and one of two bytes is never answered. */
static int64_t serve(void *unused)
{
	uint8_t bytes[256], answer[256];
	struct capos_message_caps caps;
	uint64_t tag;
	(void)unused;
	for (;;) {
		size_t size = sizeof bytes;
		int64_t got =
			capos_ring_receive(endpoint, bytes, &size, &caps, &tag, CAPOS_WAIT_FOREVER);
		if (got != CAPOS_RECEIVE_RESULT_CALL || size == 2)
			return got;
		for (size_t i = 0; i < size; i++)
			answer[i] = bytes[size - 1 - i];
		caps.moves = (1u << caps.count) - 1;
		got = capos_ring_reply(answer, size, &caps, size == 1 ? CAPOS_ERROR_OVERLAP : 0);
		if (got != CAPOS_REPLY_RESULT_ANSWERED)
			return got;
	}
}

static struct capos_thread *start(void)
{
	struct capos_thread *thread = NULL;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 8, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	OK(capos_endpoint_accept(endpoint, 1));
	OK(capos_thread_start(&thread, serve, NULL, NULL));
	return thread;
}

static void end(struct capos_thread *thread, int64_t wanted)
{
	int64_t result = -1;
	OK(capos_release(facet));
	OK(capos_thread_join_timeout(thread, 20000 * MS_NS, &result));
	CHECK_EQUAL(result, wanted);
	OK(capos_release(endpoint));
}

struct one {
	struct capos_ring_call call;
	uint8_t message[100], result[100];
};

static void begin(struct one *one, uint8_t seed, size_t size)
{
	memset(one, 0, sizeof *one);
	for (size_t i = 0; i < size; i++)
		one->message[i] = (uint8_t)(seed + i);
	one->call = (struct capos_ring_call){ .facet = facet,
		.message = one->message,
		.size = size,
		.result = one->result,
		.capacity = sizeof one->result,
		.deadline_ns = CAPOS_WAIT_FOREVER };
	OK(capos_ring_call_begin(&one->call));
}

static void is_turned(const struct one *one, uint8_t seed, size_t size)
{
	CHECK(one->call.ended);
	CHECK_EQUAL(one->call.status, 0);
	CHECK_EQUAL(one->call.answer_size, size);
	for (size_t i = 0; i < size; i++)
		CHECK_EQUAL(one->result[i], (uint8_t)(seed + size - 1 - i));
}

static void several_are_outstanding(void)
{
	static struct one calls[CALLS];
	struct capos_completion completion;
	struct capos_submission nop = { .opcode = CAPOS_OPCODE_NOP };
	struct capos_thread *thread = start();
	for (uint8_t i = 0; i < CALLS; i++)
		begin(&calls[i], i, 70 + i);
	OK(capos_ring_do(&nop, &completion)); /* beside them */
	OK(capos_ring_call_wait(&calls[2].call, CAPOS_WAIT_FOREVER));
	for (uint8_t i = 0; i < CALLS; i++)
		OK(capos_ring_call_wait(&calls[i].call, CAPOS_WAIT_FOREVER));
	for (uint8_t i = 0; i < CALLS; i++)
		is_turned(&calls[i], i, 70 + i);
	CHECK(!capos_ring_call_wait_any(CAPOS_WAIT_FOREVER)); /* none is left */
	for (uint8_t i = 0; i < CALLS; i++)
		begin(&calls[i], i, 3 + i);
	for (unsigned seen = 0; seen < CALLS; seen++)
		CHECK(capos_ring_call_wait_any(CAPOS_WAIT_FOREVER) != NULL);
	for (uint8_t i = 0; i < CALLS; i++)
		is_turned(&calls[i], i, 3 + i);
	begin(&calls[0], 0, 1);
	CHECK_EQUAL(capos_ring_call_wait(&calls[0].call, CAPOS_WAIT_FOREVER), CAPOS_E(OVERLAP));
	CHECK_EQUAL(calls[0].call.answer_size, 1);
	end(thread, CAPOS_RECEIVE_RESULT_FACET_GONE);
}

static void calls_are_given_up(void)
{
	static struct one calls[2];
	struct capos_thread *thread;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 8, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	begin(&calls[0], 0, 5); /* no thread serves */
	begin(&calls[1], 0, 2);
	CHECK_EQUAL(capos_ring_call_wait(&calls[0].call, 0), CAPOS_E(TIMED_OUT));
	CHECK_EQUAL(capos_ring_call_wait(&calls[0].call, MS_NS), CAPOS_E(TIMED_OUT));
	CHECK(!calls[0].call.ended);
	OK(capos_ring_call_cancel(&calls[0].call));
	CHECK_EQUAL(calls[0].call.status, CAPOS_E(CANCELLED));
	OK(capos_ring_call_cancel(&calls[0].call)); /* has ended */
	CHECK(!calls[1].call.ended);
	OK(capos_thread_start(&thread, serve, NULL, NULL));
	CHECK_EQUAL(
		capos_ring_call_wait(&calls[1].call, CAPOS_WAIT_FOREVER), CAPOS_E(DISCONNECTED));
	end(thread, CAPOS_RECEIVE_RESULT_CALL);
}

static void capabilities_come_back(void)
{
	static struct one one;
	struct capos_thread *thread = start();
	struct capos_message_caps caps = { .count = 2, .moves = 1, .takes = 2 };
	capos_cap_t first = event_create(), second = event_create();
	caps.caps[0] = first, caps.caps[1] = second;
	one.call = (struct capos_ring_call){ .facet = facet,
		.message = one.message,
		.size = 3,
		.result = one.result,
		.capacity = 3,
		.deadline_ns = CAPOS_WAIT_FOREVER,
		.caps = &caps };
	OK(capos_ring_call_begin(&one.call));
	OK(capos_ring_call_wait(&one.call, CAPOS_WAIT_FOREVER));
	CHECK_EQUAL(caps.count, 2);
	CHECK(capos_release(first) != 0); /* it has moved */
	OK(capos_release(second));
	for (unsigned i = 0; i < 2; i++)
		OK(capos_release((capos_cap_t)caps.caps[i]));
	end(thread, CAPOS_RECEIVE_RESULT_FACET_GONE);
}

/* ---- with a server in registers on the same CPU, to which the CPU goes straight ---- */

#define PUT 40 /* more than the ring holds */
#define ENDS 1000
#define TELLS 1001

static volatile uint32_t told;
static struct capos_thread *caller;

static void count_told(uint32_t kind, struct capos_thread_state *state)
{
	if (kind < CAPOS_NOTIFY_USER_FIRST)
		record_fault(kind, state);
	else
		told++;
}

static void stay_on_one_cpu(void)
{
	OK(capos_thread_handle_set_affinity(capos_thread_handle(capos_thread_self()), 1));
}

/* Answers with the words, each one more. One that begins with ENDS is never answered. */
static int64_t serve_words(void *unused)
{
	struct capos_message message;
	uint64_t tag;
	(void)unused;
	stay_on_one_cpu();
	int64_t got = capos_endpoint_receive(endpoint, &message, &tag, CAPOS_WAIT_FOREVER);
	while (got == CAPOS_RECEIVE_RESULT_CALL && message.words[0] != ENDS) {
		CHECK_EQUAL(tag, 1);
		if (message.words[0] == TELLS)
			OK(capos_thread_handle_notify(
				capos_thread_handle(caller), CAPOS_NOTIFY_USER_FIRST, 0));
		for (unsigned i = 0; i < 8; i++)
			message.words[i]++;
		got = capos_endpoint_reply_receive(endpoint, &message, 0, &tag, CAPOS_WAIT_FOREVER);
	}
	return got;
}

struct words {
	struct capos_ring_call call;
	uint64_t message[8], result[8];
};

static void set(struct words *words, uint64_t first, size_t size)
{
	*words = (struct words){ .message = { first, 2, 3, 4, 5, 6, 7, 8 } };
	words->call = (struct capos_ring_call){ .facet = facet,
		.message = words->message,
		.size = size,
		.result = words->result,
		.capacity = sizeof words->result,
		.deadline_ns = CAPOS_WAIT_FOREVER };
}

/* What the server did not get is 0 there. */
static void is_answered(const struct words *words, uint64_t first)
{
	CHECK(words->call.ended);
	CHECK_EQUAL(words->call.status, 0);
	CHECK_EQUAL(words->call.answer_size, 64);
	for (uint64_t i = 0; i < 8; i++)
		CHECK_EQUAL(words->result[i],
			1 +
				(i * 8 >= words->call.size ? 0
						: i        ? i + 1
							   : first));
}

static struct capos_thread *start_words(void)
{
	struct capos_thread *thread = NULL;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 64, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	OK(capos_thread_start(&thread, serve_words, NULL, NULL));
	return thread;
}

static int64_t call_in_turns(void *unused)
{
	static struct words many[PUT];
	struct words one;
	(void)unused;
	stay_on_one_cpu();
	caller = capos_thread_self();
	capos_notification_set_handler(count_told);
	for (uint64_t i = 0; i < 100; i++) {
		set(&one, i, i % 9 * 8);
		OK(capos_ring_call(&one.call));
		is_answered(&one, i);
	}
	for (unsigned count = 1; count <= PUT; count += 3) {
		for (unsigned i = 0; i < count; i++) {
			set(&many[i], i, 64);
			OK(capos_ring_call_put(&many[i].call));
		}
		for (unsigned i = count; i-- > 0;)
			OK(capos_ring_call_wait(&many[i].call, CAPOS_WAIT_FOREVER));
		for (unsigned i = 0; i < count; i++)
			is_answered(&many[i], i);
	}
	for (uint32_t i = 1; i <= 3; i++) { /* the wait is interrupted, and the call goes on */
		set(&one, TELLS, 64);
		OK(capos_ring_call(&one.call));
		is_answered(&one, TELLS);
		CHECK_EQUAL(told, i);
	}
	set(&one, ENDS, 64);
	return capos_ring_call(&one.call);
}

static void threads_take_turns(void)
{
	struct capos_thread *server = start_words(), *thread = NULL;
	int64_t result = 0;
	told = 0;
	OK(capos_thread_start(&thread, call_in_turns, NULL, NULL));
	OK(capos_thread_join_timeout(thread, 20000 * MS_NS, &result));
	CHECK_EQUAL(result, CAPOS_E(DISCONNECTED)); /* the server has ended with the call */
	end(server, CAPOS_RECEIVE_RESULT_CALL);
}

/* The caller gives up, and makes other calls while the server still has what was given up. */
static void records_are_not_shared(void)
{
	static struct words late, quick;
	struct capos_message message;
	uint64_t tag;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 8, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	set(&late, 1, 64);
	OK(capos_ring_call_begin(&late.call));
	CHECK_EQUAL(capos_endpoint_receive(endpoint, &message, &tag, CAPOS_WAIT_FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	OK(capos_ring_call_cancel(&late.call));
	CHECK_EQUAL(late.call.status, CAPOS_E(CANCELLED));
	set(&quick, 2, 64);
	OK(capos_ring_call_begin(&quick.call));
	message.words[0] = 99;
	CHECK_EQUAL(capos_endpoint_reply(&message, 0), CAPOS_REPLY_RESULT_GONE);
	CHECK_EQUAL(capos_endpoint_receive(endpoint, &message, &tag, CAPOS_WAIT_FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(message.words[0], 2);
	message.words[0] = 3;
	CHECK_EQUAL(capos_endpoint_reply(&message, 0), CAPOS_REPLY_RESULT_ANSWERED);
	OK(capos_ring_call_wait(&quick.call, CAPOS_WAIT_FOREVER));
	CHECK_EQUAL(quick.result[0], 3);
	CHECK_EQUAL(late.result[0], 0);
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

int main(void)
{
	RUN(several_are_outstanding);
	RUN(calls_are_given_up);
	RUN(capabilities_come_back);
	RUN(threads_take_turns);
	RUN(records_are_not_shared);
	return check_result();
}
