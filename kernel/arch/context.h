/* What a thread has in the processor: its kernel stack, and of user mode what the trap frame does
 * not hold. The kernel itself uses no vector registers, so the user's stay where they are until
 * another thread takes the CPU. Interrupts off. */
#ifndef CAPOS_ARCH_CONTEXT_H
#define CAPOS_ARCH_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

struct percpu;
struct thread;
struct trap_frame;

/* ---- kernel stacks ---- */

/* Leaves the current stack, whose pointer it saves, for another one: returns when that one is left
 * for this. */
void switch_context(uint64_t *save, uint64_t load);
/* Makes a new stack, below the frame at its top, and returns its pointer. The first switch to it
 * calls sched_switched(), then the function, whose return ends the thread; with no function (NULL)
 * it goes to user mode by the frame. That is zero but for what every user frame has. */
uint64_t context_prepare(struct trap_frame *frame, void (*function)(void *), void *argument);
/* Goes to user mode by the frame at the top of the current stack, with every register from there.
 * What is on the stack is abandoned. */
_Noreturn void exception_return(struct trap_frame *frame);
/* The same for a frame of a system call that is as it came, but for registers of the message and
 * the results (arch/trap_frame.h). */
_Noreturn void message_return(struct trap_frame *frame);

/* Whether the processor has what context_hand_over() needs. */
bool context_hands_over(void);
/* Goes from the current thread to another user thread that does not run, and to user mode: by the
 * frame at the top of that one's stack, but with the message of the current thread's frame and
 * these results. Both threads are in a system call, and what is on their stacks is abandoned. A
 * switch to the current thread later on begins with sched_switched() and message_resume(). The lock
 * of the run queue is held, and released when the current thread is left. */
_Noreturn void context_hand_over(
	struct percpu *cpu, struct thread *next, int64_t result, uint64_t target);
/* The same with the words as the message. */
_Noreturn void context_hand_over_words(struct percpu *cpu, struct thread *next, int64_t result,
	uint64_t target, const uint64_t *words);
/* The same, but the other thread goes on in the kernel: in message_resume(). */
_Noreturn void context_hand_over_inside(struct percpu *cpu, struct thread *next);

/* ---- user mode beyond the frame ---- */

/* Of a user thread that does not run. The architecture's own, with two fields that others use:
 *     uint64_t thread_pointer   the register that leads to a program's data of the thread
 *     void *vectors             an area of the vector registers, see below */
struct user_context;

static inline void user_context_save(struct user_context *context);
/* The areas it loads came from user_context_save(), vector_init_area() or vector_sanitize(), and
 * the thread pointer is below CAPOS_USER_TOP. */
static inline void user_context_load(const struct user_context *context);

/* The thread pointer of the thread that runs; to be written, below CAPOS_USER_TOP. */
static inline uint64_t thread_pointer_read(void);
static inline void thread_pointer_write(uint64_t address);

/* Vector registers in areas of vector_size() bytes, whose addresses are multiples of
 * VECTOR_ALIGNMENT. */
uint32_t vector_size(void);
void vector_init_area(void *area);
static inline void vector_save(void *area);
static inline void vector_load(const void *area);
/* Makes an area that came from a program safe to load; false when that is impossible. */
bool vector_sanitize(void *area) __attribute__((warn_unused_result));

#include "arch/impl/context.h"

#endif
