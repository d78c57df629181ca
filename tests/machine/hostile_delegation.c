/* Deep chains of delegation, processes that hold each other, and floods of facets. What was lent is
 * taken back from the end of the chain, nothing is left of processes that only each other hold, and
 * no interrupt is late.
 *
 * // test: limit 48M
 */
#include "late.h"
#include "spawn.h"

#define FOREVER CAPOS_WAIT_FOREVER
#define CYCLE 3
#define LAST 50 /* exit code of the last of a chain */
#define FLOOD_PAGES 512
#define FLOOD_LEAST 4000 /* facets: fewer than capSlotsMax by what the program holds besides */
#define TAG 7
#define SETTLE_NS (10000 * MS_NS)

static int64_t call(capos_cap_t facet)
{
	struct capos_message m = { { 0 } };
	return capos_endpoint_call(facet, &m, FOREVER);
}

/* ---- roles ---- */

/* Starts the next of the chain with a lease of what it was lent, or that itself where leases may
 * not be any deeper. 0: nor may processes. */
static capos_cap_t start_next(capos_cap_t lent, capos_cap_t *lease)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("link", NULL);
	capos_cap_t copy = 0, next = 0;
	*lease = 0;
	int64_t status = capos_lease_factory_create(capos_cap("lease_factory"), lent, lease);
	CHECK(status == 0 || status == CAPOS_E(LIMIT_REACHED));
	if (status == 0)
		OK(capos_lease_copy(*lease, &copy));
	grant(&grants, "lease_factory", capos_cap("lease_factory"));
	grant(&grants, "facet", copy ? copy : lent);
	status = spawn_with(&grants, &args, 0, &next);
	CHECK(status == 0 || status == CAPOS_E(LIMIT_REACHED));
	if (copy)
		OK(capos_release(copy));
	return next;
}

/* The last of the chain calls, and the others wait for it. Each finds that what it was lent was
 * taken back, and gives how many were behind it. */
static int role_link(int argc, char **argv)
{
	capos_cap_t facet = capos_cap("facet"), lease, next = start_next(facet, &lease);
	(void)argc, (void)argv;
	if (check_why[0])
		return 1;
	if (!next)
		return call(facet) == 0 && call(facet) == CAPOS_E(REVOKED) ? LAST : 2;
	int32_t code = finish(next).code;
	return call(facet) == CAPOS_E(REVOKED) ? code + 1 : 3;
}

/* Keeps all that it is sent until nobody holds a facet of its endpoint. */
static int role_keep(int argc, char **argv)
{
	capos_cap_t own_endpoint = capos_cap("endpoint"), cap = 0;
	struct capos_message m = { { 0 } };
	uint64_t tag = 0;
	(void)argc, (void)argv;
	for (;;) {
		int64_t got = capos_endpoint_receive_cap(own_endpoint, &m, &cap, &tag, FOREVER);
		if (got == CAPOS_RECEIVE_RESULT_FACET_GONE)
			return 0;
		if (got != CAPOS_RECEIVE_RESULT_CALL || !cap ||
			capos_endpoint_reply_cap(&m, 0, 0, 0) != CAPOS_REPLY_RESULT_ANSWERED)
			return 1;
	}
}

/* Makes facets until it is refused, and closes all at once. */
static int role_flood(int argc, char **argv)
{
	capos_cap_t endpoint = 0, facet = 0, first = 0;
	uint64_t count = 0, closed = 0;
	int64_t status;
	(void)argc, (void)argv;
	if (capos_endpoint_factory_create(capos_cap("endpoint_factory"), 1, &endpoint) != 0)
		return 1;
	while ((status = capos_endpoint_make_facet(endpoint, TAG, &facet)) == 0) {
		first = first ? first : facet;
		count++;
	}
	if (status != CAPOS_E(NO_SLOTS) || count < FLOOD_LEAST)
		return 2;
	if (capos_endpoint_revoke_tag(endpoint, TAG, &closed) != 0 || closed != count)
		return 3;
	return call(first) == CAPOS_E(DISCONNECTED) ? 0 : 4;
}

static const struct role roles[] = { { "link", role_link }, { "keep", role_keep },
	{ "flood", role_flood } };

/* ---- tests ---- */

static capos_cap_t endpoints[CYCLE], facets[CYCLE], processes[CYCLE];

static void make(unsigned i)
{
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoints[i]));
	OK(capos_endpoint_accept(endpoints[i], 1));
	OK(capos_endpoint_make_facet(endpoints[i], i, &facets[i]));
}

/* The call of the last of the chain is received, and not answered. killed: the first is. */
static void chain(bool killed)
{
	struct capos_message m = { { 0 } };
	uint64_t tag = 0;
	make(0);
	capos_cap_t lease, process = start_next(facets[0], &lease);
	CHECK_EQUAL(
		capos_endpoint_receive(endpoints[0], &m, &tag, FOREVER), CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(capos_endpoint_reply(&m, 0), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(
		capos_endpoint_receive(endpoints[0], &m, &tag, FOREVER), CAPOS_RECEIVE_RESULT_CALL);
	if (killed) {
		OK(capos_process_kill(process));
		CHECK_EQUAL(finish(process).kind, CAPOS_EXIT_KIND_KILLED);
	} else {
		OK(capos_lease_revoke(lease));
		finishes(process, CAPOS_EXIT_KIND_EXITED, LAST + CAPOS_PROCESS_DEPTH_MAX - 1);
	}
	CHECK_EQUAL(capos_endpoint_reply(&m, 0), CAPOS_REPLY_RESULT_GONE);
	OK(capos_release(lease));
	OK(capos_release(facets[0]));
	OK(capos_release(endpoints[0]));
}

static void a_chain_is_taken_back(void)
{
	chain(false);
}

static void a_chain_is_killed(void)
{
	chain(true);
}

static void send(unsigned i, capos_cap_t cap)
{
	struct capos_message m = { { 0 } };
	OK(capos_endpoint_call_cap(facets[i], &m, &cap, 0, FOREVER));
}

static void start_cycle(void)
{
	for (unsigned i = 0; i < CYCLE; i++) {
		struct grants grants = usual_grants();
		struct strings args = arguments("keep", NULL);
		make(i);
		grant(&grants, "endpoint", endpoints[i]);
		OK(spawn_with(&grants, &args, 0, &processes[i]));
	}
	for (unsigned i = 0; i < CYCLE; i++) {
		send(i, processes[(i + 1) % CYCLE]);
		send(i, endpoints[(i + 1) % CYCLE]);
	}
}

/* Each process is held by the one before it only, as is its endpoint. */
static void processes_that_hold_each_other_end(void)
{
	struct capos_memory_usage before = program_usage(), now;
	for (unsigned killed = 0; killed <= CYCLE; killed++) {
		start_cycle();
		for (unsigned i = 0; i < killed; i++)
			OK(capos_process_kill(processes[i]));
		for (unsigned i = 0; i < CYCLE; i++) {
			OK(capos_release(endpoints[i]));
			OK(capos_release(processes[i]));
		}
		for (unsigned i = 0; i < CYCLE; i++)
			OK(capos_release(facets[i]));
		uint64_t until_ns = capos_now_ns() + SETTLE_NS;
		do {
			capos_sleep_ns(MS_NS);
			now = program_usage();
		} while (
			now.committed_pages != before.committed_pages && capos_now_ns() < until_ns);
		CHECK_USAGE_IS(before);
	}
}

static void a_flood_of_facets_is_refused(void)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("flood", NULL);
	capos_cap_t process = 0;
	grant(&grants, "endpoint_factory", capos_caps.endpoint_factory);
	OK(spawn_with(&grants, &args, FLOOD_PAGES, &process));
	finishes(process, CAPOS_EXIT_KIND_EXITED, 0);
	late_check("a flood of facets");
}

static void nothing_is_left(void)
{
	struct capos_memory_usage before = program_usage();
	a_chain_is_taken_back();
	a_chain_is_killed();
	a_flood_of_facets_is_refused();
	CHECK_USAGE_IS(before);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0)
		return code;
	late_set_limit();
	RUN(processes_that_hold_each_other_end);
	RUN(a_chain_is_taken_back);
	RUN(a_chain_is_killed);
	RUN(a_flood_of_facets_is_refused);
	RUN(nothing_is_left);
	return check_result();
}
