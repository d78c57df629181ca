/* How long calls have kept interrupts off: the kernel notes how late a timer interrupt came at
 * worst since the machine was started. Bounds hold where a nanosecond is an instruction. */
#ifndef CAPOS_MACHINE_LATE_H
#define CAPOS_MACHINE_LATE_H

#include "support.h"

static bool late_exact;
static uint64_t late_limit_ns;

/* 1 M instructions in the release kernel, 10 M in the debug kernel, which is told by how long it
 * takes over a small call. */
static void late_set_limit(void)
{
	uint64_t start = capos_now_ns(), took;
	for (int i = 0; i < 10; i++)
		(void)vm_usage();
	took = (capos_now_ns() - start) / 10;
	late_exact = time_is_exact();
	late_limit_ns = !late_exact ? UINT64_MAX : took < 2000 ? 1000000 : 10000000;
}

/* What was called before this has kept interrupts off at most so long. */
__attribute__((unused)) static void late_check(const char *what)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	if (late_exact)
		printf("# %s: timer interrupts at most %llu instructions late so far\n", what,
			(unsigned long long)info.timer_late_ns);
	if (info.timer_late_ns >= late_limit_ns && !check_why[0])
		snprintf(check_why, sizeof check_why,
			"%s: a timer interrupt was %llu instructions late", what,
			(unsigned long long)info.timer_late_ns);
}

/* ---- a thread that sleeps a moment at a time, so that an interrupt is nearly always due soon ----
 */

#define LATE_MOMENT_NS 50000

static uint64_t late_finish, late_watching;

__attribute__((unused)) static int64_t late_watch_run(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&late_finish, __ATOMIC_SEQ_CST)) {
		capos_sleep_ns(LATE_MOMENT_NS);
		__atomic_store_n(&late_watching, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

__attribute__((unused)) static void late_watch(struct capos_thread **watcher)
{
	OK(capos_thread_start(watcher, late_watch_run, NULL, NULL));
	while (!__atomic_load_n(&late_watching, __ATOMIC_SEQ_CST))
		capos_sleep_ns(MS_NS);
}

__attribute__((unused)) static void late_watch_end(struct capos_thread *watcher)
{
	__atomic_store_n(&late_finish, 1, __ATOMIC_SEQ_CST);
	OK(capos_thread_join(watcher, NULL));
}

#endif
