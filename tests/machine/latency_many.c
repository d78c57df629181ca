/* Thousands of threads wait for the same thing, and it happens: interrupts stay off for a bounded
 * time all the same. As in latency.c a thread sleeps a moment at a time meanwhile. */
// test: timeout 180s
// test: kernel release
#include "late.h"
#include "raw_thread.h"

#define THREADS 2500u
#define FEW 2u /* with the one that sleeps */
#define LARGE_PAGES 1024u

static uint32_t gate;

/* Runs the call in each of many threads, all at the same time, until `event` has been called. */
static void in_many_threads(struct raw_call call, void (*event)(void), const char *what)
{
	const struct raw_call calls[] = {
		{ RAW_OPERATION(PARK), capos_caps.park,
			{ (uint64_t)&gate, 0, CAPOS_WAIT_FOREVER } },
		call,
		{ 0 },
	};
	gate = 0;
	for (unsigned i = 0; i < THREADS; i++)
		OK(capos_release(raw_spawn(raw_calls, (uint64_t)calls, 0)));
	capos_sleep_ns(20 * MS_NS);
	raw_wake(&gate);
	event();
	wait_for_threads(FEW);
	late_check(what);
}

static uint64_t deadline;

static void wait_until_deadline(void)
{
	CHECK(capos_now_ns() < deadline);
}

static void deadlines(void)
{
	static uint32_t zero;
	deadline = capos_now_ns() + 2000 * MS_NS;
	in_many_threads((struct raw_call){ RAW_OPERATION(PARK), capos_caps.park,
				{ (uint64_t)&zero, 0, deadline } },
		wait_until_deadline, "one deadline of many threads");
}

static uint32_t word;

static void end_thread(void)
{
	capos_sleep_ns(500 * MS_NS);
	raw_wake(&word);
}

static void joins(void)
{
	static int64_t code;
	capos_cap_t handle = raw_spawn(raw_park, (uint64_t)&word, 0);
	in_many_threads((struct raw_call){ RAW_OPERATION(COMPACT),
				RAW_METHOD(handle, CAPOS_THREAD_HANDLE_JOIN),
				{ CAPOS_WAIT_FOREVER, (uint64_t)&code } },
		end_thread, "joins of one thread");
	OK(capos_release(handle));
}

static uint64_t stop;
static capos_cap_t suspended;

static void resume_thread(void)
{
	unsigned resumed = 0;
	for (uint64_t start = capos_now_ns();
		resumed < THREADS && capos_now_ns() - start < 20000 * MS_NS;)
		if (capos_thread_handle_resume(suspended) == 0)
			resumed++;
		else
			capos_sleep_ns(MS_NS);
	CHECK_EQUAL(resumed, THREADS);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
}

static void suspensions(void)
{
	stop = 0;
	suspended = raw_spawn(raw_spin, (uint64_t)&stop, 0);
	in_many_threads((struct raw_call){ RAW_OPERATION(COMPACT),
				RAW_METHOD(suspended, CAPOS_THREAD_HANDLE_SUSPEND), { 0 } },
		resume_thread, "suspensions of one thread");
	OK(capos_release(suspended));
}

static uint64_t range;

static void protect_all(void)
{
	OK(vm_protect(range, LARGE_PAGES * LARGE, READ));
}

static void changes(void)
{
	range = vm_reserve(LARGE_PAGES * LARGE);
	OK(vm_commit(range, LARGE_PAGES * LARGE, WRITE | DEMAND_ZERO));
	for (uint64_t i = 0; i < LARGE_PAGES; i++)
		*(volatile char *)(range + i * LARGE) = 1;
	in_many_threads((struct raw_call){ RAW_OPERATION(COMPACT),
				RAW_METHOD(capos_caps.vm, CAPOS_VIRTUAL_MEMORY_PROTECT),
				{ range, PAGE, READ } },
		protect_all, "a change that others wait for");
	OK(vm_unmap(range, LARGE_PAGES * LARGE));
}

int main(void)
{
	struct capos_thread *watcher;
	late_set_limit();
	late_watch(&watcher);
	RUN(deadlines);
	RUN(joins);
	RUN(suspensions);
	RUN(changes);
	late_watch_end(watcher);
	return check_result();
}
