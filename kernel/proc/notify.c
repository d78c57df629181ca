/* Delivering notifications and coming back from them; the way back to user mode.
 *
 * A delivery writes to the notification stack, from high addresses to low, starting at its top, or
 * 128 bytes (the red zone) below RSP when the thread is on that stack already:
 *
 *     XSAVE area, 64-byte aligned
 *     struct capos_thread_state, 16-byte aligned
 *     8 bytes, as after a call: RSP at entry points here
 *
 * models/notify.pml models pending bits, exit work, suspension and the way back to user mode. */
#include "proc/notify.h"

#include "arch/x86_64/arch.h"
#include "arch/x86_64/asm.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/string.h"
#include "mm/user.h"
#include "proc/fault.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/wait_state.h"

#define RED_ZONE 128
/* CF PF AF ZF SF TF DF OF AC ID: what a program may set; IF and bit 1 are always set. */
#define FLAGS_USER 0x240dd5ul
#define FLAGS_ALWAYS 0x202ul

static void registers_to_state(const struct trap_frame *frame, struct capos_thread_state *state)
{
	state->rax = frame->rax;
	state->rbx = frame->rbx;
	state->rcx = frame->rcx;
	state->rdx = frame->rdx;
	state->rsi = frame->rsi;
	state->rdi = frame->rdi;
	state->rbp = frame->rbp;
	state->rsp = frame->rsp;
	state->r8 = frame->r8;
	state->r9 = frame->r9;
	state->r10 = frame->r10;
	state->r11 = frame->r11;
	state->r12 = frame->r12;
	state->r13 = frame->r13;
	state->r14 = frame->r14;
	state->r15 = frame->r15;
	state->rip = frame->rip;
	state->rflags = frame->rflags;
}

static void state_to_registers(const struct capos_thread_state *state, struct trap_frame *frame)
{
	*frame = (struct trap_frame){
		.rax = state->rax,
		.rbx = state->rbx,
		.rcx = state->rcx,
		.rdx = state->rdx,
		.rsi = state->rsi,
		.rdi = state->rdi,
		.rbp = state->rbp,
		.rsp = state->rsp,
		.r8 = state->r8,
		.r9 = state->r9,
		.r10 = state->r10,
		.r11 = state->r11,
		.r12 = state->r12,
		.r13 = state->r13,
		.r14 = state->r14,
		.r15 = state->r15,
		.rip = state->rip,
		.rflags = (state->rflags & FLAGS_USER) | FLAGS_ALWAYS,
		.cs = SELECTOR_USER_CODE,
		.ss = SELECTOR_USER_DATA,
	};
}

/* IRET with a non-canonical RIP would fault in the kernel, and a non-canonical FS base cannot be
 * loaded. */
static bool state_is_loadable(const struct capos_thread_state *state)
{
	return state->rip < CAPOS_USER_TOP && state->fs_base < CAPOS_USER_TOP;
}

void thread_state_read(struct thread *thread, struct capos_thread_state *state)
{
	assert_held(&thread->lock);
	memset(state, 0, sizeof *state);
	registers_to_state(thread_frame(thread), state);
	state->mask = thread->notify_mask;
	state->fs_base = thread->stopped ? thread->stopped_fs_base : thread->fs_base;
}

status_t thread_state_write(struct thread *thread, const struct capos_thread_state *state)
{
	assert_held(&thread->lock);
	if (!state_is_loadable(state))
		return STATUS(INVALID_ARGUMENT);
	state_to_registers(state, thread_frame(thread));
	thread->stopped_fs_base = state->fs_base;
	return STATUS_OK;
}

/* Chooses the place of the state. False when the stack has no room for it. */
static bool place_frame(
	const struct thread *thread, uint64_t rsp, struct user_ptr *area, struct user_ptr *state)
{
	uint64_t low = thread->notify_stack.address, high = low + thread->notify_stack_size;
	uint64_t top = rsp > low && rsp <= high ? rsp - RED_ZONE : high;
	uint64_t need = vector_size() + 64 + sizeof(struct capos_thread_state) + 16 + 8;
	if (top < low || top - low < need)
		return false;
	*area = user_ptr((top - vector_size()) & ~63ul);
	*state = user_ptr((area->address - sizeof(struct capos_thread_state)) & ~15ul);
	return true;
}

/* Writes the state and points the thread at its handler. False without room, or when the stack
 * cannot be written. */
static bool deliver(struct thread *thread, struct trap_frame *frame, uint32_t kind, uint32_t code,
	uint64_t address, uint64_t value)
{
	struct user_ptr area, place;
	if (!place_frame(thread, frame->rsp, &area, &place))
		return false;
	struct capos_thread_state state;
	memset(&state, 0, sizeof state);
	registers_to_state(frame, &state);
	state.kind = kind;
	state.code = code;
	state.address = address;
	state.value = value;
	state.mask = thread->notify_mask;
	state.fs_base = fs_base_read();
	state.xsave_address = area.address;
	state.xsave_size = vector_size();
	state.trap = frame->vector < 32 ? (uint32_t)frame->vector : 0;
	state.error_code = frame->vector < 32 ? frame->error : 0;
	vector_save(thread->xsave);
	if (copy_to_user(area, thread->xsave, vector_size()) != STATUS_OK ||
		copy_to_user(place, &state, sizeof state) != STATUS_OK)
		return false;
	__atomic_store_n(&thread->notify_mask, NOTIFY_MASK_ALL, __ATOMIC_SEQ_CST);
	thread->in_handler = true;
	frame->rip = thread->notify_handler;
	frame->rsp = place.address - 8;
	frame->rdi = kind;
	frame->rsi = frame->rdx = place.address;
	frame->rflags = FLAGS_ALWAYS;
	frame->vector = 0; /* edited: leave by IRET */
	return true;
}

static void end_faulted(struct thread *thread, const struct trap_frame *frame, uint32_t kind,
	uint32_t code, uint64_t address)
{
	fault_report(thread, frame, kind, code, address);
	process_exit(thread->process, CAPOS_EXIT_KIND_FAULTED, (int32_t)kind);
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
	thread->stopped_fs_base = fs_base_read();
	while (thread->suspend_count && !(thread->exit_work & EXIT_WORK_DIE)) {
		thread->acknowledged = true;
		wait_queue_wake(&thread->suspenders, UINT32_MAX);
		wait_on(&thread->suspended, &thread->lock, DEADLINE_NONE, false);
	}
	thread->stopped = false;
	fs_base_write(thread->stopped_fs_base);
	spin_unlock(&thread->lock);
	thread_frame(thread)->vector = 0; /* the registers may have been written: leave by IRET */
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
		if (work & EXIT_WORK_SUSPEND)
			stop_here(thread);
		if (work & EXIT_WORK_NOTIFY)
			deliver_pending(thread, frame);
		if (!percpu()->resched && !__atomic_load_n(&thread->exit_work, __ATOMIC_SEQ_CST))
			return;
	}
}

/* Loads the vector registers from a program's area. A rejected area must not stay in the thread's,
 * because XSAVE leaves those parts of the header unchanged on which XRSTOR faults. */
static status_t load_vectors(struct thread *thread, struct user_ptr area)
{
	status_t status = copy_from_user(thread->xsave, area, vector_size());
	if (status == STATUS_OK && !vector_sanitize(thread->xsave))
		status = STATUS(INVALID_ARGUMENT);
	if (status == STATUS_OK)
		vector_load(thread->xsave);
	else
		vector_init_area(thread->xsave);
	return status;
}

status_t notify_resume(struct thread *thread, struct trap_frame *frame, struct user_ptr from)
{
	struct capos_thread_state state;
	if (copy_from_user(&state, from, sizeof state) != STATUS_OK)
		return STATUS(BAD_ADDRESS);
	if (!state_is_loadable(&state))
		return STATUS(INVALID_ARGUMENT);
	if (state.xsave_address) {
		if (state.xsave_size != vector_size() || state.xsave_address % 64)
			return STATUS(INVALID_ARGUMENT);
		status_t status = load_vectors(thread, user_ptr(state.xsave_address));
		if (status != STATUS_OK)
			return status;
	}
	state_to_registers(&state, frame);
	fs_base_write(state.fs_base);
	thread->in_handler = (state.mask & NOTIFY_MASK_ALL) == NOTIFY_MASK_ALL;
	__atomic_store_n(&thread->notify_mask, state.mask & NOTIFY_MASK_ALL, __ATOMIC_SEQ_CST);
	if (notify_due(thread))
		__atomic_or_fetch(&thread->exit_work, EXIT_WORK_NOTIFY, __ATOMIC_SEQ_CST);
	return STATUS_OK;
}
