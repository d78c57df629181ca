/* ThreadControl and ThreadSpawner: calls of a thread on itself, and the making of other threads. */
#include "arch/context.h"
#include "arch/trap_frame.h"
#include "call/call.h"
#include "core/string.h"
#include "object/behalf.h"
#include "proc/notify.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "machine/clock.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "object/thread_info.h"

#include "kernel/methods.h"

#define PROFILE_INTERVAL_MIN_NS 100000u

status_t method_thread_control_get_fs_base(struct call *call,
	const struct thread_control_get_fs_base_params *in,
	struct thread_control_get_fs_base_results *out)
{
	(void)call, (void)in;
	out->base = thread_pointer_read();
	return STATUS_OK;
}

status_t method_thread_control_set_fs_base(struct call *call,
	const struct thread_control_set_fs_base_params *in,
	struct thread_control_set_fs_base_results *out)
{
	(void)call, (void)out;
	if (in->base >= CAPOS_USER_TOP)
		return STATUS(OUT_OF_RANGE);
	thread_pointer_write(in->base);
	return STATUS_OK;
}

status_t method_thread_control_exit_thread(struct call *call,
	const struct thread_control_exit_thread_params *in,
	struct thread_control_exit_thread_results *out)
{
	(void)call, (void)in, (void)out;
	thread_exit(0);
}

status_t method_thread_control_set_notification(struct call *call,
	const struct thread_control_set_notification_params *in,
	struct thread_control_set_notification_results *out)
{
	(void)out;
	struct thread *thread = call->thread;
	if (in->handler >= CAPOS_USER_TOP || in->stack >= CAPOS_USER_TOP)
		return STATUS(OUT_OF_RANGE);
	if (in->handler && (!in->size || in->size > CAPOS_USER_TOP - in->stack))
		return STATUS(INVALID_ARGUMENT);
	thread->notify_stack = user_ptr(in->stack);
	thread->notify_stack_size = in->size;
	__atomic_store_n(&thread->notify_handler, in->handler, __ATOMIC_SEQ_CST);
	if (in->handler)
		__atomic_store_n(&call->process->handler_registered, true, __ATOMIC_SEQ_CST);
	if (notify_due(thread))
		__atomic_or_fetch(&thread->exit_work, EXIT_WORK_NOTIFY, __ATOMIC_SEQ_CST);
	return STATUS_OK;
}

status_t method_thread_control_set_mask(struct call *call,
	const struct thread_control_set_mask_params *in,
	struct thread_control_set_mask_results *out)
{
	struct thread *thread = call->thread;
	out->previous = thread->notify_mask;
	__atomic_store_n(&thread->notify_mask,
		(thread->notify_mask | in->set) & ~in->clear & NOTIFY_MASK_ALL, __ATOMIC_SEQ_CST);
	if (notify_due(thread))
		__atomic_or_fetch(&thread->exit_work, EXIT_WORK_NOTIFY, __ATOMIC_SEQ_CST);
	return STATUS_OK;
}

status_t method_thread_control_resume(struct call *call,
	const struct thread_control_resume_params *in, struct thread_control_resume_results *out)
{
	(void)out;
	struct trap_frame *frame = thread_frame(call->thread);
	struct trap_frame edited;
	status_t status = notify_resume(call->thread, &edited, user_ptr(in->state));
	if (status != STATUS_OK)
		return status;
	*frame = edited;
	exception_return(frame);
}

status_t method_thread_control_yield(struct call *call,
	const struct thread_control_yield_params *in, struct thread_control_yield_results *out)
{
	(void)call, (void)in, (void)out;
	sched_yield();
	return STATUS_OK;
}

status_t method_thread_control_self(struct call *call, const struct thread_control_self_params *in,
	struct thread_control_self_results *out)
{
	(void)in;
	object_retain(&call->thread->object);
	out->handle = &call->thread->object;
	return STATUS_OK;
}

static bool interval_is_valid(uint64_t interval_ns)
{
	return !interval_ns || (interval_ns >= PROFILE_INTERVAL_MIN_NS && interval_ns <= INT64_MAX);
}

status_t method_thread_control_set_profile(struct call *call,
	const struct thread_control_set_profile_params *in,
	struct thread_control_set_profile_results *out)
{
	(void)out;
	if (!interval_is_valid(in->interval_ns))
		return STATUS(INVALID_ARGUMENT);
	sched_set_profile(call->thread, in->interval_ns);
	return STATUS_OK;
}

status_t method_thread_control_set_process_profile(struct call *call,
	const struct thread_control_set_process_profile_params *in,
	struct thread_control_set_process_profile_results *out)
{
	(void)call, (void)out;
	if (!interval_is_valid(in->interval_ns))
		return STATUS(INVALID_ARGUMENT);
	sched_set_shared_profile(in->interval_ns);
	return STATUS_OK;
}

status_t method_thread_control_info(struct call *call, const struct thread_control_info_params *in,
	struct thread_control_info_results *out)
{
	(void)in;
	return thread_info_write(call->thread, &out->info);
}

static status_t read_name(const struct buffer_in *text, char name[CAPOS_THREAD_NAME_MAX + 1])
{
	if (text->length > CAPOS_THREAD_NAME_MAX)
		return STATUS(INVALID_ARGUMENT);
	memset(name, 0, CAPOS_THREAD_NAME_MAX + 1);
	return buffer_read(text, 0, name, text->length);
}

status_t method_thread_spawner_spawn(struct call *call,
	const struct thread_spawner_spawn_params *in, struct thread_spawner_spawn_results *out)
{
	char name[CAPOS_THREAD_NAME_MAX + 1];
	if (behalf_is_meant(call))
		return behalf_call(call, CAPOS_THREAD_SPAWNER_SPAWN, in, out);
	if (in->entry >= CAPOS_USER_TOP || in->stack > CAPOS_USER_TOP ||
		in->fs_base >= CAPOS_USER_TOP)
		return STATUS(OUT_OF_RANGE);
	if (!in->entry)
		return STATUS(INVALID_ARGUMENT);
	status_t status = read_name(&in->name, name);
	if (status != STATUS_OK)
		return status;
	struct thread *thread;
	status = thread_create(call->process, name, NULL, NULL, &thread);
	if (status != STATUS_OK)
		return status == STATUS(WRONG_STATE) ? STATUS(DISCONNECTED) : status;
	thread->object.interface = &interface_descs[INTERFACE_THREAD_HANDLE];
	trap_frame_begin(thread_frame(thread), in->entry, in->stack, in->argument, thread->id,
		thread->ring_address);
	thread->context.thread_pointer = in->fs_base;
	thread->notify_mask = in->mask & NOTIFY_MASK_ALL;
	out->handle = &thread->object;
	object_retain(&thread->object);
	thread_start(thread);
	object_release(&thread->object);
	return STATUS_OK;
}
