/* ThreadHandle: calls on a thread by a holder of its handle. models/notify.pml models suspend and
 * resume. */
#include "arch/cpu.h"
#include "arch/tlb.h"
#include "call/call.h"
#include "core/list.h"
#include "core/string.h"
#include "machine/cpus.h"
#include "object/thread_info.h"
#include "proc/process.h"
#include "proc/notify.h"
#include "proc/suspend.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/wait_state.h"

#include "kernel/methods.h"

static struct thread *target_of(struct call *call)
{
	return container_of(call->object, struct thread, object);
}

status_t method_thread_handle_join(struct call *call, const struct thread_handle_join_params *in,
	struct thread_handle_join_results *out)
{
	struct thread *thread = target_of(call);
	if (thread == call->thread)
		return STATUS(WRONG_STATE);
	uint64_t deadline = deadline_after(in->timeout_ns);
	status_t status = STATUS_OK;
	spin_lock(&thread->lock);
	while (!thread->gone && status == STATUS_OK)
		status = wait_queue_wait(&thread->joiners, &thread->lock, deadline, true);
	if (thread->gone) {
		out->exit_code = thread->exit_code;
		status = STATUS_OK;
		wait_queue_wake(&thread->joiners, 1);
	}
	spin_unlock(&thread->lock);
	return status;
}

status_t method_thread_handle_detach(struct call *call,
	const struct thread_handle_detach_params *in, struct thread_handle_detach_results *out)
{
	/* The record lives as long as a handle to it. So detach has nothing to give up but the
	 * capability, which the caller releases. */
	(void)call, (void)in, (void)out;
	return STATUS_OK;
}

status_t method_thread_handle_notify(struct call *call,
	const struct thread_handle_notify_params *in, struct thread_handle_notify_results *out)
{
	(void)out;
	struct thread *thread = target_of(call);
	if (in->kind < CAPOS_NOTIFY_USER_FIRST || in->kind > CAPOS_NOTIFY_USER_LAST)
		return STATUS(INVALID_ARGUMENT);
	if (__atomic_load_n(&thread->ended, __ATOMIC_SEQ_CST))
		return STATUS(NOT_FOUND);
	thread_notify(thread, (uint32_t)in->kind, in->value);
	return STATUS_OK;
}

status_t method_thread_handle_suspend(struct call *call,
	const struct thread_handle_suspend_params *in, struct thread_handle_suspend_results *out)
{
	(void)in, (void)out;
	struct thread *thread = target_of(call);
	if (thread == call->thread)
		return STATUS(WRONG_STATE);
	status_t status = STATUS_OK;
	spin_lock(&thread->lock);
	if (thread->ended || thread->suspend_count == UINT32_MAX) {
		status = thread->ended ? STATUS(NOT_FOUND) : STATUS(WRONG_STATE);
		spin_unlock(&thread->lock);
		return status;
	}
	if (!thread->suspend_count++ && !thread->held)
		thread->acknowledged = false;
	status = thread_await_quiet_locked(thread, true);
	if (status != STATUS_OK && thread->suspend_count && !--thread->suspend_count)
		wait_queue_wake(&thread->suspended, 1);
	if (status == STATUS_OK && thread->ended)
		status = STATUS(NOT_FOUND);
	spin_unlock(&thread->lock);
	return status;
}

status_t method_thread_handle_resume(struct call *call,
	const struct thread_handle_resume_params *in, struct thread_handle_resume_results *out)
{
	(void)in, (void)out;
	struct thread *thread = target_of(call);
	status_t status = STATUS_OK;
	spin_lock(&thread->lock);
	if (thread->ended)
		status = STATUS(NOT_FOUND);
	else if (!thread->suspend_count)
		status = STATUS(WRONG_STATE);
	else if (!--thread->suspend_count)
		wait_queue_wake(&thread->suspended, 1);
	spin_unlock(&thread->lock);
	return status;
}

/* Why a call that needs a suspended thread fails; STATUS_OK: it is suspended. */
static status_t suspended_status(const struct thread *thread)
{
	if (thread->ended)
		return STATUS(NOT_FOUND);
	if (!thread->suspend_count || !thread_is_quiet_locked(thread))
		return STATUS(WRONG_STATE);
	return STATUS_OK;
}

/* Takes the lock of a suspended thread that is off its CPU or at the suspension point. Its
 * registers can then be read, and no thread can resume it until the caller is done. The thread may
 * still be on its way there; that takes a moment and no locks. */
static status_t lock_suspended(struct thread *thread)
{
	for (;;) {
		spin_lock(&thread->lock);
		status_t status = suspended_status(thread);
		if (status == STATUS_OK && (thread->stopped || sched_is_off_cpu(thread)))
			return STATUS_OK;
		spin_unlock(&thread->lock);
		if (status != STATUS_OK)
			return status;
		tlb_serve();
		cpu_relax();
	}
}

status_t method_thread_handle_read_state(struct call *call,
	const struct thread_handle_read_state_params *in,
	struct thread_handle_read_state_results *out)
{
	(void)in;
	struct thread *thread = target_of(call);
	struct capos_thread_state state;
	status_t status = lock_suspended(thread);
	if (status != STATUS_OK)
		return status;
	thread_state_read(thread, &state);
	spin_unlock(&thread->lock);
	return buffer_write(&out->state, &state, sizeof state);
}

status_t method_thread_handle_write_state(struct call *call,
	const struct thread_handle_write_state_params *in,
	struct thread_handle_write_state_results *out)
{
	(void)out;
	struct thread *thread = target_of(call);
	struct capos_thread_state state;
	if (in->state.length != sizeof state)
		return STATUS(INVALID_ARGUMENT);
	status_t status = buffer_read(&in->state, 0, &state, sizeof state);
	if (status == STATUS_OK)
		status = lock_suspended(thread);
	if (status != STATUS_OK)
		return status;
	status = thread->stopped ? thread_state_write(thread, &state) : STATUS(WRONG_STATE);
	spin_unlock(&thread->lock);
	return status;
}

status_t method_thread_handle_cpu_time(struct call *call,
	const struct thread_handle_cpu_time_params *in, struct thread_handle_cpu_time_results *out)
{
	(void)in;
	out->ns = thread_cpu_time_ns(target_of(call));
	return STATUS_OK;
}

status_t method_thread_handle_set_affinity(struct call *call,
	const struct thread_handle_set_affinity_params *in,
	struct thread_handle_set_affinity_results *out)
{
	(void)out;
	struct thread *thread = target_of(call);
	if (!(in->cpus & cpus_online()))
		return STATUS(INVALID_ARGUMENT);
	if (__atomic_load_n(&thread->ended, __ATOMIC_SEQ_CST))
		return STATUS(NOT_FOUND);
	__atomic_store_n(&thread->affinity, in->cpus, __ATOMIC_SEQ_CST);
	sched_affinity_changed(thread);
	return STATUS_OK;
}

/* No lock: the state may be another when the caller sees it. */
static uint32_t state_kind(const struct thread *thread)
{
	static const uint32_t kinds[] = {
		[THREAD_BLOCKED] = CAPOS_THREAD_STATE_KIND_BLOCKED,
		[THREAD_READY] = CAPOS_THREAD_STATE_KIND_RUNNABLE,
		[THREAD_RUNNING] = CAPOS_THREAD_STATE_KIND_RUNNING,
		[THREAD_ENDED] = CAPOS_THREAD_STATE_KIND_ENDED,
	};
	if (__atomic_load_n(&thread->ended, __ATOMIC_RELAXED))
		return CAPOS_THREAD_STATE_KIND_ENDED;
	if (__atomic_load_n(&thread->stopped, __ATOMIC_RELAXED))
		return CAPOS_THREAD_STATE_KIND_SUSPENDED;
	return kinds[__atomic_load_n(&thread->state, __ATOMIC_RELAXED)];
}

void thread_info(const struct thread *thread, struct capos_thread_info *info)
{
	memset(info, 0, sizeof *info);
	info->thread_id = thread->id;
	info->cpu_time_ns = thread_cpu_time_ns(thread);
	info->cpu = __atomic_load_n(&thread->cpu, __ATOMIC_RELAXED);
	info->state = state_kind(thread);
	info->affinity = __atomic_load_n(&thread->affinity, __ATOMIC_RELAXED);
	memcpy(info->name, thread->name, sizeof info->name);
}

status_t thread_info_write(struct thread *thread, struct buffer_out *out)
{
	struct capos_thread_info info;
	thread_info(thread, &info);
	return buffer_write(out, &info, sizeof info);
}

status_t method_thread_handle_info(struct call *call, const struct thread_handle_info_params *in,
	struct thread_handle_info_results *out)
{
	(void)in;
	return thread_info_write(target_of(call), &out->info);
}
