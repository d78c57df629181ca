/* Budgets: a hostile child uses one up, in both forms of a call, and is refused by name, while a
 * sibling meets its deadlines; when it has ended, all has come back.
 *
 * The roles of this file print the reason when they fail, and count as failed checks of the test
 * that started them. */
#include "raw_thread.h"
#include "ring_message.h"
#include "spawn.h"

#define HOSTILE_NS (60 * MS_NS)
#define WATCH_ROUNDS 50
#define LATE_MAX_NS 100000

#define MIDDLE_THREADS 8
#define MIDDLE_CAPABILITIES 60
#define MIDDLE_CALLS 6
#define MIDDLE_CPU 3000

#define SPIN_NS (300 * MS_NS)

#define MEMORY_PAGES 160u
#define MEMORY_REST 20u /* less than the largest of the things that did not fit */
#define MEMORY_TAKEN_MAX 100000u

#define GIVEN_PAGES 4096u
#define GIVEN_REST 96u /* for the program itself, and the page tables */

struct usage {
	struct capos_budget_usage of[CAPOS_BUDGET_CPU + 1];
};

static struct usage usage_of(capos_cap_t process)
{
	struct usage usage = { 0 };
	CHECK_EQUAL(capos_process_budgets(process, &usage, sizeof usage), sizeof usage);
	return usage;
}

/* Of a role. */
static int role_result(const char *role)
{
	if (check_why[0])
		printf("# %s: %s\n", role, check_why);
	provoked_print();
	return check_why[0] != 0;
}

static capos_cap_t spawn_within(
	const char *role, const char *more, const struct capos_spawn_limits *limits)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, more);
	capos_cap_t process = 0;
	grant(&grants, "event_factory", capos_caps.event_factory);
	grant(&grants, "endpoint_factory", capos_caps.endpoint_factory);
	OK(spawn_limited(&grants, &args, limits, &process));
	return process;
}

static void ends_well(capos_cap_t process)
{
	finishes(process, CAPOS_EXIT_KIND_EXITED, 0);
}

/* ---- children ---- */

static int role_hold(int argc, char **argv)
{
	(void)argc, (void)argv;
	capos_sleep_ns(CAPOS_WAIT_FOREVER / 2);
	return 0;
}

/* Whether sleeps end in time. Where time is not instructions, the host decides that. */
static int role_watch(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint64_t worst_ns = 0;
	for (int i = 0; i < WATCH_ROUNDS; i++) {
		uint64_t deadline_ns = capos_now_ns() + MS_NS, late_ns;
		capos_sleep_until_ns(deadline_ns);
		late_ns = capos_now_ns() - deadline_ns;
		worst_ns = late_ns > worst_ns ? late_ns : worst_ns;
	}
	printf("# the sibling's sleeps end %llu ns late at worst\n", (unsigned long long)worst_ns);
	CHECK(!time_is_exact() || worst_ns < LATE_MAX_NS);
	return role_result("watch");
}

static int role_threads(int argc, char **argv)
{
	(void)argc;
	static uint32_t word;
	uint64_t entry = (uint64_t)raw_park, until_ns = capos_now_ns() + HOSTILE_NS;
	long limit = strtol(argv[2], NULL, 0), count = 1;
	capos_cap_t handle = 0, spawner = capos_caps.thread_spawner;
	raw_park_space = capos_caps.park;
	while (capos_thread_spawner_spawn(spawner, entry, 0, (uint64_t)&word, 0, 0, "", &handle) ==
			0 &&
		count <= limit) {
		OK(capos_release(handle));
		count++;
	}
	CHECK_EQUAL(count, limit);
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_THREADS,
		capos_thread_spawner_spawn_message(
			spawner, entry, 0, (uint64_t)&word, 0, 0, "", &handle));
	for (int i = 0; i < 3 || (capos_now_ns() < until_ns && !check_why[0]); i++)
		CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_THREADS,
			capos_thread_spawner_spawn(
				spawner, entry, 0, (uint64_t)&word, 0, 0, "", &handle));
	raw_wake(&word);
	wait_for_threads(1);
	handle = raw_spawn(raw_exit, 5, 0); /* there is one again */
	CHECK_EQUAL(raw_join(handle), 5);
	return role_result("threads");
}

static int role_capabilities(int argc, char **argv)
{
	(void)argc;
	long limit = strtol(argv[2], NULL, 0), held = usual_grants().count + 2;
	uint64_t until_ns = capos_now_ns() + HOSTILE_NS;
	capos_cap_t self = 0, event = 0, factory = capos_caps.event_factory;
	while (capos_thread_control_self(capos_caps.thread_control, &self) == 0 && held <= limit)
		held++;
	CHECK_EQUAL(held, limit);
	CHECK_FAILS(THREAD_CONTROL_SELF, NO_SLOTS,
		capos_thread_control_self_message(capos_caps.thread_control, &self));
	for (int i = 0; i < 3 || (capos_now_ns() < until_ns && !check_why[0]); i++)
		CHECK_FAILS(EVENT_FACTORY_CREATE, NO_SLOTS,
			capos_event_factory_create(factory, &event));
	OK(capos_release(self));
	OK(capos_event_factory_create(factory, &event));
	return role_result("capabilities");
}

/* Something that is charged to memory: n counts those that there are. */

static uint64_t range;
static capos_cap_t object;

static int64_t take_page(uint64_t n)
{
	range = range ? range : vm_reserve(16 * LARGE);
	return vm_commit(range + n * PAGE, PAGE, WRITE);
}

/* A page table with each page. */
static int64_t take_table(uint64_t n)
{
	range = range ? range : vm_reserve(512 * LARGE);
	return vm_commit(range + n * LARGE, PAGE, WRITE);
}

/* The record of a region: neighbours that map the same page do not become one. */
static int64_t take_region(uint64_t n)
{
	uint64_t address = 0;
	if (!object)
		OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object));
	return capos_memory_object_map(object, n ? range += PAGE : (range = 1ull << 40), 0, PAGE,
		CAPOS_PROT_READ, &address);
}

/* A thread: its record, its kernel stack, its ring. */
static int64_t take_thread(uint64_t n)
{
	static uint32_t word;
	capos_cap_t handle = 0;
	raw_park_space = capos_caps.park;
	int64_t status = capos_thread_spawner_spawn(capos_caps.thread_spawner, (uint64_t)raw_park,
		0, (uint64_t)&word, 0, 0, "", &handle);
	(void)n;
	if (status == 0)
		OK(capos_release(handle));
	return status;
}

/* A call that is outstanding, with its message. */
static int64_t take_message(uint64_t n)
{
	static char bytes[4 * PAGE];
	struct capos_completion completion = { .result = 0 };
	if (!facet)
		make(64, 1);
	push_call(&(struct sent){ facet, n, FOREVER, bytes, sizeof bytes, bytes, 8 });
	capos_ring_enter(0, 0);
	return capos_ring_pop(&completion) ? completion.result : 0;
}

static int64_t take_endpoint(uint64_t n)
{
	capos_cap_t made = 0;
	(void)n;
	return capos_endpoint_factory_create(capos_caps.endpoint_factory, 1, &made);
}

static const struct {
	const char *name;
	int64_t (*take)(uint64_t n);
} takers[] = { { "pages", take_page }, { "page tables", take_table }, { "regions", take_region },
	{ "threads", take_thread }, { "messages", take_message }, { "endpoints", take_endpoint } };

#define TAKERS (sizeof takers / sizeof takers[0])

static int role_memory(int argc, char **argv)
{
	(void)argc;
	unsigned which = (unsigned)strtol(argv[2], NULL, 0);
	uint64_t until_ns = capos_now_ns() + HOSTILE_NS, taken = 0;
	int64_t status;
	while ((status = takers[which].take(taken)) == 0)
		taken++;
	CHECK_EQUAL(status, CAPOS_E(NO_MEMORY));
	CHECK(taken > 2);
	for (int i = 0; i < 3 || (capos_now_ns() < until_ns && !check_why[0]); i++) {
		status = takers[which].take(taken);
		if (status == 0 && taken < MEMORY_TAKEN_MAX) /* something was smaller */
			taken++;
		else
			CHECK_EQUAL(status, CAPOS_E(NO_MEMORY));
	}
	printf("# %llu %s fit\n", (unsigned long long)taken, takers[which].name);
	return role_result("memory");
}

/* Uses nearly all that it was given, when it is told to. */
static int role_given(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint64_t at = vm_reserve(GIVEN_PAGES * PAGE), size = (GIVEN_PAGES - GIVEN_REST) * PAGE;
	CHECK_EQUAL(event_take(capos_cap("go"), 1, CAPOS_WAIT_FOREVER), 1);
	OK(vm_commit(at, size, WRITE));
	for (uint64_t offset = 0; offset < size; offset += PAGE)
		CHECK_EQUAL(try_write(at + offset), 0);
	return role_result("given");
}

static int64_t call_and_wait(void *unused)
{
	(void)unused;
	struct registers r = { 0 };
	return ENTER(&r, ENDPOINT_CALL, facet, FOREVER);
}

static void push_one(uint64_t user_data)
{
	static char answers[64];
	const struct sent call = { facet, user_data, FOREVER, "message", 8, answers, 8 };
	push_call(&call);
	capos_ring_enter(0, 0);
}

/* One call waits in registers, the others in the ring. */
static int role_calls(int argc, char **argv)
{
	(void)argc;
	long limit = strtol(argv[2], NULL, 0);
	uint64_t until_ns = capos_now_ns() + HOSTILE_NS;
	struct capos_thread *caller;
	struct capos_thread_info info;
	struct registers r = { 0 };
	int64_t result = 0;
	make(64, 1);
	OK(capos_thread_start(&caller, call_and_wait, NULL, NULL));
	raw_wait_blocked(capos_thread_handle(caller), &info);
	for (long i = 1; i < limit; i++)
		push_one((uint64_t)i);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, NO_CALLS, ENTER(&r, ENDPOINT_CALL, facet, FOREVER));
	for (int i = 0; i < 3 || (capos_now_ns() < until_ns && !check_why[0]); i++) {
		push_one(1000);
		CHECK_EQUAL(next_completion().result, CAPOS_E(NO_CALLS));
		CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, FOREVER), CAPOS_E(NO_CALLS));
	}
	OK(capos_endpoint_revoke(endpoint, facet));
	OK(capos_thread_join(caller, &result));
	CHECK_EQUAL(result, CAPOS_E(DISCONNECTED));
	for (long i = 1; i < limit; i++)
		CHECK_EQUAL(next_completion().result, CAPOS_E(DISCONNECTED));
	make(64, 1); /* there are as many again, and some end with the process */
	for (long i = 1; i < limit; i++)
		push_one((uint64_t)i);
	CHECK_EQUAL(ENTER(&r, ENDPOINT_CALL, facet, capos_now_ns() + MS_NS), CAPOS_E(TIMED_OUT));
	nothing_completes();
	return role_result("calls");
}

/* Computes with more threads than there are CPUs. */
static int role_spin(int argc, char **argv)
{
	(void)argc, (void)argv;
	static uint64_t stop;
	uint64_t until_ns = capos_now_ns() + SPIN_NS;
	capos_cap_t handles[4];
	for (unsigned i = 0; i < 4; i++)
		handles[i] = raw_spawn(raw_spin, (uint64_t)&stop, 0);
	while (capos_now_ns() < until_ns)
		;
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQUAL(raw_join(handles[i]), 0);
	return role_result("spin");
}

/* ---- a process whose own budgets are limited ---- */

#define SPAWN_FAILS(error, ...)                                                \
	do {                                                                   \
		const struct capos_spawn_limits limits_ = { __VA_ARGS__ };     \
		struct grants grants_ = usual_grants();                        \
		struct strings args_ = arguments("hold", NULL);                \
		capos_cap_t process_ = 0;                                      \
		CHECK_FAILS(PROCESS_SPAWNER_SPAWN, error,                      \
			spawn_limited(&grants_, &args_, &limits_, &process_)); \
	} while (0)

static void limits_are_taken_out(void)
{
	SPAWN_FAILS(NO_THREADS, .threads = MIDDLE_THREADS);
	SPAWN_FAILS(NO_SLOTS, .capabilities = MIDDLE_CAPABILITIES);
	SPAWN_FAILS(NO_SLOTS, .capabilities = 3); /* less than its grants */
	SPAWN_FAILS(NO_CALLS, .threads = 1, .calls = MIDDLE_CALLS + 1);
	SPAWN_FAILS(NO_CPU, .threads = 1, .calls = 1, .cpu = MIDDLE_CPU + 1);
	SPAWN_FAILS(INVALID_ARGUMENT, .reserved = 1);
	SPAWN_FAILS(INVALID_ARGUMENT, .reserved2 = 1);
	SPAWN_FAILS(INVALID_ARGUMENT, .shared = 1 << CAPOS_BUDGET_MEMORY);
	SPAWN_FAILS(INVALID_ARGUMENT, .shared = 2 << CAPOS_BUDGET_CPU);
}

/* What a child has been given it has, although the parent and another child use all that is left.
 */
static void a_sibling_has_what_it_was_given(void)
{
	static uint32_t word;
	const struct capos_spawn_limits given = { .threads = 3 },
					ceiling = { .threads = 6,
						.shared = 1 << CAPOS_BUDGET_THREADS };
	capos_cap_t holder = spawn_within("hold", NULL, &ceiling), handle = 0;
	capos_cap_t child = spawn_within("threads", "3", &given);
	int64_t status;
	unsigned count = 1;
	raw_park_space = capos_caps.park;
	while ((status = capos_thread_spawner_spawn(capos_caps.thread_spawner, (uint64_t)raw_park,
			0, (uint64_t)&word, 0, 0, "", &handle)) == 0) {
		OK(capos_release(handle));
		count++;
	}
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_THREADS, status);
	CHECK_EQUAL(count, MIDDLE_THREADS - 3 - 1); /* less the child's, and the holder's one */
	SPAWN_FAILS(NO_THREADS, .threads = 0);      /* nothing to share */
	ends_well(child);
	SPAWN_FAILS(NO_THREADS, .threads = 4);
	child = spawn_within("threads", "2", &(struct capos_spawn_limits){ .threads = 2 });
	ends_well(child);
	struct usage usage = usage_of(holder);
	CHECK_EQUAL(usage.of[CAPOS_BUDGET_THREADS].limit, 6);
	CHECK_EQUAL(usage.of[CAPOS_BUDGET_THREADS].used, 1);
	OK(capos_process_kill(holder));
	finishes(holder, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	raw_wake(&word);
	wait_for_threads(1);
}

static int role_middle(int argc, char **argv)
{
	(void)argc, (void)argv;
	limits_are_taken_out();
	a_sibling_has_what_it_was_given();
	return role_result("middle");
}

static const struct role roles[] = { { "hold", role_hold }, { "watch", role_watch },
	{ "threads", role_threads }, { "capabilities", role_capabilities }, { "calls", role_calls },
	{ "spin", role_spin }, { "memory", role_memory }, { "middle", role_middle },
	{ "given", role_given } };

/* ---- tests ---- */

static const struct capos_spawn_limits middle_limits = { .threads = MIDDLE_THREADS,
	.capabilities = MIDDLE_CAPABILITIES,
	.calls = MIDDLE_CALLS,
	.cpu = MIDDLE_CPU };

static void all_has_come_back(capos_cap_t process)
{
	struct capos_process_end end;
	CHECK_EQUAL(capos_process_wait(process, CAPOS_WAIT_FOREVER, &end, sizeof end), sizeof end);
	struct usage usage = usage_of(process);
	for (unsigned i = CAPOS_BUDGET_THREADS; i <= CAPOS_BUDGET_CPU; i++)
		CHECK_EQUAL(usage.of[i].used, 0);
}

static void usage_is_told(void)
{
	capos_cap_t process = spawn_within("hold", NULL, &middle_limits);
	struct usage usage = usage_of(process);
	const struct capos_budget_usage *threads = &usage.of[CAPOS_BUDGET_THREADS];
	const struct capos_budget_usage *caps = &usage.of[CAPOS_BUDGET_CAPABILITIES];
	CHECK(threads->used == 1 && threads->limit == MIDDLE_THREADS && threads->peak == 1 &&
		threads->refused == 0);
	CHECK(caps->used == usual_grants().count + 2 && caps->limit == MIDDLE_CAPABILITIES &&
		caps->peak == caps->used);
	CHECK(usage.of[CAPOS_BUDGET_CALLS].limit == MIDDLE_CALLS &&
		usage.of[CAPOS_BUDGET_CPU].limit == MIDDLE_CPU);
	CHECK(usage.of[CAPOS_BUDGET_MEMORY].used > 10 && usage.of[CAPOS_BUDGET_MEMORY].limit == 0);
	CHECK_FAILS(PROCESS_BUDGETS, BAD_ADDRESS,
		capos_process_budgets(process, (void *)16, sizeof usage));
	CHECK_EQUAL(capos_process_budgets_message(process, &usage, sizeof usage), sizeof usage);
	OK(capos_process_kill(process));
	all_has_come_back(process);
	OK(capos_release(process));
}

static void budgets_are_made_of_others(void)
{
	capos_cap_t process = spawn_within("middle", NULL, &middle_limits);
	all_has_come_back(process);
	struct usage usage = usage_of(process);
	CHECK_EQUAL(usage.of[CAPOS_BUDGET_THREADS].peak, MIDDLE_THREADS);
	CHECK(usage.of[CAPOS_BUDGET_THREADS].refused >= 3);
	ends_well(process);
}

/* A child uses up what it has of a budget, and tries again and again. */
static void exhaust(enum capos_budget budget, const char *role, const char *limit,
	const struct capos_spawn_limits *limits)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t watch = spawn("watch", NULL);
	capos_cap_t hostile = spawn_within(role, limit, limits);
	ends_well(watch);
	all_has_come_back(hostile);
	struct usage usage = usage_of(hostile);
	CHECK_EQUAL(usage.of[budget].peak, usage.of[budget].limit);
	CHECK(usage.of[budget].refused > 1);
	ends_well(hostile);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void threads_are_used_up(void)
{
	exhaust(CAPOS_BUDGET_THREADS, "threads", "20",
		&(struct capos_spawn_limits){ .threads = 20 });
}

static void capabilities_are_used_up(void)
{
	exhaust(CAPOS_BUDGET_CAPABILITIES, "capabilities", "200",
		&(struct capos_spawn_limits){ .capabilities = 200 });
}

static void calls_are_used_up(void)
{
	exhaust(CAPOS_BUDGET_CALLS, "calls", "5", &(struct capos_spawn_limits){ .calls = 5 });
}

static void use_memory_up(const char *taker)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("memory", taker);
	struct capos_memory_usage before = program_usage();
	capos_cap_t watch = spawn("watch", NULL), hostile = 0;
	grant(&grants, "endpoint_factory", capos_caps.endpoint_factory);
	OK(spawn_with(&grants, &args, MEMORY_PAGES, &hostile));
	ends_well(watch);
	all_has_come_back(hostile);
	struct usage usage = usage_of(hostile);
	CHECK(usage.of[CAPOS_BUDGET_MEMORY].peak > MEMORY_PAGES - MEMORY_REST);
	CHECK_EQUAL(usage.of[CAPOS_BUDGET_MEMORY].limit, MEMORY_PAGES);
	CHECK(usage.of[CAPOS_BUDGET_MEMORY].refused > 1);
	ends_well(hostile);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void memory_is_used_up(void)
{
	char taker[] = "0";
	for (unsigned i = 0; i < TAKERS; i++, taker[0]++)
		use_memory_up(taker);
}

/* A process without a limit takes all memory that is left, and more than that cannot be given. */
static void memory_is_set_aside(void)
{
	struct grants grants = usual_grants();
	struct strings args = arguments("given", NULL);
	capos_cap_t go = event_create(), child = 0, other = 0;
	grant(&grants, "go", go);
	OK(spawn_with(&grants, &args, GIVEN_PAGES, &child));
	uint64_t size = 1ull << 30, range = commit_all(size);
	CHECK_FAILS(
		PROCESS_SPAWNER_SPAWN, NO_MEMORY, spawn_with(&grants, &args, GIVEN_PAGES, &other));
	OK(capos_event_signal(go, 1));
	ends_well(child);
	OK(vm_unmap(range, size));
	OK(capos_release(go));
}

/* How much of a CPU the children have had together since then, in thousandths. */
static uint64_t permille(const capos_cap_t *children, unsigned count, uint64_t since_ns)
{
	uint64_t sum_ns = 0;
	for (unsigned i = 0; i < count; i++) {
		struct capos_process_resources usage = { 0 };
		CHECK_EQUAL(capos_process_usage(children[i], &usage, sizeof usage), sizeof usage);
		sum_ns += usage.cpu_time_ns;
	}
	return sum_ns * 1000 / (capos_now_ns() - since_ns);
}

/* The threads stop instead of being refused. What was not used is kept for one period, and a CPU
 * notices the end of what is left a moment late, or as late as the host lets it. */
static void cpu_time_is_used_up(void)
{
	const struct capos_spawn_limits limits = { .cpu = 250 };
	uint64_t since_ns = capos_now_ns();
	capos_cap_t watch = spawn("watch", NULL), hostile = spawn_within("spin", NULL, &limits);
	ends_well(watch);
	all_has_come_back(hostile);
	uint64_t had = permille(&hostile, 1, since_ns);
	struct usage usage = usage_of(hostile);
	printf("# %llu thousandths of a CPU, %llu stops\n", (unsigned long long)had,
		(unsigned long long)usage.of[CAPOS_BUDGET_CPU].refused);
	CHECK(had <= 290 && (!time_is_exact() || had >= 200));
	CHECK(usage.of[CAPOS_BUDGET_CPU].limit == 250 && usage.of[CAPOS_BUDGET_CPU].refused > 1);
	ends_well(hostile);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	RUN(usage_is_told);
	RUN(budgets_are_made_of_others);
	RUN(threads_are_used_up);
	RUN(capabilities_are_used_up);
	RUN(calls_are_used_up);
	RUN(memory_is_used_up);
	RUN(memory_is_set_aside);
	RUN(cpu_time_is_used_up);
	return check_result();
}
