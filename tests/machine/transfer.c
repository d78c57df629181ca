/* Capabilities in messages of endpoint calls, between threads of one process: copies and moves each
 * way, and what each side holds after each failure. Every test ends with as many capabilities as it
 * began with.
 *
 * // test: limit 24M
 */
#include "raw_thread.h"

#define FOREVER CAPOS_WAIT_FOREVER
#define MOVES CAPOS_MESSAGE_MOVES
#define TAKES CAPOS_MESSAGE_TAKES

static capos_cap_t endpoint, facet, kept;

static void make(void)
{
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 2, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	OK(capos_endpoint_accept(endpoint, 1));
}

static void unmake(void)
{
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

/* Signals by one capability, and takes the bits by the other. */
static bool same_event(capos_cap_t one, capos_cap_t other)
{
	uint64_t bits = 0;
	return capos_event_signal(one, 4) == 0 && capos_event_wait(other, 4, 0, &bits) == 0;
}

static bool is_held(capos_cap_t event)
{
	return same_event(event, event);
}

static uint32_t slots(void)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	return info.capabilities;
}

/* ---- a server ---- */

/* Word 0 of a message. */
enum { SIGNAL, KEEP, GIVE, STOP };

static int64_t serve(void *unused)
{
	struct capos_message m = { { 0 } };
	capos_cap_t cap = 0;
	uint64_t tag;
	(void)unused;
	int64_t got = capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER);
	while (got == CAPOS_RECEIVE_RESULT_CALL) {
		uint64_t what = m.words[0];
		capos_cap_t came = cap;
		uint32_t flags = 0;
		cap = 0;
		if (what == SIGNAL && came) {
			OK(capos_event_signal(came, 2));
			OK(capos_release(came));
		} else if (what == KEEP) {
			kept = came;
		} else if (what == GIVE) {
			kept = came;
			cap = (capos_cap_t)m.words[1];
			flags = (uint32_t)m.words[2];
		} else if (what == STOP) {
			OK(capos_release(facet)); /* so that the next receive ends */
		}
		got = capos_endpoint_reply_receive_cap(
			endpoint, &m, &cap, flags, (uint32_t)m.words[3], &tag, FOREVER);
	}
	return got;
}

static struct capos_thread *start_server(void)
{
	struct capos_thread *thread;
	make();
	OK(capos_thread_start(&thread, serve, NULL, NULL));
	return thread;
}

/* *cap: as for capos_endpoint_call_cap. */
static int64_t call(uint64_t what, uint64_t a, uint64_t b, capos_cap_t *cap, uint32_t flags)
{
	struct capos_message m = { { what, a, b } };
	return capos_endpoint_call_cap(facet, &m, cap, flags, FOREVER);
}

static int64_t send(uint64_t what, capos_cap_t cap, uint32_t flags)
{
	return call(what, 0, 0, &cap, flags);
}

static void stop_server(struct capos_thread *server)
{
	int64_t result = 0;
	OK(send(STOP, 0, 0));
	OK(capos_thread_join_timeout(server, 20000 * MS_NS, &result));
	CHECK_EQUAL(result, CAPOS_RECEIVE_RESULT_FACET_GONE);
	OK(capos_release(endpoint));
}

/* ---- what is held after success ---- */

static void copies_go_each_way(void)
{
	uint32_t before = slots();
	struct capos_thread *server = start_server();
	capos_cap_t event = event_create(), cap = event;
	uint64_t bits = 0;
	OK(send(SIGNAL, event, 0));
	OK(capos_event_wait(event, 2, 0, &bits));
	for (int round = 0; round < 500; round++) {
		cap = event;
		OK(call(GIVE, event, 0, &cap, TAKES)); /* it comes back as another one */
		CHECK(cap && cap != event && same_event(cap, event));
		OK(capos_release(cap));
		CHECK(kept && kept != event && same_event(kept, event));
		OK(capos_release(kept));
		OK(send(KEEP, event, 0));
		CHECK(kept && kept != event && same_event(event, kept));
		OK(capos_release(kept));
		CHECK(is_held(event));
	}
	cap = capos_caps.timer; /* one that never ends */
	OK(call(KEEP, 0, 0, &cap, 0));
	uint64_t now = 0, tick = 0;
	OK(capos_timer_now(kept, &now, &tick));
	OK(capos_release(kept));
	OK(capos_release(event));
	stop_server(server);
	CHECK_EQUAL(slots(), before);
}

static void moves_empty_the_slot(void)
{
	uint32_t before = slots();
	struct capos_thread *server = start_server();
	capos_cap_t event = event_create(), other = event_create(), cap;
	for (int round = 0; round < 500; round++) {
		OK(send(KEEP, event, MOVES));
		CHECK(!is_held(event));
		event = kept;
		CHECK(is_held(event));
		cap = 0;
		OK(call(GIVE, event, MOVES, &cap, TAKES));
		CHECK(!is_held(event));
		event = cap;
		CHECK(is_held(event));
	}
	cap = event; /* one goes, another one comes */
	OK(call(GIVE, other, MOVES, &cap, MOVES | TAKES));
	CHECK(is_held(cap) && is_held(kept) && !is_held(event) && !is_held(other));
	OK(capos_release(cap));
	OK(capos_release(kept));
	stop_server(server);
	CHECK_EQUAL(slots(), before);
}

/* With an error, and without one having been asked for. */
static void an_answer_may_bring_none(void)
{
	uint32_t before = slots();
	struct capos_thread *server = start_server();
	capos_cap_t event = event_create(), cap = 0;
	OK(call(SIGNAL, 0, 0, &cap, TAKES)); /* nothing came, and nothing was signalled */
	CHECK_EQUAL(cap, 0);
	OK(call(GIVE, event, 0, &cap, 0));
	CHECK_EQUAL(cap, 0);
	struct capos_message m = { { GIVE, event, 0, CAPOS_ERROR_NO_MEMORY } };
	CHECK_EQUAL(capos_endpoint_call_cap(facet, &m, &cap, TAKES, FOREVER), CAPOS_E(NO_MEMORY));
	CHECK(same_event(cap, event));
	OK(capos_release(cap));
	CHECK(is_held(event));
	cap = 0;
	OK(call(GIVE, event, MOVES, &cap, 0)); /* the server is not told, so it is gone */
	CHECK(!is_held(event));
	stop_server(server);
	CHECK_EQUAL(slots(), before);
}

/* The last capability for an object counts while it is in a message: here that for an endpoint. */
static void what_is_in_flight_does_not_end(void)
{
	uint32_t before = slots();
	struct capos_thread *server = start_server();
	capos_cap_t inner = 0, inner_facet = 0;
	struct capos_message m = { { 0 } };
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 1, &inner));
	OK(capos_endpoint_make_facet(inner, 1, &inner_facet));
	OK(send(KEEP, inner, MOVES));
	CHECK_EQUAL(capos_endpoint_call(inner_facet, &m, 1), CAPOS_E(TIMED_OUT));
	OK(capos_release(kept));
	CHECK_EQUAL(capos_endpoint_call(inner_facet, &m, 1), CAPOS_E(DISCONNECTED));
	OK(capos_release(inner_facet));
	stop_server(server);
	CHECK_EQUAL(slots(), before);
}

/* ---- what is held after a failure ---- */

struct caller {
	struct capos_thread *thread;
	capos_cap_t cap;
	uint32_t flags;
	volatile int64_t result;
};

static void handle_by_cancelling(uint32_t kind, struct capos_thread_state *state)
{
	if (kind < CAPOS_NOTIFY_USER_FIRST) {
		record_fault(kind, state);
		return;
	}
	if (state->value)
		capos_register_call(CAPOS_OPCODE_CANCEL, 0, 0, 0, 0, 0, 0);
}

static int64_t call_once(void *argument)
{
	struct caller *caller = argument;
	struct capos_message m = { { 5, 6 } };
	capos_notification_set_handler(handle_by_cancelling);
	caller->result = capos_endpoint_call_cap(facet, &m, &caller->cap, caller->flags, FOREVER);
	return 0;
}

static void start_caller(struct caller *caller, capos_cap_t cap, uint32_t flags)
{
	struct capos_thread_info info;
	*caller = (struct caller){ .cap = cap, .flags = flags, .result = -1 };
	OK(capos_thread_start(&caller->thread, call_once, caller, NULL));
	raw_wait_blocked(capos_thread_handle(caller->thread), &info);
}

static void end_caller(struct caller *caller, int64_t result)
{
	OK(capos_thread_join_timeout(caller->thread, 20000 * MS_NS, NULL));
	CHECK_EQUAL(caller->result, result);
}

/* While the call waits, what is to move is in no slot. What was not taken comes back under its
 * id. */
static void calls_that_are_not_received_change_nothing(void)
{
	uint32_t before = slots();
	capos_cap_t event = event_create();
	struct caller caller;
	for (uint32_t flags = 0; flags <= MOVES; flags += MOVES) {
		make();
		struct capos_message m = { { 0 } };
		capos_cap_t cap = event;
		CHECK_EQUAL(capos_endpoint_call_cap(facet, &m, &cap, flags | TAKES, 1),
			CAPOS_E(TIMED_OUT));
		CHECK(is_held(event) && cap == 0);
		start_caller(&caller, event, flags | TAKES);
		CHECK_EQUAL(is_held(event), !flags);
		CHECK_EQUAL(capos_release(event) == 0, !flags);
		if (!flags)
			event = event_create();
		OK(capos_thread_handle_notify(
			capos_thread_handle(caller.thread), CAPOS_NOTIFY_USER_FIRST, 1));
		end_caller(&caller, CAPOS_E(CANCELLED));
		CHECK(is_held(event));
		start_caller(&caller, event, flags | TAKES);
		OK(capos_endpoint_revoke(endpoint, facet));
		end_caller(&caller, CAPOS_E(DISCONNECTED));
		CHECK(is_held(event));
		OK(capos_release(facet));
		OK(capos_endpoint_make_facet(endpoint, 2, &facet));
		start_caller(&caller, event, flags);
		OK(capos_release(endpoint));
		end_caller(&caller, CAPOS_E(DISCONNECTED));
		CHECK(is_held(event));
		OK(capos_release(facet));
	}
	OK(capos_release(event));
	CHECK_EQUAL(slots(), before);
}

/* The call waits as before when the handler has run, and an answer may come meanwhile. */
static void notifications_do_not_end_transfers(void)
{
	uint32_t before = slots();
	capos_cap_t event = event_create(), other = event_create(), cap = 0;
	struct capos_message m = { { 0 } };
	struct caller caller;
	uint64_t tag;
	make();
	start_caller(&caller, event, MOVES | TAKES);
	capos_cap_t handle = capos_thread_handle(caller.thread);
	OK(capos_thread_handle_notify(handle, CAPOS_NOTIFY_USER_FIRST, 0));
	CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	CHECK(m.words[1] == 6 && is_held(cap) && !is_held(event));
	OK(capos_release(cap));
	OK(capos_thread_handle_suspend(handle));
	OK(capos_thread_handle_notify(handle, CAPOS_NOTIFY_USER_FIRST, 0));
	CHECK_EQUAL(capos_endpoint_reply_cap(&m, other, MOVES, 0), CAPOS_REPLY_RESULT_ANSWERED);
	OK(capos_thread_handle_resume(handle));
	end_caller(&caller, 0);
	CHECK(is_held(caller.cap) && !is_held(other));
	OK(capos_release(caller.cap));
	unmake();
	CHECK_EQUAL(slots(), before);
}

static void answers_that_nothing_gets_are_kept(void)
{
	uint32_t before = slots();
	capos_cap_t event = event_create(), cap = 0;
	struct capos_message m = { { 0 } };
	struct caller caller;
	uint64_t tag;
	make();
	for (int round = 0; round < 2; round++) {
		start_caller(&caller, 0, round ? TAKES : 0);
		CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER),
			CAPOS_RECEIVE_RESULT_CALL);
		if (round) /* gives the call up */
			OK(capos_thread_handle_notify(
				capos_thread_handle(caller.thread), CAPOS_NOTIFY_USER_FIRST, 1));
		if (round)
			end_caller(&caller, CAPOS_E(CANCELLED));
		CHECK_EQUAL(capos_endpoint_reply_cap(&m, event, MOVES, 0),
			round ? CAPOS_REPLY_RESULT_GONE : CAPOS_REPLY_RESULT_NOT_TAKEN);
		if (!round)
			end_caller(&caller, 0);
		CHECK(is_held(event) && caller.cap == 0);
	}
	start_caller(&caller, 0, TAKES);
	CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(capos_endpoint_reply_cap(&m, event, 0, 0), CAPOS_REPLY_RESULT_ANSWERED);
	end_caller(&caller, 0);
	CHECK(same_event(caller.cap, event));
	OK(capos_release(caller.cap));
	OK(capos_release(event));
	unmake();
	CHECK_EQUAL(slots(), before);
}

#define CALL_FAILS(error, cap, flags) \
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, error, send(KEEP, cap, flags))
#define REPLY_FAILS(error, cap, flags, code)                                                      \
	do {                                                                                      \
		capos_cap_t reply_cap = cap;                                                      \
		CHECK_FAILS(OPCODE_REPLY, error, capos_endpoint_reply_cap(&m, cap, flags, code)); \
		CHECK_FAILS(OPCODE_REPLY_RECEIVE, error,                                          \
			capos_endpoint_reply_receive_cap(                                         \
				endpoint, &m, &reply_cap, flags, code, &tag, 0));                 \
	} while (0)

static void what_cannot_go_is_refused(void)
{
	uint32_t before = slots();
	capos_cap_t event = event_create(), stale = event_create(), cap = 0;
	struct capos_message m = { { 0 } };
	struct caller caller;
	uint64_t tag;
	OK(capos_release(stale));
	make();
	CHECK_FAILS(ENDPOINT_ACCEPT, INVALID_ARGUMENT, capos_endpoint_accept(endpoint, 2));
	for (uint32_t flags = 0; flags <= MOVES; flags += MOVES) {
		CALL_FAILS(NOT_FOUND, stale, flags | TAKES);
		CALL_FAILS(NOT_FOUND, 0x12345678, flags);
		CALL_FAILS(NOT_FOUND, ~0u, flags);
		start_caller(&caller, 0, 0);
		CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER),
			CAPOS_RECEIVE_RESULT_CALL);
		REPLY_FAILS(NOT_FOUND, stale, flags, 0);
		REPLY_FAILS(INVALID_ARGUMENT, event, flags | TAKES, 0);
		REPLY_FAILS(INVALID_ARGUMENT, event, flags, 4000);
		CHECK_EQUAL(capos_endpoint_reply_cap(&m, 0, 0, 0), CAPOS_REPLY_RESULT_ANSWERED);
		CHECK_FAILS(OPCODE_REPLY, WRONG_STATE, capos_endpoint_reply_cap(&m, event, 0, 0));
		end_caller(&caller, 0);
		OK(capos_endpoint_accept(endpoint, 0)); /* as it is at first */
		CALL_FAILS(NO_RIGHTS, event, flags);
		OK(capos_endpoint_accept(endpoint, 1));
		CHECK(is_held(event));
	}
	CALL_FAILS(INVALID_ARGUMENT, 0, MOVES);
	CALL_FAILS(INVALID_ARGUMENT, event, TAKES << 1);
	CALL_FAILS(INVALID_ARGUMENT, event, CAPOS_ERROR_NO_MEMORY);
	cap = event; /* an endpoint is nothing to call */
	CHECK_EQUAL(capos_endpoint_call_cap(endpoint, &m, &cap, MOVES, FOREVER),
		-CAPOS_TRANSPORT_ERROR_INVOKE_FAILED);
	OK(capos_release(event));
	unmake();
	CHECK_EQUAL(slots(), before);
}

/* ---- full tables ---- */

static capos_cap_t filled[CAPOS_CAP_SLOTS_MAX];

/* Asks the server for copies until there is no more room. */
static int64_t fill(capos_cap_t event, unsigned *count)
{
	int64_t status = 0;
	while (status == 0 && *count < CAPOS_CAP_SLOTS_MAX) {
		filled[*count] = 0;
		status = call(GIVE, event, 0, &filled[*count], TAKES);
		*count += status == 0;
	}
	return status;
}

static void a_full_table_refuses(void)
{
	struct capos_memory_usage usage = program_usage();
	uint32_t before = slots();
	struct capos_thread *server = start_server();
	capos_cap_t event = event_create(), cap = 0;
	unsigned count = 0;
	OK(call(GIVE, event, 0, &cap, TAKES)); /* so that all stacks have what they need */
	OK(capos_release(cap));
	uint64_t size = 1ull << 30, range = commit_all(size);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, NO_MEMORY, fill(event, &count));
	OK(vm_unmap(range, size));
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, NO_SLOTS, fill(event, &count));
	for (uint32_t flags = 0; flags <= MOVES; flags += MOVES) {
		CALL_FAILS(NO_SLOTS, event, flags | TAKES);
		CHECK(is_held(event));
		/* The server is of this process, so it has no room either. */
		CALL_FAILS(LIMIT_REACHED, event, flags);
		CHECK(is_held(event));
		OK(call(SIGNAL, 0, 0, &(capos_cap_t){ 0 }, 0)); /* it goes on */
	}
	CHECK_EQUAL(slots(), CAPOS_CAP_SLOTS_MAX - 1);
	OK(capos_release(filled[--count])); /* room for one */
	cap = 0;
	OK(call(GIVE, event, MOVES, &cap, TAKES));
	CHECK(is_held(cap) && !is_held(event));
	OK(capos_release(cap));
	while (count)
		OK(capos_release(filled[--count]));
	stop_server(server);
	CHECK_EQUAL(slots(), before);
	CHECK_EQUAL(program_usage().committed_pages, usage.committed_pages);
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	RUN(copies_go_each_way);
	RUN(moves_empty_the_slot);
	RUN(an_answer_may_bring_none);
	RUN(what_is_in_flight_does_not_end);
	RUN(calls_that_are_not_received_change_nothing);
	RUN(notifications_do_not_end_transfers);
	RUN(answers_that_nothing_gets_are_kept);
	RUN(what_cannot_go_is_refused);
	RUN(a_full_table_refuses);
	/* The process ends while a capability is in the queue, and one is received. */
	make();
	struct caller first, second;
	start_caller(&first, event_create(), MOVES | TAKES);
	start_caller(&second, event_create(), TAKES);
	struct capos_message m = { { 0 } };
	capos_cap_t cap = 0;
	uint64_t tag;
	capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER);
	return check_result();
}
