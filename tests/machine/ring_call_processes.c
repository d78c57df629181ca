/* Calls through the ring between processes: a child that serves, one that calls, the death of
 * either at each point, and floods. Every test ends with as many capabilities as it began with, and
 * the kernel compares its counts of objects and frames after the program.
 */
#include "ring_message.h"
#include "spawn.h"

#define TAG 40u
#define ROUNDS 200u

static uint8_t message[BYTES_MAX], result[BYTES_MAX];

/* ---- roles ---- */

/* Sends back what comes, until the facet has no holder. A message of one byte ends it. */
static int role_serve(int argc, char **argv)
{
	(void)argc, (void)argv;
	endpoint = capos_cap("endpoint");
	for (;;) {
		struct capos_completion got = recv_into(result, sizeof result);
		if (got.result == CAPOS_RECEIVE_RESULT_FACET_GONE)
			return 0;
		if (got.result != CAPOS_RECEIVE_RESULT_CALL || got.value != TAG)
			return 1;
		if (got.size == 1)
			return 5;
		if (return_bytes(result, got.size, 0) < 0)
			return 2;
	}
}

/* As many calls as may be outstanding, again and again, and never an answer. */
static int role_flood(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct capos_completion completion;
	struct sent call = { capos_cap("facet"), 1, FOREVER, message, BYTES_MAX, result,
		BYTES_MAX };
	for (;;) {
		push_call(&call);
		if (capos_ring_enter(0, 0) < 0)
			return 1;
		while (capos_ring_pop(&completion))
			;
	}
}

/* Calls with results of each length. */
static int role_call(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		uint64_t size = 2 + round * 37;
		struct sent call = { capos_cap("facet"), round, FOREVER, message, size, result,
			BYTES_MAX };
		fill(message, size, round);
		push_call(&call);
		struct capos_completion got = next_completion();
		if (got.user_data != round || got.result != 0 || got.size != size)
			return 1;
		if (!is_filled(result, size, round + 1))
			return 2;
	}
	return 0;
}

static const struct role roles[] = { { "serve", role_serve }, { "flood", role_flood },
	{ "call", role_call } };

/* ---- the parent ---- */

static capos_cap_t start_limited(
	const char *role, const char *name, capos_cap_t cap, uint64_t pages)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, NULL);
	capos_cap_t process = 0;
	grant(&grants, name, cap);
	OK(spawn_with(&grants, &args, pages, &process));
	return process;
}

static capos_cap_t start(const char *role, const char *name, capos_cap_t cap)
{
	return start_limited(role, name, cap, 0);
}

static void push(uint64_t user_data, uint64_t size)
{
	struct sent call = { facet, user_data, FOREVER, message, size, result, BYTES_MAX };
	fill(message, size, user_data);
	push_call(&call);
}

static void a_child_serves(void)
{
	make(8, TAG);
	capos_cap_t server = start("serve", "endpoint", endpoint);
	OK(capos_release(endpoint));
	for (uint64_t round = 0; round < ROUNDS; round++) {
		uint64_t size = 2 + round * 300;
		push(round, size);
		struct capos_completion got = next_completion();
		CHECK_EQUAL(got.user_data, round);
		CHECK_EQUAL(got.result, 0);
		CHECK_EQUAL(got.size, size);
		CHECK(is_filled(result, size, round));
	}
	OK(capos_release(facet));
	finishes(server, CAPOS_EXIT_KIND_EXITED, 0);
}

static void a_child_calls(void)
{
	make(8, TAG);
	capos_cap_t client = start("call", "facet", facet);
	OK(capos_release(facet));
	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct capos_completion got = recv_into(result, sizeof result);
		CHECK_EQUAL(got.result, CAPOS_RECEIVE_RESULT_CALL);
		CHECK(is_filled(result, got.size, round));
		fill(message, got.size, round + 1);
		CHECK_EQUAL(return_bytes(message, got.size, 0), CAPOS_REPLY_RESULT_ANSWERED);
	}
	CHECK_EQUAL(recv_into(result, sizeof result).result, CAPOS_RECEIVE_RESULT_FACET_GONE);
	finishes(client, CAPOS_EXIT_KIND_EXITED, 0);
	OK(capos_release(endpoint));
}

/* What the server has received ends with it, and the rest waits for the end of the endpoint. */
static void a_server_dies(void)
{
	for (int leaves = 0; leaves < 2; leaves++) {
		make(8, TAG);
		capos_cap_t server = start("serve", "endpoint", endpoint);
		push(1, leaves ? 1 : 65);
		push(2, 1);
		push(3, 66);
		if (leaves) {
			capos_ring_enter(0, 0);
			finishes(server, CAPOS_EXIT_KIND_EXITED, 5);
		} else {
			CHECK_EQUAL(next_completion().size, 65);
			OK(capos_process_kill(server));
			finish(server);
		}
		OK(capos_release(endpoint));
		for (uint64_t i = leaves ? 1 : 2; i <= 3; i++) {
			struct capos_completion got = next_completion();
			CHECK_EQUAL(got.user_data, i);
			CHECK_EQUAL(got.result, CAPOS_E(DISCONNECTED));
		}
		OK(capos_release(facet));
	}
}

/* A flood takes what the client may take, and no more; its calls go with it, received or not. */
static void a_flooding_client_is_killed(void)
{
	for (int received = 0; received < 2; received++) {
		struct registers r = { 0 };
		make(CAPOS_ENDPOINT_CALLS_MAX, TAG);
		capos_cap_t client = start_limited("flood", "facet", facet, 1000);
		if (received)
			CHECK_EQUAL(recv_into(result, sizeof result).size, BYTES_MAX);
		capos_sleep_ns(50 * MS_NS);
		uint64_t address = 0; /* the parent's own limit is not touched */
		OK(capos_virtual_memory_map(capos_caps.vm, 0, PAGE, WRITE, &address));
		OK(vm_unmap(address, PAGE));
		OK(capos_process_kill(client));
		finishes(client, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
		if (received)
			CHECK_EQUAL(return_bytes(message, BYTES_MAX, 0), CAPOS_REPLY_RESULT_GONE);
		CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, 0), CAPOS_E(TIMED_OUT));
		OK(capos_release(facet));
		OK(capos_release(endpoint));
	}
}

static void nothing_is_left(void)
{
	struct capos_memory_usage before = program_usage();
	a_child_serves();
	a_server_dies();
	a_flooding_client_is_killed();
	CHECK_USAGE_IS(before);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0)
		return code;
	RUN(a_child_serves);
	RUN(a_child_calls);
	RUN(a_server_dies);
	RUN(a_flooding_client_is_killed);
	RUN(nothing_is_left);
	return check_result();
}
