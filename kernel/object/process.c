/* Process: what a holder of its handle can do to a process, running or ended. */
#include "proc/process.h"
#include "sched/thread.h"

#include "call/call.h"
#include "kernel/methods.h"
#include "mm/ledger.h"
#include "proc/binding.h"
#include "proc/suspend.h"

static struct process *target_of(const struct call *call)
{
	return container_of(call->object, struct process, object);
}

status_t method_process_wait(
	struct call *call, const struct process_wait_params *in, struct process_wait_results *out)
{
	struct process *process = target_of(call);
	struct capos_process_end result;
	if (process == call->process)
		return STATUS(WRONG_STATE);
	status_t status = process_wait(process, deadline_after(in->timeout_ns));
	if (status != STATUS_OK)
		return status;
	process_end(process, &result);
	return buffer_write(&out->end, &result, sizeof result);
}

status_t method_process_kill(
	struct call *call, const struct process_kill_params *in, struct process_kill_results *out)
{
	(void)in, (void)out;
	process_exit(target_of(call), CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	return STATUS_OK;
}

status_t method_process_notify(struct call *call, const struct process_notify_params *in,
	struct process_notify_results *out)
{
	(void)out;
	bool is_key = in->kind >= CAPOS_NOTIFICATION_KIND_INTERRUPT &&
		in->kind <= CAPOS_NOTIFICATION_KIND_TERMINATE;
	if (!is_key && (in->kind < CAPOS_NOTIFY_USER_FIRST || in->kind > CAPOS_NOTIFY_USER_LAST))
		return STATUS(INVALID_ARGUMENT);
	return process_notify(target_of(call), (uint32_t)in->kind);
}

status_t method_process_usage(
	struct call *call, const struct process_usage_params *in, struct process_usage_results *out)
{
	(void)in;
	struct capos_process_resources usage;
	process_usage(target_of(call), &usage);
	return buffer_write(&out->usage, &usage, sizeof usage);
}

status_t method_process_budgets(struct call *call, const struct process_budgets_params *in,
	struct process_budgets_results *out)
{
	(void)in;
	struct capos_budget_usage usage[BUDGET_COUNT];
	ledger_usage(target_of(call)->ledger, usage);
	return buffer_write(&out->usage, usage, sizeof usage);
}

status_t method_process_bind(
	struct call *call, const struct process_bind_params *in, struct process_bind_results *out)
{
	(void)out;
	struct object *event = event_find(call->process, in->event);
	if (!event)
		return STATUS(NOT_FOUND);
	status_t status =
		process_bind(target_of(call), event, call->thread->lease_use.lease, in->bits);
	object_release(event);
	return status;
}

status_t method_process_suspend(struct call *call, const struct process_suspend_params *in,
	struct process_suspend_results *out)
{
	(void)in, (void)out;
	if (target_of(call) == call->process)
		return STATUS(WRONG_STATE);
	return process_hold(target_of(call), true);
}

status_t method_process_resume(struct call *call, const struct process_resume_params *in,
	struct process_resume_results *out)
{
	(void)in, (void)out;
	if (target_of(call) == call->process)
		return STATUS(WRONG_STATE);
	return process_hold(target_of(call), false);
}

status_t method_process_crash(
	struct call *call, const struct process_crash_params *in, struct process_crash_results *out)
{
	(void)in;
	const struct capos_crash_record *crash = process_crash(target_of(call));
	if (!crash)
		return STATUS(NOT_FOUND);
	return buffer_write(&out->crash, crash, sizeof *crash);
}

/* The ring's older part is behind its younger one. */
status_t method_process_last_calls(struct call *call, const struct process_last_calls_params *in,
	struct process_last_calls_results *out)
{
	uint64_t made;
	const struct capos_remembered_call *calls = process_last_calls(target_of(call), &made);
	(void)in;
	if (!calls)
		return STATUS(NOT_FOUND);
	uint64_t next = made % CAPOS_LAST_CALLS_MAX;
	if (made >= CAPOS_LAST_CALLS_MAX) {
		status_t status = buffer_write(
			&out->calls, &calls[next], (CAPOS_LAST_CALLS_MAX - next) * sizeof calls[0]);
		if (status != STATUS_OK)
			return status;
	}
	return buffer_write(&out->calls, calls, next * sizeof calls[0]);
}
