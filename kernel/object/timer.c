/* Timer: time and sleep for programs. The clock page is a cheaper way to read the time, on machines
 * where it can be used. */
#include "call/call.h"
#include "kernel/methods.h"
#include "machine/clock.h"
#include "sched/wait.h"

static status_t sleep_until(uint64_t deadline_ns)
{
	status_t status = thread_sleep_until(deadline_ns, true);
	return status == STATUS(TIMED_OUT) ? STATUS_OK : status;
}

status_t method_timer_now(
	struct call *call, const struct timer_now_params *in, struct timer_now_results *out)
{
	(void)call;
	(void)in;
	out->tick = clock_ticks();
	out->monotonic_ns = clock_now_ns();
	return STATUS_OK;
}

status_t method_timer_sleep(
	struct call *call, const struct timer_sleep_params *in, struct timer_sleep_results *out)
{
	(void)call;
	(void)out;
	uint64_t now_ns = clock_now_ns();
	return sleep_until(in->duration_ns < DEADLINE_NONE - now_ns ? now_ns + in->duration_ns
								    : DEADLINE_NONE);
}

status_t method_timer_sleep_until(struct call *call, const struct timer_sleep_until_params *in,
	struct timer_sleep_until_results *out)
{
	(void)call;
	(void)out;
	return sleep_until(in->deadline_ns);
}

status_t method_timer_wall(
	struct call *call, const struct timer_wall_params *in, struct timer_wall_results *out)
{
	(void)call;
	(void)in;
	out->unix_ns = (int64_t)clock_now_ns() + clock_wall_offset_ns();
	return STATUS_OK;
}
