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

static inline void trap_frame_get_message(const struct trap_frame *frame, uint64_t *words)
{
	words[0] = frame->rsi;
	words[1] = frame->rdx;
	words[2] = frame->r10;
	words[3] = frame->r8;
	words[4] = frame->r9;
	words[5] = frame->rbx;
	words[6] = frame->r12;
	words[7] = frame->r13;
}

static inline void trap_frame_set_message(struct trap_frame *frame, const uint64_t *words)
{
	frame->rsi = words[0];
	frame->rdx = words[1];
	frame->r10 = words[2];
	frame->r8 = words[3];
	frame->r9 = words[4];
	frame->rbx = words[5];
	frame->r12 = words[6];
	frame->r13 = words[7];
}

static inline void trap_frame_copy_message(struct trap_frame *to, const struct trap_frame *from)
{
	to->rsi = from->rsi;
	to->rdx = from->rdx;
	to->r10 = from->r10;
	to->r8 = from->r8;
	to->r9 = from->r9;
	to->rbx = from->rbx;
	to->r12 = from->r12;
	to->r13 = from->r13;
}

static inline uint64_t trap_frame_deadline(const struct trap_frame *frame)
{
	return frame->r14;
}

static inline uint64_t trap_frame_status(const struct trap_frame *frame)
{
	return frame->r15;
}

static inline void trap_frame_set_results(
	struct trap_frame *frame, int64_t result, uint64_t target, uint64_t cap)
{
	frame->rax = (uint64_t)result;
	frame->rdi = target;
	frame->r14 = cap;
}

static inline void trap_frame_set_result(struct trap_frame *frame, int64_t result)
{
	frame->rax = (uint64_t)result;
}

/* SYSCALL has two bytes. */
static inline void trap_frame_repeat(struct trap_frame *frame, uint64_t operation)
{
	frame->rip -= 2;
	frame->rax = operation;
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
