/* A large range is taken away in steps. Other threads run on the same CPU meanwhile, find its pages
 * gone or going, and cannot interfere. */
#include "raw_thread.h"

#define TABLES_MAX 2048ull /* a table of 2 MiB for each page that is touched */

#define FEW 16 /* pages that stacks may grow by meanwhile */

static uint64_t range, size, tables, resident;
static uint32_t unmapping, finished;
static uint64_t partly, failed;

/* On CPU 0 like the thread that unmaps. */
static int64_t look_all_the_time(void *argument)
{
	(void)argument;
	while (!__atomic_load_n(&finished, __ATOMIC_SEQ_CST)) {
		if (!__atomic_load_n(&unmapping, __ATOMIC_SEQ_CST)) {
			capos_sleep_ns(MS_NS); /* the pages are touched without a disturbance */
			continue;
		}
		capos_sleep_ns(20000);
		uint64_t left = program_usage().resident_pages - resident;
		if (left < FEW || left >= tables)
			continue; /* the call has not begun, or is done */
		partly++;
		failed += capos_virtual_memory_protect(capos_caps.vm, range + size - PAGE, PAGE,
				  CAPOS_PROT_READ) == CAPOS_E(NOT_RESERVED);
	}
	return 0;
}

static void take_away(bool whole)
{
	range = vm_reserve(size);
	OK(vm_commit(range, size, WRITE | DEMAND_ZERO));
	resident = program_usage().resident_pages;
	for (uint64_t i = 0; i < tables; i++)
		*(volatile uint8_t *)(range + i * LARGE) = 1;
	__atomic_store_n(&unmapping, 1, __ATOMIC_SEQ_CST);
	OK(whole ? vm_unmap(range, size) : vm_decommit(range, size));
	__atomic_store_n(&unmapping, 0, __ATOMIC_SEQ_CST);
	CHECK(program_usage().resident_pages - resident < FEW);
	if (!whole)
		OK(vm_unmap(range, size));
}

static void take_away_beside_another(void)
{
	struct capos_thread *thread;
	capos_cap_t self = 0;
	int rounds = 0;
	partly = failed = finished = 0;
	OK(capos_thread_control_self(capos_caps.thread_control, &self));
	OK(capos_thread_handle_set_affinity(self, 1));
	OK(capos_thread_start(&thread, look_all_the_time, NULL, NULL));
	OK(capos_thread_handle_set_affinity(capos_thread_handle(thread), 1));
	for (; rounds < 100 && (rounds < 4 || failed < 10) && !check_why[0]; rounds++)
		take_away(rounds % 2);
	finished = 1;
	OK(capos_thread_join(thread, NULL));
	OK(capos_thread_handle_set_affinity(self, ~0ull));
	OK(capos_release(self));
	printf("# %d rounds of %llu tables: seen in the middle %llu times, %llu times failed\n",
		rounds, (unsigned long long)tables, (unsigned long long)partly,
		(unsigned long long)failed);
	CHECK(failed >= 10); /* not always all: the call may end between the two checks */
}

static void others_run_meanwhile(void)
{
	struct capos_memory_usage before = program_usage();
	tables = before.machine_free_pages / 8 < TABLES_MAX ? before.machine_free_pages / 8
							    : TABLES_MAX;
	size = tables * LARGE;
	take_away_beside_another();
	before = program_usage(); /* stacks and heap have grown by now */
	take_away_beside_another();
	CHECK_EQUAL(program_usage().reserved_pages, before.reserved_pages);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
	CHECK_EQUAL(program_usage().resident_pages, before.resident_pages);
}

static int64_t take_away_for_ever(void *argument)
{
	(void)argument;
	for (bool whole = false;; whole = !whole)
		take_away(whole);
}

int main(void)
{
	struct capos_thread *thread;
	RUN(others_run_meanwhile);
	/* The process ends in the middle of the call. */
	OK(capos_thread_start(&thread, take_away_for_ever, NULL, NULL));
	capos_sleep_ns(20 * MS_NS);
	return check_result();
}
