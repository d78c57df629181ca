/* Shares of a CPU on a simulated one. A process that computes all the time gets its part, whatever
 * others do, and one that seldom competes runs at once. */
#define CHECK_GROUP "sched"
#include "check.h"

#include <string.h>

#include "sched/share.h"

#define MS_NS 1000000ul
#define RIVALS_MAX 16
#define NEVER UINT64_MAX

/* A process with one thread at a time. */
struct process {
	struct share share;
	uint64_t ran_ns;
	uint64_t leaves_ns; /* while it competes: how long it runs before it sleeps */
	uint64_t wakes_ns;  /* while it sleeps */
};

/* How long a rival runs before it sleeps, and how long it sleeps. */
struct habit {
	uint64_t runs_min_ns, runs_max_ns, sleeps_min_ns, sleeps_max_ns;
};

static const struct habit habits[] = {
	{ NEVER, NEVER, 0, 0 },                           /* computes */
	{ 10000, 50000, 1000, 2000 },                     /* short turns */
	{ 2 * MS_NS, 3 * MS_NS, 2 * MS_NS, 20 * MS_NS },  /* sleeps for credit */
	{ SLICE_NS - 2000, SLICE_NS - 1000, 1000, 1000 }, /* leaves just before its slice ends */
	{ 1000, 20 * MS_NS, 1000, 20 * MS_NS },           /* anything */
};
#define HABITS (int)(sizeof habits / sizeof habits[0])

static struct run_queue run;
static struct share idle_share;
static struct process processes[RIVALS_MAX + 1];
static struct process *current;
static uint64_t now, slice_end_ns, seed;

static uint64_t random_between(uint64_t low, uint64_t high)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return high == NEVER ? NEVER : low + seed % (high - low + 1);
}

/* The scheduler's part: see take_next() and reschedule() in sched.c. */
static void next(bool turn_over)
{
	uint64_t least = run.least_ns;
	if (!rbtree_empty(&run.shares))
		share_choose(&run, now, turn_over);
	CHECK(!is_behind(run.least_ns, least));
	current = NULL;
	slice_end_ns = NEVER;
	if (!run.served->count) {
		share_charge(&run, now);
		return;
	}
	current = container_of(run.served, struct process, share);
	current->share.count--;
	slice_end_ns = rbtree_empty(&run.shares) ? NEVER : now + SLICE_NS;
}

static void reschedule(bool turn_over)
{
	current->share.count++;
	next(turn_over);
}

static void wake(struct process *process, const struct habit *habit)
{
	struct share *share = &process->share;
	process->wakes_ns = NEVER;
	process->leaves_ns = random_between(habit->runs_min_ns, habit->runs_max_ns);
	share->count++;
	if (share != run.served) {
		if (current)
			share_charge(&run, now);
		share_begin(&run, share, current);
	}
	if (!current) {
		run.charged_ns = now;
		next(false);
	} else if (share_takes(&run, share)) {
		reschedule(false);
	} else if (slice_end_ns == NEVER) {
		slice_end_ns = now + SLICE_NS;
	}
}

static void stop(const struct habit *habit)
{
	current->wakes_ns = now + random_between(habit->sleeps_min_ns, habit->sleeps_max_ns);
	next(false);
}

/* The first process computes. The others have the habit or, from HABITS on, different ones. */
static const struct habit *habit_of(int number, int habit)
{
	return &habits[!number ? 0 : habit < HABITS ? habit : number % HABITS];
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Goes on to the next event. */
static void step(int count, int habit)
{
	uint64_t event = slice_end_ns;
	for (int i = 0; i < count; i++)
		event = earlier(event, processes[i].wakes_ns);
	if (current && current->leaves_ns != NEVER)
		event = earlier(event, now + current->leaves_ns);
	uint64_t ran = event - now;
	now = event;
	if (current) {
		current->ran_ns += ran;
		current->leaves_ns -= current->leaves_ns == NEVER ? 0 : ran;
	}
	if (current && !current->leaves_ns)
		stop(habit_of((int)(current - processes), habit));
	else if (now >= slice_end_ns)
		reschedule(true);
	for (int i = 0; i < count; i++)
		if (processes[i].wakes_ns <= now)
			wake(&processes[i], habit_of(i, habit));
}

static void begin(void)
{
	memset(&run, 0, sizeof run);
	memset(&idle_share, 0, sizeof idle_share);
	memset(processes, 0, sizeof processes);
	run.served = &idle_share;
	current = NULL;
	now = 1000 * MS_NS;
	slice_end_ns = NEVER;
	for (int i = 0; i <= RIVALS_MAX; i++)
		processes[i].wakes_ns = NEVER;
}

static void compete(int rivals, int habit)
{
	const uint64_t time = 10000 * MS_NS, lag = SHARE_CREDIT_NS + WAKE_MARGIN_NS + 2 * SLICE_NS;
	begin();
	for (int i = 0; i <= rivals; i++)
		processes[i].wakes_ns = now + (uint64_t)i * MS_NS;
	for (uint64_t end = now + time; now < end && !check_why[0];)
		step(rivals + 1, habit);
	uint64_t due = time / (uint64_t)(rivals + 1);
	CHECK(processes[0].ran_ns + lag >= due);
	CHECK(processes[0].ran_ns * 10 >= due * 9);
}

static void a_process_that_computes_gets_its_part(void)
{
	for (int rivals = 1; rivals <= RIVALS_MAX; rivals += rivals < 4 ? 1 : 4)
		for (int habit = 0; habit <= HABITS; habit++)
			compete(rivals, habit);
}

/* It uses less than its part, which is 5.9 %, so it never waits. */
static void seldom_compete(uint64_t runs_ns)
{
	const struct habit seldom = { runs_ns, runs_ns, 20 * runs_ns, 20 * runs_ns };
	struct process *sleeper = &processes[RIVALS_MAX];
	begin();
	for (int i = 0; i < RIVALS_MAX; i++)
		processes[i].wakes_ns = now;
	for (uint64_t until = now + 200 * MS_NS; now < until;)
		step(RIVALS_MAX, 0);
	for (int round = 0; round < 1000 && !check_why[0]; round++) {
		for (uint64_t until = now + seldom.sleeps_min_ns; now < until;)
			step(RIVALS_MAX, 0);
		wake(sleeper, &seldom);
		CHECK(current == sleeper);
		now += runs_ns;
		next(false);
	}
}

static void a_process_that_seldom_competes_runs_at_once(void)
{
	for (uint64_t runs_ns = MS_NS / 50; runs_ns < MS_NS; runs_ns += runs_ns / 3)
		seldom_compete(runs_ns);
}

/* Time that a share pays for is charged to it alone, and its place in the order is the new one. */
static void a_share_pays_for_what_others_lose_by_it(void)
{
	struct share *served = &processes[0].share, *waiting = &processes[1].share;
	begin();
	wake(&processes[0], &habits[0]);
	wake(&processes[1], &habits[0]);
	wake(&processes[2], &habits[0]);
	uint64_t served_had = served->had_ns, waiting_had = waiting->had_ns;
	now += MS_NS;
	share_bill(&run, waiting, now);
	share_bill(&run, waiting, now);
	share_charge(&run, now);
	CHECK(waiting->had_ns == waiting_had + MS_NS);
	CHECK(served->had_ns == served_had);
	share_compensate(&run, waiting, MS_NS / 4);
	CHECK(waiting->had_ns == waiting_had + MS_NS / 4 * 5);
	CHECK(served->had_ns == served_had - MS_NS / 4);
	now += SLICE_NS;
	reschedule(true);
	CHECK(current == &processes[2]);
}

/* Of two with the same time, one that yields goes behind the other, once. */
static void a_share_that_yields_goes_behind(void)
{
	begin();
	wake(&processes[0], &habits[0]);
	wake(&processes[1], &habits[0]);
	struct process *first = current;
	share_yield(&run, now);
	reschedule(true);
	CHECK(current && current != first);
	now += SLICE_NS;
	reschedule(true);
	CHECK(current == first);
}

int main(int argc, char **argv)
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	RUN(a_process_that_computes_gets_its_part);
	RUN(a_process_that_seldom_competes_runs_at_once);
	RUN(a_share_pays_for_what_others_lose_by_it);
	RUN(a_share_that_yields_goes_behind);
	return check_failures != 0;
}
