/* A process keeps its share of a CPU, whatever others that compute beside it do.
 *
 * The one without an argument has one thread that computes. The others, told their numbers, attack
 * it: phase by phase so many of them take turns in what once gained run time.
 * They start a little later than the one they attack, which looks only at the middle of a phase. */
// test: timeout 180s
// test: beside 1 0
// test: beside 2 0
// test: beside 3 0
// test: beside 4 0
// test: beside 5 0
// test: beside 6 0
// test: beside 7 0
// test: beside 8 0
// test: beside 9 0
// test: beside 10 0
// test: beside 11 0
// test: beside 12 0
// test: beside 13 0
// test: beside 14 0
// test: beside 15 0
// test: beside 16 0
#include "raw_thread.h"

#define FIRST_NS (300 * MS_NS)
#define TAIL_NS (10 * MS_NS)  /* so late the one that is attacked may come to look */
#define PAUSE_NS (50 * MS_NS) /* in which the threads of a phase end */
#define HOGS 8
#define RELAYS 16
#define SLEEPERS 24
#define BURSTS 2
#define STACK_SIZE 4096
#define STACKS 64
#define BATCH 10
#define CPU_0 1
#define ALL_CPUS UINT64_MAX

enum trick {
	TRICK_HOGS,
	TRICK_CHAIN,
	TRICK_SPAWN,
	TRICK_RELAY,
	TRICK_SLEEP,
	TRICK_YIELD,
	TRICK_MOVE,
	TRICK_BURST,
	TRICK_CANCEL,
	TRICK_PROFILE,
	TRICKS
};

static const char *const trick_names[TRICKS] = { "computing threads", "a chain of threads",
	"short threads", "a relay", "sleepers", "yields", "changes of CPU", "short sleeps",
	"cancelled deadlines", "profile ticks" };

/* What happens in a phase: how many attack, with which trick; TRICKS: each with another. roam: all
 * threads may run on all CPUs, else they keep to CPU 0. */
static const struct phase {
	int attackers;
	enum trick trick;
	uint64_t settle_ns, window_ns;
	bool roam;
} phases[] = {
	{ 1, TRICK_HOGS, 40 * MS_NS, 120 * MS_NS, false },
	{ 1, TRICK_CHAIN, 40 * MS_NS, 120 * MS_NS, false },
	{ 1, TRICK_SPAWN, 40 * MS_NS, 120 * MS_NS, false },
	{ 1, TRICK_RELAY, 40 * MS_NS, 120 * MS_NS, false },
	{ 1, TRICK_SLEEP, 40 * MS_NS, 120 * MS_NS, false },
	{ 1, TRICK_YIELD, 40 * MS_NS, 120 * MS_NS, false },
	{ 1, TRICK_MOVE, 40 * MS_NS, 120 * MS_NS, false },
	{ 1, TRICK_BURST, 40 * MS_NS, 120 * MS_NS, false },
	{ 1, TRICK_CANCEL, 40 * MS_NS, 120 * MS_NS, false },
	{ 1, TRICK_PROFILE, 40 * MS_NS, 120 * MS_NS, false },
	{ 4, TRICKS, 100 * MS_NS, 200 * MS_NS, true },
	{ 16, TRICKS, 200 * MS_NS, 800 * MS_NS, false },
};
#define PHASES (int)(sizeof phases / sizeof phases[0])

static uint64_t started_ns;
static capos_cap_t self;

static uint64_t phase_length(const struct phase *phase)
{
	return phase->settle_ns + phase->window_ns + TAIL_NS + PAUSE_NS;
}

static uint64_t phase_begin(int number)
{
	uint64_t begin = started_ns + FIRST_NS;
	for (int i = 0; i < number; i++)
		begin += phase_length(&phases[i]);
	return begin;
}

/* ---- attackers ---- */

static uint64_t end_ns;   /* of the phase */
static uint64_t affinity; /* of its threads */
static char stacks[STACKS][STACK_SIZE] __attribute__((aligned(STACK_SIZE)));
static uint32_t taken[STACKS];
static uint32_t turn[RELAYS];

static bool over(void)
{
	return capos_now_ns() >= end_ns;
}

static uint64_t interrupts; /* seen by compute_until */

/* Two instructions a round. */
static void loop(uint64_t rounds)
{
	__asm__ volatile("1:\tdecq %0\n\tjnz 1b" : "+r"(rounds));
}

static uint64_t compute_round(void)
{
	loop(500);
	interrupts += was_interrupted();
	return capos_now_ns();
}

static uint64_t compute_until(uint64_t ns)
{
	uint64_t rounds = 0;
	for (; compute_round() < ns; rounds++)
		;
	return rounds;
}

static void compute(uint64_t ns)
{
	compute_until(capos_now_ns() + ns);
}

/* Ends the thread, which leaves its stack before another may have it. */
static _Noreturn void leave(void)
{
	uint64_t number = ((uint64_t)__builtin_frame_address(0) - (uint64_t)stacks) / STACK_SIZE;
	__asm__ volatile("movl $0, (%0)\n\txorl %%esi, %%esi\n\txorl %%edi, %%edi\n\t"
			 "xorl %%eax, %%eax\n\tsyscall\n\tud2"
		:
		: "r"(&taken[number])
		: "memory");
	__builtin_unreachable();
}

static int take_stack(void)
{
	for (int i = 0; i < STACKS; i++)
		if (!__atomic_exchange_n(&taken[i], 1, __ATOMIC_SEQ_CST))
			return i;
	return -1;
}

/* A thread with a stack of its own and no TLS. */
static void begin_thread(void (*entry)(uint64_t), uint64_t argument)
{
	int number = take_stack();
	capos_cap_t handle = 0;
	if (number < 0)
		return;
	if (capos_thread_spawner_spawn(capos_caps.thread_spawner, (uint64_t)entry,
		    (uint64_t)stacks[number] + STACK_SIZE - 8, argument, 0, 0, "", &handle) != 0)
		return;
	capos_thread_handle_set_affinity(handle, affinity);
	capos_release(handle);
}

static void hog(uint64_t unused)
{
	(void)unused;
	compute_until(end_ns);
	leave();
}

/* Each lives a moment and starts its successor. */
static void link(uint64_t length_ns)
{
	compute(length_ns);
	if (!over())
		begin_thread(link, length_ns);
	leave();
}

static void relay(uint64_t me)
{
	while (!over()) {
		while (!__atomic_load_n(&turn[me], __ATOMIC_SEQ_CST) && !over())
			capos_park(&turn[me], 0, end_ns);
		turn[me] = 0;
		compute(MS_NS / 2);
		uint32_t *next = &turn[(me + 1) % RELAYS];
		__atomic_store_n(next, 1, __ATOMIC_SEQ_CST);
		capos_unpark(next, 1);
	}
	leave();
}

/* They wake one after the other, each with the credit of one that slept. */
static void sleeper(uint64_t me)
{
	capos_sleep_ns(me * MS_NS / 2);
	while (!over()) {
		compute(MS_NS);
		capos_sleep_ns(SLEEPERS / 2 * MS_NS);
	}
	leave();
}

static void yielder(uint64_t unused)
{
	(void)unused;
	while (!over()) {
		compute(MS_NS / 10);
		capos_thread_yield();
	}
	leave();
}

/* Away from the CPU, if there is another, and back at once. */
static void mover(uint64_t unused)
{
	(void)unused;
	capos_cap_t me = 0;
	capos_thread_control_self(capos_caps.thread_control, &me);
	while (!over()) {
		compute(MS_NS);
		capos_thread_handle_set_affinity(me, 2);
		capos_thread_handle_set_affinity(me, 1);
	}
	leave();
}

/* They use less than their part, and would interrupt another process every 10 us. */
static void burster(uint64_t unused)
{
	(void)unused;
	while (!over())
		capos_sleep_ns(MS_NS / 100);
	leave();
}

/* Deadlines that never come, since the next thread ends the wait first: from the other CPU, if
 * there is one. */
static void canceller(uint64_t me)
{
	capos_cap_t self_handle = 0;
	capos_thread_control_self(capos_caps.thread_control, &self_handle);
	if (me == 0)
		capos_thread_handle_set_affinity(self_handle, 2);
	while (!over()) {
		for (int i = 1; me == 0 && i < RELAYS; i++)
			capos_unpark(&turn[i], 1);
		if (me != 0)
			capos_park(&turn[me], 0, capos_now_ns() + MS_NS / 10);
		else
			capos_sleep_ns(MS_NS / 50);
	}
	leave();
}

static void profiler(uint64_t me)
{
	capos_cap_t control = capos_caps.thread_control;
	for (uint64_t round = 0; !over(); round++) {
		capos_thread_control_set_process_profile(control, round % 2 ? MS_NS / 10 : MS_NS);
		capos_sleep_ns(MS_NS / 50 + me * MS_NS / 1000);
	}
	capos_thread_control_set_process_profile(control, 0);
	leave();
}

static void attack(enum trick trick)
{
	switch (trick) {
	case TRICK_BURST:
		for (int i = 0; i < BURSTS; i++)
			begin_thread(burster, 0);
		break;
	case TRICK_CANCEL:
		for (uint64_t i = 0; i < RELAYS; i++)
			begin_thread(canceller, i);
		break;
	case TRICK_PROFILE:
		for (uint64_t i = 0; i < HOGS; i++)
			begin_thread(profiler, i);
		break;
	case TRICK_HOGS:
		for (int i = 0; i < HOGS; i++)
			begin_thread(hog, 0);
		break;
	case TRICK_CHAIN:
		begin_thread(link, MS_NS / 2);
		break;
	case TRICK_SPAWN:
		for (int i = 0; i < HOGS; i++)
			begin_thread(link, MS_NS / 100);
		break;
	case TRICK_RELAY:
		for (uint64_t i = 0; i < RELAYS; i++)
			begin_thread(relay, i);
		turn[0] = 1;
		capos_unpark(&turn[0], 1);
		break;
	case TRICK_SLEEP:
		for (uint64_t i = 0; i < SLEEPERS; i++)
			begin_thread(sleeper, i);
		break;
	case TRICK_YIELD:
		for (int i = 0; i < HOGS; i++)
			begin_thread(yielder, 0);
		break;
	case TRICK_MOVE:
	case TRICKS:
		for (int i = 0; i < HOGS; i++)
			begin_thread(mover, 0);
	}
}

static int attacker_main(int number)
{
	for (int i = 0; i < PHASES; i++) {
		const struct phase *phase = &phases[i];
		if (number > phase->attackers)
			continue;
		capos_sleep_until_ns(phase_begin(i));
		end_ns = phase_begin(i) + phase_length(phase) - PAUSE_NS;
		affinity = phase->roam ? ALL_CPUS : CPU_0;
		attack(phase->trick == TRICKS ? (enum trick)(number % TRICKS) : phase->trick);
		capos_sleep_until_ns(end_ns);
		for (int t = 0; t < RELAYS; t++)
			turn[t] = 0;
	}
	return 0;
}

/* ---- the one that is attacked ---- */

static bool exact;
static uint64_t batch_ns; /* BATCH rounds without an interrupt */

/* Of the CPU, in a thousand: where time is exact what it gets done, which interrupts count against;
 * elsewhere its time. interrupts: how often it was interrupted. */
static uint64_t share_of(const struct phase *phase, uint64_t begin)
{
	uint64_t before = 0, after = 0;
	OK(capos_thread_handle_set_affinity(self, phase->roam ? ALL_CPUS : CPU_0));
	compute_until(begin + phase->settle_ns);
	uint64_t since = capos_now_ns();
	interrupts = 0;
	OK(capos_thread_handle_cpu_time(self, &before));
	uint64_t rounds = compute_until(begin + phase->settle_ns + phase->window_ns);
	OK(capos_thread_handle_cpu_time(self, &after));
	uint64_t time = capos_now_ns() - since;
	if (exact)
		return rounds * batch_ns * 1000 / BATCH / time;
	return (after - before) * 1000 / time;
}

static uint64_t measure_batch(void)
{
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < 20; i++) {
		uint64_t start = capos_now_ns(), took;
		for (int round = 0; round < BATCH; round++)
			compute_round();
		took = capos_now_ns() - start;
		best = took < best ? took : best;
	}
	return best;
}

/* It says nothing before the end: output is work for the one that is looked at. Where time is not
 * instructions, the host stops the machine at any moment for as long as a window: shares are right
 * on the whole only. */
static void a_share_of_the_cpu_is_kept(void)
{
	uint64_t share[PHASES], interrupted[PHASES], kept = 0;
	exact = time_is_exact();
	batch_ns = measure_batch();
	for (int i = 0; i < PHASES; i++)
		share[i] = share_of(&phases[i], phase_begin(i)), interrupted[i] = interrupts;
	for (int i = 0; i < PHASES; i++) {
		const struct phase *phase = &phases[i];
		uint64_t due = 1000 / (phase->attackers + 1);
		uint64_t percent = share[i] < due ? share[i] * 100 / due : 100;
		printf("# beside %d with %s%s: %llu of %llu, interrupted %llu times\n",
			phase->attackers,
			phase->trick == TRICKS ? "each of these" : trick_names[phase->trick],
			phase->roam ? " on all CPUs" : "", (unsigned long long)share[i],
			(unsigned long long)due, (unsigned long long)interrupted[i]);
		CHECK(!exact || percent >= 90);
		CHECK(!exact || are_few_interrupts(interrupted[i], phase->window_ns));
		kept += percent;
	}
	CHECK(kept / PHASES >= 75);
}

int main(int argc, char **argv)
{
	started_ns = capos_now_ns();
	if (argc > 1)
		return attacker_main(atoi(argv[1]));
	OK(capos_thread_control_self(capos_caps.thread_control, &self));
	RUN(a_share_of_the_cpu_is_kept);
	return check_result();
}
