/* Endpoint.bind: an event that is signalled for calls that no thread waits for and for facets
 * without a holder, so that a server waits for several endpoints by one event; changes of the
 * binding, ends in every order, and every error in both forms.
 *
 * // test: limit 24M
 */
#include "message.h"
#include "raw_thread.h"

#define BIT(n) (1ull << (n))

struct server {
	capos_cap_t endpoint, facet;
};

static struct server make(uint64_t tag)
{
	struct server server;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &server.endpoint));
	OK(capos_endpoint_make_facet(server.endpoint, tag, &server.facet));
	return server;
}

static void unmake(struct server server)
{
	if (server.facet)
		OK(capos_release(server.facet));
	OK(capos_release(server.endpoint));
}

struct caller {
	capos_cap_t facet;
	uint64_t calls, word;
	struct capos_thread *thread;
	volatile int64_t result;
};

static int64_t call_often(void *argument)
{
	struct caller *caller = argument;
	for (uint64_t i = 0; i < caller->calls; i++) {
		struct registers r = { .words = { i, caller->word } };
		caller->result = ENTER(&r, ENDPOINT_CALL, caller->facet, FOREVER);
		if (caller->result == 0 && (r.words[0] != i + 1 || r.words[1] != caller->word))
			caller->result = -1;
		if (caller->result != 0)
			break;
	}
	return 0;
}

static void start_caller(struct caller *caller, capos_cap_t facet, uint64_t calls)
{
	*caller = (struct caller){
		.facet = facet, .calls = calls, .word = (uintptr_t)caller, .result = -2
	};
	OK(capos_thread_start(&caller->thread, call_often, caller, NULL));
}

static void end_caller(struct caller *caller, int64_t result)
{
	OK(capos_thread_join_timeout(caller->thread, 20000 * MS_NS, NULL));
	CHECK_EQUAL(caller->result, result);
}

/* Receives and answers what there is; how many calls. gone: adds facets without a holder. */
static uint64_t serve_waiting(capos_cap_t endpoint, uint64_t *gone)
{
	struct registers r = { 0 };
	uint64_t calls = 0;
	int64_t got;
	while ((got = ENTER(&r, RECEIVE, endpoint, 0)) >= 0) {
		if (got == CAPOS_RECEIVE_RESULT_FACET_GONE) {
			(*gone)++;
			continue;
		}
		calls++;
		r.words[0]++;
		r.r15 = 0;
		CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), 1);
	}
	CHECK_EQUAL(got, CAPOS_E(TIMED_OUT));
	return calls;
}

static struct caller callers[8];

/* One thread serves two endpoints and learns of the ends of their facets. */
static void one_event_tells_of_several_endpoints(void)
{
	capos_cap_t event = event_create();
	struct server servers[2] = { make(1), make(2) };
	uint64_t calls[2] = { 0 }, gone[2] = { 0 };
	OK(capos_endpoint_bind(servers[0].endpoint, event, BIT(0), BIT(2)));
	OK(capos_endpoint_bind_message(servers[1].endpoint, event, BIT(1), BIT(3)));
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	for (unsigned i = 0; i < 6; i++)
		start_caller(&callers[i], servers[i % 2].facet, 200);
	while (calls[0] + calls[1] < 6 * 200) {
		uint64_t bits = event_take(event, ~0ull, FOREVER);
		CHECK(bits && !(bits & ~3ull));
		for (unsigned i = 0; i < 2; i++)
			if (bits & BIT(i))
				calls[i] += serve_waiting(servers[i].endpoint, &gone[i]);
	}
	for (unsigned i = 0; i < 6; i++)
		end_caller(&callers[i], 0);
	CHECK(calls[0] == 600 && calls[1] == 600 && gone[0] == 0 && gone[1] == 0);
	event_take(event, ~0ull, 0);
	for (unsigned i = 0; i < 2; i++) {
		OK(capos_release(servers[i].facet));
		CHECK_EQUAL(event_take(event, ~0ull, 0), BIT(2 + i));
		CHECK_EQUAL(serve_waiting(servers[i].endpoint, &gone[i]), 0);
		CHECK_EQUAL(gone[i], 1);
		servers[i].facet = 0;
		unmake(servers[i]);
	}
	OK(capos_release(event));
}

/* A call that a thread waits for signals nothing. */
static int64_t receive_once(void *server)
{
	struct registers r = { 0 };
	if (ENTER(&r, RECEIVE, ((struct server *)server)->endpoint, FOREVER) !=
		CAPOS_RECEIVE_RESULT_CALL)
		return 1;
	r.words[0]++;
	r.r15 = 0;
	return ENTER(&r, REPLY, 0, 0) == 1 ? 0 : 2; /* it has reached the caller */
}

static void a_thread_that_waits_is_served_first(void)
{
	capos_cap_t event = event_create();
	struct server server = make(3);
	struct capos_thread *thread;
	struct capos_thread_info info;
	int64_t result = -1;
	OK(capos_endpoint_bind(server.endpoint, event, 1, 2));
	OK(capos_thread_start(&thread, receive_once, &server, NULL));
	raw_wait_blocked(capos_thread_handle(thread), &info);
	start_caller(&callers[0], server.facet, 1);
	end_caller(&callers[0], 0);
	OK(capos_thread_join(thread, &result));
	CHECK_EQUAL(result, 0);
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	unmake(server);
	OK(capos_release(event));
}

static void what_waits_when_it_is_bound_counts(void)
{
	capos_cap_t event = event_create(), other = event_create();
	struct server server = make(4);
	struct capos_thread_info info;
	uint64_t gone = 0;
	start_caller(&callers[0], server.facet, 1);
	raw_wait_blocked(capos_thread_handle(callers[0].thread), &info);
	OK(capos_endpoint_bind(server.endpoint, event, 4, 8));
	CHECK_EQUAL(event_take(event, ~0ull, 0), 4);
	OK(capos_endpoint_bind(server.endpoint, other, 0, 8));
	CHECK_EQUAL(event_take(other, ~0ull, 0), 0);
	OK(capos_release(server.facet));
	CHECK_EQUAL(event_take(other, ~0ull, 0), 0); /* its call is still open */
	CHECK_EQUAL(receive_once(&server), 0);
	end_caller(&callers[0], 0);
	CHECK_EQUAL(event_take(other, ~0ull, 20000 * MS_NS + capos_now_ns()), 8);
	OK(capos_endpoint_bind(server.endpoint, 0, ~0ull, ~0ull));
	OK(capos_endpoint_bind(server.endpoint, event, 16, 32));
	CHECK_EQUAL(event_take(event, ~0ull, 0), 32);
	CHECK_EQUAL(event_take(other, ~0ull, 0), 0);
	serve_waiting(server.endpoint, &gone);
	CHECK_EQUAL(gone, 1);
	OK(capos_endpoint_make_facet(server.endpoint, 5, &server.facet));
	OK(capos_endpoint_bind(server.endpoint, 0, 0, 0));
	start_caller(&callers[0], server.facet, 1);
	raw_wait_blocked(capos_thread_handle(callers[0].thread), &info);
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0); /* nothing is bound */
	OK(capos_release(server.endpoint));
	end_caller(&callers[0], CAPOS_E(DISCONNECTED));
	OK(capos_release(server.facet));
	OK(capos_release(event));
	OK(capos_release(other));
}

static void arguments_are_checked(void)
{
	capos_cap_t event = event_create();
	struct server server = make(6);
	const capos_cap_t wrong[] = { capos_caps.vm, server.endpoint, server.facet, event ^ 0x10000,
		0xffffffff };
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		CHECK_FAILS(ENDPOINT_BIND, NOT_FOUND,
			capos_endpoint_bind(server.endpoint, wrong[i], 1, 1));
		CHECK_FAILS(ENDPOINT_BIND, NOT_FOUND,
			capos_endpoint_bind_message(server.endpoint, wrong[i], 1, 1));
	}
	CHECK_EQUAL(
		capos_endpoint_bind(server.facet, event, 1, 1), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	unmake(server);
	OK(capos_release(event));
}

/* ---- notifications and ends while calls are signalled ---- */

static volatile uint32_t handled;

static void count_handled(uint32_t kind, struct capos_thread_state *state)
{
	(void)kind, (void)state;
	__atomic_fetch_add((uint32_t *)&handled, 1, __ATOMIC_SEQ_CST);
}

static int64_t call_notified(void *argument)
{
	capos_notification_set_handler(count_handled);
	return call_often(argument);
}

static void notifications_end_no_call(void)
{
	capos_cap_t event = event_create();
	struct server server = make(7);
	uint64_t calls = 0, gone = 0, bits = 0;
	OK(capos_endpoint_bind(server.endpoint, event, 1, 2));
	callers[0] = (struct caller){ .facet = server.facet, .calls = 300, .word = 9 };
	OK(capos_thread_start(&callers[0].thread, call_notified, &callers[0], NULL));
	for (uint64_t i = 0; calls < 300 && i < 100000; i++) {
		capos_thread_handle_notify(
			capos_thread_handle(callers[0].thread), CAPOS_NOTIFY_USER_FIRST, i);
		int64_t status = capos_event_wait(event, 1, capos_now_ns() + MS_NS, &bits);
		if (status == 0)
			calls += serve_waiting(server.endpoint, &gone);
	}
	CHECK_EQUAL(calls, 300);
	end_caller(&callers[0], 0);
	CHECK(handled > 0);
	unmake(server);
	OK(capos_release(event));
}

static capos_cap_t raced;
static volatile bool stop;

static int64_t bind_and_release(void *argument)
{
	(void)argument;
	for (uint64_t i = 0; !stop; i++) {
		capos_cap_t event;
		if (capos_event_factory_create(capos_caps.event_factory, &event) < 0)
			return 1;
		int64_t status = capos_endpoint_bind(raced, i % 3 ? event : 0, 1, 2);
		if (status != 0 && status != CAPOS_TRANSPORT_E(INVOKE_FAILED))
			return 2;
		if (capos_release(event) < 0)
			return 3;
	}
	return 0;
}

/* Events and the endpoint end while events are bound and calls come. */
static void ends_meet(void)
{
	struct capos_memory_usage before = program_usage();
	for (unsigned round = 0; round < 40; round++) {
		struct server server = make(round);
		struct capos_thread *binders[2];
		struct registers r = { 0 };
		int64_t result = -1;
		stop = false;
		raced = server.endpoint;
		for (unsigned i = 0; i < 2; i++)
			OK(capos_thread_start(&binders[i], bind_and_release, NULL, NULL));
		start_caller(&callers[0], server.facet, 1000);
		for (unsigned i = 0; i < 20; i++)
			if (ENTER(&r, RECEIVE, server.endpoint, FOREVER) >= 0) {
				r.words[0]++;
				r.r15 = 0;
				CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), 1);
			}
		OK(capos_release(server.endpoint));
		end_caller(&callers[0], CAPOS_E(DISCONNECTED));
		OK(capos_release(server.facet));
		stop = true;
		for (unsigned i = 0; i < 2; i++) {
			OK(capos_thread_join(binders[i], &result));
			CHECK_EQUAL(result, 0);
		}
	}
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	start_caller(&callers[0], 0, 0); /* the first keeps its stack */
	end_caller(&callers[0], -2);
	RUN(one_event_tells_of_several_endpoints);
	RUN(a_thread_that_waits_is_served_first);
	RUN(what_waits_when_it_is_bound_counts);
	RUN(arguments_are_checked);
	RUN(notifications_end_no_call);
	RUN(ends_meet);
	/* The process ends with an event bound and a call that waits. */
	struct server server = make(8);
	OK(capos_endpoint_bind(server.endpoint, event_create(), 1, 2));
	start_caller(&callers[0], server.facet, 1);
	return check_result();
}
