/* The race detector against a model, which keeps every access and whole clocks, over random steps
   of goroutines; and goroutines on threads of the host that hold locks. */
#define CHECK_GROUP "race"
#include "go/race/race.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"

void __tsan_init(struct race_thread **thread, u64 *processor, void (*callback)(u64, void *));
void __tsan_go_start(struct race_thread *creator, struct race_thread **thread, u64 pc);
void __tsan_go_end(struct race_thread *thread);
void __tsan_func_enter(struct race_thread *thread, u64 pc);
void __tsan_func_exit(struct race_thread *thread);
void __tsan_read(struct race_thread *thread, u64 address, u64 pc);
void __tsan_write(struct race_thread *thread, u64 address, u64 pc);
void __tsan_acquire(struct race_thread *thread, u64 address);
void __tsan_release(struct race_thread *thread, u64 address);
void __tsan_release_merge(struct race_thread *thread, u64 address);
void __tsan_release_acquire(struct race_thread *thread, u64 address);
void __tsan_malloc(struct race_thread *thread, u64 pc, u64 address, u64 size);
void __tsan_free(u64 address, u64 size);
void __tsan_go_atomic64_fetch_add(struct race_thread *thread, u64 caller, u64 pc, char *arguments);

#define GOROUTINES 600 /* in one run, of the model */
#define ALIVE 6
#define WORDS 8
#define SYNCS 4
#define HEAP 0x40000000 /* below what the sanitizer has for itself */

static u64 state;

static u64 random_below(u64 limit)
{
	state = state * 6364136223846793005 + 1442695040888963407;
	return (state >> 33) % limit;
}

/* ---- the system --------------------------------------------------------------------------- */

static char said[8192];
static size_t said_size;

static u64 host(u64 op, u64 a, u64 b)
{
	void *memory;

	switch ((enum race_host_op)op) {
	case RACE_HOST_MAP:
	case RACE_HOST_MAP_LAZILY:
		memory = mmap(NULL, a, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		return memory == MAP_FAILED ? 0 : (u64)memory;
	case RACE_HOST_WRITE:
		if (said_size + b < sizeof said) {
			memcpy(said + said_size, (void *)a, b);
			said_size += b;
		}
		return 0;
	case RACE_HOST_YIELD:
		return (u64)sched_yield();
	case RACE_HOST_MEMORY:
		return 1ull << 30;
	case RACE_HOST_SLEEP:
	case RACE_HOST_EXIT:
		break;
	}
	exit(3);
}

struct code_context {
	u64 pc;
	const char *function, *file;
	u64 line, offset, result;
};

static void symbolize(u64 command, void *context)
{
	struct code_context *code = context;

	(void)command;
	code->function = "f";
	code->file = "f.go";
	code->line = code->pc + 1;
	code->result = 1;
}

static struct race_thread *first;

/* ---- the model ---------------------------------------------------------------------------- */

typedef u32 clock_of[GOROUTINES];

/* The latest access of each kind by each goroutine is as good as all of them. */
struct word {
	u32 at[GOROUTINES][2]; /* 0: none; the second is of writes */
};

static clock_of clocks[GOROUTINES], syncs[SYNCS];
static struct word words[WORDS];
static u32 goroutines;

static struct {
	struct race_thread *thread;
	u32 number;
} alive[ALIVE];

static void join(u32 *clock, const u32 *other)
{
	for (u32 i = 0; i < goroutines; i++)
		if (other[i] > clock[i])
			clock[i] = other[i];
}

static bool races(u32 me, const struct word *word, bool write)
{
	for (u32 i = 0; i < goroutines; i++)
		if (i != me &&
			(word->at[i][1] > clocks[me][i] ||
				(write && word->at[i][0] > clocks[me][i])))
			return true;
	return false;
}

static u32 begin(u32 creator, struct race_thread *parent, struct race_thread **thread)
{
	u32 me = goroutines++;

	__tsan_go_start(parent, thread, 1);
	memset(clocks[me], 0, sizeof clocks[me]);
	if (parent) {
		join(clocks[me], clocks[creator]);
		clocks[creator][creator]++;
	}
	clocks[me][me] = 1;
	return me;
}

/* ---- random steps ------------------------------------------------------------------------- */

static u64 found, expected, missed, invented;

static void access_step(u32 index)
{
	u32 me = alive[index].number, w = (u32)random_below(WORDS);
	bool write = random_below(2), race = races(me, &words[w], write), told;
	u64 before = race_reports(), address = HEAP + w * 8 + w % 8;

	(write ? __tsan_write : __tsan_read)(alive[index].thread, address, 100 + w);
	told = race_reports() != before;
	found += told;
	expected += race;
	missed += race && !told;
	invented += told && !race;
	if (told)
		memset(&words[w], 0, sizeof words[w]);
	else
		words[w].at[me][write] = clocks[me][me];
}

static void sync_step(u32 index)
{
	struct race_thread *thread = alive[index].thread;
	u32 me = alive[index].number, s = (u32)random_below(SYNCS);
	u64 address = HEAP + 4096 + s;
	clock_of old;

	memcpy(old, syncs[s], sizeof old);
	switch (random_below(5)) {
	case 0:
		__tsan_acquire(thread, address);
		join(clocks[me], old);
		return;
	case 1:
		__tsan_release(thread, address);
		memcpy(syncs[s], clocks[me], sizeof old);
		break;
	case 2:
		__tsan_release_merge(thread, address);
		join(syncs[s], clocks[me]);
		break;
	case 3:
		__tsan_release_acquire(thread, address);
		memcpy(syncs[s], clocks[me], sizeof old);
		clocks[me][me]++;
		join(clocks[me], old);
		return;
	case 4:
		__tsan_free(address, 1);
		memset(syncs[s], 0, sizeof old);
		return;
	}
	clocks[me][me]++;
}

static void other_step(u32 index, bool ends)
{
	u32 w = (u32)random_below(WORDS), other = (u32)random_below(ALIVE);

	switch (random_below(4)) {
	case 0:
		__tsan_func_enter(alive[index].thread, 7);
		return;
	case 1:
		__tsan_func_exit(alive[index].thread);
		return;
	case 2:
		if (random_below(8))
			return;
		__tsan_malloc(NULL, 0, HEAP + w * 8, 8);
		memset(&words[w], 0, sizeof words[w]);
		return;
	default:
		if (!ends || other == index || goroutines == GOROUTINES)
			return;
		__tsan_go_end(alive[other].thread);
		alive[other].number =
			begin(alive[index].number, alive[index].thread, &alive[other].thread);
	}
}

/* A run of so many goroutines at a time. */
static void run(u32 many, bool ends)
{
	u64 end = HEAP + 8192;

	memset(words, 0, sizeof words);
	memset(syncs, 0, sizeof syncs);
	__tsan_malloc(NULL, 0, HEAP, end - HEAP);
	__tsan_free(HEAP, end - HEAP);
	goroutines = 0;
	for (u32 i = 0; i < many; i++)
		alive[i].number = begin(0, i ? alive[0].thread : first, &alive[i].thread);
	for (u32 step = 0; step < 4000; step++) {
		u32 index = (u32)random_below(many);
		u64 kind = random_below(10);

		if (kind < 6)
			access_step(index);
		else if (kind < 9)
			sync_step(index);
		else
			other_step(index, ends && many == ALIVE);
	}
	for (u32 i = 0; i < many; i++)
		__tsan_go_end(alive[i].thread);
}

/* Two goroutines have no more kinds of accesses than a granule has cells. */
static void two_goroutines_are_told_exactly(void)
{
	found = expected = missed = invented = 0;
	for (u32 i = 0; i < 60; i++)
		run(2, false);
	CHECK(expected > 1000 && found == expected && !missed && !invented);
}

static void no_race_is_invented(void)
{
	found = expected = missed = invented = 0;
	for (u32 i = 0; i < 60; i++)
		run(ALIVE, true);
	CHECK(!invented);
	CHECK(found > 1000 && missed * 5 < expected);
}

/* ---- threads of the host ------------------------------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static u64 *counter;

static void *worker(void *given)
{
	struct race_thread *thread = given;

	for (u32 i = 0; i < 20000; i++) {
		u64 arguments[3] = { (u64)counter, 1, 0 };

		__tsan_func_enter(thread, 5);
		pthread_mutex_lock(&mutex);
		__tsan_acquire(thread, HEAP + 4096);
		__tsan_write(thread, HEAP + i % 64, 5);
		__tsan_release(thread, HEAP + 4096);
		pthread_mutex_unlock(&mutex);
		__tsan_go_atomic64_fetch_add(thread, 5, 6, (char *)arguments);
		__tsan_func_exit(thread);
	}
	return NULL;
}

static void locks_hold_on_threads(void)
{
	struct race_thread *threads[4];
	pthread_t handles[4];
	u64 before = race_reports();

	__tsan_malloc(NULL, 0, HEAP, 8192);
	for (u32 i = 0; i < 4; i++)
		__tsan_go_start(first, &threads[i], 1);
	for (u32 i = 0; i < 4; i++)
		CHECK(pthread_create(&handles[i], NULL, worker, threads[i]) == 0);
	for (u32 i = 0; i < 4; i++)
		pthread_join(handles[i], NULL);
	CHECK(*counter == 80000 && race_reports() == before);
}

static void a_report_has_both_stacks(void)
{
	struct race_thread *one, *two;

	__tsan_malloc(NULL, 0, HEAP, 64);
	__tsan_go_start(first, &one, 21);
	__tsan_go_start(first, &two, 22);
	__tsan_func_enter(one, 1);
	__tsan_func_enter(one, 11);
	__tsan_write(one, HEAP, 31);
	__tsan_func_exit(one);
	__tsan_func_enter(two, 1);
	said_size = 0;
	__tsan_read(two, HEAP, 41);
	said[said_size] = 0;
	CHECK(strstr(said, "Read at 0x000040000000 by goroutine "));
	CHECK(strstr(said, ":\n  f()\n      f.go:41 +0x0\n\nPrevious write at 0x000040000000 by "));
	CHECK(strstr(
		said, ":\n  f()\n      f.go:31 +0x0\n  f()\n      f.go:11 +0x0\n\nGoroutine "));
}

int main(int count, char **arguments)
{
	static const char *const variables[] = { "GORACE=suppress_equal_stacks=0", NULL };
	void *heap = mmap((void *)HEAP, 65536, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	u64 processor;

	state = count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
	counter = (u64 *)(HEAP + 8192);
	if (heap == MAP_FAILED)
		return 2;
	__race_set_host(host, variables);
	__tsan_init(&first, &processor, symbolize);
	RUN(two_goroutines_are_told_exactly);
	RUN(no_race_is_invented);
	RUN(locks_hold_on_threads);
	RUN(a_report_has_both_stacks);
	return check_failures != 0;
}
