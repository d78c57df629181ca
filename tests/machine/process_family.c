/* Processes that end in every state, by a kill or with their parent, and what is left of them:
 * nothing. */
#include "spawn.h"

/* ---- roles; each says through a shared word that it has come to its state ---- */

static volatile uint32_t *word;

static void say(uint32_t value)
{
	if (!word) {
		uint64_t address = 0;
		capos_memory_object_map(capos_cap("word"), 0, 0, PAGE, WRITE, &address);
		word = (volatile uint32_t *)address;
	}
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static capos_cap_t word_object;

static capos_cap_t spawn_with_word(const char *role, const char *more)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, more);
	capos_cap_t process = 0;
	grant(&grants, "word", word_object ? word_object : capos_cap("word"));
	grant(&grants, "stdin", capos_caps.standard_input);
	OK(spawn_with(&grants, &args, 0, &process));
	return process;
}

static int role_compute(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (say(1);;)
		;
}

static int role_sleep(int argc, char **argv)
{
	(void)argc, (void)argv;
	say(1);
	capos_sleep_ns(CAPOS_WAIT_FOREVER / 2);
	return 1;
}

static int role_park(int argc, char **argv)
{
	(void)argc, (void)argv;
	static uint32_t never;
	say(1);
	capos_park(&never, 0, CAPOS_WAIT_FOREVER);
	return 1;
}

static int role_wait(int argc, char **argv)
{
	struct capos_process_end end;
	(void)argc, (void)argv;
	capos_cap_t process = spawn_with_word("sleep", NULL);
	capos_process_wait(process, CAPOS_WAIT_FOREVER, &end, sizeof end);
	return 1;
}

static int64_t compute(void *argument)
{
	(void)argument;
	for (;;)
		;
}

static int role_threads(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct capos_thread *thread;
	for (int i = 0; i < 20; i++)
		capos_thread_start(&thread, compute, NULL, NULL);
	return role_compute(argc, argv);
}

static int role_suspended(int argc, char **argv)
{
	struct capos_thread *thread;
	capos_thread_start(&thread, compute, NULL, NULL);
	capos_thread_handle_suspend(capos_thread_handle(thread));
	return role_sleep(argc, argv);
}

/* Starts processes without end, and does not look after them. */
static int role_breed(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (say(1);;) {
		struct grants grants = usual_grants();
		struct strings args = arguments("exit", NULL);
		capos_cap_t process = 0;
		if (spawn_with(&grants, &args, 0, &process) == 0)
			capos_release(process);
	}
}

/* The same, and so do its children. */
static int role_bomb(int argc, char **argv)
{
	(void)argc, (void)argv;
	say(1);
	for (;;) {
		capos_cap_t process = 0;
		struct grants grants = usual_grants();
		struct strings args = arguments("bomb", NULL);
		grant(&grants, "word", capos_cap("word"));
		if (spawn_with(&grants, &args, 0, &process) == 0)
			capos_release(process);
	}
}

static int role_exit(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}

/* Leaves a child behind that counts. */
static int role_leave(int argc, char **argv)
{
	(void)argc, (void)argv;
	say(0);
	spawn_with_word("count", NULL);
	while (*word == 0)
		capos_thread_yield();
	return 5;
}

static int role_count(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (uint32_t i = 1;; i++)
		say(i);
}

static const struct role roles[] = { { "compute", role_compute }, { "sleep", role_sleep },
	{ "park", role_park }, { "wait", role_wait }, { "threads", role_threads },
	{ "suspended", role_suspended }, { "breed", role_breed }, { "bomb", role_bomb },
	{ "exit", role_exit }, { "leave", role_leave }, { "count", role_count } };

/* ---- tests ---- */

static void wait_for_state(void)
{
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0)
		capos_sleep_ns(MS_NS / 10);
}

/* Everything that was charged for children has come back. */
static void check_even(const struct capos_memory_usage *before)
{
	CHECK_EQUAL(program_usage().committed_pages, before->committed_pages);
}

/* begin_ns: how long after its beginning it is killed; 0: after_ns after it has come to its
 * state. */
static void kill_in_state(const char *role, uint64_t begin_ns, uint64_t after_ns)
{
	struct capos_memory_usage before = program_usage();
	*word = 0;
	capos_cap_t process = spawn_with_word(role, NULL);
	uint64_t until_ns = capos_now_ns() + begin_ns;
	if (!begin_ns)
		wait_for_state();
	capos_sleep_ns(after_ns);
	while (capos_now_ns() < until_ns)
		;
	OK(capos_process_kill(process));
	finishes(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	check_even(&before);
}

static void kills_in_every_state(void)
{
	static const char *const states[] = { "compute", "sleep", "park", "wait", "threads",
		"suspended", "breed" };
	for (unsigned i = 0; i < sizeof states / sizeof states[0]; i++) {
		kill_in_state(states[i], 1, 0);
		kill_in_state(states[i], 0, MS_NS);
		kill_in_state(states[i], 0, 7 * MS_NS);
	}
}

/* At all times of its beginning. */
static void kills_while_it_starts(void)
{
	for (uint64_t after = 1000; after < 400000; after += 9000)
		kill_in_state("sleep", after, 0);
}

static void a_child_dies_with_its_parent(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t process = spawn_with_word("leave", NULL);
	finishes(process, CAPOS_EXIT_KIND_EXITED, 5);
	uint32_t count = *word;
	CHECK(count > 0);
	capos_sleep_ns(10 * MS_NS);
	CHECK_EQUAL(*word, count); /* it has ended, and not just been told to */
	check_even(&before);
}

/* Within a limit, however many there come to be. */
static void a_bomb_is_put_out(void)
{
	struct capos_memory_usage before = program_usage();
	struct grants grants = usual_grants();
	struct strings args = arguments("bomb", NULL);
	capos_cap_t process = 0;
	*word = 0;
	grant(&grants, "word", word_object);
	OK(spawn_with(&grants, &args, 1500, &process));
	wait_for_state();
	for (int i = 0; i < 5; i++) {
		uint64_t start = capos_now_ns();
		capos_sleep_ns(10 * MS_NS);
		CHECK(capos_now_ns() - start >= 10 * MS_NS);
		CHECK_EQUAL(program_usage().committed_pages - before.committed_pages, 1500);
	}
	OK(capos_process_kill(process));
	finishes(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	check_even(&before);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	uint64_t address = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &word_object));
	OK(capos_memory_object_map(word_object, 0, 0, PAGE, WRITE, &address));
	word = (volatile uint32_t *)address;
	kill_in_state("sleep", 0, 0); /* the first touches pages of the parent's stack */
	check_why[0] = '\0';
	RUN(kills_in_every_state);
	RUN(kills_while_it_starts);
	RUN(a_child_dies_with_its_parent);
	RUN(a_bomb_is_put_out);
	return check_result();
}
