/* ProcessSpawner and Process: what a child starts with, how it is waited for and ended, who pays
 * for it, and every error in both forms. */
#include "spawn.h"

/* ---- roles ---- */

static int role_exit(int argc, char **argv)
{
	return argc > 2 ? atoi(argv[2]) : 0;
}

/* Looks at everything that the parent named. The result says what was wrong. */
static int role_inspect(int argc, char **argv)
{
	struct grants usual = usual_grants();
	const struct capos_cap_set_entry *entries = capos_cap_entries();
	struct capos_memory_usage usage = vm_usage();
	if (argc != 4 || strcmp(argv[2], "") != 0 || strcmp(argv[3], "x y") != 0 || argv[4])
		return 1;
	if (strcmp(environ[0], "A=1") != 0 || strcmp(environ[1], "B=") != 0 || environ[2])
		return 2;
	if (capos_cap_set()->count != usual.count)
		return 3;
	for (uint32_t i = 0; i < usual.count; i++)
		if (strcmp((const char *)entries[i].name, (const char *)usual.list[i].name) != 0 ||
			!usual.list[i].cap || entries[i].cap != usual.list[i].cap)
			return 4;
	if (capos_caps.host || capos_caps.standard_input || capos_cap_set()->clock_address == 0)
		return 5;
	if (usage.committed_limit != 500 || usage.committed_pages > 500)
		return 6;
	return 0;
}

static int role_other_names(int argc, char **argv)
{
	(void)argc, (void)argv;
	if (capos_cap_set()->count != 3 || capos_caps.standard_output || !capos_caps.vm ||
		capos_cap_set()->clock_address != 0)
		return 1;
	capos_cap_t same = capos_cap("out"), longest = capos_cap_entries()[2].cap;
	if (!same || !longest ||
		strlen((const char *)capos_cap_entries()[2].name) != CAPOS_SPAWN_GRANT_NAME_MAX)
		return 2;
	return capos_console_write(same, "a child\n", 8) == 0 ? 0 : 3;
}

static int role_sleep(int argc, char **argv)
{
	(void)argc, (void)argv;
	capos_sleep_ns(CAPOS_WAIT_FOREVER / 2);
	return 1;
}

static int role_fault(int argc, char **argv)
{
	(void)argc, (void)argv;
	*(volatile int *)0x1234 = 1;
	return 1;
}

/* Takes memory until there is none, in three ways. */
static int role_eat(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint64_t address = 0, pages = 0, limit = vm_usage().committed_limit;
	while (capos_virtual_memory_map(capos_caps.vm, 0, PAGE, WRITE, &address) == 0)
		pages++;
	if (vm_usage().committed_pages != limit || pages < limit / 2 || pages > limit)
		return 1;
	struct capos_thread *thread;
	if (capos_thread_start(&thread, NULL, NULL, NULL) != CAPOS_E(NO_MEMORY))
		return 2;
	capos_cap_t object;
	return capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object) ==
			CAPOS_E(NO_MEMORY)
		? 0
		: 3;
}

/* Starts a child that does the same, until that cannot be. The result is the depth. */
static int role_deeper(int argc, char **argv)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("deeper", NULL);
	capos_cap_t process = 0;
	(void)argc, (void)argv;
	int64_t status = spawn_with(&grants, &args, 0, &process);
	if (GETS(PROCESS_SPAWNER_SPAWN, LIMIT_REACHED, status)) {
		provoked_print();
		return 1;
	}
	struct capos_process_end end;
	if (status != 0 || capos_process_wait(process, CAPOS_WAIT_FOREVER, &end, sizeof end) < 0)
		return 100;
	return end.code + 1;
}

static volatile uint64_t noted;

static void note(uint32_t kind, struct capos_thread_state *state)
{
	(void)state;
	noted |= 1ull << kind;
}

static bool has_noted(uint32_t kind)
{
	while (!(noted >> kind & 1))
		capos_sleep_ns(MS_NS);
	return true;
}

#define FIRST_KIND CAPOS_NOTIFY_USER_FIRST
#define LAST_KIND CAPOS_NOTIFY_USER_LAST

static int64_t mask_first_until_last(void *argument)
{
	(void)argument;
	OK(capos_notification_mask(1ull << FIRST_KIND, 0, NULL));
	OK(capos_notification_set_handler(note));
	has_noted(LAST_KIND);
	return 0;
}

/* A thread that masks a kind ends while that is pending. The other thread gets it. */
static int role_note(int argc, char **argv)
{
	struct capos_thread *thread;
	int64_t result = 1;
	(void)argc, (void)argv;
	OK(capos_thread_start(&thread, mask_first_until_last, NULL, NULL));
	OK(capos_thread_join(thread, &result));
	OK(capos_notification_set_handler(note));
	has_noted(FIRST_KIND);
	has_noted(CAPOS_NOTIFICATION_KIND_QUIT);
	return 6;
}

static const struct role roles[] = { { "note", role_note }, { "exit", role_exit },
	{ "inspect", role_inspect }, { "other-names", role_other_names }, { "sleep", role_sleep },
	{ "fault", role_fault }, { "eat", role_eat }, { "deeper", role_deeper } };

/* ---- what a child starts with ---- */

static void a_child_runs_and_ends(void)
{
	struct capos_memory_usage before = program_usage();
	finishes(spawn("exit", "7"), CAPOS_EXIT_KIND_EXITED, 7);
	finishes(spawn("exit", "-3"), CAPOS_EXIT_KIND_EXITED, -3);
	CHECK_USAGE_IS(before);
}

static void a_child_gets_what_is_named(void)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("inspect", "");
	capos_cap_t process = 0;
	strings_add(&args, "x y");
	OK(spawn_with(&grants, &args, 500, &process));
	finishes(process, CAPOS_EXIT_KIND_EXITED, 0);
	args = arguments("other-names", NULL);
	grants.count = 0;
	grant(&grants, "out", capos_caps.standard_output);
	grant(&grants, "vm", capos_caps.vm);
	grant(&grants, "a-name-of-forty-seven-bytes-is-as-long-as-can-b", capos_caps.vm);
	OK(spawn_with(&grants, &args, 0, &process));
	finishes(process, CAPOS_EXIT_KIND_EXITED, 0);
}

/* The same program out of a MemoryObject, whose contents are copied. */
static void a_child_comes_from_a_memory_object(void)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("exit", "9");
	capos_cap_t object = 0, process = 0;
	uint64_t address = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, own.size + PAGE, &object));
	OK(capos_memory_object_map(object, 0, 0, own.size + PAGE, WRITE, &address));
	memcpy((void *)(address + PAGE), own.bytes, own.size);
	OK(capos_process_spawner_spawn(capos_caps.process_spawner, object, PAGE, own.size,
		args.bytes, args.size, NULL, 0, grants.list, grants.count * sizeof grants.list[0],
		0, CAPOS_SPAWN_SHARED, NULL, 0, &process));
	memset((void *)(address + PAGE), 0, own.size);
	finishes(process, CAPOS_EXIT_KIND_EXITED, 9);
	CHECK_FAILS(PROCESS_SPAWNER_SPAWN, INVALID_ARGUMENT,
		capos_process_spawner_spawn(capos_caps.process_spawner, object, PAGE, own.size,
			args.bytes, args.size, NULL, 0, NULL, 0, 0, CAPOS_SPAWN_SHARED, NULL, 0,
			&process));
	OK(capos_memory_object_unmap(object, address, own.size + PAGE));
	OK(capos_release(object));
}

/* ---- the library's functions ---- */

static void the_library_starts_files(void)
{
	const char *const argv[] = { own.path, "exit", "11", NULL };
	struct capos_spawn request = { .path = own.path, .argv = argv };
	struct capos_process_end end;
	capos_cap_t process = 0;
	OK(capos_spawn(&request, &process));
	OK(capos_process_finish(process, &end));
	CHECK(end.kind == CAPOS_EXIT_KIND_EXITED && end.code == 11);
	request.path = "/no/such/file";
	CHECK_EQUAL(capos_spawn(&request, &process), CAPOS_E(NOT_FOUND));
	request.path = "/";
	CHECK_EQUAL(capos_spawn(&request, &process), CAPOS_E(NOT_FOUND));
	char long_name[CAPOS_SPAWN_GRANT_NAME_MAX + 2];
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	const struct capos_grant grants[] = { { long_name, capos_caps.vm } };
	request = (struct capos_spawn){ .image = capos_caps.boot,
		.offset = own.offset,
		.size = own.size,
		.argv = argv,
		.grants = grants,
		.grant_count = 1 };
	CHECK_FAILS(PROCESS_SPAWNER_SPAWN, INVALID_ARGUMENT, capos_spawn(&request, &process));
}

/* ---- the end ---- */

static void a_fault_is_told(void)
{
	struct capos_process_end end = finish(spawn("fault", NULL));
	CHECK_EQUAL(end.kind, CAPOS_EXIT_KIND_FAULTED);
	CHECK_EQUAL(end.code, CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(end.fault_code, CAPOS_FAULT_MAPPING);
	CHECK_EQUAL(end.fault_address, 0x1234);
	CHECK(end.fault_place >= (uint64_t)role_fault &&
		end.fault_place < (uint64_t)role_fault + 64);
	CHECK(end.fault_thread != 0 && end.process_id != 0);
}

static int64_t wait_in_thread(void *argument)
{
	struct capos_process_end end;
	int64_t size = capos_process_wait(
		(capos_cap_t)(uintptr_t)argument, CAPOS_WAIT_FOREVER, &end, sizeof end);
	return size == sizeof end && end.kind == CAPOS_EXIT_KIND_KILLED ? 0 : 1;
}

static void many_wait_and_one_kills(void)
{
	struct capos_process_end end;
	struct capos_process_resources usage;
	struct capos_thread *waiters[4];
	capos_cap_t process = spawn("sleep", NULL);
	for (int i = 0; i < 4; i++)
		OK(capos_thread_start(
			&waiters[i], wait_in_thread, (void *)(uintptr_t)process, NULL));
	CHECK_FAILS(PROCESS_WAIT, TIMED_OUT, capos_process_wait(process, 0, &end, sizeof end));
	CHECK_FAILS(PROCESS_WAIT, TIMED_OUT,
		capos_process_wait_message(process, 2 * MS_NS, &end, sizeof end));
	CHECK_EQUAL(capos_process_usage(process, &usage, sizeof usage), sizeof usage);
	CHECK(usage.threads == 1 && usage.capabilities == usual_grants().count &&
		usage.committed_pages > 10 && usage.peak_pages >= usage.committed_pages &&
		usage.limit_pages == 0 && usage.started_ns <= capos_now_ns());
	OK(capos_process_kill(process));
	OK(capos_process_kill_message(process));
	for (int i = 0; i < 4; i++) {
		int64_t result = 1;
		OK(capos_thread_join(waiters[i], &result));
		CHECK_EQUAL(result, 0);
	}
	OK(capos_process_kill(process)); /* no harm */
	CHECK_EQUAL(capos_process_usage_message(process, &usage, sizeof usage), sizeof usage);
	CHECK(usage.threads == 0 && usage.capabilities == 0 && usage.cpu_time_ns > 0);
	CHECK_EQUAL(capos_process_wait_message(process, 0, &end, sizeof end), sizeof end);
	CHECK_EQUAL(end.process_id, usage.process_id);
	finishes(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
}

static void do_nothing(uint32_t kind, struct capos_thread_state *state)
{
	(void)kind, (void)state;
}

static int64_t wait_until_interrupted(void *argument)
{
	struct capos_process_end end;
	OK(capos_notification_set_handler(do_nothing));
	int64_t status = capos_process_wait(
		(capos_cap_t)(uintptr_t)argument, CAPOS_WAIT_FOREVER, &end, sizeof end);
	OK(capos_notification_set_handler(NULL));
	return status;
}

static void waits_are_interrupted(void)
{
	struct capos_thread *waiter;
	struct capos_process_end end;
	int64_t result = 0;
	capos_cap_t process = spawn("sleep", NULL);
	OK(capos_thread_start(&waiter, wait_until_interrupted, (void *)(uintptr_t)process, NULL));
	while (capos_thread_join_timeout(waiter, MS_NS, &result) == CAPOS_E(TIMED_OUT))
		capos_thread_handle_notify(capos_thread_handle(waiter), CAPOS_NOTIFY_USER_FIRST, 0);
	CHECK_FAILS(PROCESS_WAIT, INTERRUPTED, result);
	OK(capos_process_kill(process));
	CHECK_EQUAL(capos_process_wait(process, CAPOS_WAIT_FOREVER, &end, sizeof end), sizeof end);
	CHECK_FAILS(
		PROCESS_WAIT, BAD_ADDRESS, capos_process_wait(process, 0, (void *)16, sizeof end));
	CHECK_FAILS(PROCESS_USAGE, BAD_ADDRESS, capos_process_usage(process, (void *)16, 64));
	OK(capos_release(process));
}

static void notifications_reach_a_process(void)
{
	static const uint32_t wrong[] = { 0, 9, 13, FIRST_KIND - 1, LAST_KIND + 1, 1u << 31 };
	capos_cap_t process = spawn("sleep", NULL);
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		CHECK_FAILS(
			PROCESS_NOTIFY, INVALID_ARGUMENT, capos_process_notify(process, wrong[i]));
	CHECK_FAILS(PROCESS_NOTIFY, INVALID_ARGUMENT, capos_process_notify_message(process, 0));
	CHECK_FAILS(PROCESS_NOTIFY, WRONG_STATE, capos_process_notify(process, FIRST_KIND));
	CHECK_FAILS(PROCESS_NOTIFY, WRONG_STATE, capos_process_notify_message(process, LAST_KIND));
	OK(capos_process_notify(process, CAPOS_NOTIFICATION_KIND_INTERRUPT));
	finishes(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_INTERRUPT);

	process = spawn("note", NULL);
	while (capos_process_notify(process, FIRST_KIND) == CAPOS_E(WRONG_STATE))
		capos_sleep_ns(MS_NS);
	OK(capos_process_notify_message(process, LAST_KIND));
	OK(capos_process_notify(process, CAPOS_NOTIFICATION_KIND_QUIT));
	struct capos_process_end end;
	CHECK_EQUAL(capos_process_wait(process, CAPOS_WAIT_FOREVER, &end, sizeof end), sizeof end);
	CHECK_EQUAL(end.code, 6);
	OK(capos_process_notify(process, FIRST_KIND)); /* no harm */
	OK(capos_release(process));
}

/* ---- who pays ---- */

static void a_limit_is_taken_out_of_the_parents(void)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("sleep", NULL), eat = arguments("eat", NULL);
	capos_cap_t process = 0, eater = 0;
	struct capos_process_resources usage;
	struct capos_memory_usage before = program_usage();
	OK(spawn_with(&grants, &args, 300, &process));
	CHECK_EQUAL(program_usage().committed_pages - before.committed_pages, 300);
	OK(spawn_with(&grants, &eat, 200, &eater));
	finishes(eater, CAPOS_EXIT_KIND_EXITED, 0);
	CHECK_EQUAL(capos_process_usage(process, &usage, sizeof usage), sizeof usage);
	CHECK(usage.limit_pages == 300 && usage.committed_pages < 300);
	OK(capos_process_kill(process));
	finishes(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void a_shared_child_is_charged_along(void)
{
	struct capos_process_resources usage;
	struct capos_memory_usage before = program_usage();
	capos_cap_t process = spawn("sleep", NULL);
	capos_sleep_ns(5 * MS_NS); /* until it sleeps */
	CHECK_EQUAL(capos_process_usage(process, &usage, sizeof usage), sizeof usage);
	CHECK_EQUAL(
		program_usage().committed_pages - before.committed_pages, usage.committed_pages);
	OK(capos_process_kill(process));
	finishes(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void depth_is_limited(void)
{
	struct capos_process_end end = finish(spawn("deeper", NULL));
	CHECK_EQUAL(end.kind, CAPOS_EXIT_KIND_EXITED);
	CHECK_EQUAL(end.code, CAPOS_PROCESS_DEPTH_MAX);
}

/* process_many.c does it more often. */
static void nothing_is_left_of_many(void)
{
	struct capos_process_info before, after;
	finishes(spawn("exit", NULL), CAPOS_EXIT_KIND_EXITED, 0);
	uint64_t free_before = vm_usage().machine_free_pages;
	struct capos_memory_usage usage = vm_usage();
	capos_system_info_process(capos_caps.system, &before, sizeof before);
	for (int i = 0; i < 50 && !check_why[0]; i++)
		finishes(spawn("exit", NULL), CAPOS_EXIT_KIND_EXITED, 0);
	capos_system_info_process(capos_caps.system, &after, sizeof after);
	CHECK_EQUAL(after.capabilities, before.capabilities);
	CHECK_EQUAL(vm_usage().committed_pages, usage.committed_pages);
	/* Of the kernel's own: its slabs are not trimmed. */
	CHECK(vm_usage().machine_free_pages + 4 > free_before);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	finish(spawn("exit", NULL)); /* the first touches pages of the parent's stack */
	RUN(a_child_runs_and_ends);
	RUN(a_child_gets_what_is_named);
	RUN(a_child_comes_from_a_memory_object);
	RUN(the_library_starts_files);
	RUN(a_fault_is_told);
	RUN(many_wait_and_one_kills);
	RUN(waits_are_interrupted);
	RUN(notifications_reach_a_process);
	RUN(a_limit_is_taken_out_of_the_parents);
	RUN(a_shared_child_is_charged_along);
	RUN(depth_is_limited);
	RUN(nothing_is_left_of_many);
	return check_result();
}
