/* Process.bind: events that are signalled when a process ends, in every order of the ends of
 * process, event and binder, several at once, and every error in both forms.
 *
 * // test: limit 32M
 */
#include "spawn.h"

#define FOREVER CAPOS_WAIT_FOREVER
#define BIT(n) (1ull << (n))

/* ---- roles ---- */

static int role_exit(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 3;
}

static int role_sleep(int argc, char **argv)
{
	(void)argc, (void)argv;
	capos_sleep_ns(FOREVER / 2);
	return 1;
}

/* Binds events of its own to the end of a sibling, and ends: by itself, or as it is killed. */
static int role_bind(int argc, char **argv)
{
	capos_cap_t event;
	for (int i = 0; i < 20; i++)
		if (capos_event_factory_create(capos_caps.event_factory, &event) < 0 ||
			capos_process_bind(capos_cap("sibling"), event, 1) < 0)
			return 1;
	if (argc > 2 && strcmp(argv[2], "stay") == 0)
		capos_event_wait(event, 2, FOREVER, &(uint64_t){ 0 });
	return 0;
}

static const struct role roles[] = { { "exit", role_exit }, { "sleep", role_sleep },
	{ "bind", role_bind } };

/* ---- tests ---- */

static void kill_and_release(capos_cap_t process)
{
	OK(capos_process_kill(process));
	finishes(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
}

static void one_event_tells_of_many_ends(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t event = event_create(), children[5];
	for (unsigned i = 0; i < 5; i++) {
		children[i] = spawn("sleep", NULL);
		OK(i % 2 ? capos_process_bind(children[i], event, BIT(i))
			 : capos_process_bind_message(children[i], event, BIT(i)));
	}
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	for (unsigned i = 5; i-- > 0;) {
		OK(capos_process_kill(children[i]));
		CHECK_EQUAL(event_take(event, ~0ull, FOREVER), BIT(i));
		/* It has ended for those that wait, too. */
		CHECK_EQUAL(capos_process_wait(children[i], 0, &(struct capos_process_end){ 0 },
				    sizeof(struct capos_process_end)),
			sizeof(struct capos_process_end));
		OK(capos_release(children[i]));
	}
	OK(capos_release(event));
	CHECK_USAGE_IS(before);
}

/* Also without a handle, and by many events for one end. */
static void many_events_tell_of_one_end(void)
{
	capos_cap_t events[CAPOS_PROCESS_BINDINGS_MAX], child = spawn("sleep", NULL);
	for (uint64_t i = 0; i < CAPOS_PROCESS_BINDINGS_MAX; i++) {
		events[i] = event_create();
		OK(capos_process_bind(child, events[i], i + 1));
	}
	capos_cap_t more = event_create();
	CHECK_FAILS(PROCESS_BIND, LIMIT_REACHED, capos_process_bind(child, more, 1));
	CHECK_FAILS(PROCESS_BIND, LIMIT_REACHED, capos_process_bind_message(child, more, 1));
	OK(capos_process_bind(child, more, 0));
	OK(capos_process_bind(child, events[7], BIT(40))); /* no other event */
	OK(capos_process_bind(child, events[8], 0));
	OK(capos_process_bind(child, more, 1));
	OK(capos_process_kill(child));
	OK(capos_release(child));
	for (uint64_t i = 0; i < CAPOS_PROCESS_BINDINGS_MAX; i++) {
		uint64_t bits = i == 7 ? BIT(40) : i + 1;
		if (i != 8)
			CHECK_EQUAL(event_take(events[i], ~0ull, FOREVER), bits);
	}
	CHECK_EQUAL(event_take(more, ~0ull, FOREVER), 1);
	for (uint64_t i = 0; i < CAPOS_PROCESS_BINDINGS_MAX; i++) {
		CHECK_EQUAL(event_take(events[i], ~0ull, 0), 0);
		OK(capos_release(events[i]));
	}
	OK(capos_release(more));
}

static void an_end_that_was_counts(void)
{
	capos_cap_t event = event_create(), child = spawn("exit", NULL);
	struct capos_process_end end;
	CHECK_EQUAL(capos_process_wait(child, FOREVER, &end, sizeof end), sizeof end);
	OK(capos_process_bind(child, event, 0));
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	for (uint64_t i = 1; i < 2 * CAPOS_PROCESS_BINDINGS_MAX; i++) {
		OK(capos_process_bind(child, event, i));
		CHECK_EQUAL(event_take(event, ~0ull, 0), i);
	}
	OK(capos_release(child));
	OK(capos_release(event));
}

static void arguments_are_checked(void)
{
	capos_cap_t event = event_create(), child = spawn("sleep", NULL);
	const capos_cap_t wrong[] = { 0, capos_caps.vm, child, event ^ 0x10000, 0xffffffff };
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		CHECK_FAILS(PROCESS_BIND, NOT_FOUND, capos_process_bind(child, wrong[i], 1));
		CHECK_FAILS(
			PROCESS_BIND, NOT_FOUND, capos_process_bind_message(child, wrong[i], 1));
		CHECK_FAILS(PROCESS_BIND, NOT_FOUND, capos_process_bind(child, wrong[i], 0));
	}
	OK(capos_release(event));
	CHECK_FAILS(PROCESS_BIND, NOT_FOUND, capos_process_bind(child, event, 1));
	kill_and_release(child);
}

/* A process that takes its limit out of this one's at once, and nothing more while it starts. */
static capos_cap_t spawn_sleeper(void)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("sleep", NULL);
	capos_cap_t process = 0;
	OK(spawn_with(&grants, &args, 300, &process));
	return process;
}

/* What was charged for bindings comes back with the event, while the process lives. */
static void the_event_goes_first(void)
{
	capos_cap_t child = spawn_sleeper();
	struct capos_memory_usage before = vm_usage();
	for (unsigned round = 0; round < 3; round++) {
		capos_cap_t events[CAPOS_PROCESS_BINDINGS_MAX];
		for (unsigned i = 0; i < CAPOS_PROCESS_BINDINGS_MAX; i++) {
			events[i] = event_create();
			OK(capos_process_bind(child, events[i], 1));
		}
		CHECK(vm_usage().kernel_pages > before.kernel_pages);
		for (unsigned i = 0; i < CAPOS_PROCESS_BINDINGS_MAX; i++)
			OK(capos_release(events[i]));
		/* A slab of each of the two kinds may be kept. */
		CHECK(vm_usage().kernel_pages <= before.kernel_pages + 2);
	}
	kill_and_release(child);
}

/* Nothing of a binder is left while the other process lives: its whole limit has come back. */
static void the_binder_goes_first(void)
{
	capos_cap_t sibling = spawn_sleeper(), process = 0;
	for (unsigned round = 0; round < 6; round++) {
		struct capos_memory_usage before = vm_usage();
		struct grants grants = usual_grants();
		struct strings args = arguments("bind", round % 2 ? "stay" : "go");
		grant(&grants, "event_factory", capos_caps.event_factory);
		grant(&grants, "sibling", sibling);
		OK(spawn_with(&grants, &args, 300, &process));
		if (round % 2) {
			capos_sleep_ns((1 + round) * MS_NS / 4);
			kill_and_release(process);
		} else {
			finishes(process, CAPOS_EXIT_KIND_EXITED, 0);
		}
		CHECK(vm_usage().committed_pages <= before.committed_pages + 2);
	}
	kill_and_release(sibling);
}

static void memory_runs_out(void)
{
	static capos_cap_t events[CAPOS_PROCESS_BINDINGS_MAX];
	capos_cap_t child = spawn_sleeper();
	uint64_t size = 1ull << 30;
	for (unsigned i = 0; i < CAPOS_PROCESS_BINDINGS_MAX; i++)
		events[i] = event_create();
	uint64_t range = commit_all(size);
	unsigned count = 0;
	int64_t status = 0;
	while (count < CAPOS_PROCESS_BINDINGS_MAX &&
		(status = capos_process_bind(child, events[count], 1)) == 0)
		count++;
	CHECK_FAILS(PROCESS_BIND, NO_MEMORY, status);
	CHECK_FAILS(PROCESS_BIND, NO_MEMORY, capos_process_bind_message(child, events[count], 1));
	OK(vm_unmap(range, size));
	OK(capos_process_bind(child, events[count], 1));
	kill_and_release(child);
	for (unsigned i = 0; i < CAPOS_PROCESS_BINDINGS_MAX; i++) {
		CHECK_EQUAL(event_take(events[i], ~0ull, i <= count ? FOREVER : 0), i <= count);
		OK(capos_release(events[i]));
	}
}

/* ---- several at once ---- */

#define THREADS 4u
#define ROUNDS 60u

static struct {
	capos_cap_t child;
	volatile uint32_t stop;
} race;

/* Makes, binds, changes and releases events while the child is killed. */
static int64_t bind_and_release(void *argument)
{
	uint64_t seed = (uintptr_t)argument * 77 + 1;
	while (!race.stop) {
		capos_cap_t events[3];
		for (unsigned i = 0; i < 3; i++)
			if (capos_event_factory_create(capos_caps.event_factory, &events[i]) < 0)
				return -1;
		for (unsigned i = 0; i < 12; i++)
			if (capos_process_bind(race.child, events[random_next(&seed) % 3],
				    random_next(&seed) % 3) < 0)
				return -2;
		for (unsigned i = 0; i < 3; i++)
			if (capos_release(events[i]) < 0)
				return -3;
	}
	return 0;
}

static void ends_meet(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t seed = 5;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct capos_thread *threads[THREADS];
		capos_cap_t event = event_create();
		race.child = spawn("sleep", NULL);
		race.stop = 0;
		OK(capos_process_bind(race.child, event, 4));
		for (uintptr_t i = 0; i < THREADS; i++)
			OK(capos_thread_start(&threads[i], bind_and_release, (void *)i, NULL));
		capos_sleep_ns(random_next(&seed) % (MS_NS / 4));
		OK(capos_process_kill(race.child));
		CHECK_EQUAL(event_take(event, ~0ull, FOREVER), 4);
		race.stop = 1;
		for (unsigned i = 0; i < THREADS; i++) {
			int64_t result = -1;
			OK(capos_thread_join(threads[i], &result));
			CHECK_EQUAL(result, 0);
		}
		OK(capos_release(event));
		OK(capos_release(race.child));
	}
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	kill_and_release(spawn("sleep", NULL)); /* the first touches pages of the stack */
	RUN(one_event_tells_of_many_ends);
	RUN(many_events_tell_of_one_end);
	RUN(an_end_that_was_counts);
	RUN(arguments_are_checked);
	RUN(the_event_goes_first);
	RUN(the_binder_goes_first);
	RUN(memory_runs_out);
	RUN(ends_meet);
	/* The process ends with bindings to its children. */
	for (unsigned i = 0; i < 4; i++)
		OK(capos_process_bind(spawn("sleep", NULL), event_create(), 1));
	return check_result();
}
