/* Calls of threads that take turns on one CPU, which goes straight from one to the other: what
 * else can happen to either while it waits so. endpoint.c has the operations themselves.
 *
 * // test: limit 24M
 */
#include "message.h"
#include "raw_thread.h"

#define TAG 11
#define LATE (20000 * MS_NS)

static capos_cap_t endpoint, facet;

/* Each thread of the test, as all begin with it. */
static void stay_on_one_cpu(void)
{
	OK(capos_thread_handle_set_affinity(capos_thread_handle(capos_thread_self()), 1));
}

/* ---- a server that holds calls back ---- */

static volatile bool holds, held;
static struct capos_thread *server;

static void wait_until(const volatile bool *condition, bool value)
{
	while (*condition != value)
		capos_thread_yield();
}

static int64_t serve(void *unused)
{
	(void)unused;
	stay_on_one_cpu();
	capos_notification_set_handler(record_fault);
	struct registers r = { 0 };
	int64_t got = ENTER(&r, RECEIVE, endpoint, FOREVER);
	while (got == CAPOS_RECEIVE_RESULT_CALL) {
		CHECK_EQUAL(r.rdi, TAG);
		held = true;
		wait_until(&holds, false);
		for (int i = 0; i < 8; i++)
			r.words[i] += 100;
		got = ENTER(&r, REPLY_RECEIVE, endpoint, FOREVER);
	}
	return got;
}

static void wait_for(struct capos_thread *thread)
{
	struct capos_thread_info info;
	raw_wait_blocked(capos_thread_handle(thread), &info);
}

static void start_server(bool begins_to_hold)
{
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, TAG, &facet));
	holds = begins_to_hold;
	held = false;
	OK(capos_thread_start(&server, serve, NULL, NULL));
	wait_for(server);
}

/* The server gets the end of the facet when its last call is over. */
static void end_server(void)
{
	int64_t result = -1;
	if (facet)
		OK(capos_release(facet));
	OK(capos_thread_join_timeout(server, LATE, &result));
	CHECK_EQUAL(result, CAPOS_RECEIVE_RESULT_FACET_GONE);
	OK(capos_release(endpoint));
}

static int64_t call_with(struct registers *r, uint64_t first, uint64_t deadline_ns)
{
	for (uint64_t i = 0; i < 8; i++)
		r->words[i] = first + i;
	return ENTER(r, ENDPOINT_CALL, facet, deadline_ns);
}

static void check_answer(const struct registers *r, uint64_t first)
{
	for (uint64_t i = 0; i < 8; i++)
		CHECK_EQUAL(r->words[i], first + i + 100);
}

/* ---- a caller that waits for such a server ---- */

static struct {
	struct capos_thread *thread;
	struct registers r;
	volatile bool ended;
	volatile int64_t result;
} caller;

static volatile uint32_t handled;

static void handle(uint32_t kind, struct capos_thread_state *state)
{
	struct registers r = { 0 };
	if (kind < CAPOS_NOTIFY_USER_FIRST) {
		record_fault(kind, state);
		return;
	}
	if (state->value)
		CHECK_EQUAL(ENTER(&r, CANCEL, 0, 0), 0);
	handled++;
}

static int64_t call(void *unused)
{
	(void)unused;
	stay_on_one_cpu();
	capos_notification_set_handler(handle);
	caller.result = call_with(&caller.r, 7, FOREVER);
	caller.ended = true;
	return 0;
}

static void start_caller(void)
{
	caller.ended = false;
	start_server(true);
	OK(capos_thread_start(&caller.thread, call, NULL, NULL));
	wait_until(&held, true);
	wait_for(caller.thread);
}

static void end_caller(int64_t result)
{
	OK(capos_thread_join_timeout(caller.thread, LATE, NULL));
	CHECK_EQUAL(caller.result, result);
	if (!result)
		check_answer(&caller.r, 7);
}

static void notify_caller(uint64_t value)
{
	uint32_t before = handled;
	OK(capos_thread_handle_notify(
		capos_thread_handle(caller.thread), CAPOS_NOTIFY_USER_FIRST, value));
	while (handled == before)
		capos_thread_yield();
}

/* ---- tests ---- */

static void turns_with_and_without_deadlines(void)
{
	struct registers r = { 0 };
	start_server(false);
	for (uint64_t i = 0; i < 300; i++) {
		CHECK_EQUAL(call_with(&r, i, i % 3 ? FOREVER : capos_now_ns() + LATE), 0);
		check_answer(&r, i);
	}
	end_server();
}

static void a_caller_is_notified(void)
{
	start_caller();
	notify_caller(0);
	wait_for(caller.thread);
	notify_caller(0);
	holds = false;
	end_caller(0);
	end_server();
}

static void a_caller_gives_up(void)
{
	start_caller();
	notify_caller(1);
	end_caller(CAPOS_E(CANCELLED));
	holds = false;
	end_server();
}

static void the_last_facet_goes_with_the_call(void)
{
	start_caller();
	OK(capos_release(facet));
	facet = 0;
	holds = false;
	end_caller(0);
	end_server();
}

static void a_caller_is_suspended(void)
{
	capos_cap_t handle;
	start_caller();
	handle = capos_thread_handle(caller.thread);
	OK(capos_thread_handle_suspend(handle));
	holds = false;
	wait_for(server);
	CHECK(!caller.ended);
	OK(capos_thread_handle_resume(handle));
	end_caller(0);
	end_server();
}

static void a_server_is_suspended(void)
{
	capos_cap_t handle;
	struct registers r = { 0 };
	start_server(false);
	handle = capos_thread_handle(server);
	CHECK_EQUAL(call_with(&r, 1, FOREVER), 0);
	OK(capos_thread_handle_suspend(handle));
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, TIMED_OUT, call_with(&r, 2, capos_now_ns() + 5 * MS_NS));
	OK(capos_thread_handle_resume(handle));
	CHECK_EQUAL(call_with(&r, 3, FOREVER), 0);
	check_answer(&r, 3);
	end_server();
}

/* Both sides leave their stacks to the other, and end there. */
static void the_endpoint_goes(void)
{
	int64_t result = 0;
	struct registers r = { 0 };
	start_server(false);
	CHECK_EQUAL(call_with(&r, 1, FOREVER), 0);
	OK(capos_release(endpoint));
	OK(capos_thread_join_timeout(server, LATE, &result));
	CHECK_EQUAL(result, CAPOS_E(DISCONNECTED));
	CHECK_EQUAL(call_with(&r, 2, FOREVER), CAPOS_E(DISCONNECTED));
	OK(capos_release(facet));
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	stay_on_one_cpu();
	RUN(turns_with_and_without_deadlines);
	RUN(a_caller_is_notified);
	RUN(a_caller_gives_up);
	RUN(the_last_facet_goes_with_the_call);
	RUN(a_caller_is_suspended);
	RUN(a_server_is_suspended);
	RUN(the_endpoint_goes);
	return check_result();
}
