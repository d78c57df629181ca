/* Process.suspend and resume: no thread of the process runs user code in between, whatever it did
 * before and whatever becomes of it meanwhile. */
#include "spawn.h"

#define THREADS 6u

/* Shared with children. */
struct counters {
	uint32_t started; /* threads that count */
	uint32_t more;    /* begins another that counts */
	uint64_t counts[2 * THREADS];
	uint64_t slept, called, parent, child;
};

static volatile struct counters *counters;

/* ---- roles ---- */

static void map_counters(capos_cap_t object)
{
	uint64_t address = 0;
	capos_memory_object_map(object, 0, 0, PAGE, WRITE, &address);
	counters = (volatile struct counters *)address;
}

static int64_t count(void *argument)
{
	uint32_t me = __atomic_fetch_add((uint32_t *)&counters->started, 1, __ATOMIC_SEQ_CST);
	(void)argument;
	for (;;)
		counters->counts[me]++;
}

static int64_t count_calls(void *argument)
{
	(void)argument;
	for (;; counters->called++)
		capos_thread_yield();
}

/* Threads that compute, call, sleep and are made. */
static int role_threads(int argc, char **argv)
{
	struct capos_thread *thread;
	(void)argc, (void)argv;
	map_counters(capos_cap("word"));
	for (unsigned i = 0; i < THREADS; i++)
		capos_thread_start(&thread, count, NULL, NULL);
	capos_thread_start(&thread, count_calls, NULL, NULL);
	for (;; counters->slept++) {
		capos_sleep_ns(MS_NS / 20);
		if (counters->more) {
			counters->more = 0;
			capos_thread_start(&thread, count, NULL, NULL);
		}
	}
}

static int role_count(int argc, char **argv)
{
	(void)argc, (void)argv;
	map_counters(capos_cap("word"));
	for (;;)
		counters->child++;
}

static capos_cap_t word_object;

static capos_cap_t spawn_counting(const char *role)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, NULL);
	capos_cap_t process = 0;
	grant(&grants, "word", word_object ? word_object : capos_cap("word"));
	OK(spawn_with(&grants, &args, 0, &process));
	return process;
}

/* Has a child, and counts too. */
static int role_parent(int argc, char **argv)
{
	(void)argc, (void)argv;
	map_counters(capos_cap("word"));
	spawn_counting("count");
	for (;;)
		counters->parent++;
}

/* Makes threads that end soon. */
static int64_t end(void *argument)
{
	(void)argument;
	for (int i = 0; i < 30000; i++)
		counters->slept++;
	return 0;
}

static int role_churn(int argc, char **argv)
{
	(void)argc, (void)argv;
	map_counters(capos_cap("word"));
	for (;; counters->called++) {
		struct capos_thread *threads[3];
		int64_t result;
		for (unsigned i = 0; i < 3; i++)
			capos_thread_start(&threads[i], end, NULL, NULL);
		for (unsigned i = 0; i < 3; i++)
			capos_thread_join(threads[i], &result);
	}
}

static const struct role roles[] = { { "threads", role_threads }, { "count", role_count },
	{ "parent", role_parent }, { "churn", role_churn } };

/* ---- tests ---- */

static void clear(void)
{
	memset((void *)counters, 0, sizeof *counters);
}

static uint64_t sum(void)
{
	uint64_t total = counters->slept + counters->called + counters->parent + counters->child;
	for (unsigned i = 0; i < 2 * THREADS; i++)
		total += counters->counts[i];
	return total;
}

static void await_change(const volatile uint64_t *counter)
{
	uint64_t before = *counter, until = capos_now_ns() + 20000 * MS_NS;
	while (*counter == before && capos_now_ns() < until)
		capos_sleep_ns(MS_NS / 10);
	CHECK(*counter != before);
}

static void kill_and_release(capos_cap_t process)
{
	OK(capos_process_kill(process));
	finishes(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
}

static void no_thread_runs_meanwhile(void)
{
	struct capos_memory_usage before = program_usage();
	clear();
	capos_cap_t child = spawn_counting("threads");
	while (counters->started < THREADS)
		capos_sleep_ns(MS_NS / 10);
	for (unsigned round = 0; round < 30; round++) {
		OK(round % 2 ? capos_process_suspend(child) : capos_process_suspend_message(child));
		uint64_t total = sum();
		if (round % 5 == 0)
			OK(capos_process_suspend(child)); /* does not count */
		capos_sleep_ns(round % 7 * MS_NS / 4);
		CHECK_EQUAL(sum(), total);
		OK(round % 2 ? capos_process_resume_message(child) : capos_process_resume(child));
		await_change(&counters->counts[round % THREADS]);
		await_change(&counters->slept);
		await_change(&counters->called);
	}
	OK(capos_process_resume(child)); /* it is not suspended */
	kill_and_release(child);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void a_new_thread_is_held_too(void)
{
	clear();
	capos_cap_t child = spawn_counting("threads");
	while (counters->started < THREADS)
		capos_sleep_ns(MS_NS / 10);
	for (unsigned round = 0; round < THREADS; round++) {
		counters->more = 1;
		capos_sleep_ns(round * MS_NS / 50);
		OK(capos_process_suspend(child));
		uint64_t total = sum();
		uint32_t started = counters->started;
		capos_sleep_ns(MS_NS);
		CHECK_EQUAL(sum(), total);
		CHECK_EQUAL(counters->started, started);
		OK(capos_process_resume(child));
		while (counters->started != THREADS + 1 + round)
			capos_sleep_ns(MS_NS / 10);
	}
	kill_and_release(child);
}

/* A thread that is being made when the process is suspended begins afterwards. */
static void a_thread_in_the_making_is_held_too(void)
{
	uint64_t seed = 3;
	clear();
	capos_cap_t child = spawn_counting("churn");
	await_change(&counters->slept);
	for (unsigned round = 0; round < 150; round++) {
		OK(capos_process_suspend(child));
		uint64_t total = sum();
		capos_sleep_ns(MS_NS / 20);
		CHECK_EQUAL(sum(), total);
		OK(capos_process_resume(child));
		uint64_t until = capos_now_ns() + random_next(&seed) % (MS_NS / 10);
		while (capos_now_ns() < until)
			;
	}
	kill_and_release(child);
}

static void children_run_on(void)
{
	clear();
	capos_cap_t child = spawn_counting("parent");
	await_change(&counters->child);
	await_change(&counters->parent);
	OK(capos_process_suspend(child));
	uint64_t total = counters->parent;
	await_change(&counters->child);
	CHECK_EQUAL(counters->parent, total);
	kill_and_release(child); /* suspended, with its child */
	total = counters->child;
	capos_sleep_ns(MS_NS);
	CHECK_EQUAL(counters->child, total);
}

static void its_end_is_no_state(void)
{
	clear();
	capos_cap_t child = spawn_counting("count");
	OK(capos_process_kill(child));
	int64_t status = capos_process_suspend(child);
	CHECK_FAILS(PROCESS_SUSPEND, WRONG_STATE, status);
	CHECK_FAILS(PROCESS_RESUME, WRONG_STATE, capos_process_resume(child));
	finishes(child, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
}

/* It begins suspended, and ends so. */
static void it_is_suspended_at_any_time(void)
{
	struct capos_memory_usage before = program_usage();
	for (uint64_t after = 0; after < 200000; after += 9000) {
		clear();
		capos_cap_t child = spawn_counting("count");
		uint64_t until = capos_now_ns() + after;
		while (capos_now_ns() < until)
			;
		OK(capos_process_suspend(child));
		uint64_t total = sum();
		capos_sleep_ns(MS_NS / 5);
		CHECK_EQUAL(sum(), total);
		if (after % 2000)
			OK(capos_process_resume(child));
		kill_and_release(child);
	}
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static capos_cap_t shared;
static volatile bool stop;

static int64_t suspend_and_resume(void *argument)
{
	uint64_t seed = (uintptr_t)argument * 3 + 1;
	while (!stop) {
		int64_t status = random_next(&seed) % 2 ? capos_process_suspend(shared)
							: capos_process_resume(shared);
		if (status != 0 && status != CAPOS_E(WRONG_STATE))
			return -1;
	}
	return 0;
}

/* Several suspend and resume a process whose threads come and go, and it is killed. */
static void several_at_once(void)
{
	struct capos_memory_usage before = program_usage();
	for (unsigned round = 0; round < 15; round++) {
		struct capos_thread *threads[3];
		int64_t result = -1;
		clear();
		stop = false;
		shared = spawn_counting("churn");
		for (uintptr_t i = 0; i < 3; i++)
			OK(capos_thread_start(&threads[i], suspend_and_resume, (void *)i, NULL));
		capos_sleep_ns(3 * MS_NS);
		if (round % 2 == 0) {
			stop = true;
			for (unsigned i = 0; i < 3; i++)
				OK(capos_thread_join(threads[i], &result));
			OK(capos_process_resume(shared));
			await_change(&counters->called);
			OK(capos_process_kill(shared));
		} else {
			OK(capos_process_kill(shared));
			stop = true;
			for (unsigned i = 0; i < 3; i++)
				OK(capos_thread_join(threads[i], &result));
		}
		CHECK_EQUAL(result, 0);
		finishes(shared, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	}
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &word_object));
	map_counters(word_object);
	kill_and_release(spawn_counting("count")); /* the first touches pages of the stack */
	RUN(no_thread_runs_meanwhile);
	RUN(a_new_thread_is_held_too);
	RUN(a_thread_in_the_making_is_held_too);
	RUN(children_run_on);
	RUN(its_end_is_no_state);
	RUN(it_is_suspended_at_any_time);
	RUN(several_at_once);
	return check_result();
}
