/* See arch/trap_frame.h. */
#ifndef CAPOS_ARCH_IMPL_TRAP_FRAME_H
#define CAPOS_ARCH_IMPL_TRAP_FRAME_H

#define STACK_ALIGNMENT 16u
#define RED_ZONE_BYTES 128u
#define CALL_BYTES 8u /* the return address */

/* Interrupts on, and bit 1, which always is. */
#define RFLAGS_USER 0x202ul

/* User registers as entry.S leaves them at the top of the kernel stack. offsets.c gives their
 * offsets. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, rcx, rbx, rbp, rdi;
	uint64_t rsi, rdx, r10, r8,
		r9; /* a register call's argument words, in their order: trap_frame_words */
	uint64_t rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

static inline uint64_t trap_frame_operation(const struct trap_frame *frame)
{
	return frame->rax;
}

static inline uint64_t trap_frame_target(const struct trap_frame *frame)
{
	return frame->rdi;
}

static inline const uint64_t *trap_frame_words(const struct trap_frame *frame)
{
	_Static_assert(offsetof(struct trap_frame, rax) - offsetof(struct trap_frame, rsi) ==
			5 * sizeof(uint64_t),
		"five words");
	return (const uint64_t *)((const char *)frame + offsetof(struct trap_frame, rsi));
}

static inline uint64_t trap_frame_instruction(const struct trap_frame *frame)
{
	return frame->rip;
}

static inline uint64_t trap_frame_stack(const struct trap_frame *frame)
{
	return frame->rsp;
}

static inline uint64_t trap_frame_base(const struct trap_frame *frame)
{
	return frame->rbp;
}

static inline void trap_frame_begin(struct trap_frame *frame, uint64_t instruction, uint64_t stack,
	uint64_t first, uint64_t second, uint64_t third)
{
	frame->rip = instruction;
	frame->rsp = stack;
	frame->rdi = first;
	frame->rsi = second;
	frame->rdx = third;
}

/* SYSRET is for frames that SYSCALL made, which entry.S tells by their vector. */
static inline void trap_frame_edited(struct trap_frame *frame)
{
	frame->vector = 0;
}

static inline void trap_frame_call(
	struct trap_frame *frame, uint64_t handler, uint64_t kind, uint64_t state)
{
	frame->rip = handler;
	frame->rsp = state - CALL_BYTES;
	frame->rdi = kind;
	frame->rsi = frame->rdx = state;
	frame->rflags = RFLAGS_USER;
	trap_frame_edited(frame);
}

#endif
