/* Measures the kernel from C, with no language runtime in between: the bare price of a call, of a
 * thread switch between two threads, of a thread, of memory. The measuring code is the same for
 * every system; system_linux.h and system_capos.h make the calls of each.
 *
 * It is made for a machine with one CPU whose time-stamp counter counts instructions. Every row
 * runs a fixed number of operations, once to warm up and then SAMPLES times; the best divided by
 * the operations is printed as "row NAME VALUE UNIT". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __capos__
#include "system_capos.h"
#else
#include "system_linux.h"
#endif

#define SAMPLES 3
#define PAGE_SIZE 4096
#define MAP_PAGES 2048

static inline uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* What a row's function is: does count operations. */
typedef void (*row_function_t)(uint64_t count);

static void null_calls(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		system_null();
}

/* The smallest call with a result: the calling thread's FS base. */
static void small_calls(uint64_t count)
{
	uint64_t first = system_fs_base();

	for (uint64_t i = 1; i < count; i++)
		if (system_fs_base() != first)
			system_fail("the FS base changed");
}

static void clock_reads(uint64_t count)
{
	uint64_t previous_ns = 0;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t now_ns = system_now_ns();

		if (now_ns < previous_ns)
			system_fail("the clock ran backwards");
		previous_ns = now_ns;
	}
}

/* A wake without a waiter. */
static void empty_wakes(uint64_t count)
{
	static volatile uint32_t word;

	for (uint64_t i = 0; i < count; i++)
		if (system_unpark(&word) != 0)
			system_fail("a thread was waiting");
}

/* ---- handing a token from one thread to the other and back ---- */

static volatile uint32_t turn[2]; /* turn[i] is 1 when it is thread i's turn */
static uint64_t switch_rounds;

static void await_turn(uint32_t me)
{
	while (__atomic_exchange_n(&turn[me], 0, __ATOMIC_ACQUIRE) == 0)
		system_park(&turn[me], 0);
}

static void give_turn(uint32_t other)
{
	__atomic_store_n(&turn[other], 1, __ATOMIC_RELEASE);
	system_unpark(&turn[other]);
}

static void answer_turns(void)
{
	for (uint64_t i = 0; i < switch_rounds; i++) {
		await_turn(1);
		give_turn(0);
	}
}

/* One operation is one thread switch, half a round: a wake, a wait, and the switch between them. */
static void thread_switches(uint64_t count)
{
	system_thread_t partner;

	switch_rounds = count / 2;
	system_thread_start(&partner, answer_turns);
	for (uint64_t i = 0; i < switch_rounds; i++) {
		give_turn(1);
		await_turn(0);
	}
	system_thread_join(&partner);
}

/* ---- the same by events (capOS) and event counters (Linux) ---- */

static uint64_t event_rounds;

static void answer_events(void)
{
	for (uint64_t i = 0; i < event_rounds; i++) {
		system_event_wait(1);
		system_event_signal(0);
	}
}

/* One operation is a signal to a thread that waits, until that thread has it. */
static void event_signals(uint64_t count)
{
	system_thread_t partner;

	event_rounds = count / 2;
	system_thread_start(&partner, answer_events);
	for (uint64_t i = 0; i < event_rounds; i++) {
		system_event_signal(1);
		system_event_wait(0);
	}
	system_thread_join(&partner);
}

/* ---- threads and memory ---- */

static uint64_t threads_ran;

static void count_thread(void)
{
	threads_ran++;
}

static void threads(uint64_t count)
{
	uint64_t before = threads_ran;

	for (uint64_t i = 0; i < count; i++) {
		system_thread_t thread;

		system_thread_start(&thread, count_thread);
		system_thread_join(&thread);
	}
	if (threads_ran != before + count)
		system_fail("a thread did not run");
}

/* Per page: its share of map, first write and unmap. */
static void mapped_pages(uint64_t count)
{
	char *block = system_map(count * PAGE_SIZE);

	for (uint64_t i = 0; i < count; i++) {
		if (block[i * PAGE_SIZE] != 0)
			system_fail("a new page is not zero");
		block[i * PAGE_SIZE] = 1;
	}
	system_unmap(block, count * PAGE_SIZE);
}

/* Maps and unmaps one page that is not touched. */
static void untouched_maps(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		system_unmap(system_map(PAGE_SIZE), PAGE_SIZE);
}

/* ---- other processes: this program again, told its role ---- */

/* From the request for a process, which ends at once, until its end is known. */
static void spawns(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		system_process_t child;

		system_process_start(&child, "exit");
		system_process_wait(&child);
	}
}

static void answer_events_for_ever(void)
{
	for (;;) {
		system_event_wait(1);
		system_event_signal(0);
	}
}

/* event_signals with a partner in another process. */
static void process_events(uint64_t count)
{
	system_process_t partner;

	system_process_start_with_events(&partner, "answer-events");
	for (uint64_t i = 0; i < count / 2; i++) {
		system_event_signal(1);
		system_event_wait(0);
	}
	system_process_kill(&partner);
}

/* 64 bytes to a server in another process, and 64 bytes back. */
static void process_calls(uint64_t count)
{
	system_server_start();
	for (uint64_t i = 0; i < count; i++)
		if (system_server_call(i) != i + 1)
			system_fail("the server answered something else");
	system_server_end();
}

/* The same through the ring, with so many calls outstanding. On Linux those are in the pipes. */
static void outstanding_calls(uint64_t count, unsigned outstanding)
{
	system_server_start();
	for (uint64_t i = 0; i < count + outstanding; i++) {
		unsigned slot = (unsigned)(i % outstanding);

		if (i >= outstanding && system_call_end(slot) != i - outstanding + 1)
			system_fail("the server answered something else");
		if (i < count)
			system_call_begin(slot, i);
	}
	system_server_end();
}

static void ring_calls(uint64_t count)
{
	outstanding_calls(count, 1);
}

static void ring_calls_of_16(uint64_t count)
{
	outstanding_calls(count, 16);
}

/* The same by a pipe each way. */
static void process_pipes(uint64_t count)
{
	system_pipe_server_start();
	for (uint64_t i = 0; i < count; i++)
		if (system_pipe_server_call(i) != i + 1)
			system_fail("the server answered something else");
	system_pipe_server_end();
}

/* The same, with a copy of a capability (a descriptor), which the server releases. */
static void process_capabilities(uint64_t count)
{
	system_taker_start();
	for (uint64_t i = 0; i < count; i++)
		if (system_taker_call(i) != i + 1)
			system_fail("the server answered something else");
	system_taker_end();
}

#define RIVALS 16
#define SLEEPS 100
#define SLEEP_NS 4000000u

/* How late a thread that sleeps most of the time runs at worst, beside processes that compute. */
static void measure_sleeper(void)
{
	static system_process_t rivals[RIVALS];
	uint64_t worst_ns = 0;

	for (int i = 0; i < RIVALS; i++)
		system_process_start(&rivals[i], "compute");
	for (int i = -20; i < SLEEPS; i++) { /* the first ones let the rivals start */
		uint64_t deadline_ns = system_now_ns() + SLEEP_NS, late_ns;

		system_sleep_until(deadline_ns);
		late_ns = system_now_ns() - deadline_ns;
		if (i >= 0 && late_ns > worst_ns)
			worst_ns = late_ns;
	}
	for (int i = 0; i < RIVALS; i++)
		system_process_kill(&rivals[i]);
	printf("row raw.sleeper_late %llu.00 ns\n", (unsigned long long)worst_ns);
}

static int play_role(const char *role)
{
	if (strcmp(role, "serve") == 0)
		system_serve();
	else if (strcmp(role, "take") == 0)
		system_take();
	else if (strcmp(role, "serve-pipe") == 0)
		system_pipe_serve();
	else if (strcmp(role, "answer-events") == 0 && system_take_events())
		answer_events_for_ever();
	else if (strcmp(role, "compute") == 0)
		for (volatile uint64_t i = 0;; i++)
			;
	return 0;
}

static const struct row {
	const char *name;
	row_function_t run;
	uint64_t count;
} rows[] = {
	{ "raw.null_call", null_calls, 20000 },
	{ "raw.small_call", small_calls, 20000 },
	{ "raw.clock", clock_reads, 20000 },
	{ "raw.empty_wake", empty_wakes, 20000 },
	{ "raw.thread_switch", thread_switches, 10000 },
	{ "raw.event", event_signals, 10000 },
	{ "raw.thread", threads, 500 },
	{ "raw.map_unmap", untouched_maps, 2000 },
	{ "raw.map_touch", mapped_pages, MAP_PAGES },
	{ "raw.process_event", process_events, 10000 },
	{ "raw.process_call", process_calls, 5000 },
	{ "raw.ring_call", ring_calls, 5000 },
	{ "raw.ring_call_16", ring_calls_of_16, 5008 },
	{ "raw.process_cap", process_capabilities, 5000 },
	{ "raw.process_pipe", process_pipes, 5000 },
	{ "raw.spawn", spawns, 50 },
};

static void measure(const struct row *row)
{
	uint64_t best = UINT64_MAX;

	row->run(row->count);
	for (int sample = 0; sample < SAMPLES; sample++) {
		uint64_t start = ticks(), spent;

		row->run(row->count);
		spent = ticks() - start;
		if (spent < best)
			best = spent;
	}
	best = best * 100 / row->count;
	printf("row %s %llu.%02llu instructions\n", row->name, (unsigned long long)(best / 100),
		(unsigned long long)(best % 100));
}

/* With arguments, measures the rows named there. A name that ends in '*' names all rows with that
 * beginning. */
static int is_wanted(const char *name, int count, char **patterns)
{
	for (int i = 0; i < count; i++) {
		size_t length = strlen(patterns[i]);
		int is_prefix = length > 0 && patterns[i][length - 1] == '*';

		if (is_prefix ? strncmp(name, patterns[i], length - 1) == 0
			      : strcmp(name, patterns[i]) == 0)
			return 1;
	}
	return count == 0;
}

int main(int argc, char **argv)
{
	unsigned long long at_main = ticks();

	if (argc == 3 && strcmp(argv[1], "-role") == 0)
		return play_role(argv[2]);
	system_start(argv[0]);
	if (is_wanted("boot.c_main", argc - 1, argv + 1))
		printf("row boot.c_main %llu.%02llu M-instructions\n", at_main / 1000000,
			at_main % 1000000 / 10000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is_wanted(rows[i].name, argc - 1, argv + 1))
			measure(&rows[i]);
	if (is_wanted("raw.sleeper_late", argc - 1, argv + 1))
		measure_sleeper();
	printf("end\n");
	fflush(stdout);
	return 0;
}
