/* Looking into a process by its handle: what it holds, its threads, its memory, in every state of
 * its life; and why a spawn takes no executable.
 *
 * // test: limit 32M
 */
#include "raw_thread.h"
#include "spawn.h"

#define CHILD_THREADS 6u
#define CHILD_EVENTS 100u
#define TAG 0x1234567890ull
#define LIST_MAX 256u

/* ---- roles ---- */

/* Holds what the parent counts, says so, and waits. */
static int role_hold(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint32_t never = 0;
	for (unsigned i = 0; i < CHILD_EVENTS; i++)
		event_create();
	for (unsigned i = 0; i < CHILD_THREADS; i++)
		raw_spawn(raw_park, (uint64_t)&never, 0);
	OK(capos_event_signal(capos_cap("ready"), 1));
	capos_sleep_ns(CAPOS_WAIT_FOREVER / 2);
	return 1;
}

/* Takes and gives capabilities and threads until it is killed. */
static int role_change(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint32_t word = 0;
	for (;;) {
		capos_cap_t thread = raw_spawn(raw_park, (uint64_t)&word, 0), events[8];
		for (unsigned i = 0; i < 8; i++)
			events[i] = event_create();
		for (unsigned i = 0; i < 8; i++)
			OK(capos_release(events[i]));
		raw_wake(&word);
		raw_join(thread);
		word = 0;
	}
}

static int role_exit(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 3;
}

static const struct role roles[] = { { "hold", role_hold }, { "change", role_change },
	{ "exit", role_exit } };

/* ---- a child that holds ---- */

static struct {
	capos_cap_t process, ready, endpoint, facet;
	struct grants grants;
} held;

static void start_holder(void)
{
	struct strings args = arguments("hold", NULL);
	held.ready = event_create();
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &held.endpoint));
	OK(capos_endpoint_make_facet(held.endpoint, TAG, &held.facet));
	held.grants = usual_grants();
	grant(&held.grants, "event_factory", capos_caps.event_factory);
	grant(&held.grants, "ready", held.ready);
	grant(&held.grants, "endpoint", held.endpoint);
	grant(&held.grants, "service", held.facet);
	OK(spawn_with(&held.grants, &args, 0, &held.process));
	CHECK_EQUAL(event_take(held.ready, 1, CAPOS_WAIT_FOREVER), 1);
}

static void end_holder(void)
{
	OK(capos_process_kill(held.process));
	finishes(held.process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	OK(capos_release(held.facet));
	OK(capos_release(held.endpoint));
	OK(capos_release(held.ready));
}

static struct capos_held_capability caps[LIST_MAX];
static struct capos_thread_info threads[LIST_MAX];

/* All that it holds, so many at a time. */
static unsigned list_caps(capos_cap_t process, unsigned at_once, bool message)
{
	unsigned count = 0;
	for (capos_cap_t after = 0; count + at_once <= LIST_MAX;) {
		size_t room = at_once * sizeof caps[0];
		int64_t got = message
			? capos_process_capabilities_message(process, after, &caps[count], room)
			: capos_process_capabilities(process, after, &caps[count], room);
		CHECK(got >= 0 && got % sizeof caps[0] == 0);
		if (got <= 0)
			break;
		count += (unsigned)got / sizeof caps[0];
		after = caps[count - 1].cap;
	}
	return count;
}

static unsigned list_threads(capos_cap_t process, unsigned at_once, bool message)
{
	unsigned count = 0;
	for (uint64_t after = 0; count + at_once <= LIST_MAX;) {
		size_t room = at_once * sizeof threads[0];
		int64_t got = message
			? capos_process_threads_message(process, after, &threads[count], room)
			: capos_process_threads(process, after, &threads[count], room);
		CHECK(got >= 0 && got % sizeof threads[0] == 0);
		if (got <= 0)
			break;
		count += (unsigned)got / sizeof threads[0];
		after = threads[count - 1].thread_id;
	}
	return count;
}

/* ---- tests ---- */

static void capabilities_are_listed(void)
{
	static struct capos_held_capability first[LIST_MAX];
	start_holder();
	unsigned granted = held.grants.count;
	unsigned count = list_caps(held.process, LIST_MAX, false);
	CHECK_EQUAL(count, granted + CHILD_EVENTS + CHILD_THREADS);
	memcpy(first, caps, sizeof first);
	for (unsigned at_once = 1; at_once < 100; at_once += 9) {
		CHECK_EQUAL(list_caps(held.process, at_once, at_once % 2), count);
		CHECK_EQUAL(memcmp(first, caps, count * sizeof caps[0]), 0);
	}
	const struct capos_held_capability *ready = &first[granted - 3],
					   *endpoint = &first[granted - 2],
					   *facet = &first[granted - 1];
	CHECK_EQUAL(first[0].interface_id, CAPOS_INTERFACE_CONSOLE);
	CHECK_EQUAL(first[0].object_id, 0);
	CHECK_EQUAL(ready->interface_id, CAPOS_INTERFACE_EVENT);
	CHECK_EQUAL(ready->holders, 2);
	CHECK_EQUAL(endpoint->interface_id, CAPOS_INTERFACE_ENDPOINT);
	CHECK_EQUAL(facet->interface_id, CAPOS_INTERFACE_FACET);
	CHECK_EQUAL(facet->endpoint_id, endpoint->object_id);
	CHECK(facet->object_id && facet->object_id != endpoint->object_id);
	CHECK_EQUAL(facet->tag, TAG);
	CHECK_EQUAL(endpoint->tag + endpoint->endpoint_id, 0);
	for (unsigned i = granted; i < granted + CHILD_EVENTS; i++) {
		CHECK_EQUAL(first[i].interface_id, CAPOS_INTERFACE_EVENT);
		CHECK(first[i].object_id > first[i - 1].object_id || i == granted);
		CHECK_EQUAL(first[i].holders, 1);
	}
	end_holder();
}

static void threads_are_listed(void)
{
	start_holder();
	for (unsigned at_once = 1; at_once < 16; at_once++) {
		CHECK_EQUAL(list_threads(held.process, at_once, at_once % 2), CHILD_THREADS + 1);
		for (unsigned i = 1; i <= CHILD_THREADS; i++) {
			CHECK(threads[i].thread_id > threads[i - 1].thread_id);
			CHECK_EQUAL(strcmp((const char *)threads[i].name, "raw"), 0);
		}
	}
	end_holder();
}

static void memory_is_told(void)
{
	struct capos_memory_usage usage;
	struct capos_process_resources resources;
	start_holder();
	CHECK_EQUAL(capos_process_memory(held.process, &usage, sizeof usage), sizeof usage);
	CHECK_EQUAL(
		capos_process_usage(held.process, &resources, sizeof resources), sizeof resources);
	CHECK_EQUAL(usage.committed_pages, resources.committed_pages);
	CHECK(usage.reserved_pages > own.size / PAGE && usage.resident_pages && usage.kernel_pages);
	CHECK_EQUAL(usage.machine_pages, program_usage().machine_pages);
	uint64_t committed = usage.committed_pages;
	CHECK_EQUAL(capos_process_memory_message(held.process, &usage, sizeof usage), sizeof usage);
	CHECK_EQUAL(usage.committed_pages, committed);
	end_holder();
}

static void of_an_ended_one_nothing_is_listed(void)
{
	struct capos_process_end end;
	struct capos_memory_usage usage;
	capos_cap_t child = spawn("exit", NULL);
	CHECK_EQUAL(capos_process_wait(child, CAPOS_WAIT_FOREVER, &end, sizeof end), sizeof end);
	CHECK_EQUAL(list_caps(child, 8, false), 0);
	CHECK_EQUAL(list_threads(child, 8, false), 0);
	CHECK_EQUAL(capos_process_memory(child, &usage, sizeof usage), sizeof usage);
	CHECK_EQUAL(usage.reserved_pages, 0);
	CHECK_EQUAL(usage.resident_pages, 0);
	OK(capos_release(child));
}

/* What changes meanwhile is in the list or not; the others are, whenever the end comes. */
static void lists_of_a_changing_process_hold(void)
{
	static struct capos_held_capability first[CAPOS_SPAWN_GRANTS_MAX];
	struct capos_memory_usage usage;
	uint64_t main_thread = 0;
	struct grants grants = usual_grants();
	struct strings args = arguments("change", NULL);
	grant(&grants, "event_factory", capos_caps.event_factory);
	for (unsigned round = 0; round < 12; round++) {
		capos_cap_t child = 0;
		OK(spawn_with(&grants, &args, 0, &child));
		for (unsigned look = 0; look < 40; look++) {
			CHECK(list_caps(child, 5, false) >= grants.count);
			if (!look)
				memcpy(first, caps, sizeof first);
			CHECK_EQUAL(memcmp(first, caps, grants.count * sizeof caps[0]), 0);
			CHECK(list_threads(child, 1, false) >= 1);
			main_thread = look ? main_thread : threads[0].thread_id;
			CHECK_EQUAL(threads[0].thread_id, main_thread);
			CHECK_EQUAL(
				capos_process_memory(child, &usage, sizeof usage), sizeof usage);
		}
		OK(capos_process_kill(child));
		for (unsigned look = 0; look < 20; look++) {
			list_caps(child, 5, false);
			list_threads(child, 1, false);
			CHECK_EQUAL(
				capos_process_memory(child, &usage, sizeof usage), sizeof usage);
		}
		finishes(child, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	}
}

static void lists_are_checked(void)
{
	void *bad = (void *)KERNEL_HALF;
	start_holder();
	capos_cap_t process = held.process;
	CHECK_FAILS(PROCESS_CAPABILITIES, INVALID_ARGUMENT,
		capos_process_capabilities(process, 0, caps, sizeof caps[0] - 1));
	CHECK_FAILS(PROCESS_CAPABILITIES, BAD_ADDRESS,
		capos_process_capabilities(process, 0, bad, sizeof caps));
	CHECK_FAILS(PROCESS_THREADS, INVALID_ARGUMENT,
		capos_process_threads(process, 0, threads, sizeof threads[0] - 1));
	CHECK_FAILS(PROCESS_THREADS, BAD_ADDRESS,
		capos_process_threads(process, 0, bad, sizeof threads));
	CHECK_FAILS(PROCESS_MEMORY, BAD_ADDRESS, capos_process_memory(process, bad, 64));
	/* An id that never was begins where its slot would be. */
	CHECK_EQUAL(capos_process_capabilities(process, 0xffffffff, caps, sizeof caps), 0);
	CHECK_EQUAL(capos_process_threads(process, ~0ull, threads, sizeof threads), 0);
	end_holder();
}

/* ---- explain ---- */

static char reason[CAPOS_SPAWN_REASON_MAX];

static int64_t explain(capos_cap_t image, uint64_t offset, uint64_t size)
{
	memset(reason, 0, sizeof reason);
	return capos_process_spawner_explain(
		capos_caps.process_spawner, image, offset, size, reason, sizeof reason - 1);
}

static int64_t explain_message(capos_cap_t image, uint64_t offset, uint64_t size)
{
	memset(reason, 0, sizeof reason);
	return capos_process_spawner_explain_message(
		capos_caps.process_spawner, image, offset, size, reason, sizeof reason - 1);
}

/* The reason has these words in it. */
#define EXPLAINS(words, image, offset, size)                     \
	do {                                                     \
		CHECK(explain(image, offset, size) > 0);         \
		CHECK(strstr(reason, words));                    \
		CHECK(explain_message(image, offset, size) > 0); \
		CHECK(strstr(reason, words));                    \
	} while (0)

static void reasons_are_told(void)
{
	capos_cap_t object = 0;
	uint64_t address = 0;
	CHECK_EQUAL(explain(capos_caps.boot, own.offset, own.size), 0);
	CHECK_EQUAL(explain_message(capos_caps.boot, own.offset, own.size), 0);
	EXPLAINS("not an ELF", capos_caps.boot, 0, PAGE);
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, own.size, &object));
	OK(capos_memory_object_map(object, 0, 0, own.size, WRITE, &address));
	EXPLAINS("not an ELF", object, 0, own.size);
	memcpy((void *)address, own.bytes, own.size);
	CHECK_EQUAL(explain(object, 0, own.size), 0);
	for (uint64_t place = 0; place + 16 < own.size; place += 16) {
		struct capos_program_mark *mark = (void *)(address + place);
		if (mark->jump == CAPOS_PROGRAM_MARK_JUMP && memcmp(mark->name, "capOS", 6) == 0)
			mark->version = 77;
	}
	EXPLAINS("version 77", object, 0, own.size);
	((uint8_t *)address)[18] ^= 1; /* the machine */
	EXPLAINS("not for", object, 0, own.size);
	OK(capos_memory_object_unmap(object, address, own.size));
	OK(capos_release(object));
}

#define EXPLAIN_FAILS(error, image, offset, size)                                                  \
	do {                                                                                       \
		CHECK_FAILS(PROCESS_SPAWNER_EXPLAIN, error, explain(image, offset, size));         \
		CHECK_FAILS(PROCESS_SPAWNER_EXPLAIN, error, explain_message(image, offset, size)); \
	} while (0)

static void places_are_checked(void)
{
	EXPLAIN_FAILS(NOT_FOUND, 0, 0, PAGE);
	EXPLAIN_FAILS(NOT_FOUND, capos_caps.boot ^ 0x10000, 0, PAGE);
	EXPLAIN_FAILS(INVALID_ARGUMENT, capos_caps.vm, 0, PAGE);
	EXPLAIN_FAILS(MISALIGNED, capos_caps.boot, 8, PAGE);
	EXPLAIN_FAILS(OUT_OF_RANGE, capos_caps.boot, ~0ull << 12, PAGE);
	EXPLAIN_FAILS(OUT_OF_RANGE, capos_caps.boot, own.offset, ~0ull);
	CHECK_FAILS(PROCESS_SPAWNER_EXPLAIN, BAD_ADDRESS,
		capos_process_spawner_explain(capos_caps.process_spawner, capos_caps.boot, 0, PAGE,
			(void *)KERNEL_HALF, 64));
}

/* With every charge taken there is none for the records; then, page by page, there is. */
static void without_memory_there_is_no_reason(void)
{
	uint64_t first = vm_reserve(64ull << 20), taken = 0;
	while (vm_commit(first + taken * PAGE, PAGE, WRITE) == 0)
		taken++;
	int64_t status = explain(capos_caps.boot, 0, PAGE);
	CHECK(status > 0 || GETS(PROCESS_SPAWNER_EXPLAIN, NO_MEMORY, status));
	while (status < 0 && taken) {
		OK(vm_decommit(first + --taken * PAGE, PAGE));
		status = explain(capos_caps.boot, 0, PAGE);
		CHECK(status > 0 || status == CAPOS_E(NO_MEMORY));
	}
	OK(vm_unmap(first, 64ull << 20));
}

/* ---- all ---- */

static void run_all(void)
{
	capabilities_are_listed();
	threads_are_listed();
	memory_is_told();
	of_an_ended_one_nothing_is_listed();
	lists_are_checked();
	reasons_are_told();
	places_are_checked();
}

static void nothing_is_left(void)
{
	run_all();
	struct capos_memory_usage before = program_usage();
	run_all();
	CHECK_USAGE_IS(before);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	/* First, because slabs of records that others made would have room. */
	RUN(without_memory_there_is_no_reason);
	RUN(capabilities_are_listed);
	RUN(threads_are_listed);
	RUN(memory_is_told);
	RUN(of_an_ended_one_nothing_is_listed);
	RUN(lists_of_a_changing_process_hold);
	RUN(lists_are_checked);
	RUN(reasons_are_told);
	RUN(places_are_checked);
	RUN(nothing_is_left);
	return check_result();
}
