/* Calls to endpoints through the ring, by threads of one process: messages of each size, many
 * outstanding, each way in which a call ends, bounds, bad addresses, charges. A thread that has
 * calls outstanding may itself be the server, so most tests need one thread only.
 *
 * // test: limit 24M
 */
#include "raw_thread.h"
#include "ring_message.h"

#define TAG 70u
#define NONE UINT64_MAX /* no user_data */

static uint8_t message[BYTES_MAX + 1], result[BYTES_MAX], buffer[BYTES_MAX], reply[BYTES_MAX + 1];

static void end(void)
{
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

static struct sent sent(uint64_t user_data, uint64_t size)
{
	fill(message, size, user_data);
	return (struct sent){ facet, user_data, FOREVER, message, size, result, BYTES_MAX };
}

static void begin(uint64_t user_data, uint64_t size)
{
	struct sent call = sent(user_data, size);
	push_call(&call);
	nothing_completes();
}

/* The next completion is of that call, and has no answer. */
static int64_t failed(uint64_t user_data)
{
	struct capos_completion completion = next_completion();
	CHECK_EQUAL(completion.user_data, user_data);
	CHECK_EQUAL(completion.size, 0);
	return completion.result;
}

static void receive_words(struct registers *r)
{
	*r = (struct registers){ 0 };
	CHECK_EQUAL(ENTER(r, RECEIVE, endpoint, FOREVER), CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(r->rdi, TAG);
}

static void receive_bytes(uint64_t size, uint64_t seed)
{
	struct capos_completion completion = recv_into(buffer, sizeof buffer);
	CHECK_EQUAL(completion.result, CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(completion.value, TAG);
	CHECK_EQUAL(completion.size, size);
	CHECK(is_filled(buffer, size, seed));
}

static void is_answered(uint64_t user_data, uint64_t size, uint64_t seed)
{
	struct capos_completion completion = next_completion();
	CHECK_EQUAL(completion.user_data, user_data);
	CHECK_EQUAL(completion.result, 0);
	CHECK_EQUAL(completion.size, size);
	CHECK(is_filled(result, size, seed));
}

/* ---- answers ---- */

static void registers_answer(void)
{
	const uint32_t sizes[] = { 0, 1, 8, 63, 64 };
	struct registers r;
	make(4, TAG);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct sent call = sent(i, sizes[i]);
		call.capacity = sizes[i];
		push_call(&call);
		nothing_completes();
		receive_words(&r);
		CHECK(is_filled((uint8_t *)r.words, sizes[i], i));
		for (uint32_t rest = sizes[i]; rest < WORDS_BYTES; rest++)
			CHECK_EQUAL(((uint8_t *)r.words)[rest], 0);
		memset(result, 0xee, sizeof result);
		fill((uint8_t *)r.words, WORDS_BYTES, i + 100);
		CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), CAPOS_REPLY_RESULT_ANSWERED);
		is_answered(i, sizes[i], i + 100);
		CHECK_EQUAL(result[sizes[i]], 0xee);
	}
	begin(1, 64);
	receive_words(&r);
	r.r15 = CAPOS_ERROR_OVERLAP;
	CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(next_completion().result, CAPOS_E(OVERLAP));
	end();
}

static void messages_have_any_size(void)
{
	const uint32_t sizes[] = { 0, 1, 64, 65, 4096, 5000, BYTES_MAX - 1, BYTES_MAX };
	const unsigned count = sizeof sizes / sizeof sizes[0];
	make(4, TAG);
	for (unsigned i = 0; i < count; i++) {
		uint32_t back = sizes[count - 1 - i];
		begin(i, sizes[i]);
		receive_bytes(sizes[i], i);
		fill(reply, back, i + 50);
		CHECK_EQUAL(return_bytes(reply, back, 0), CAPOS_REPLY_RESULT_ANSWERED);
		is_answered(i, back, i + 50);
	}
	begin(3, 100);
	receive_bytes(100, 3);
	fill(reply, 9, 4);
	CHECK_EQUAL(return_bytes(reply, 9, CAPOS_ERROR_BUSY), CAPOS_REPLY_RESULT_ANSWERED);
	struct capos_completion completion = next_completion();
	CHECK_EQUAL(completion.result, CAPOS_E(BUSY));
	CHECK_EQUAL(completion.size, 9);
	CHECK(is_filled(result, 9, 4));
	end();
}

static int64_t call_in_registers(void *words)
{
	return ENTER((struct registers *)words, ENDPOINT_CALL, facet, FOREVER);
}

/* Both kinds of call are in one queue, and come in the order in which they were made. */
static void one_queue_has_both(void)
{
	struct registers r = { 0 };
	struct capos_thread *thread;
	struct capos_thread_info info;
	int64_t status = -1;
	make(4, TAG);
	fill((uint8_t *)r.words, WORDS_BYTES, 5);
	begin(1, 65);
	OK(capos_thread_start(&thread, call_in_registers, &r, NULL));
	raw_wait_blocked(capos_thread_handle(thread), &info);
	begin(2, 66);
	receive_bytes(65, 1);
	CHECK_EQUAL(return_bytes(NULL, 0, 0), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(failed(1), 0);
	receive_bytes(WORDS_BYTES, 5);
	CHECK_FAILS(OPCODE_RETURN, OUT_OF_RANGE, return_bytes(reply, WORDS_BYTES + 1, 0));
	fill(reply, 60, 6);
	CHECK_EQUAL(return_bytes(reply, 60, 0), CAPOS_REPLY_RESULT_ANSWERED);
	OK(capos_thread_join_timeout(thread, 20000 * MS_NS, &status));
	CHECK_EQUAL(status, 0);
	CHECK(is_filled((uint8_t *)r.words, 60, 6));
	CHECK_EQUAL(((uint8_t *)r.words)[60], 0);
	receive_bytes(66, 2);
	CHECK_EQUAL(return_bytes(NULL, 0, 0), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(failed(2), 0);
	end();
}

/* ---- a server of its own thread ---- */

/* Echoes what comes, through its ring, until the endpoint is gone. A message of one byte ends it
 * with the call unanswered. */
static int64_t serve_ring(void *unused)
{
	static uint8_t bytes[BYTES_MAX];
	(void)unused;
	for (;;) {
		struct capos_completion got = recv_into(bytes, sizeof bytes);
		if (got.result != CAPOS_RECEIVE_RESULT_CALL)
			return got.result;
		if (got.size == 1)
			return 1;
		if (return_bytes(bytes, got.size, 0) < 0)
			return 2;
	}
}

static struct capos_thread *start_server(void)
{
	struct capos_thread *thread;
	struct capos_thread_info info;
	OK(capos_thread_start(&thread, serve_ring, NULL, NULL));
	raw_wait_blocked(capos_thread_handle(thread), &info);
	return thread;
}

static int64_t joined(struct capos_thread *thread)
{
	int64_t status = -1;
	OK(capos_thread_join_timeout(thread, 20000 * MS_NS, &status));
	return status;
}

static void calls_in_registers_reach_the_ring(void)
{
	struct registers r = { 0 };
	make(4, TAG);
	struct capos_thread *server = start_server();
	for (uint64_t round = 0; round < 500; round++) {
		fill((uint8_t *)r.words, WORDS_BYTES, round);
		CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), 0);
		CHECK(is_filled((uint8_t *)r.words, WORDS_BYTES, round));
		struct sent call = sent(round, 100);
		push_call(&call);
		is_answered(round, 100, round);
	}
	OK(capos_release(facet));
	CHECK_EQUAL(joined(server), CAPOS_RECEIVE_RESULT_FACET_GONE);
	OK(capos_release(endpoint));
}

/* ---- many ---- */

static void fill_ring(uint32_t count)
{
	struct sent call = sent(0, 8);
	call.capacity = 8;
	for (uint32_t i = 0; i < count; i++) {
		call.user_data = i;
		push_call(&call);
		if (i % CAPOS_RING_SUBMISSIONS == CAPOS_RING_SUBMISSIONS - 1 || i == count - 1)
			CHECK(capos_ring_enter(0, 0) >= 0); /* a server may be quick */
	}
}

static void a_bounded_number_is_outstanding(void)
{
	make(CAPOS_RING_CALLS_MAX + 1, TAG);
	fill_ring(CAPOS_RING_CALLS_MAX);
	struct sent call = sent(NONE, 8);
	push_call(&call);
	capos_ring_enter(0, 0);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, LIMIT_REACHED, failed(NONE));
	OK(capos_endpoint_revoke(endpoint, facet));
	/* More have ended than there are completions. */
	CHECK_EQUAL(capos_ring_enter(CAPOS_RING_CALLS_MAX, FOREVER), CAPOS_RING_COMPLETIONS);
	for (uint64_t i = 0; i < CAPOS_RING_CALLS_MAX; i++)
		CHECK_FAILS(OPCODE_ENDPOINT_CALL, DISCONNECTED, failed(i));
	nothing_completes();
	end();
	make(2, TAG);
	fill_ring(2);
	call = sent(NONE, 8);
	push_call(&call);
	capos_ring_enter(0, 0);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, LIMIT_REACHED, failed(NONE));
	CHECK_EQUAL(finish_call(1), 0); /* which makes room in the queue */
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, CANCELLED, failed(1));
	begin(3, 8);
	end();
	CHECK_EQUAL(failed(0), CAPOS_E(DISCONNECTED));
	CHECK_EQUAL(failed(3), CAPOS_E(DISCONNECTED));
}

/* Calls complete as they end, and others are executed meanwhile. */
static void calls_end_in_any_order(void)
{
	capos_cap_t first_endpoint, first_facet;
	make(4, TAG);
	first_endpoint = endpoint, first_facet = facet;
	begin(1, 70);
	make(4, TAG);
	begin(2, 71);
	receive_bytes(71, 2);
	fill(reply, 30, 8);
	CHECK_EQUAL(return_bytes(reply, 30, 0), CAPOS_REPLY_RESULT_ANSWERED);
	is_answered(2, 30, 8);
	CHECK_EQUAL(at_once(CAPOS_OPCODE_NOP, 0, 0, 0, 0).result, 0);
	end();
	endpoint = first_endpoint, facet = first_facet;
	receive_bytes(70, 1);
	CHECK_EQUAL(return_bytes(reply, 30, 0), CAPOS_REPLY_RESULT_ANSWERED);
	is_answered(1, 30, 8);
	end();
}

static void an_entry_waits_for_as_many_as_it_says(void)
{
	make(CAPOS_RING_CALLS_MAX, TAG);
	struct capos_thread *server = start_server();
	fill_ring(CAPOS_RING_SUBMISSIONS);
	CHECK_EQUAL(capos_ring_enter(CAPOS_RING_SUBMISSIONS, FOREVER), CAPOS_RING_SUBMISSIONS);
	for (uint64_t i = 0; i < CAPOS_RING_SUBMISSIONS; i++)
		CHECK_EQUAL(next_completion().user_data, i);
	CHECK_EQUAL(capos_ring_enter(1, FOREVER), 0); /* nothing could come */
	OK(capos_release(facet));
	CHECK_EQUAL(joined(server), CAPOS_RECEIVE_RESULT_FACET_GONE);
	OK(capos_release(endpoint));
	make(4, TAG);
	begin(1, 8);
	uint64_t start = capos_now_ns();
	CHECK_EQUAL(capos_ring_enter(1, 5 * MS_NS), 0);
	CHECK(capos_now_ns() - start >= 5 * MS_NS);
	OK(capos_endpoint_revoke(endpoint, facet));
	CHECK_EQUAL(failed(1), CAPOS_E(DISCONNECTED));
	end();
}

/* ---- the ways in which a call ends ---- */

static void deadlines_end_calls(void)
{
	struct registers r = { 0 };
	make(4, TAG);
	struct sent call = sent(1, 64);
	call.deadline_ns = 1; /* over */
	push_call(&call);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, TIMED_OUT, failed(1));
	begin(2, 64);
	call.user_data = 3;
	call.deadline_ns = capos_now_ns() + 5 * MS_NS;
	push_call(&call);
	CHECK_EQUAL(failed(3), CAPOS_E(TIMED_OUT)); /* while the other goes on */
	CHECK(capos_now_ns() >= call.deadline_ns);
	CHECK_EQUAL(finish_call(2), 0);
	CHECK_EQUAL(failed(2), CAPOS_E(CANCELLED));
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, 0), CAPOS_E(TIMED_OUT)); /* none is left */
	/* The caller does not look: a server gets no such call, and its answer comes too late. */
	call.user_data = 4;
	call.deadline_ns = capos_now_ns() + 10 * MS_NS;
	push_call(&call);
	capos_ring_enter(0, 0);
	capos_sleep_ns(11 * MS_NS);
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, 0), CAPOS_E(TIMED_OUT));
	CHECK_EQUAL(failed(4), CAPOS_E(TIMED_OUT));
	call.user_data = 5;
	call.deadline_ns = capos_now_ns() + 50 * MS_NS;
	push_call(&call);
	capos_ring_enter(0, 0);
	receive_words(&r);
	capos_sleep_ns(51 * MS_NS);
	CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), CAPOS_REPLY_RESULT_GONE);
	CHECK_EQUAL(failed(5), CAPOS_E(TIMED_OUT));
	end();
}

static void calls_are_given_up(void)
{
	make(4, TAG);
	CHECK_FAILS(OPCODE_FINISH, NOT_FOUND, finish_call(1));
	begin(1, 65);
	begin(2, 66);
	begin(1, 67);
	CHECK_EQUAL(finish_call(1), 0);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, CANCELLED, failed(1));
	receive_bytes(66, 2);
	CHECK_EQUAL(finish_call(2), 0);
	CHECK_EQUAL(failed(2), CAPOS_E(CANCELLED));
	CHECK_EQUAL(finish_call(2), CAPOS_E(NOT_FOUND));
	CHECK_EQUAL(return_bytes(reply, 5, 0), CAPOS_REPLY_RESULT_GONE);
	receive_bytes(67, 1);
	CHECK_EQUAL(return_bytes(reply, 5, 0), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(next_completion().result, 0);
	end();
}

static void revocation_ends_calls(void)
{
	capos_cap_t other;
	make(4, TAG);
	OK(capos_endpoint_make_facet(endpoint, TAG + 1, &other));
	begin(1, 65);
	struct sent call = sent(2, 65);
	call.facet = other;
	push_call(&call);
	nothing_completes();
	OK(capos_endpoint_revoke(endpoint, facet));
	CHECK_EQUAL(failed(1), CAPOS_E(DISCONNECTED));
	nothing_completes();
	call.facet = facet;
	push_call(&call);
	capos_ring_enter(0, 0);
	CHECK_EQUAL(failed(2), CAPOS_E(DISCONNECTED));
	OK(capos_release(other));
	end(); /* the call keeps the facet, but not the endpoint */
	CHECK_EQUAL(failed(2), CAPOS_E(DISCONNECTED));
}

static void the_end_of_a_server_ends_calls(void)
{
	make(4, TAG);
	struct capos_thread *server = start_server();
	begin(1, 1);
	CHECK_EQUAL(failed(1), CAPOS_E(DISCONNECTED));
	CHECK_EQUAL(joined(server), 1);
	end();
}

static volatile bool received;

static int64_t leave_with_calls(void *unused)
{
	(void)unused;
	int64_t completions = 0;
	struct sent call = { facet, 1, FOREVER, message, 65, result, BYTES_MAX };
	push_call(&call);
	push_call(&call);
	push_call(&call);
	while (!received)
		completions += capos_ring_enter(0, MS_NS);
	return completions;
}

static void the_end_of_a_caller_ends_calls(void)
{
	struct registers r = { 0 };
	struct capos_thread *thread;
	make(4, TAG);
	fill(message, 65, 1);
	OK(capos_thread_start(&thread, leave_with_calls, NULL, NULL));
	receive_bytes(65, 1);
	received = true;
	CHECK_EQUAL(joined(thread), 0);
	CHECK_EQUAL(return_bytes(reply, 5, 0), CAPOS_REPLY_RESULT_GONE);
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, 0), CAPOS_E(TIMED_OUT));
	OK(capos_release(facet));
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, 0), CAPOS_RECEIVE_RESULT_FACET_GONE);
	OK(capos_release(endpoint));
}

/* ---- refusals ---- */

static void long_messages_are_refused(void)
{
	struct registers r = { 0 };
	make(4, TAG);
	begin(1, 65);
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, 0), CAPOS_E(TIMED_OUT));
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, OUT_OF_RANGE, failed(1));
	begin(1, 101);
	begin(2, 100);
	CHECK_EQUAL(recv_into(buffer, 100).size, 100);
	CHECK_EQUAL(failed(1), CAPOS_E(OUT_OF_RANGE));
	CHECK_FAILS(OPCODE_RETURN, OUT_OF_RANGE, return_bytes(reply, BYTES_MAX + 1, 0));
	CHECK_EQUAL(return_bytes(reply, BYTES_MAX, 0), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(next_completion().size, BYTES_MAX);
	struct sent call = sent(3, BYTES_MAX + 1);
	push_call(&call);
	capos_ring_enter(0, 0);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, INVALID_PARAMS_BUFFER, failed(3));
	call = sent(4, 64);
	call.capacity = 99;
	push_call(&call);
	nothing_completes();
	receive_bytes(64, 4);
	CHECK_EQUAL(return_bytes(reply, 100, 0), CAPOS_REPLY_RESULT_GONE);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, INVALID_RESULT_BUFFER, failed(4));
	end();
}

static void bad_addresses_are_refused(void)
{
	void *bad = (void *)(uintptr_t)vm_reserve(PAGE);
	make(4, TAG);
	struct sent call = sent(1, 65);
	call.message = bad;
	push_call(&call);
	capos_ring_enter(0, 0);
	CHECK_EQUAL(failed(1), CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER));
	call = sent(2, 65);
	call.result = (void *)KERNEL_HALF;
	push_call(&call);
	nothing_completes();
	CHECK_FAILS(OPCODE_RECV, INVALID_RESULT_BUFFER, recv_into(bad, PAGE).result);
	CHECK_EQUAL(failed(2), CAPOS_E(DISCONNECTED));
	push_call(&call);
	nothing_completes();
	receive_bytes(65, 2);
	CHECK_FAILS(OPCODE_RETURN, INVALID_PARAMS_BUFFER, return_bytes(bad, 8, 0));
	CHECK_EQUAL(return_bytes(reply, 8, 0), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(failed(2), CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	OK(vm_unmap((uint64_t)bad, PAGE));
	end();
}

static int64_t with_argument(uint8_t opcode, capos_cap_t cap, unsigned argument, uint16_t method)
{
	struct capos_submission submission = { .opcode = opcode, .method = method, .cap = cap };
	submission.args[argument] = argument != 0;
	CHECK(capos_ring_push(&submission));
	capos_ring_enter(0, 0);
	return next_completion().result;
}

static void errors_are_named(void)
{
	struct registers r = { 0 };
	make(4, TAG);
	CHECK_FAILS(OPCODE_RECV, UNSUPPORTED_OPCODE, ENTER(&r, RECV, endpoint, 0));
	CHECK_FAILS(OPCODE_RETURN, UNSUPPORTED_OPCODE, ENTER(&r, RETURN, 0, 0));
	CHECK_FAILS(OPCODE_FINISH, UNSUPPORTED_OPCODE, ENTER(&r, FINISH, 0, 0));
	for (uint16_t method = 0; method < 2; method++) {
		unsigned wrong = !method;
		CHECK_FAILS(OPCODE_ENDPOINT_CALL, INVALID_REQUEST,
			with_argument(CAPOS_OPCODE_ENDPOINT_CALL, facet, 0, 1));
		CHECK_FAILS(OPCODE_RECV, INVALID_REQUEST,
			with_argument(CAPOS_OPCODE_RECV, endpoint, 4 * wrong, method));
		CHECK_FAILS(OPCODE_RETURN, INVALID_REQUEST,
			with_argument(CAPOS_OPCODE_RETURN, 0, 4 * wrong, method));
		CHECK_FAILS(OPCODE_FINISH, INVALID_REQUEST,
			with_argument(CAPOS_OPCODE_FINISH, 0, wrong, method));
	}
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, INVOKE_FAILED,
		with_argument(CAPOS_OPCODE_ENDPOINT_CALL, endpoint, 0, 0));
	CHECK_FAILS(OPCODE_RECV, INVOKE_FAILED,
		at_once(CAPOS_OPCODE_RECV, facet, 0, WORDS_BYTES, 0).result);
	CHECK_FAILS(OPCODE_RECV, INVALID_ARGUMENT, recv_into(buffer, WORDS_BYTES - 1).result);
	CHECK_FAILS(OPCODE_RETURN, WRONG_STATE, return_bytes(NULL, 0, 0));
	CHECK_FAILS(OPCODE_RECV, TIMED_OUT,
		at_once(CAPOS_OPCODE_RECV, endpoint, (uint64_t)buffer, PAGE, 0).result);
	begin(1, 65);
	receive_bytes(65, 1);
	CHECK_FAILS(OPCODE_RECV, WRONG_STATE, recv_into(buffer, PAGE).result);
	CHECK_FAILS(OPCODE_RETURN, INVALID_ARGUMENT, return_bytes(NULL, 0, 0xffff));
	CHECK_EQUAL(return_bytes(NULL, 0, 0), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(next_completion().result, 0);
	end();
}

/* ---- events, notifications ---- */

static void a_call_signals_the_event(void)
{
	uint64_t bits = 0;
	capos_cap_t event = event_create();
	make(4, TAG);
	OK(capos_endpoint_bind(endpoint, event, 4, 8));
	begin(1, 65);
	OK(capos_event_wait(event, 12, 0, &bits));
	CHECK_EQUAL(bits, 4);
	CHECK_EQUAL(finish_call(1), 0);
	CHECK_EQUAL(failed(1), CAPOS_E(CANCELLED));
	OK(capos_release(facet));
	OK(capos_event_wait(event, 12, 0, &bits));
	CHECK_EQUAL(bits, 8); /* an outstanding call keeps the facet, one that has ended does not */
	OK(capos_release(endpoint));
	OK(capos_release(event));
}

static volatile uint32_t handled;

static void count_handled(uint32_t kind, struct capos_thread_state *state)
{
	if (kind < CAPOS_NOTIFY_USER_FIRST)
		record_fault(kind, state);
	else
		handled++;
}

static int64_t serve_notified(void *unused)
{
	capos_notification_set_handler(count_handled);
	return serve_ring(unused);
}

static int64_t call_notified(void *unused)
{
	(void)unused;
	capos_notification_set_handler(count_handled);
	struct sent call = { facet, 9, FOREVER, message, 65, result, BYTES_MAX };
	push_call(&call);
	if (capos_ring_enter(1, FOREVER) != 0) /* the handler has run */
		return 1;
	return capos_ring_enter(1, FOREVER);
}

static void notify_blocked(struct capos_thread *thread)
{
	struct capos_thread_info info;
	raw_wait_blocked(capos_thread_handle(thread), &info);
	OK(capos_thread_handle_notify(capos_thread_handle(thread), CAPOS_NOTIFY_USER_FIRST, 0));
}

static void notifications_end_waits(void)
{
	struct capos_thread *thread;
	make(4, TAG);
	OK(capos_thread_start(&thread, serve_notified, NULL, NULL));
	notify_blocked(thread);
	CHECK_FAILS(OPCODE_RECV, INTERRUPTED, joined(thread));
	OK(capos_thread_start(&thread, serve_notified, NULL, NULL));
	struct capos_thread_info info;
	raw_wait_blocked(capos_thread_handle(thread), &info);
	OK(capos_release(endpoint));
	CHECK_FAILS(OPCODE_RECV, DISCONNECTED, joined(thread));
	OK(capos_release(facet));
	make(4, TAG);
	fill(message, 65, 9);
	handled = 0;
	OK(capos_thread_start(&thread, call_notified, NULL, NULL));
	receive_bytes(65, 9); /* the call goes on meanwhile */
	notify_blocked(thread);
	while (!handled)
		capos_thread_yield();
	CHECK_EQUAL(return_bytes(reply, 5, 0), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(joined(thread), 1);
	end();
}

/* ---- charges ---- */

static uint64_t kernel_pages(void)
{
	return vm_usage().kernel_pages;
}

static void calls_are_charged(void)
{
	make(CAPOS_RING_CALLS_MAX, TAG);
	begin(0, BYTES_MAX); /* what stays of the first use */
	CHECK_EQUAL(finish_call(0), 0);
	CHECK_EQUAL(failed(0), CAPOS_E(CANCELLED));
	uint64_t before = kernel_pages();
	begin(1, BYTES_MAX);
	begin(2, BYTES_MAX);
	CHECK(kernel_pages() - before >= 2 * BYTES_MAX / PAGE);
	receive_bytes(BYTES_MAX, 1);
	CHECK_EQUAL(finish_call(1), 0);
	CHECK_EQUAL(failed(1), CAPOS_E(CANCELLED));
	CHECK_EQUAL(finish_call(2), 0);
	CHECK_EQUAL(failed(2), CAPOS_E(CANCELLED));
	CHECK(kernel_pages() > before); /* what a server has received is still there */
	CHECK_EQUAL(return_bytes(NULL, 0, 0), CAPOS_REPLY_RESULT_GONE);
	CHECK_EQUAL(kernel_pages(), before);
	uint64_t size = 1ull << 30, range = commit_all(size);
	struct sent call = sent(3, BYTES_MAX);
	push_call(&call);
	capos_ring_enter(0, 0);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, NO_MEMORY, failed(3));
	OK(vm_unmap(range, size));
	CHECK_EQUAL(kernel_pages(), before);
	end();
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	RUN(registers_answer);
	RUN(messages_have_any_size);
	RUN(one_queue_has_both);
	RUN(calls_in_registers_reach_the_ring);
	RUN(a_bounded_number_is_outstanding);
	RUN(calls_end_in_any_order);
	RUN(an_entry_waits_for_as_many_as_it_says);
	RUN(deadlines_end_calls);
	RUN(calls_are_given_up);
	RUN(revocation_ends_calls);
	RUN(the_end_of_a_server_ends_calls);
	RUN(the_end_of_a_caller_ends_calls);
	RUN(long_messages_are_refused);
	RUN(bad_addresses_are_refused);
	RUN(errors_are_named);
	RUN(a_call_signals_the_event);
	RUN(notifications_end_waits);
	RUN(calls_are_charged);
	/* The process ends with calls outstanding, of which it has received one itself. */
	make(8, TAG);
	begin(1, 65);
	begin(2, 65);
	receive_bytes(65, 1);
	return check_result();
}
