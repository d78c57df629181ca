/* The first kernel stack of a thread, as entry.S expects it. */
#include "arch/context.h"

#include "arch/trap_frame.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/asm.h"

uint64_t context_prepare(struct trap_frame *frame, void (*function)(void *), void *argument)
{
	uint64_t *stack = (uint64_t *)frame - SWITCH_WORDS;
	stack[0] = stack[1] = stack[2] = 0; /* r15, r14, r13 */
	stack[3] = (uint64_t)argument;      /* r12 */
	stack[4] = (uint64_t)function;      /* rbx */
	stack[5] = 0;                       /* rbp */
	stack[6] = (uint64_t)thread_begin;
	*frame = (struct trap_frame){
		.cs = SELECTOR_USER_CODE, .ss = SELECTOR_USER_DATA, .rflags = RFLAGS_USER
	};
	return (uint64_t)stack;
}
