/* Endpoints between threads of one process: messages, tags, exceptions, each way in which a call
 * ends, and every error.
 *
 * // test: limit 24M
 */
#include "message.h"
#include "raw_thread.h"

static capos_cap_t endpoint, facet;

static void make(uint32_t calls_max, uint64_t tag)
{
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, calls_max, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, tag, &facet));
}

/* What word 0 of a message asks of the server. */
enum { ECHO, FAIL, LEAVE, STOP };

static int64_t serve(void *unused)
{
	(void)unused;
	struct registers r = { 0 };
	int64_t got = ENTER(&r, RECEIVE, endpoint, FOREVER);
	while (got == CAPOS_RECEIVE_RESULT_CALL) {
		uint64_t what = r.words[0], tag = r.rdi;
		if (what == LEAVE)
			return 1;
		r.r15 = what == FAIL ? CAPOS_ERROR_NO_MEMORY : 0;
		for (int i = 0; i < 8; i++)
			r.words[i] += tag;
		if (what == STOP) {
			ENTER(&r, REPLY, 0, 0);
			return 2;
		}
		got = ENTER(&r, REPLY_RECEIVE, endpoint, FOREVER);
	}
	return got;
}

static struct capos_thread *start_server(void)
{
	struct capos_thread *thread;
	OK(capos_thread_start(&thread, serve, NULL, NULL));
	return thread;
}

static void set_words(struct registers *r, uint64_t first)
{
	for (uint64_t i = 0; i < 8; i++)
		r->words[i] = i ? first * 100 + i : first;
}

static void calls_are_answered(void)
{
	struct registers r = { 0 };
	int64_t result = 0;
	make(4, 1000);
	struct capos_thread *server = start_server();
	for (int round = 0; round < 2000; round++) {
		set_words(&r, ECHO);
		CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), 0);
		for (uint64_t i = 0; i < 8; i++)
			CHECK_EQUAL(r.words[i], i + 1000);
	}
	set_words(&r, FAIL);
	CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), CAPOS_E(NO_MEMORY));
	CHECK_EQUAL(r.words[7], FAIL * 100 + 7 + 1000);
	set_words(&r, STOP);
	CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), 0);
	OK(capos_thread_join(server, &result));
	CHECK_EQUAL(result, 2);
	OK(capos_release(facet));
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, 0), CAPOS_RECEIVE_RESULT_FACET_GONE);
	CHECK_EQUAL(r.rdi, 1000);
	CHECK_FAILS(OPCODE_RECEIVE, TIMED_OUT, ENTER(&r, RECEIVE, endpoint, 0));
	OK(capos_release(endpoint));
}

static void errors_are_named(void)
{
	struct registers r = { 0 };
	capos_cap_t made = 0;
	make(1, 7);
	for (uint32_t wrong = 0; wrong < 2; wrong++) {
		uint64_t max = wrong ? CAPOS_ENDPOINT_CALLS_MAX + 1 : 0;
		CHECK_FAILS(ENDPOINT_FACTORY_CREATE, INVALID_ARGUMENT,
			capos_endpoint_factory_create(
				capos_caps.endpoint_factory, (uint32_t)max, &made));
	}
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, INVOKE_FAILED, ENTER(&r, ENDPOINT_CALL, endpoint, 0));
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, INVALID_REQUEST, ENTER(&r, ENDPOINT_CALL, 1ull << 32, 0));
	CHECK_FAILS(OPCODE_RECEIVE, INVOKE_FAILED, ENTER(&r, RECEIVE, facet, 0));
	CHECK_FAILS(OPCODE_RECEIVE, INVALID_REQUEST, ENTER(&r, RECEIVE, ~0ull, 0));
	CHECK_FAILS(OPCODE_REPLY, WRONG_STATE, ENTER(&r, REPLY, 0, 0));
	CHECK_FAILS(OPCODE_REPLY, INVALID_REQUEST, ENTER(&r, REPLY, endpoint, 0));
	CHECK_FAILS(OPCODE_REPLY_RECEIVE, WRONG_STATE, ENTER(&r, REPLY_RECEIVE, endpoint, 0));
	CHECK_FAILS(OPCODE_REPLY_RECEIVE, INVALID_REQUEST, ENTER(&r, REPLY_RECEIVE, 1ull << 63, 0));
	CHECK_FAILS(OPCODE_AWAIT, WRONG_STATE, ENTER(&r, AWAIT, 0, 0));
	CHECK_FAILS(OPCODE_CANCEL, WRONG_STATE, ENTER(&r, CANCEL, 0, 0));
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, TIMED_OUT, ENTER(&r, ENDPOINT_CALL, facet, 1));
	CHECK_FAILS(OPCODE_RECEIVE, TIMED_OUT, ENTER(&r, RECEIVE, endpoint, 1));
	OK(capos_endpoint_revoke(endpoint, facet));
	OK(capos_endpoint_revoke(endpoint, facet));
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, DISCONNECTED, ENTER(&r, ENDPOINT_CALL, facet, FOREVER));
	CHECK_FAILS(ENDPOINT_REVOKE, NOT_FOUND, capos_endpoint_revoke(endpoint, endpoint));
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

/* ---- callers that wait ---- */

struct caller {
	struct capos_thread *thread;
	struct registers r;
	volatile int64_t result;
};

static uint64_t deadline_ns = FOREVER;

static int64_t call_once(void *argument)
{
	struct caller *caller = argument;
	caller->result = ENTER(&caller->r, ENDPOINT_CALL, facet, deadline_ns);
	return 0;
}

static void start_caller(struct caller *caller, uint64_t first)
{
	struct capos_thread_info info;
	*caller = (struct caller){ .result = -1 };
	set_words(&caller->r, first);
	OK(capos_thread_start(&caller->thread, call_once, caller, NULL));
	raw_wait_blocked(capos_thread_handle(caller->thread), &info);
}

static void end_caller(struct caller *caller, int64_t result)
{
	OK(capos_thread_join_timeout(caller->thread, 20000 * MS_NS, NULL));
	CHECK_EQUAL(caller->result, result);
}

static struct caller callers[3];

static void calls_wait_in_a_bounded_queue(void)
{
	struct registers r = { 0 };
	make(2, 5);
	start_caller(&callers[0], ECHO);
	start_caller(&callers[1], ECHO);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, LIMIT_REACHED, ENTER(&r, ENDPOINT_CALL, facet, FOREVER));
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, 0), CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(r.rdi, 5);
	CHECK_FAILS(OPCODE_RECEIVE, WRONG_STATE, ENTER(&r, RECEIVE, endpoint, 0));
	r.r15 = 4000;
	CHECK_FAILS(OPCODE_REPLY, INVALID_ARGUMENT, ENTER(&r, REPLY, 0, 0));
	CHECK_FAILS(OPCODE_REPLY_RECEIVE, INVALID_ARGUMENT, ENTER(&r, REPLY_RECEIVE, endpoint, 0));
	r.r15 = 0;
	CHECK_FAILS(OPCODE_REPLY_RECEIVE, INVOKE_FAILED, ENTER(&r, REPLY_RECEIVE, facet, 0));
	CHECK_EQUAL(ENTER(&r, REPLY_RECEIVE, endpoint, 0), CAPOS_RECEIVE_RESULT_CALL);
	end_caller(&callers[0], 0);
	CHECK_FAILS(OPCODE_REPLY_RECEIVE, TIMED_OUT, ENTER(&r, REPLY_RECEIVE, endpoint, 1));
	end_caller(&callers[1], 0);
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

static void ends_of_servers_disconnect(void)
{
	struct registers r = { 0 };
	uint64_t closed = 0;
	int64_t result = 0;
	make(8, 9);
	struct capos_thread *server = start_server();
	set_words(&r, LEAVE); /* the thread ends with the call */
	CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), CAPOS_E(DISCONNECTED));
	OK(capos_thread_join(server, &result));
	CHECK_EQUAL(result, 1);
	start_caller(&callers[0], ECHO); /* waits in the queue */
	OK(capos_endpoint_revoke(endpoint, facet));
	end_caller(&callers[0], CAPOS_E(DISCONNECTED));
	OK(capos_release(facet));
	OK(capos_endpoint_make_facet(endpoint, 9, &facet));
	start_caller(&callers[1], ECHO);
	OK(capos_endpoint_revoke_tag(endpoint, 9, &closed));
	CHECK_EQUAL(closed, 1);
	end_caller(&callers[1], CAPOS_E(DISCONNECTED));
	OK(capos_release(facet));
	OK(capos_endpoint_make_facet(endpoint, 10, &facet));
	start_caller(&callers[2], ECHO);
	OK(capos_release(endpoint));
	end_caller(&callers[2], CAPOS_E(DISCONNECTED));
	CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), CAPOS_E(DISCONNECTED));
	OK(capos_release(facet));
}

static void a_late_answer_reaches_nothing(void)
{
	struct registers r = { 0 };
	make(8, 3);
	for (int i = 0; i < 2; i++) {
		start_caller(&callers[i], ECHO);
		CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, 0), CAPOS_RECEIVE_RESULT_CALL);
		CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), 1);
		end_caller(&callers[i], 0);
	}
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

/* ---- notifications ---- */

static volatile uint32_t handled, cancels;

static void count_handled(uint32_t kind, struct capos_thread_state *state)
{
	struct registers r = { 0 };
	if (kind < CAPOS_NOTIFY_USER_FIRST) {
		record_fault(kind, state);
		return;
	}
	if (state->value == 1)
		cancels += ENTER(&r, CANCEL, 0, 0) == 0;
	else if (state->value == 2)
		cancels += GETS(OPCODE_ENDPOINT_CALL, BUSY, ENTER(&r, ENDPOINT_CALL, facet, 0));
	handled++; /* last: it is waited for */
}

static int64_t call_notified(void *argument)
{
	capos_notification_set_handler(count_handled);
	return call_once(argument);
}

static void notify(struct caller *caller, uint64_t value)
{
	uint32_t before = handled;
	OK(capos_thread_handle_notify(
		capos_thread_handle(caller->thread), CAPOS_NOTIFY_USER_FIRST, value));
	while (handled == before)
		capos_thread_yield();
}

static void start_notified(struct caller *caller, uint64_t first)
{
	struct capos_thread_info info;
	*caller = (struct caller){ .result = -1 };
	set_words(&caller->r, first);
	OK(capos_thread_start(&caller->thread, call_notified, caller, NULL));
	raw_wait_blocked(capos_thread_handle(caller->thread), &info);
}

static void notifications_do_not_end_calls(void)
{
	struct registers r = { 0 };
	make(8, 3);
	start_notified(&callers[0], 50);
	notify(&callers[0], 0); /* in the queue */
	notify(&callers[0], 2);
	CHECK_EQUAL(cancels, 1);
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, FOREVER), CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(r.words[0], 50);
	CHECK_EQUAL(r.words[7], 5007);
	notify(&callers[0], 0); /* received */
	r.words[7] = 77;
	CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), 1);
	end_caller(&callers[0], 0);
	CHECK_EQUAL(callers[0].r.words[7], 77);
	start_notified(&callers[1], 50);
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, FOREVER), CAPOS_RECEIVE_RESULT_CALL);
	notify(&callers[1], 1); /* cancels */
	OK(capos_thread_join_timeout(callers[1].thread, 20000 * MS_NS, NULL));
	CHECK_FAILS(OPCODE_AWAIT, CANCELLED, callers[1].result);
	CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), 0); /* the caller has gone */
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

static int64_t serve_notified(void *unused)
{
	capos_notification_set_handler(count_handled);
	return serve(unused);
}

/* The result of a server that waits, with or without having answered, when it is notified or its
 * endpoint is released. */
static int64_t end_server(bool answers, bool notified)
{
	struct registers r = { 0 };
	struct capos_thread *thread;
	struct capos_thread_info info;
	int64_t result = 0;
	make(8, 3);
	OK(capos_thread_start(&thread, serve_notified, NULL, NULL));
	raw_wait_blocked(capos_thread_handle(thread), &info);
	if (answers)
		CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), 0);
	raw_wait_blocked(capos_thread_handle(thread), &info);
	if (notified)
		OK(capos_thread_handle_notify(
			capos_thread_handle(thread), CAPOS_NOTIFY_USER_FIRST, 0));
	else
		OK(capos_release(endpoint));
	OK(capos_thread_join_timeout(thread, 20000 * MS_NS, &result));
	OK(capos_release(facet));
	if (notified)
		OK(capos_release(endpoint));
	return result;
}

static void receivers_are_told(void)
{
	CHECK_FAILS(OPCODE_RECEIVE, DISCONNECTED, end_server(false, false));
	CHECK_FAILS(OPCODE_REPLY_RECEIVE, DISCONNECTED, end_server(true, false));
	CHECK_FAILS(OPCODE_RECEIVE, INTERRUPTED, end_server(false, true));
	CHECK_FAILS(OPCODE_REPLY_RECEIVE, INTERRUPTED, end_server(true, true));
}

static void interrupted_calls_end_as_others(void)
{
	make(8, 3);
	start_notified(&callers[0], ECHO);
	notify(&callers[0], 0);
	OK(capos_endpoint_revoke(endpoint, facet));
	OK(capos_thread_join_timeout(callers[0].thread, 20000 * MS_NS, NULL));
	CHECK_FAILS(OPCODE_AWAIT, DISCONNECTED, callers[0].result);
	OK(capos_release(facet));
	OK(capos_endpoint_make_facet(endpoint, 3, &facet));
	deadline_ns = capos_now_ns() + 500 * MS_NS;
	start_notified(&callers[0], ECHO);
	notify(&callers[0], 0);
	OK(capos_thread_join_timeout(callers[0].thread, 20000 * MS_NS, NULL));
	CHECK_FAILS(OPCODE_AWAIT, TIMED_OUT, callers[0].result);
	deadline_ns = FOREVER;
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

static int64_t in_ring(uint8_t opcode)
{
	struct capos_submission submission = { .opcode = opcode };
	struct capos_completion completion = { 0 };
	int64_t status = capos_ring_do(&submission, &completion);
	return status < 0 ? status : completion.result;
}

static void the_ring_has_no_form_of_others(void)
{
	CHECK_FAILS(OPCODE_RECEIVE, UNSUPPORTED_OPCODE, in_ring(CAPOS_OPCODE_RECEIVE));
	CHECK_FAILS(OPCODE_REPLY, UNSUPPORTED_OPCODE, in_ring(CAPOS_OPCODE_REPLY));
	CHECK_FAILS(OPCODE_REPLY_RECEIVE, UNSUPPORTED_OPCODE, in_ring(CAPOS_OPCODE_REPLY_RECEIVE));
	CHECK_FAILS(OPCODE_AWAIT, UNSUPPORTED_OPCODE, in_ring(CAPOS_OPCODE_AWAIT));
	CHECK_FAILS(OPCODE_CANCEL, UNSUPPORTED_OPCODE, in_ring(CAPOS_OPCODE_CANCEL));
}

/* ---- ledgers ---- */

static capos_cap_t made[CAPOS_CAP_SLOTS_MAX];

static int64_t make_all(bool facets, unsigned *count)
{
	int64_t status = 0;
	while (status == 0 && *count < CAPOS_CAP_SLOTS_MAX) {
		status = facets ? capos_endpoint_make_facet(endpoint, 1, &made[*count])
				: capos_endpoint_factory_create(
					  capos_caps.endpoint_factory, 1, &made[*count]);
		*count += status == 0;
	}
	return status;
}

static void memory_and_slots_run_out(void)
{
	struct capos_memory_usage before = program_usage();
	make(1, 2);
	for (int facets = 0; facets < 2; facets++) {
		unsigned count = 0;
		uint64_t size = 1ull << 30, range = commit_all(size);
		int64_t status = make_all(facets, &count);
		if (facets)
			CHECK_FAILS(ENDPOINT_MAKE_FACET, NO_MEMORY, status);
		else
			CHECK_FAILS(ENDPOINT_FACTORY_CREATE, NO_MEMORY, status);
		OK(vm_unmap(range, size));
		status = make_all(facets, &count);
		if (facets)
			CHECK_FAILS(ENDPOINT_MAKE_FACET, NO_SLOTS, status);
		else
			CHECK_FAILS(ENDPOINT_FACTORY_CREATE, NO_SLOTS, status);
		while (count)
			OK(capos_release(made[--count]));
	}
	OK(capos_release(facet));
	OK(capos_release(endpoint));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	RUN(calls_are_answered);
	RUN(errors_are_named);
	RUN(calls_wait_in_a_bounded_queue);
	RUN(ends_of_servers_disconnect);
	RUN(a_late_answer_reaches_nothing);
	RUN(notifications_do_not_end_calls);
	RUN(receivers_are_told);
	RUN(interrupted_calls_end_as_others);
	RUN(the_ring_has_no_form_of_others);
	RUN(memory_and_slots_run_out);
	/* The process ends while a thread receives, one waits for an answer, and one is served. */
	make(8, 3);
	struct registers r = { 0 };
	start_caller(&callers[0], ECHO);
	start_caller(&callers[1], ECHO);
	ENTER(&r, RECEIVE, endpoint, FOREVER);
	return check_result();
}
