/* Many threads: thousands made and ended, a thousand at once with TLS of their own, families of
 * them, and fairness among threads that only compute. */
#include "raw_thread.h"

static void threads_come_and_go(void)
{
	/* Each end shoots down TLBs, which takes long in an emulator with more CPUs than the host
	 * can spare. */
	uint64_t end = capos_now_ns() + 12000 * MS_NS;
	int i = 0;
	for (; i < 10000 && (i < 200 || capos_now_ns() < end) && !check_why[0]; i++) {
		capos_cap_t handle = raw_spawn(raw_exit, (uint64_t)i, 0);
		CHECK_EQUAL(raw_join(handle), i);
	}
	printf("# %d threads came and went\n", i);
	CHECK_EQUAL(thread_count(), 1);
}

static void batches_come_and_go(void)
{
	static capos_cap_t handles[100];
	int rounds = capos_cpu_count() == 1 ? 20 : 1;
	for (int round = 0; round < rounds && !check_why[0]; round++) {
		for (int i = 0; i < 100; i++)
			handles[i] = raw_spawn(raw_exit, (uint64_t)i, 0);
		for (int i = 0; i < 100; i++)
			CHECK_EQUAL(raw_join(handles[i]), i);
	}
}

/* ---- a thousand at once ---- */

static _Thread_local uint64_t own_value = 41;
static _Thread_local uint8_t own_bytes[300];
static uint32_t gate, arrived, wrong;

static int64_t keep_own(void *argument)
{
	wrong += own_value != 41 || own_bytes[299] != 0;
	own_value = (uint64_t)argument;
	memset(own_bytes, (int)(uint64_t)argument, sizeof own_bytes);
	__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&gate, __ATOMIC_SEQ_CST))
		capos_park(&gate, 0, CAPOS_WAIT_FOREVER);
	for (unsigned i = 0; i < sizeof own_bytes; i++)
		if (own_bytes[i] != (uint8_t)(uint64_t)argument)
			return -1;
	return own_value == (uint64_t)argument ? (int64_t)own_value : -2;
}

static void many_live_at_once(void)
{
	static struct capos_thread *threads[1000];
	const struct capos_thread_options options = { .stack_size_bytes = 16384 };
	uint32_t count = capos_cpu_count() == 1 ? 1000 : 100;
	gate = arrived = wrong = 0;
	for (uint64_t i = 0; i < count; i++)
		OK(capos_thread_start(&threads[i], keep_own, (void *)i, &options));
	while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < count)
		capos_sleep_ns(MS_NS);
	CHECK_EQUAL(thread_count(), count + 1);
	raw_wake(&gate);
	for (uint64_t i = 0; i < count; i++) {
		int64_t result = -3;
		OK(capos_thread_join_timeout(threads[i], 30000 * MS_NS, &result));
		CHECK_EQUAL(result, i);
	}
	CHECK_EQUAL(wrong, 0);
	CHECK_EQUAL(thread_count(), 1);
}

/* ---- families ---- */

static int64_t have_two_children(void *argument)
{
	uint64_t depth = (uint64_t)argument;
	struct capos_thread *children[2];
	int64_t sum = 1;
	if (depth == 0)
		return 1;
	for (int i = 0; i < 2; i++)
		if (capos_thread_start(&children[i], have_two_children, (void *)(depth - 1), NULL) <
			0)
			return -1000;
	for (int i = 0; i < 2; i++) {
		int64_t result = -1000;
		capos_thread_join(children[i], &result);
		sum += result;
	}
	return sum;
}

static void threads_have_families(void)
{
	uint64_t depth = capos_cpu_count() == 1 ? 6 : 4;
	CHECK_EQUAL(have_two_children((void *)depth), (2 << depth) - 1);
	CHECK_EQUAL(thread_count(), 1);
}

/* ---- fairness ---- */

#define HOGS 6

/* No thread starves: each gets at least an eighth of the CPU time of the one that gets most. (The
 * scheduling of the host is part of this.) */
static bool shares_are_fair(const capos_cap_t hogs[HOGS])
{
	uint64_t least = ~0ull, most = 0;
	for (int i = 0; i < HOGS; i++) {
		uint64_t ns = 0;
		OK(capos_thread_handle_cpu_time(hogs[i], &ns));
		least = ns < least ? ns : least;
		most = ns > most ? ns : most;
	}
	return least > 5 * MS_NS && most / 8 <= least;
}

static void hogs_share_and_sleepers_wake(void)
{
	capos_cap_t hogs[HOGS];
	uint64_t flag = 0, latest = 0, end = capos_now_ns() + 10000 * MS_NS;
	bool fair = false;
	for (int i = 0; i < HOGS; i++)
		hogs[i] = raw_spawn(raw_spin, (uint64_t)&flag, 0);
	while (!fair && capos_now_ns() < end) {
		uint64_t before = capos_now_ns();
		capos_sleep_ns(2 * MS_NS);
		uint64_t late = capos_now_ns() - before - 2 * MS_NS;
		latest = late > latest ? late : latest;
		fair = shares_are_fair(hogs);
	}
	flag = 1;
	for (int i = 0; i < HOGS; i++)
		CHECK_EQUAL(raw_join(hogs[i]), 0);
	CHECK(fair);
	CHECK(latest < 2000 * MS_NS);
}

int main(void)
{
	RUN(threads_come_and_go);
	RUN(batches_come_and_go);
	RUN(many_live_at_once);
	RUN(threads_have_families);
	RUN(hogs_share_and_sleepers_wake);
	return check_result();
}
