/* Endpoint calls between processes: a child that calls, a child that serves, and the death of
 * either in the middle of a call. */
#include "message.h"
#include "spawn.h"

#define ROUNDS 500u
#define TAG 40u

static uint64_t sum_of(const struct registers *r)
{
	uint64_t sum = 0;
	for (int i = 0; i < 8; i++)
		sum += r->words[i];
	return sum;
}

/* ---- roles: what the child got is in its CapSet by name ---- */

static int role_call(int argc, char **argv)
{
	(void)argc, (void)argv;
	capos_cap_t facet = capos_cap("facet");
	struct registers r = { 0 };
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (uint64_t i = 0; i < 8; i++)
			r.words[i] = round + i;
		if (ENTER(&r, ENDPOINT_CALL, facet, FOREVER) != 0)
			return 1;
		if (r.words[0] != 8 * round + 28 || r.words[7] != round + 7)
			return 2;
	}
	return 0;
}

/* Answers with the sum of the words until the facet has no holder. */
static int role_serve(int argc, char **argv)
{
	(void)argc, (void)argv;
	capos_cap_t endpoint = capos_cap("endpoint");
	struct registers r = { 0 };
	int answered = 0;
	int64_t got = ENTER(&r, RECEIVE, endpoint, FOREVER);
	for (; got == CAPOS_RECEIVE_RESULT_CALL; answered++) {
		if (r.rdi != TAG)
			return 1;
		r.words[0] = sum_of(&r);
		r.r15 = 0;
		got = ENTER(&r, REPLY_RECEIVE, endpoint, FOREVER);
	}
	return got == CAPOS_RECEIVE_RESULT_FACET_GONE ? answered : 2;
}

/* Ends with a call that it has received. */
static int role_leave(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct registers r = { 0 };
	return ENTER(&r, RECEIVE, capos_cap("endpoint"), FOREVER) == CAPOS_RECEIVE_RESULT_CALL ? 5
											       : 1;
}

static const struct role roles[] = { { "call", role_call }, { "serve", role_serve },
	{ "leave", role_leave } };

/* ---- the parent ---- */

static capos_cap_t endpoint, facet;

static void make(void)
{
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, TAG, &facet));
}

/* The child gets a copy, and the parent keeps its own. */
static capos_cap_t spawn_granted(const char *role, const char *name, capos_cap_t cap)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, NULL);
	capos_cap_t process = 0;
	grant(&grants, name, cap);
	OK(spawn_with(&grants, &args, 0, &process));
	return process;
}

static void a_child_calls(void)
{
	struct registers r = { 0 };
	uint64_t calls = 0;
	make();
	capos_cap_t child = spawn_granted("call", "facet", facet);
	OK(capos_release(facet)); /* the child's copy keeps it */
	int64_t got = ENTER(&r, RECEIVE, endpoint, FOREVER);
	for (; got == CAPOS_RECEIVE_RESULT_CALL; calls++) {
		CHECK_EQUAL(r.rdi, TAG);
		r.words[0] = sum_of(&r);
		r.r15 = 0;
		got = ENTER(&r, REPLY_RECEIVE, endpoint, FOREVER);
	}
	CHECK_EQUAL(got, CAPOS_RECEIVE_RESULT_FACET_GONE);
	CHECK_EQUAL(r.rdi, TAG);
	CHECK_EQUAL(calls, ROUNDS);
	finishes(child, CAPOS_EXIT_KIND_EXITED, 0);
	OK(capos_release(endpoint));
}

static void a_child_serves(void)
{
	struct registers r = { 0 };
	make();
	capos_cap_t child = spawn_granted("serve", "endpoint", endpoint);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (uint64_t i = 0; i < 8; i++)
			r.words[i] = round * i;
		CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), 0);
		CHECK_EQUAL(r.words[0], 28 * round);
	}
	OK(capos_release(facet));
	finishes(child, CAPOS_EXIT_KIND_EXITED, ROUNDS);
	OK(capos_release(endpoint));
}

/* A call that the child has received ends with it; one that has not been received waits, and ends
 * with the endpoint. */
static void a_server_dies(void)
{
	struct registers r = { 0 };
	make();
	capos_cap_t child = spawn_granted("leave", "endpoint", endpoint);
	CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), CAPOS_E(DISCONNECTED));
	finishes(child, CAPOS_EXIT_KIND_EXITED, 5);
	CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, capos_now_ns() + MS_NS), CAPOS_E(TIMED_OUT));
	child = spawn_granted("leave", "endpoint", endpoint);
	OK(capos_release(endpoint));
	CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), CAPOS_E(DISCONNECTED));
	finishes(child, CAPOS_EXIT_KIND_EXITED, 5);
	CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), CAPOS_E(DISCONNECTED));
	OK(capos_release(facet));
}

/* In the queue, and after the call has been received. */
static void a_caller_is_killed(void)
{
	struct registers r = { 0 };
	for (int received = 0; received < 2; received++) {
		make();
		capos_cap_t child = spawn_granted("call", "facet", facet);
		OK(capos_release(facet));
		if (received)
			CHECK_EQUAL(
				ENTER(&r, RECEIVE, endpoint, FOREVER), CAPOS_RECEIVE_RESULT_CALL);
		else
			capos_sleep_ns(20 * MS_NS);
		OK(capos_process_kill(child));
		finishes(child, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
		r.r15 = 0;
		if (received)
			CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), 0); /* reaches nothing */
		CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, FOREVER), CAPOS_RECEIVE_RESULT_FACET_GONE);
		OK(capos_release(endpoint));
	}
}

static void a_child_is_cut_off(void)
{
	struct registers r = { 0 };
	make();
	capos_cap_t child = spawn_granted("call", "facet", facet);
	CHECK_EQUAL(ENTER(&r, RECEIVE, endpoint, FOREVER), CAPOS_RECEIVE_RESULT_CALL);
	OK(capos_endpoint_revoke(endpoint, facet)); /* the child's copy as well */
	r.words[0] = sum_of(&r);
	r.r15 = 0;
	CHECK_EQUAL(ENTER(&r, REPLY, 0, 0), 1); /* what was received is answered */
	finishes(child, CAPOS_EXIT_KIND_EXITED, 1);
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

static void all_of_it(void)
{
	a_child_calls();
	a_child_serves();
	a_server_dies();
	a_caller_is_killed();
	a_child_is_cut_off();
}

static void nothing_is_left(void)
{
	struct capos_memory_usage before = program_usage();
	all_of_it();
	CHECK_USAGE_IS(before);
}

int main(int argc, char **argv)
{
	int result = PLAY_ROLE(argc, argv);
	if (result >= 0)
		return result;
	RUN(a_child_calls);
	RUN(a_child_serves);
	RUN(a_server_dies);
	RUN(a_caller_is_killed);
	RUN(a_child_is_cut_off);
	RUN(nothing_is_left);
	return check_result();
}
