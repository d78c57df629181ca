/* Two processes at once, this program twice: they share a CPU evenly, whatever threads each has,
 * and nothing else.
 *
 * Both keep their threads on CPU 0. The process with the argument starts together with the other.
 * It has one thread that computes, the other has six, and it runs throughout the time that the
 * other measures. */
// test: beside one 0
#include "raw_thread.h"

#define HOGS 6
#define SETTLE_NS (300 * MS_NS)
#define WINDOW_NS (600 * MS_NS)
#define OVERLAP_NS (1500 * MS_NS)

static uint64_t started_ns, stop;
static capos_cap_t hogs[HOGS];
static int hog_count;

/* At the same addresses in both processes. */
static uint32_t word;
static uint64_t own[64][512];

static void start_hogs(int count)
{
	hog_count = count;
	for (int i = 0; i < count; i++) {
		hogs[i] = raw_spawn(raw_spin, (uint64_t)&stop, 0);
		OK(capos_thread_handle_set_affinity(hogs[i], 1));
	}
}

static void end_hogs(void)
{
	capos_sleep_until_ns(started_ns + OVERLAP_NS);
	stop = 1;
	for (int i = 0; i < hog_count; i++)
		CHECK_EQUAL(raw_join(hogs[i]), 0);
}

static uint64_t hog_time_ns(void)
{
	uint64_t sum = 0;
	for (int i = 0; i < hog_count; i++) {
		uint64_t ns = 0;
		OK(capos_thread_handle_cpu_time(hogs[i], &ns));
		sum += ns;
	}
	return sum;
}

/* An even share of the CPU, give or take what a busy host takes from the running process. If
 * threads counted, six would get 86 % and one 14 %. */
static void threads_of_a_process_share_its_half(void)
{
	uint64_t used = hog_time_ns(), since = capos_now_ns();
	capos_sleep_ns(WINDOW_NS);
	used = hog_time_ns() - used;
	uint64_t percent = used * 100 / (capos_now_ns() - since);
	printf("# %d threads: %llu %% of the CPU\n", hog_count, (unsigned long long)percent);
	CHECK(percent >= 25 && percent <= 75);
}

/* The other process unparks the same address for as long. */
static void private_words_are_private(void)
{
	CHECK_EQUAL(capos_park(&word, 0, started_ns + SETTLE_NS), CAPOS_PARK_RESULT_TIMED_OUT);
}

static void fill_own(uint64_t value)
{
	for (unsigned i = 0; i < sizeof own / sizeof own[0]; i++)
		own[i][i] = value + i;
}

static bool own_is(uint64_t value)
{
	for (unsigned i = 0; i < sizeof own / sizeof own[0]; i++)
		if (own[i][i] != value + i)
			return false;
	return true;
}

static void many_beside_one(void)
{
	fill_own(1000);
	start_hogs(HOGS);
	private_words_are_private();
	threads_of_a_process_share_its_half();
	end_hogs();
	CHECK(own_is(1000));
	CHECK_EQUAL(thread_count(), 1);
}

static void one_beside_many(void)
{
	fill_own(2000);
	start_hogs(1);
	for (uint64_t end = started_ns + SETTLE_NS; capos_now_ns() < end; capos_sleep_ns(MS_NS))
		CHECK_EQUAL(capos_unpark(&word, ~0ull), 0);
	threads_of_a_process_share_its_half();
	end_hogs();
	CHECK(own_is(2000));
}

int main(int argc, char **argv)
{
	(void)argv;
	started_ns = capos_now_ns();
	if (argc == 1)
		RUN(many_beside_one);
	else
		RUN(one_beside_many);
	return check_result();
}
