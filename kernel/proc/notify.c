/* Delivering notifications and coming back from them; the way back to user mode.
 *
 * A delivery writes to the notification stack, from high addresses to low, starting at its top, or
 * below the red zone of the code that it interrupts when the thread is on that stack already:
 *
 *     area of the vector registers
 *     struct capos_thread_state, where the handler's stack begins
 *     what a call puts there: the stack pointer at entry points here
 *
 * models/notify.pml models pending bits, exit work, suspension and the way back to user mode. */
#include "proc/notify.h"

#include "arch/context.h"
#include "arch/handlers.h"
#include "arch/trap_frame.h"
#include "arch/user_state.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/string.h"
#include "machine/clock.h"
#include "mm/user.h"
#include "proc/fault.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/quota.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/wait_state.h"

void thread_state_read(struct thread *thread, struct capos_thread_state *state)
{
	assert_held(&thread->lock);
	memset(state, 0, sizeof *state);
	user_state_store(state, thread_frame(thread),
		thread->stopped ? thread->stopped_thread_pointer : thread->context.thread_pointer);
	state->mask = thread->notify_mask;
}

status_t thread_state_write(struct thread *thread, const struct capos_thread_state *state)
{
	assert_held(&thread->lock);
	if (!user_state_is_loadable(state))
		return STATUS(INVALID_ARGUMENT);
	user_state_load(state, thread_frame(thread));
	thread->stopped_thread_pointer = user_state_thread_pointer(state);
	return STATUS_OK;
}

/* Chooses the place of the state. False when the stack has no room for it. */
static bool place_frame(
	const struct thread *thread, uint64_t stack, struct user_ptr *area, struct user_ptr *state)
{
	uint64_t low = thread->notify_stack.address, high = low + thread->notify_stack_size;
	uint64_t top = stack > low && stack <= high ? stack - RED_ZONE_BYTES : high;
	uint64_t need = vector_size() + VECTOR_ALIGNMENT + sizeof(struct capos_thread_state) +
		STACK_ALIGNMENT + CALL_BYTES;
	if (top < low || top - low < need)
		return false;
	top = (top - vector_size()) & ~(VECTOR_ALIGNMENT - 1ul);
	*area = user_ptr(top);
	*state = user_ptr((top - sizeof(struct capos_thread_state)) & ~(STACK_ALIGNMENT - 1ul));
	return true;
}

/* Writes the state and points the thread at its handler. False without room, or when the stack
 * cannot be written. */
static bool deliver(struct thread *thread, struct trap_frame *frame, uint32_t kind, uint32_t code,
	uint64_t address, uint64_t value)
{
	struct user_ptr area, place;
	if (!place_frame(thread, trap_frame_stack(frame), &area, &place))
		return false;
	struct capos_thread_state state;
	memset(&state, 0, sizeof state);
	user_state_store(&state, frame, thread_pointer_read());
	user_state_store_trap(&state, frame);
	user_state_set_vectors(&state, area);
	state.kind = kind;
	state.code = code;
	state.address = address;
	state.value = value;
	state.mask = thread->notify_mask;
	vector_save(thread->context.vectors);
	if (copy_to_user(area, thread->context.vectors, vector_size()) != STATUS_OK ||
		copy_to_user(place, &state, sizeof state) != STATUS_OK)
		return false;
	__atomic_store_n(&thread->notify_mask, NOTIFY_MASK_ALL, __ATOMIC_SEQ_CST);
	thread->in_handler = true;
	trap_frame_call(frame, thread->notify_handler, kind, place.address);
	return true;
}

static void end_faulted(struct thread *thread, const struct trap_frame *frame, uint32_t kind,
	uint32_t code, uint64_t address)
{
	const struct process_fault fault = { .code = code,
		.address = address,
		.place = trap_frame_instruction(frame),
		.thread_id = thread->id,
		.crash = fault_report(thread, frame, kind, code, address),
		.last_calls = thread->last_calls,
		.calls_made = thread->calls_made };
	thread->last_calls = NULL; /* it makes no more */
	process_exit_faulted(thread->process, kind, &fault);
}

void fault_deliver(struct trap_frame *frame, uint32_t kind, uint32_t code, uint64_t address)
{
	struct thread *thread = thread_current();
	bool wanted = thread->notify_handler && !(thread->notify_mask & notify_bit(kind));
	if (!wanted || !deliver(thread, frame, kind, code, address, 0))
		end_faulted(thread, frame, kind, code, address);
}

static void deliver_pending(struct thread *thread, struct trap_frame *frame)
{
	uint64_t due =
		__atomic_load_n(&thread->notify_pending, __ATOMIC_SEQ_CST) & ~thread->notify_mask;
	if (!due || !thread->notify_handler)
		return;
	uint32_t kind = (uint32_t)__builtin_ctzl(due);
	__atomic_and_fetch(&thread->notify_pending, ~notify_bit(kind), __ATOMIC_SEQ_CST);
	uint64_t value = kind >= 32 ? thread->notify_value[kind - 32] : 0;
	if (!deliver(thread, frame, kind, 0, 0, value))
		end_faulted(thread, frame, CAPOS_NOTIFICATION_KIND_PAGE_FAULT, CAPOS_FAULT_MAPPING,
			thread->notify_stack.address);
}

static void stop_here(struct thread *thread)
{
	spin_lock(&thread->lock);
	thread->stopped = true;
	thread->stopped_thread_pointer = thread_pointer_read();
	while ((thread->suspend_count || thread->held) &&
		!(__atomic_load_n(&thread->exit_work, __ATOMIC_RELAXED) & EXIT_WORK_DIE)) {
		thread->acknowledged = true;
		wait_queue_wake(&thread->suspenders, 1);
		wait_on(&thread->suspended, &thread->lock, DEADLINE_NONE, false);
	}
	thread->stopped = false;
	thread_pointer_write(thread->stopped_thread_pointer);
	spin_unlock(&thread->lock);
	trap_frame_edited(thread_frame(thread));
}

/* Its process has no CPU time left. A notification waits for as long, because its handler would use
 * more of it. */
static void wait_for_quota(struct thread *thread)
{
	struct quota *quota = thread->profile->quota;
	uint64_t until_ns = quota_stop(quota, clock_now_ns());
	if (until_ns) {
		status_t status = thread_sleep_until(until_ns, false);
		(void)status; /* a thread that is to die sees that next */
	}
}

void return_to_user(struct trap_frame *frame)
{
	struct thread *thread = thread_current();
	for (;;) {
		if (percpu()->resched)
			sched_preempt();
		uint32_t work = __atomic_exchange_n(&thread->exit_work, 0, __ATOMIC_SEQ_CST);
		if (work & EXIT_WORK_DIE) {
			__atomic_or_fetch(&thread->exit_work, EXIT_WORK_DIE, __ATOMIC_SEQ_CST);
			thread_exit(thread->exit_code);
		}
		if (work & EXIT_WORK_LEAVE)
			lease_leave(&thread->lease_use);
		if (work & EXIT_WORK_QUOTA)
			wait_for_quota(thread);
		if (work & EXIT_WORK_EXPLORE)
			explore_leaves();
		if (work & EXIT_WORK_SUSPEND)
			stop_here(thread);
		if (work & EXIT_WORK_NOTIFY)
			deliver_pending(thread, frame);
		if (!percpu()->resched && !__atomic_load_n(&thread->exit_work, __ATOMIC_SEQ_CST))
			return;
	}
}

/* Loads the vector registers from a program's area. A rejected area must not stay in the thread's,
 * because vector_save() need not write all that vector_load() reads. */
static status_t load_vectors(struct thread *thread, struct user_ptr area)
{
	void *vectors = thread->context.vectors;
	status_t status = copy_from_user(vectors, area, vector_size());
	if (status == STATUS_OK && !vector_sanitize(vectors))
		status = STATUS(INVALID_ARGUMENT);
	if (status == STATUS_OK)
		vector_load(vectors);
	else
		vector_init_area(vectors);
	return status;
}

status_t notify_resume(
	struct thread *thread, struct trap_frame *frame, struct user_ptr state_address)
{
	struct capos_thread_state state;
	if (copy_from_user(&state, state_address, sizeof state) != STATUS_OK)
		return STATUS(BAD_ADDRESS);
	if (!user_state_is_loadable(&state))
		return STATUS(INVALID_ARGUMENT);
	if (user_state_vectors(&state).address) {
		if (!user_state_vectors_fit(&state))
			return STATUS(INVALID_ARGUMENT);
		status_t status = load_vectors(thread, user_state_vectors(&state));
		if (status != STATUS_OK)
			return status;
	}
	user_state_load(&state, frame);
	thread_pointer_write(user_state_thread_pointer(&state));
	thread->in_handler = (state.mask & NOTIFY_MASK_ALL) == NOTIFY_MASK_ALL;
	__atomic_store_n(&thread->notify_mask, state.mask & NOTIFY_MASK_ALL, __ATOMIC_SEQ_CST);
	if (notify_due(thread))
		__atomic_or_fetch(&thread->exit_work, EXIT_WORK_NOTIFY, __ATOMIC_SEQ_CST);
	return STATUS_OK;
}
