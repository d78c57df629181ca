/* A process ends that has thousands of threads, and the handles of all. The one beside it sleeps a
 * moment at a time until all is gone, and checks how long interrupts were off. */
// test: timeout 180s
// test: kernel release
// test: beside watch 0
#include "late.h"
#include "raw_thread.h"

#define THREADS 2500u
#define THREAD_PAGES 3u

static void other_process_ends(void)
{
	uint64_t most = 0, start = capos_now_ns(), free;
	bool seen = false;
	do {
		capos_sleep_ns(LATE_MOMENT_NS);
		free = vm_usage().machine_free_pages;
		most = free > most ? free : most;
		seen |= most - free > THREADS * THREAD_PAGES;
	} while ((!seen || most - free > THREADS) && capos_now_ns() - start < 40000 * MS_NS);
	CHECK(seen);
	late_check("the end of a process with many threads");
}

int main(int argc, char **argv)
{
	static uint32_t word;
	(void)argv;
	late_set_limit();
	if (argc > 1) {
		RUN(other_process_ends);
		return check_result();
	}
	capos_sleep_ns(10 * MS_NS);
	for (unsigned i = 0; i < THREADS; i++)
		(void)raw_spawn(raw_park, (uint64_t)&word, 0);
	capos_sleep_ns(10 * MS_NS);
	return check_result();
}
