/* What a process does on its CPU interrupts no other process on another, but for threads that it
 * wakes there, and for these only so often.
 *
 * The one without an argument computes on CPU 0 and counts how often it is interrupted, first
 * quietly, then while each of the others does on CPU 1 what once sent interrupts to all. The last
 * one has a thread on CPU 0 too. */
// test: cpus 2
// test: beside profile 0
// test: beside ticks 0
// test: beside yield 0
// test: beside wake 0
// test: beside kick 0
#include "raw_thread.h"

#define FIRST_NS (300 * MS_NS)
#define PHASE_NS (400 * MS_NS)
#define MARGIN_NS (100 * MS_NS) /* they do not start at the same time */
#define WINDOW_NS (PHASE_NS - 2 * MARGIN_NS)
#define INTERRUPTS_MAX 10
#define KICK_NS (QUIET_NS / 5)
#define THREADS 4
#define STACK_SIZE 4096

static uint64_t started_ns, end_ns;
static const char *const attacks[] = { "nothing", "profile", "ticks", "yield", "wake", "kick" };
enum { KICK = 5 };
#define ATTACKS (int)(sizeof attacks / sizeof attacks[0])

static uint64_t phase_begin(int number)
{
	return started_ns + FIRST_NS + (uint64_t)number * PHASE_NS;
}

static bool over(void)
{
	return capos_now_ns() >= end_ns;
}

/* ---- on CPU 1 ---- */

static uint32_t turn;

/* No tick is asked for, and none was. */
static void set_no_profile(void)
{
	while (!over())
		OK(capos_thread_control_set_process_profile(capos_caps.thread_control, 0));
}

/* Ticks come sooner, and later again. */
static void change_profile(void)
{
	capos_cap_t control = capos_caps.thread_control;
	for (uint64_t ns = 1000 * MS_NS; !over(); ns ^= 1)
		OK(capos_thread_control_set_process_profile(control, ns));
	OK(capos_thread_control_set_process_profile(control, 0));
}

static int64_t yield_in_turn(void *unused)
{
	(void)unused;
	while (!over())
		capos_thread_yield();
	return 0;
}

/* Threads wake each other in turn. */
static int64_t wake_in_turn(void *argument)
{
	uint32_t me = (uint32_t)(uintptr_t)argument;
	while (!over()) {
		uint32_t seen = __atomic_load_n(&turn, __ATOMIC_SEQ_CST);
		if (seen % THREADS != me) {
			capos_park(&turn, seen, end_ns);
			continue;
		}
		__atomic_store_n(&turn, seen + 1, __ATOMIC_SEQ_CST);
		capos_unpark(&turn, ~0ull);
	}
	return 0;
}

/* A thread on CPU 0 waits again as soon as it is woken. */
static int64_t be_kicked(void *unused)
{
	(void)unused;
	while (!over())
		capos_park(&turn, 0, end_ns);
	return 0;
}

static void kick(void)
{
	struct capos_thread *thread;
	OK(capos_thread_start(&thread, be_kicked, NULL, NULL));
	OK(capos_thread_handle_set_affinity(capos_thread_handle(thread), 1));
	while (!over()) {
		capos_unpark(&turn, 1);
		for (uint64_t end = capos_now_ns() + KICK_NS; capos_now_ns() < end;)
			;
	}
	OK(capos_thread_join(thread, NULL));
}

static void in_threads(int64_t (*function)(void *))
{
	struct capos_thread *threads[THREADS];
	for (uintptr_t i = 0; i < THREADS; i++) {
		OK(capos_thread_start(&threads[i], function, (void *)i, NULL));
		OK(capos_thread_handle_set_affinity(capos_thread_handle(threads[i]), 2));
	}
	capos_sleep_until_ns(end_ns);
	for (int i = 0; i < THREADS; i++)
		OK(capos_thread_join(threads[i], NULL));
}

static int attacker_main(const char *attack)
{
	for (int i = 0; i < ATTACKS; i++) {
		if (strcmp(attacks[i], attack) != 0)
			continue;
		capos_sleep_until_ns(phase_begin(i));
		end_ns = phase_begin(i) + PHASE_NS;
		if (strcmp(attack, "profile") == 0)
			set_no_profile();
		else if (strcmp(attack, "ticks") == 0)
			change_profile();
		else if (strcmp(attack, "yield") == 0)
			in_threads(yield_in_turn);
		else if (strcmp(attack, "kick") == 0)
			kick();
		else
			in_threads(wake_in_turn);
	}
	return check_result();
}

/* ---- on CPU 0 ---- */

/* How often it was interrupted in the middle of the phase. */
static uint64_t interrupts(int phase)
{
	uint64_t count = 0;
	while (capos_now_ns() < phase_begin(phase) + MARGIN_NS)
		was_interrupted();
	while (capos_now_ns() < phase_begin(phase + 1) - MARGIN_NS)
		count += was_interrupted();
	return count;
}

/* Alone it needs no timer. A few are the host channel's, whose input may come at any time. For a
 * thread that wakes there is one, and another at the end of the time without. */
static void a_process_is_interrupted_only_for_what_its_cpu_runs(void)
{
	uint64_t count[ATTACKS];
	for (int i = 0; i < ATTACKS; i++)
		count[i] = interrupts(i);
	for (int i = 0; i < ATTACKS; i++) {
		printf("# beside %s: interrupted %llu times\n", attacks[i],
			(unsigned long long)count[i]);
		CHECK(i == KICK ? are_few_interrupts(count[i], WINDOW_NS)
				: count[i] <= INTERRUPTS_MAX);
	}
}

int main(int argc, char **argv)
{
	capos_cap_t self = 0;
	started_ns = capos_now_ns();
	OK(capos_thread_control_self(capos_caps.thread_control, &self));
	OK(capos_thread_handle_set_affinity(self, argc > 1 ? 2 : 1));
	if (argc > 1)
		return attacker_main(argv[1]);
	RUN(a_process_is_interrupted_only_for_what_its_cpu_runs);
	return check_result();
}
