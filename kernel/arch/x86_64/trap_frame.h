/* The registers of user mode while the kernel runs. */
#ifndef CAPOS_ARCH_TRAP_FRAME_H
#define CAPOS_ARCH_TRAP_FRAME_H

#include <stddef.h>
#include <stdint.h>

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

static inline const uint64_t *trap_frame_words(const struct trap_frame *frame)
{
	_Static_assert(offsetof(struct trap_frame, rax) - offsetof(struct trap_frame, rsi) ==
			5 * sizeof(uint64_t),
		"five words");
	return (const uint64_t *)((const char *)frame + offsetof(struct trap_frame, rsi));
}

#endif
