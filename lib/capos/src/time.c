/* Clocks and sleeping. The clock page's numbers change together under a sequence count that is odd
 * meanwhile. */
#include <capos/time.h>

#include <capos/caps.h>
#include <capos/stubs.h>

#include "internal.h"

/* LFENCE keeps the counter from being read before the numbers it is scaled with. */
static uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

struct reading {
	uint64_t monotonic_ns;
	int64_t wall_offset_ns;
};

/* Calls, kept out of the usual path, which needs none and so saves no registers. */
static __attribute__((noinline, cold)) bool no_clock(void)
{
	grant_missing(CAPOS_GRANT_TIMER);
	return false;
}

static __attribute__((noinline, cold)) bool read_by_call(struct reading *reading)
{
	uint64_t wall_ns;

	return capos_timer_now(capos_caps.timer, &reading->monotonic_ns, &wall_ns) == 0;
}

static bool read_clock(struct reading *reading)
{
	const volatile struct capos_clock_page *clock =
		(const volatile struct capos_clock_page *)capos_cap_set()->clock_address;
	uint64_t base, ns, scale, ticks;
	uint32_t sequence;

	if (clock == NULL)
		return no_clock();
	do {
		do
			sequence = __atomic_load_n(&clock->sequence, __ATOMIC_ACQUIRE);
		while ((sequence & 1) != 0);
		base = clock->tsc_base;
		ns = clock->ns_base;
		scale = clock->ns_per_tick;
		reading->wall_offset_ns = clock->wall_offset;
		ticks = read_tsc();
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (clock->sequence != sequence);
	if (scale == 0) /* the counter cannot be trusted on this machine */
		return read_by_call(reading);
	/* The counter of this CPU may be a little behind the one from which the base was taken. */
	ticks = ticks > base ? ticks - base : 0;
	reading->monotonic_ns = ns + (uint64_t)((unsigned __int128)ticks * scale >> 32);
	return true;
}

uint64_t capos_now_ns(void)
{
	struct reading reading;

	return read_clock(&reading) ? reading.monotonic_ns : 0;
}

int64_t capos_wall_ns(void)
{
	struct reading reading;

	return read_clock(&reading) ? (int64_t)reading.monotonic_ns + reading.wall_offset_ns : 0;
}

uint64_t capos_deadline_ns(uint64_t duration_ns)
{
	uint64_t now = capos_now_ns();

	return duration_ns < CAPOS_WAIT_FOREVER - now ? now + duration_ns : CAPOS_WAIT_FOREVER;
}

int64_t capos_sleep_until_ns(uint64_t deadline_ns)
{
	int64_t status;

	do
		status = capos_timer_sleep_until(capos_caps.timer, deadline_ns);
	while (status == CAPOS_E(INTERRUPTED));
	return status;
}

int64_t capos_sleep_ns(uint64_t duration_ns)
{
	return capos_sleep_until_ns(capos_deadline_ns(duration_ns));
}

uint32_t capos_cpu_count(void)
{
	const struct capos_clock_page *clock =
		(const struct capos_clock_page *)capos_cap_set()->clock_address;

	return clock != NULL && clock->cpu_count != 0 ? clock->cpu_count : 1;
}
