/* The seed's choices: see sched/explore.h. They come from a stream of their own, so they do not
 * change what a program sees as random, nor what is chosen elsewhere. */
#include "sched/explore.h"

#ifdef CAPOS_EXPLORE

#include "arch/cpu.h"
#include "arch/tlb.h"
#include "arch/trap_frame.h"
#include "core/kcsan.h"
#include "core/log.h"
#include "core/mistake.h"
#include "core/panic.h"
#include "core/percpu.h"
#include "dev/channel.h"
#include "machine/clock.h"
#include "machine/cpus.h"
#include "mm/aspace.h"
#include "mm/user.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/sched.h"
#include "sched/share.h"
#include "sched/thread.h"
#include "sched/wait.h"

/* How the choices of a run are spread; in the order of the names that the host has for them. */
enum strategy {
	UNDISTURBED, /* none */
	FEW,         /* one to three, anywhere among the run's points */
	MANY,        /* each point has the same probability */
	SLOW,        /* half of the threads pause at each of their calls */
	SLICES,      /* slices are short, and any thread that waits may be the next */
};

#define FEW_MAX 3u
#define POINTS_LEAST 16u
#define KEPT_MAX 256u
#define PLACES_MAX 6u
#define PAUSE_STEP_BACK 1ul   /* of EXPLORE_CALL and EXPLORE_TURN: no pause, others go first */
#define SLICE_LEAST_NS 2000ul /* a switch takes less */
#define SLICE_MOST_NS 1000000ul
#define PICKED_MAX 7u
#define STUCK_NS 1000000000ul /* after so long without anything to come, nothing will */
#define REPORTED_THREADS 24u

#define FAULTS_MAX_SHIFT 6u /* one question in at most so many powers of two */
#define RACES_MAX_SHIFT 12u /* one point in at most so many powers of two */
#define WATCHED_SHIFTS 8u   /* one access in 16 to 2 048 is watched */
#define SITES 16384u
#define SITE_PROBES 16u
#define OF_CPU 0x80000000u    /* it is not of a thread but of a CPU, whose number is added */
#define TURN_NS 1000000ul     /* of a CPU that computes, when there are several */
#define LOCK_LOOKS_MAX 20000u /* no lock stays taken for so many looks of another CPU */

static const char letters[EXPLORE_KINDS + 1] = "csiptrf";

/* A choice that was made, or that the host asks for. */
struct choice {
	uint32_t kind, thread, nth;
	uint64_t value;
	uint64_t places[PLACES_MAX]; /* of the program, innermost first; 0: none */
};

static struct {
	bool on;
	bool alone;  /* the program chooses nothing itself: the end is told for it as well */
	bool forced; /* the host's list is all that is chosen */
	bool stuck;  /* explore_stuck was called */
	bool late;   /* because of limit_ns */
	enum strategy strategy;
	uint32_t asked, made;
	uint32_t threads;
	uint64_t stream, signature, points;
	uint64_t few[FEW_MAX], probable, sparse, pause_max_ns, slice_ns;
	uint64_t calls, until; /* at this call of the program another seed takes over; 0: never */
	uint64_t reseed;       /* that seed; 0 disturbs nothing */
	bool tells;            /* where the program's threads are then */
	uint64_t limit_ns, idle_ns; /* when the program has taken too long; since when it is idle */
	uint64_t one_race_in;       /* EXPLORE_RACE: of so many points one is chosen */
	uint64_t one_fault_in, fault_stream; /* EXPLORE_FAULT: the same; 0: none is */
	enum explore_mistake mistake;
} explore;

bool explore_races; /* on several CPUs */

/* Where a thread or a CPU has come to an atomic operation. Those of earlier programs are free, and
 * are not cleared, because with --icount QEMU takes seconds for so many bytes. */
static struct site {
	uint64_t place;
	uint32_t who, count, begun;
} sites[SITES];

static uint32_t begun; /* how many programs were explored */

/* When a CPU that runs a program lets the others go on. QEMU (7.2) gives the first CPU all
 * instructions until the machine's next timer and the others what is left, which is none while the
 * first one computes. */
static uint64_t turn_ends_ns[CAPOS_CPUS_MAX];

static struct choice asked_for[KEPT_MAX], made[KEPT_MAX];

/* The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
 * 2014). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t draw_from(uint64_t *stream, uint64_t below)
{
	*stream += 0x9e3779b97f4a7c15;
	return mix(*stream) % below;
}

static uint64_t draw(uint64_t below)
{
	return draw_from(&explore.stream, below);
}

/* From low up, so that each factor of two is as likely as another. */
static uint64_t draw_log(uint64_t low, uint64_t high)
{
	unsigned doublings = 0;
	while (low << doublings < high)
		doublings++;
	if (!doublings)
		return high;
	uint64_t base = low << draw(doublings);
	uint64_t value = base + draw(base);
	return value < high ? value : high;
}

/* ---- what the host asks for ---- */

/* A decimal number; 0 without a digit. A comma behind it is passed over. */
static uint64_t read_number(const char **text)
{
	uint64_t number = 0;
	while (**text >= '0' && **text <= '9')
		number = number * 10 + (uint64_t)(*(*text)++ - '0');
	if (**text == ',')
		(*text)++;
	return number;
}

/* Each choice after a semicolon: the letter of its kind, thread, count, value. */
static void read_choices(const char *text)
{
	explore.forced = *text == ';';
	while (*text == ';' && explore.asked < KEPT_MAX) {
		struct choice *choice = &asked_for[explore.asked];
		if (!*++text)
			return;
		while (choice->kind < EXPLORE_KINDS && letters[choice->kind] != *text)
			choice->kind++;
		text++;
		choice->thread = (uint32_t)read_number(&text);
		choice->nth = (uint32_t)read_number(&text);
		choice->value = read_number(&text);
		explore.asked++;
	}
}

/* Faults have a stream of their own, so that they and the schedule do not change each other. One
 * seed in four has none. */
static void choose_faults(uint64_t seed)
{
	explore.fault_stream = mix(seed ^ 0x6661756c74); /* "fault" */
	if (draw_from(&explore.fault_stream, 4))
		explore.one_fault_in = 1ul
			<< draw_from(&explore.fault_stream, FAULTS_MAX_SHIFT + 1);
}

static void choose_strategy(uint64_t wanted, uint64_t points)
{
	static const uint8_t shares[] = { FEW, FEW, FEW, MANY, MANY, SLOW, SLICES, SLICES };
	explore.strategy = shares[draw(sizeof shares)];
	if (wanted)
		explore.strategy = wanted <= SLICES + 1 ? (enum strategy)(wanted - 1) : UNDISTURBED;
	if (!points)
		points = (uint64_t)POINTS_LEAST << draw(10);
	uint64_t few = 1 + draw(FEW_MAX);
	for (unsigned i = 0; i < few; i++)
		explore.few[i] = 1 + draw(points);
	explore.probable = 2 + (points >> (1 + draw(6)));
	explore.sparse = 1 + 2 * points / KEPT_MAX; /* so that the first do not take all */
	explore.slice_ns = draw_log(SLICE_LEAST_NS, SLICE_MOST_NS);
	explore.one_race_in = 1ul << (1 + draw(RACES_MAX_SHIFT));
	if (explore.strategy != FEW)
		explore.pause_max_ns = draw_log(10000, explore.pause_max_ns);
}

void explore_begin(const char *text)
{
	if (cpus_online_count() < cpus_possible())
		panic("a CPU has not started, so what is asked for cannot be explored");
	__builtin_memset(&explore, 0, sizeof explore);
	__builtin_memset(asked_for, 0, sizeof asked_for);
	__builtin_memset(made, 0, sizeof made);
	begun++;
	for (unsigned i = 0; i < CAPOS_CPUS_MAX; i++)
		turn_ends_ns[i] = clock_now_ns() + TURN_NS;
	uint64_t seed = read_number(&text);
	uint64_t wanted = read_number(&text);
	uint64_t points = read_number(&text);
	explore.pause_max_ns = read_number(&text) * 1000;
	uint64_t limit_s = read_number(&text);
	explore.alone = read_number(&text);
	explore.mistake = (enum explore_mistake)read_number(&text);
	explore.until = read_number(&text);
	explore.reseed = read_number(&text);
	explore.tells = read_number(&text);
	explore.stream = mix(seed + 1);
	if (seed) {
		choose_strategy(wanted, points);
		choose_faults(seed);
	}
	read_choices(text);
	explore.limit_ns = limit_s ? clock_now_ns() + limit_s * 1000000000ul : UINT64_MAX;
	explore.on = true;
	explore_races = seed && cpus_online_count() > 1;
	kcsan_seed(mix(~seed), 1u << (4 + seed % WATCHED_SHIFTS));
}

/* ---- choices ---- */

/* Return addresses along the frame pointers of the current thread. */
static void read_places(const struct trap_frame *frame, uint64_t *places, unsigned most)
{
	uint64_t pointer = trap_frame_base(frame);
	places[0] = trap_frame_instruction(frame);
	for (unsigned i = 1; i < most; i++) {
		uint32_t words[4];
		for (unsigned word = 0; word < 4; word++)
			if (pointer % 8 ||
				!user_read_u32_nofault(user_ptr(pointer + word * 4), &words[word]))
				return;
		uint64_t next = words[0] | (uint64_t)words[1] << 32;
		places[i] = words[2] | (uint64_t)words[3] << 32;
		if (next <= pointer)
			return;
		pointer = next;
	}
}

/* thread: NULL: of a CPU. Returns 1 more than the index of the record, or 0. */
static uint32_t keep(
	const struct thread *thread, uint32_t number, uint32_t kind, uint32_t nth, uint64_t value)
{
	uint32_t index = __atomic_fetch_add(&explore.made, 1, __ATOMIC_RELAXED);
	if (index >= KEPT_MAX)
		return 0;
	struct choice *choice = &made[index];
	choice->kind = kind;
	choice->thread = number;
	choice->nth = nth;
	choice->value = value;
	if (!thread)
		return index + 1;
	if (thread == thread_current())
		read_places(thread_frame(thread), choice->places, PLACES_MAX);
	else
		choice->places[0] = trap_frame_instruction(thread_frame(thread));
	return index + 1;
}

static uint64_t asked_value(uint32_t number, uint32_t kind, uint32_t nth)
{
	for (uint32_t i = 0; i < explore.asked; i++) {
		const struct choice *choice = &asked_for[i];
		if (choice->kind == kind && choice->nth == nth && choice->thread == number)
			return choice->value;
	}
	return 0;
}

static bool is_asked(uint32_t number, uint32_t kind, uint32_t nth, uint64_t value)
{
	for (uint32_t i = 0; i < explore.asked; i++) {
		const struct choice *choice = &asked_for[i];
		if (choice->kind == kind && choice->nth == nth && choice->thread == number &&
			choice->value == value)
			return true;
	}
	return false;
}

static bool is_chosen(const struct thread *thread, uint32_t kind)
{
	switch (explore.strategy) {
	case FEW:
		for (unsigned i = 0; i < FEW_MAX; i++)
			if (explore.few[i] == explore.points)
				return true;
		return false;
	case MANY:
		return draw(explore.probable) == 0;
	case SLOW:
		return kind == EXPLORE_CALL && thread->explore.each_ns && draw(2);
	case SLICES:
		return explore.made < KEPT_MAX && draw(explore.sparse) == 0 &&
			(kind == EXPLORE_SLICE || (kind == EXPLORE_PICK && draw(4) == 0) ||
				(kind == EXPLORE_TURN && draw(16) == 0));
	default:
		return false;
	}
}

static uint64_t draw_value(const struct thread *thread, uint32_t kind, uint64_t most)
{
	switch (kind) {
	case EXPLORE_CALL:
		if (explore.strategy == SLOW)
			return thread->explore.each_ns;
		if (draw(explore.strategy == FEW ? 4 : 2) == 0)
			return PAUSE_STEP_BACK;
		return draw_log(1000, explore.pause_max_ns);
	case EXPLORE_SLICE:
		return explore.slice_ns / 2 + draw(explore.slice_ns);
	case EXPLORE_PICK:
		return 1 + draw(most);
	default:
		return draw_log(1000, explore.pause_max_ns);
	}
}

/* ---- another seed from a call on ---- */

/* Where the program's threads are. The process's lock is held. */
static unsigned list_threads(struct process *process, struct choice *list)
{
	unsigned count = 0;
	assert_held(&process->lock);
	list_for_each (node, &process->threads) {
		struct thread *thread = container_of(node, struct thread, process_node);
		struct choice *entry = &list[count];
		*entry = (struct choice){ .thread = thread->explore.number };
		read_places(thread_frame(thread), entry->places, PLACES_MAX);
		if (++count == REPORTED_THREADS)
			break;
	}
	return count;
}

static void tell_places(const uint64_t *places)
{
	for (unsigned i = 0; i < PLACES_MAX && places[i]; i++)
		channel_printf(CAPOS_HOST_MESSAGE_STATS, "capos explore: place %lx\n", places[i]);
}

/* Where the program's threads are. Its space is active. */
static void tell_threads(struct process *process)
{
	static struct choice list[REPORTED_THREADS];
	spin_lock(&process->lock);
	unsigned count = list_threads(process, list);
	spin_unlock(&process->lock);
	for (unsigned i = 0; i < count; i++) {
		channel_printf(
			CAPOS_HOST_MESSAGE_STATS, "capos explore: thread %u\n", list[i].thread);
		tell_places(list[i].places);
	}
}

/* The current thread has called. A thread that exists already is not made slow by the new seed. */
static void take_over(void)
{
	if (explore.tells) {
		channel_printf(CAPOS_HOST_MESSAGE_STATS, "capos explore: stacks\n");
		channel_printf(CAPOS_HOST_MESSAGE_STATS, "capos explore: running %u\n",
			thread_current()->explore.number);
		tell_threads(thread_current()->process);
		channel_printf(CAPOS_HOST_MESSAGE_STATS, "capos explore: end of stacks\n");
	}
	explore.forced = false;
	explore.strategy = UNDISTURBED;
	explore.one_fault_in = 0;
	explore_races = explore_races && explore.reseed;
	if (!explore.reseed)
		return;
	explore.stream = mix(explore.reseed + 1);
	__builtin_memset(explore.few, 0, sizeof explore.few);
	choose_strategy(0, explore.points < POINTS_LEAST ? POINTS_LEAST : explore.points);
	choose_faults(explore.reseed);
	for (unsigned i = 0; i < FEW_MAX; i++)
		if (explore.few[i])
			explore.few[i] += explore.points;
}

/* What is chosen at a point; 0: what any kernel does. */
static uint64_t choose(struct thread *thread, enum explore_kind kind, uint64_t most)
{
	struct explore_thread *own = &thread->explore;
	if (!explore.on || !own->number)
		return 0;
	uint32_t nth = ++own->points[kind];
	explore.points++;
	if (kind == EXPLORE_CALL && ++explore.calls == explore.until)
		take_over();
	explore.signature = mix(explore.signature ^ (uint64_t)own->number << 8 ^ kind);
	uint64_t value = 0;
	if (explore.forced)
		value = asked_value(own->number, kind, nth);
	else if (is_chosen(thread, kind))
		value = draw_value(thread, kind, most);
	if (value) {
		uint32_t record = keep(thread, own->number, kind, nth, value);
		if (kind == EXPLORE_SLICE)
			own->slice = record;
	}
	return value;
}

/* How often the thread, or the CPU, has come to the place, now included. A program that makes ever
 * more threads comes to more places than there is room for. Then another place is forgotten, and
 * counts from one again: its later points have names that earlier ones had. */
static uint32_t count_at(uint32_t who, uint64_t place)
{
	uint64_t first = mix(place ^ (uint64_t)who << 32);
	struct site *taken = &sites[first % SITES];
	for (uint32_t i = 0; i < SITE_PROBES; i++) {
		struct site *site = &sites[(first + i) % SITES];
		if (site->begun != begun) {
			taken = site;
			break;
		}
		if (site->place == place && site->who == who)
			return ++site->count;
	}
	*taken = (struct site){ .place = place, .who = who, .count = 1, .begun = begun };
	return 1;
}

/* A point is named by the place besides, so that one that is left out does not rename others: a CPU
 * that waits or idles comes to some places more or less often. */
void explore_race(void)
{
	const struct percpu *cpu = percpu();
	uint32_t who = cpu->current->explore.number;
	if (!who)
		who = OF_CPU + cpu->id;
	uint64_t place = (uint64_t)__builtin_return_address(0);
	uint32_t value = (uint32_t)place, nth = count_at(who, place);
	bool chosen = explore.forced ? is_asked(who, EXPLORE_RACE, nth, value)
				     : draw(explore.one_race_in) == 0;
	if (!chosen)
		return;
	explore.signature = mix(explore.signature ^ (uint64_t)who << 8 ^ EXPLORE_RACE);
	uint32_t record = keep(NULL, who, EXPLORE_RACE, nth, value);
	if (record)
		made[record - 1].places[0] = place;
	cpu_relax();
}

void explore_lock_waits(uint32_t looks)
{
	if (explore.on && looks >= LOCK_LOOKS_MAX)
		panic("a CPU waits for a lock and does not get it");
}

bool explore_mistake(enum explore_mistake mistake)
{
	return explore.on && explore.mistake == mistake;
}

void explore_created(struct thread *thread)
{
	if (!explore.on)
		return;
	thread->explore.number = ++explore.threads;
	if (explore.strategy == SLOW && draw(2))
		thread->explore.each_ns = draw_log(1000, explore.pause_max_ns);
}

static void leave_late(struct thread *thread, uint64_t ns)
{
	if (!ns)
		return;
	thread->explore.pause_ns = ns;
	__atomic_or_fetch(&thread->exit_work, EXIT_WORK_EXPLORE, __ATOMIC_SEQ_CST);
}

void explore_called(void)
{
	struct thread *thread = thread_current();
	leave_late(thread, choose(thread, EXPLORE_CALL, 0));
}

void explore_leaves(void)
{
	struct thread *thread = thread_current();
	uint64_t ns = thread->explore.pause_ns;
	thread->explore.pause_ns = 0;
	if (ns == PAUSE_STEP_BACK) {
		sched_yield();
	} else if (ns) {
		status_t status = thread_sleep_until(clock_now_ns() + ns, false);
		(void)status; /* a thread that is to die sees that next */
	}
}

bool explore_fault(uint64_t ways, uint64_t *fault)
{
	struct thread *thread = thread_current();
	uint32_t number = thread->explore.number;
	if (!explore.on || !number || !ways)
		return false;
	uint32_t nth = ++thread->explore.points[EXPLORE_FAULT];
	uint64_t value = 0;
	if (explore.forced)
		value = asked_value(number, EXPLORE_FAULT, nth);
	else if (explore.one_fault_in && !draw_from(&explore.fault_stream, explore.one_fault_in))
		value = 1 + draw_from(&explore.fault_stream, ways);
	*fault = value <= ways ? value : 0;
	if (*fault) {
		explore.signature = mix(explore.signature ^ (uint64_t)number << 8 ^ EXPLORE_FAULT);
		keep(thread, number, EXPLORE_FAULT, nth, *fault);
	}
	return true;
}

uint64_t explore_slice(struct thread *thread, uint64_t now_ns, uint64_t end_ns)
{
	assert_held(&percpu()->run.lock);
	explore.idle_ns = 0;
	thread->explore.slice = 0;
	uint64_t ns = choose(thread, EXPLORE_SLICE, 0);
	return ns && now_ns + ns < end_ns ? now_ns + ns : end_ns;
}

void explore_turn(struct thread *thread)
{
	uint32_t record = thread->explore.slice;
	if (record)
		read_places(thread_frame(thread), made[record - 1].places, PLACES_MAX);
	thread->explore.slice = 0;
	leave_late(thread, choose(thread, EXPLORE_TURN, 0));
}

struct thread *explore_pick(const struct share *share, struct thread *first)
{
	assert_held(&percpu()->run.lock);
	if (!first || share->count < 2)
		return first;
	uint64_t most = share->count - 1;
	uint64_t index = choose(first, EXPLORE_PICK, most < PICKED_MAX ? most : PICKED_MAX);
	struct rbnode *node = &first->run_node, *next;
	while (index-- && (next = rbtree_next(node)) != NULL)
		node = next;
	return container_of(node, struct thread, run_node);
}

uint64_t explore_timer(struct thread *thread, uint64_t deadline_ns)
{
	if (thread->explore.pause_ns || __atomic_load_n(&explore.stuck, __ATOMIC_RELAXED))
		return deadline_ns;
	return deadline_ns + choose(thread, EXPLORE_TIMER, 0);
}

/* ---- programs that do not end ---- */

/* No CPU runs a thread or waits for a time. */
static bool all_idle(void)
{
	for (uint64_t online = cpus_online(); online; online &= online - 1) {
		const struct percpu *cpu = &percpus[__builtin_ctzl(online)];
		if (__atomic_load_n(&cpu->current, __ATOMIC_RELAXED) != cpu->idle ||
			__atomic_load_n(&cpu->timers.first_ns, __ATOMIC_RELAXED) != UINT64_MAX)
			return false;
	}
	return true;
}

void explore_idles(void)
{
	if (explore.on && !explore.idle_ns && all_idle())
		explore.idle_ns = clock_now_ns();
}

/* When it is looked whether the program is stuck. */
static uint64_t next_look_ns(void)
{
	if (!explore.on || explore.stuck)
		return UINT64_MAX;
	uint64_t stuck_ns = explore.idle_ns ? explore.idle_ns + STUCK_NS : UINT64_MAX;
	return stuck_ns < explore.limit_ns ? stuck_ns : explore.limit_ns;
}

/* When the turn of the CPU ends at the latest. */
static uint64_t turn_end_ns(const struct percpu *cpu)
{
	bool computes = explore.on && explore_races && cpu->current->process;
	return computes ? turn_ends_ns[cpu->id] : UINT64_MAX;
}

uint64_t explore_next(void)
{
	uint64_t look_ns = next_look_ns(), end_ns = turn_end_ns(percpu());
	return look_ns < end_ns ? look_ns : end_ns;
}

void explore_tick(uint64_t now_ns)
{
	const struct percpu *cpu = percpu();
	if (now_ns >= turn_end_ns(cpu)) {
		turn_ends_ns[cpu->id] = now_ns + TURN_NS;
		cpu_relax();
	}
	if (now_ns < next_look_ns())
		return;
	if (now_ns < explore.limit_ns && !all_idle()) {
		explore.idle_ns = 0;
		return;
	}
	explore.late = now_ns >= explore.limit_ns;
	explore.stuck = true;
	explore_stuck();
}

bool explore_report(struct process *process)
{
	if (!explore.stuck || !explore.on)
		return false;
	channel_printf(CAPOS_HOST_MESSAGE_STATS, "capos explore: %s\n",
		explore.late ? "too long" : "stuck");
	aspace_activate(process->space);
	tell_threads(process);
	aspace_activate(NULL);
	process_exit(process, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	return true;
}

void explore_end(void)
{
	if (!explore.on)
		return;
	explore.on = explore_races = false;
	kcsan_seed(0, 0);
	if (explore.made > KEPT_MAX)
		channel_printf(
			CAPOS_HOST_MESSAGE_STATS, "capos explore: chosen too often to be told\n");
	for (uint32_t i = 0; explore.made <= KEPT_MAX && i < explore.made; i++) {
		const struct choice *choice = &made[i];
		channel_printf(CAPOS_HOST_MESSAGE_STATS, "capos explore: chose %c %u %u %lu\n",
			letters[choice->kind], choice->thread, choice->nth, choice->value);
		tell_places(choice->places);
	}
	channel_printf(
		CAPOS_HOST_MESSAGE_STATS, "capos explore: kernel points %lu\n", explore.points);
	if (explore.alone)
		channel_printf(CAPOS_HOST_MESSAGE_STATS,
			"capos explore: points %lu, interleaving 0x%lx, leaked 0, left 0\n",
			explore.points, explore.signature);
}

#endif
