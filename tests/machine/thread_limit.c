/* As many threads as a process may have, on machines with several CPUs; thread_methods does it on
 * one.
 *
 * // test: kernel release
 * // test: cpus 2
 * // test: cpus 4
 */
#include "raw_thread.h"

/* All end on one CPU, because a TLB shootdown for each of four thousand would take an emulator a
 * minute. */
static void threads_are_limited(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t self = 0;
	OK(capos_thread_control_self(capos_caps.thread_control, &self));
	OK(capos_thread_handle_set_affinity(self, 1));
	raw_threads_are_limited(1);
	OK(capos_thread_handle_set_affinity(self, ~0ull));
	OK(capos_release(self));
	CHECK_EQUAL(program_usage().reserved_pages, before.reserved_pages);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

int main(void)
{
	RUN(threads_are_limited);
	return check_result();
}
