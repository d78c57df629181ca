/* Trap frames as the ABI shows them to programs, and back. */
#include "arch/user_state.h"

#include <capos/abi.h>

#include "arch/context.h"
#include "arch/trap_frame.h"
#include "arch/x86_64/asm.h"

#define EXCEPTIONS 32u /* vectors below it are exceptions of the processor */
/* CF PF AF ZF SF TF DF OF AC ID: what a program may set. */
#define RFLAGS_PROGRAM 0x240dd5ul

void user_state_store(
	struct capos_thread_state *state, const struct trap_frame *frame, uint64_t thread_pointer)
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
	state->fs_base = thread_pointer;
}

void user_state_store_trap(struct capos_thread_state *state, const struct trap_frame *frame)
{
	bool exception = frame->vector < EXCEPTIONS;
	state->trap = exception ? (uint32_t)frame->vector : 0;
	state->error_code = exception ? frame->error : 0;
}

/* IRET with a non-canonical RIP would fault in the kernel, and a non-canonical FS base cannot be
 * loaded. */
bool user_state_is_loadable(const struct capos_thread_state *state)
{
	return state->rip < CAPOS_USER_TOP && state->fs_base < CAPOS_USER_TOP;
}

void user_state_load(const struct capos_thread_state *state, struct trap_frame *frame)
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
		.rflags = (state->rflags & RFLAGS_PROGRAM) | RFLAGS_USER,
		.cs = SELECTOR_USER_CODE,
		.ss = SELECTOR_USER_DATA,
	};
}

uint64_t user_state_thread_pointer(const struct capos_thread_state *state)
{
	return state->fs_base;
}

void user_state_set_vectors(struct capos_thread_state *state, struct user_ptr area)
{
	state->xsave_address = area.address;
	state->xsave_size = vector_size();
}

struct user_ptr user_state_vectors(const struct capos_thread_state *state)
{
	return user_ptr(state->xsave_address);
}

bool user_state_vectors_fit(const struct capos_thread_state *state)
{
	return state->xsave_size == vector_size() && state->xsave_address % VECTOR_ALIGNMENT == 0;
}

void fault_record_store(struct capos_fault_record *record, const struct trap_frame *frame)
{
	record->rip = frame->rip;
	record->rsp = frame->rsp;
	record->rbp = frame->rbp;
	record->error_code = frame->error;
}
