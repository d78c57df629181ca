/* Capabilities in messages between processes: each way, with either side killed at each point, a
 * server whose table is full, one that never asked, and floods. Every test ends with as many
 * capabilities as it began with, and the kernel compares its counts of objects and frames after the
 * program.
 */
#include "spawn.h"

#define FOREVER CAPOS_WAIT_FOREVER
#define MOVES CAPOS_MESSAGE_MOVES
#define TAKES CAPOS_MESSAGE_TAKES

static capos_cap_t endpoint, facet;

static bool is_signalled(capos_cap_t event)
{
	uint64_t bits = 0;
	return capos_event_wait(event, 1, 0, &bits) == 0;
}

static bool is_held(capos_cap_t event)
{
	return capos_event_signal(event, 1) == 0 && is_signalled(event);
}

static uint32_t slots(void)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	return info.capabilities;
}

/* ---- roles ---- */

/* Word 0 of a message to role_serve. */
enum { SIGNAL = 1, RETURN, KEEP, FILL, LEAVE };

static uint32_t handle(void *context, uint64_t tag, struct capos_message *m, capos_cap_t *cap)
{
	capos_cap_t came = *cap, made = 0;
	(void)context, (void)tag;
	switch (m->words[0]) {
	case SIGNAL:
		m->words[1] = (uint64_t)capos_event_signal(came, 1);
		capos_release(came);
		break;
	case RETURN:
		return 0; /* it goes back as it came */
	case KEEP:
		break;
	case FILL:
		while (capos_event_factory_create(capos_cap("event_factory"), &made) == 0)
			;
		break;
	case LEAVE:
		capos_exit(5, CAPOS_EXIT_SCOPE_PROCESS);
	}
	*cap = 0;
	return 0;
}

static int role_serve(int argc, char **argv)
{
	uint64_t tag;
	(void)argc, (void)argv;
	int64_t end = capos_endpoint_serve_cap(capos_cap("endpoint"), handle, NULL, &tag);
	return end == CAPOS_RECEIVE_RESULT_FACET_GONE ? 0 : 1;
}

/* Serves until the end, and holds as much then as before. */
static int role_return(int argc, char **argv)
{
	uint32_t before = slots();
	int result = role_serve(argc, argv);
	return result == 0 && slots() != before ? 3 : result;
}

/* Sends a capability that it makes, and waits for the answer. */
static int role_send(int argc, char **argv)
{
	capos_cap_t cap = 0;
	struct capos_message m = { { 0 } };
	(void)argc, (void)argv;
	if (capos_event_factory_create(capos_cap("event_factory"), &cap) != 0)
		return 1;
	return capos_endpoint_call_cap(capos_cap("facet"), &m, &cap, MOVES | TAKES, FOREVER) == 0
		? 0
		: 2;
}

/* Gets the handle of its own process, for which it cannot wait. */
static int role_own(int argc, char **argv)
{
	capos_cap_t own_handle = 0;
	struct capos_message m = { { 0 } };
	struct capos_process_end end;
	(void)argc, (void)argv;
	if (capos_endpoint_call_cap(capos_cap("facet"), &m, &own_handle, TAKES, FOREVER) != 0)
		return 1;
	return capos_process_wait(own_handle, 0, &end, sizeof end) == CAPOS_E(WRONG_STATE) ? 7 : 2;
}

/* Sends more than the server has room for, and goes on. */
static int role_flood(int argc, char **argv)
{
	struct capos_message m = { { KEEP } };
	int refused = 0;
	(void)argc, (void)argv;
	for (unsigned i = 0; i < CAPOS_CAP_SLOTS_MAX + 100; i++) {
		capos_cap_t cap = capos_caps.timer;
		int64_t status = capos_endpoint_call_cap(capos_cap("facet"), &m, &cap, 0, FOREVER);
		if (status == CAPOS_E(LIMIT_REACHED))
			refused++;
		else if (status != 0)
			return 1;
	}
	return refused >= 100 ? 0 : 2;
}

static const struct role roles[] = { { "serve", role_serve }, { "send", role_send },
	{ "own", role_own }, { "flood", role_flood }, { "return", role_return } };

/* ---- the parent ---- */

static void make(void)
{
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	OK(capos_endpoint_accept(endpoint, 1));
}

static capos_cap_t start(const char *role, const char *name, capos_cap_t cap)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, NULL);
	capos_cap_t process = 0;
	grant(&grants, "event_factory", capos_caps.event_factory);
	grant(&grants, name, cap);
	OK(spawn_with(&grants, &args, 0, &process));
	return process;
}

static capos_cap_t start_server(void)
{
	make();
	capos_cap_t server = start("serve", "endpoint", endpoint);
	OK(capos_release(endpoint));
	return server;
}

static capos_cap_t start_client(const char *role)
{
	make();
	capos_cap_t client = start(role, "facet", facet);
	OK(capos_release(facet));
	return client;
}

static int64_t call(uint64_t what, capos_cap_t *cap, uint32_t flags)
{
	struct capos_message m = { { what } };
	return capos_endpoint_call_cap(facet, &m, cap, flags, FOREVER);
}

static int64_t send(uint64_t what, capos_cap_t cap, uint32_t flags)
{
	return call(what, &cap, flags);
}

static void capabilities_go_there_and_back(void)
{
	uint32_t before = slots();
	capos_cap_t server = start_server(), event = event_create(), cap;
	OK(send(SIGNAL, event, 0));
	CHECK(is_signalled(event));
	for (int round = 0; round < 300; round++) {
		cap = event;
		OK(call(RETURN, &cap, MOVES | TAKES));
		CHECK(cap && is_held(cap) && !is_held(event));
		event = cap;
	}
	OK(capos_release(event));
	OK(capos_release(facet));
	finishes(server, CAPOS_EXIT_KIND_EXITED, 0);
	CHECK_EQUAL(slots(), before);
}

static void a_full_server_refuses(void)
{
	uint32_t before = slots();
	capos_cap_t server = start_server(), event = event_create();
	OK(send(FILL, 0, 0));
	for (uint32_t flags = 0; flags <= MOVES; flags += MOVES) {
		CHECK_FAILS(OPCODE_ENDPOINT_CALL, LIMIT_REACHED, send(SIGNAL, event, flags));
		CHECK(is_held(event));
		OK(send(KEEP, 0, 0));
	}
	OK(capos_release(event));
	OK(capos_release(facet));
	finishes(server, CAPOS_EXIT_KIND_EXITED, 0);
	CHECK_EQUAL(slots(), before);
}

static void a_flood_is_bounded(void)
{
	uint32_t before = slots();
	capos_cap_t server = start_server(), event = event_create();
	capos_cap_t client = start("flood", "facet", facet);
	for (int round = 0; round < 100; round++) /* a bystander is answered */
		OK(send(KEEP, 0, 0));
	finishes(client, CAPOS_EXIT_KIND_EXITED, 0);
	CHECK_EQUAL(send(KEEP, event, 0), CAPOS_E(LIMIT_REACHED));
	OK(capos_release(event));
	OK(capos_release(facet));
	finishes(server, CAPOS_EXIT_KIND_EXITED, 0);
	CHECK_EQUAL(slots(), before);
}

/* Nothing comes to a server that has not asked. */
static void what_is_not_asked_for_is_refused(void)
{
	uint32_t before = slots();
	make();
	OK(capos_endpoint_accept(endpoint, 0));
	capos_cap_t server = start("serve", "endpoint", endpoint), event = event_create();
	for (int round = 0; round < 100; round++)
		CHECK_FAILS(OPCODE_ENDPOINT_CALL, NO_RIGHTS, send(KEEP, event, MOVES));
	CHECK(is_held(event));
	OK(capos_release(event));
	OK(capos_release(endpoint));
	OK(capos_release(facet));
	finishes(server, CAPOS_EXIT_KIND_EXITED, 0);
	CHECK_EQUAL(slots(), before);
}

static void a_server_dies_with_what_it_took(void)
{
	uint32_t before = slots();
	capos_cap_t server = start_server(), event = event_create(), cap = event;
	CHECK_EQUAL(call(LEAVE, &cap, MOVES | TAKES), CAPOS_E(DISCONNECTED));
	CHECK(cap == 0 && !is_held(event)); /* it was taken before */
	finishes(server, CAPOS_EXIT_KIND_EXITED, 5);
	event = event_create(); /* and one that nothing receives comes back */
	CHECK_EQUAL(send(KEEP, event, MOVES), CAPOS_E(DISCONNECTED));
	CHECK(is_held(event));
	OK(capos_release(event));
	OK(capos_release(facet));
	CHECK_EQUAL(slots(), before);
}

/* In the queue, and after the call has been received. */
static void a_caller_is_killed(void)
{
	uint32_t before = slots();
	for (int received = 0; received < 2; received++) {
		capos_cap_t client = start_client("send"), cap = 0, event = event_create();
		struct capos_message m = { { 0 } };
		uint64_t tag = 0;
		if (received)
			CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER),
				CAPOS_RECEIVE_RESULT_CALL);
		else
			capos_sleep_ns(20 * MS_NS);
		OK(capos_process_kill(client));
		finishes(client, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
		if (received) {
			CHECK(is_held(cap)); /* it outlives its giver */
			OK(capos_release(cap));
			CHECK_EQUAL(capos_endpoint_reply_cap(&m, event, MOVES, 0),
				CAPOS_REPLY_RESULT_GONE);
		}
		CHECK(is_held(event));
		OK(capos_release(event));
		CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER),
			CAPOS_RECEIVE_RESULT_FACET_GONE);
		OK(capos_release(endpoint));
	}
	CHECK_EQUAL(slots(), before);
}

static void a_process_gets_its_own_handle(void)
{
	uint32_t before = slots();
	capos_cap_t client = start_client("own"), cap = 0;
	struct capos_message m = { { 0 } };
	uint64_t tag = 0;
	CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(capos_endpoint_reply_cap(&m, client, 0, 0), CAPOS_REPLY_RESULT_ANSWERED);
	struct capos_process_end end = finish(client);
	CHECK_FAILS(PROCESS_WAIT, WRONG_STATE, end.code == 7 ? CAPOS_E(WRONG_STATE) : end.code);
	OK(capos_release(endpoint));
	CHECK_EQUAL(slots(), before);
}

#define THREADS 4
#define ROUNDS 250

/* An event goes to the server and comes back. When the call is given up it is here, or gone. */
static int64_t send_in_a_hurry(void *seed)
{
	uint64_t random = (uint64_t)(uintptr_t)seed;
	capos_cap_t event = event_create();
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t deadline_ns = capos_now_ns() + random_next(&random) % (MS_NS / 5);
		struct capos_message m = { { RETURN } };
		capos_cap_t cap = event;
		int64_t status =
			capos_endpoint_call_cap(facet, &m, &cap, MOVES | TAKES, deadline_ns);
		CHECK(status == 0 ? cap && cap != event : status == CAPOS_E(TIMED_OUT) && !cap);
		if (cap)
			event = cap;
		if (!is_held(event)) {
			CHECK_EQUAL(status, CAPOS_E(TIMED_OUT));
			event = event_create();
		}
	}
	return capos_release(event);
}

static void calls_that_are_given_up_lose_no_slot(void)
{
	uint32_t before = slots();
	struct capos_thread *threads[THREADS];
	make();
	capos_cap_t server = start("return", "endpoint", endpoint);
	OK(capos_release(endpoint));
	for (uintptr_t i = 0; i < THREADS; i++)
		OK(capos_thread_start(
			&threads[i], send_in_a_hurry, (void *)(i * 7919 + 12345), NULL));
	for (int i = 0; i < THREADS; i++)
		OK(capos_thread_join(threads[i], NULL));
	OK(capos_release(facet));
	finishes(server, CAPOS_EXIT_KIND_EXITED, 0);
	CHECK_EQUAL(slots(), before);
}

static void nothing_is_left(void)
{
	struct capos_memory_usage before = program_usage();
	capabilities_go_there_and_back();
	a_full_server_refuses();
	a_server_dies_with_what_it_took();
	a_caller_is_killed();
	a_process_gets_its_own_handle();
	calls_that_are_given_up_lose_no_slot();
	CHECK_USAGE_IS(before);
}

int main(int argc, char **argv)
{
	int result = PLAY_ROLE(argc, argv);
	if (result >= 0)
		return result;
	RUN(capabilities_go_there_and_back);
	RUN(a_full_server_refuses);
	RUN(a_flood_is_bounded);
	RUN(what_is_not_asked_for_is_refused);
	RUN(a_server_dies_with_what_it_took);
	RUN(a_caller_is_killed);
	RUN(a_process_gets_its_own_handle);
	RUN(calls_that_are_given_up_lose_no_slot);
	RUN(nothing_is_left);
	return check_result();
}
