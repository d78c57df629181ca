/* Revocable copies between processes: granted, sent on, and taken back while the holder uses them,
 * waits, or dies; and those of a process that dies. The kernel compares its counts of objects and
 * frames after the program.
 */
#include "spawn.h"

#define FOREVER CAPOS_WAIT_FOREVER
#define REVOKED CAPOS_E(REVOKED)

static capos_cap_t lease_of(capos_cap_t cap)
{
	capos_cap_t lease = 0;
	OK(capos_lease_factory_create(capos_cap("lease_factory"), cap, &lease));
	return lease;
}

static capos_cap_t copy_of(capos_cap_t lease)
{
	capos_cap_t copy = 0;
	OK(capos_lease_copy(lease, &copy));
	return copy;
}

static uint32_t slots(void)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	return info.capabilities;
}

/* ---- roles ---- */

/* Says that it is ready, and waits by its copy. */
static int role_wait(int argc, char **argv)
{
	uint64_t bits = 0;
	(void)argc, (void)argv;
	if (capos_event_signal(capos_cap("event"), 2) != 0)
		return 1;
	return capos_event_wait(capos_cap("event"), 1, FOREVER, &bits) == REVOKED ? 7 : 2;
}

/* Gives all that it has to a child of its own, and both wait. */
static int role_pass(int argc, char **argv)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("wait", NULL);
	capos_cap_t lease = lease_of(capos_cap("event")), child = 0;
	(void)argc, (void)argv;
	grant(&grants, "event", copy_of(lease));
	if (spawn_with(&grants, &args, 0, &child) != 0)
		return 1;
	return finish(child).code == 7 && role_wait(argc, argv) == 1 ? 7 : 3;
}

/* Maps, writes and parks until there is a fault, which ends it. */
static int role_map(int argc, char **argv)
{
	uint64_t at = 0;
	(void)argc, (void)argv;
	if (capos_memory_object_map(capos_cap("object"), 0, 0, 64 * PAGE, WRITE, &at) != 0)
		return 1;
	volatile uint32_t *word = (volatile uint32_t *)at;
	for (uint64_t i = 0; i < 64; i++)
		word[i * PAGE / 4] = 1;
	OK(capos_event_signal(capos_cap("event"), argc > 2 && argv[2][5] == '4' ? 4 : 2));
	while (argc > 2 && argv[2][0] == 'w')
		word[PAGE / 4]++;
	int64_t parked = capos_park_in(capos_cap("shared_park"), word, 1, FOREVER);
	/* Not drained, when the revocation came before the wait. */
	if (parked != CAPOS_PARK_RESULT_DRAINED && parked != CAPOS_E(BAD_ADDRESS))
		return 2;
	if (capos_memory_object_map(capos_cap("object"), 0, 0, PAGE, WRITE, &at) != REVOKED)
		return 3;
	while (*word) /* until revoke has come to this process: the fault */
		;
	return 4;
}

/* Uses its copy until that is refused. */
static int role_use(int argc, char **argv)
{
	int64_t status;
	(void)argc, (void)argv;
	while ((status = capos_event_signal(capos_cap("event"), 2)) == 0)
		;
	return status == REVOKED ? 7 : 1;
}

/* Lends an event of its own to the caller's server, and ends. */
static int role_lend(int argc, char **argv)
{
	capos_cap_t event = 0, copy;
	struct capos_message m = { { 0 } };
	(void)argc, (void)argv;
	if (capos_event_factory_create(capos_cap("event_factory"), &event) != 0)
		return 1;
	copy = copy_of(lease_of(event));
	return capos_endpoint_call_cap(capos_cap("facet"), &m, &copy, 0, FOREVER) == 0 ? 7 : 2;
}

/* Holds copies, leases below them and mappings, until it is killed. */
static int role_hold(int argc, char **argv)
{
	uint64_t at = 0;
	for (int i = 0; i < 20; i++)
		OK(capos_memory_object_map(
			copy_of(lease_of(capos_cap("object"))), 0, 0, 8 * PAGE, WRITE, &at));
	return role_map(argc, argv);
}

static const struct role roles[] = { { "wait", role_wait }, { "pass", role_pass },
	{ "map", role_map }, { "use", role_use }, { "lend", role_lend }, { "hold", role_hold } };

/* ---- the parent ---- */

static capos_cap_t event;

static capos_cap_t start(const char *role, const char *more, const char *name, capos_cap_t cap)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, more);
	capos_cap_t process = 0;
	grant(&grants, "event_factory", capos_caps.event_factory);
	grant(&grants, "lease_factory", capos_caps.lease_factory);
	grant(&grants, "shared_park", capos_caps.shared_park);
	grant(&grants, name, cap);
	if (cap != event && strcmp(name, "event") != 0)
		grant(&grants, "event", event);
	OK(spawn_with(&grants, &args, 0, &process));
	return process;
}

static void is_ready(uint64_t bit)
{
	uint64_t bits = 0;
	OK(capos_event_wait(event, bit, capos_now_ns() + 20000 * MS_NS, &bits));
}

static void a_granted_copy_is_taken_back(void)
{
	event = event_create();
	capos_cap_t lease = lease_of(event), copy = copy_of(lease);
	capos_cap_t waits = start("wait", NULL, "event", copy);
	is_ready(2);
	capos_sleep_ns(MS_NS);
	OK(capos_lease_revoke(lease));
	finishes(waits, CAPOS_EXIT_KIND_EXITED, 7);
	OK(capos_release(lease));
	lease = lease_of(event);
	OK(capos_release(copy));
	copy = copy_of(lease);
	capos_cap_t uses = start("use", NULL, "event", copy);
	is_ready(2);
	OK(capos_lease_revoke(lease));
	finishes(uses, CAPOS_EXIT_KIND_EXITED, 7);
	OK(capos_release(copy));
	OK(capos_release(lease));
	OK(capos_release(event));
}

static void what_was_passed_on_ends_too(void)
{
	event = event_create();
	capos_cap_t lease = lease_of(event), copy = copy_of(lease);
	capos_cap_t passes = start("pass", NULL, "event", copy);
	is_ready(2);
	capos_sleep_ns(MS_NS);
	OK(capos_lease_revoke(lease));
	finishes(passes, CAPOS_EXIT_KIND_EXITED, 7);
	OK(capos_release(copy));
	OK(capos_release(lease));
	OK(capos_release(event));
}

/* Children write or park in the memory when it is unmapped, and its frames go elsewhere. */
static void memory_is_taken_back(void)
{
	static const char *const what[][2] = { { "park 2", "park 4" }, { "write2", "write4" } };
	for (unsigned i = 0; i < 2; i++) {
		struct capos_memory_usage before = program_usage();
		capos_cap_t object = 0;
		event = event_create();
		OK(capos_memory_allocator_create(capos_caps.memory_allocator, 64 * PAGE, &object));
		capos_cap_t lease = lease_of(object), copy = copy_of(lease);
		capos_cap_t child = start("map", what[i][0], "object", copy);
		capos_cap_t other = start("map", what[i][1], "object", copy);
		OK(capos_release(object));
		OK(capos_release(copy));
		is_ready(2);
		is_ready(4);
		capos_sleep_ns(MS_NS);
		OK(capos_lease_revoke(lease));
		uint64_t fresh = vm_map(256 * PAGE, WRITE);
		for (uint64_t at = 0; at < 256 * PAGE; at += 8)
			CHECK_EQUAL(*(volatile uint64_t *)(fresh + at), 0);
		finishes(child, CAPOS_EXIT_KIND_FAULTED, CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
		finishes(other, CAPOS_EXIT_KIND_FAULTED, CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
		for (uint64_t at = 0; at < 256 * PAGE; at += 8)
			CHECK_EQUAL(*(volatile uint64_t *)(fresh + at), 0);
		OK(vm_unmap(fresh, 256 * PAGE));
		OK(capos_release(event));
		CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
		OK(capos_release(lease));
	}
}

static void copies_end_with_their_lender(void)
{
	uint32_t before = slots();
	capos_cap_t endpoint = 0, facet = 0, came = 0;
	struct capos_message m;
	uint64_t tag = 0, bits = 0;
	event = event_create();
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	OK(capos_endpoint_accept(endpoint, 1));
	capos_cap_t lends = start("lend", NULL, "facet", facet);
	CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &came, &tag, FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	OK(capos_event_signal(came, 1));
	CHECK_EQUAL(capos_endpoint_reply(&m, 0), CAPOS_REPLY_RESULT_ANSWERED);
	int64_t status = capos_event_wait(came, 2, FOREVER, &bits);
	CHECK(status == REVOKED);
	finishes(lends, CAPOS_EXIT_KIND_EXITED, 7);
	OK(capos_release(came));
	OK(capos_release(facet));
	OK(capos_release(endpoint));
	OK(capos_release(event));
	CHECK_EQUAL(slots(), before);
}

/* A holder that dies while its copies are taken back, at a different point each time. */
static void a_holder_dies_meanwhile(void)
{
	for (unsigned round = 0; round < 12; round++) {
		capos_cap_t object = 0;
		event = event_create();
		OK(capos_memory_allocator_create(capos_caps.memory_allocator, 64 * PAGE, &object));
		capos_cap_t lease = lease_of(object), copy = copy_of(lease);
		capos_cap_t holds = start("hold", round % 2 ? "write2" : "park 2", "object", copy);
		if (round % 4)
			is_ready(2);
		OK(capos_process_kill(holds));
		if (round % 3 == 1)
			capos_sleep_ns(MS_NS * round / 20);
		OK(capos_lease_revoke(lease));
		finishes(holds, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
		OK(capos_release(copy));
		OK(capos_release(lease));
		OK(capos_release(object));
		OK(capos_release(event));
	}
}

int main(int argc, char **argv)
{
	int role = PLAY_ROLE(argc, argv);
	if (role >= 0)
		return role;
	RUN(a_granted_copy_is_taken_back);
	RUN(what_was_passed_on_ends_too);
	RUN(memory_is_taken_back);
	RUN(copies_end_with_their_lender);
	RUN(a_holder_dies_meanwhile);
	return check_result();
}
