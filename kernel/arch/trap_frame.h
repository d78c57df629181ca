/* The registers of user mode while the kernel runs. The way into the kernel puts them into a frame
 * at the top of the thread's kernel stack, and the way out loads them from there. The functions
 * name registers by what the ABI uses them for (abi/schema, docs/abi.md). Owner thread only, or any
 * thread while the owner does not run. */
#ifndef CAPOS_ARCH_TRAP_FRAME_H
#define CAPOS_ARCH_TRAP_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* The architecture's own. */
struct trap_frame;

/* Of its convention for calls, constants: STACK_ALIGNMENT; RED_ZONE_BYTES, which belong to a
 * function below the stack that it uses; CALL_BYTES, which a call puts onto the stack. */

/* ---- a call ---- */

/* The word that says what is wanted: a system call, and an opcode. */
static inline uint64_t trap_frame_operation(const struct trap_frame *frame);
/* The word that says of what: a CapId, and a method. */
static inline uint64_t trap_frame_target(const struct trap_frame *frame);
/* The five words behind it, side by side. Nothing writes to them while the thread is inside a
 * method. */
static inline const uint64_t *trap_frame_words(const struct trap_frame *frame);

/* ---- a message in registers ---- */

/* Words of a message: 64 bytes. */
#define MESSAGE_WORDS 8u

/* The eight words. Three of them are in registers that a call keeps otherwise, so the way out has
 * to be message_return() (arch/handlers.h) or exception_return(). */
static inline void trap_frame_get_message(const struct trap_frame *frame, uint64_t *words);
static inline void trap_frame_set_message(struct trap_frame *frame, const uint64_t *words);
static inline void trap_frame_copy_message(struct trap_frame *to, const struct trap_frame *from);
/* Two more words: a deadline; and options, of a reply its status. */
static inline uint64_t trap_frame_deadline(const struct trap_frame *frame);
static inline uint64_t trap_frame_status(const struct trap_frame *frame);
/* What comes with a message: the result of the call, a word that tells from whom, a capability. */
static inline void trap_frame_set_results(
	struct trap_frame *frame, int64_t result, uint64_t target, uint64_t cap);
/* The result alone. */
static inline void trap_frame_set_result(struct trap_frame *frame, int64_t result);
/* Makes the program enter the kernel again at once, with the same words for another operation. */
static inline void trap_frame_repeat(struct trap_frame *frame, uint64_t operation);

/* ---- places, all of them any number ---- */

/* The instruction with which the program goes on. */
static inline uint64_t trap_frame_instruction(const struct trap_frame *frame);
/* The lowest byte in use of its stack. */
static inline uint64_t trap_frame_stack(const struct trap_frame *frame);
/* Where the program keeps a frame pointer: two words, the caller's frame pointer and the return
 * address. */
static inline uint64_t trap_frame_base(const struct trap_frame *frame);

/* ---- changes ---- */

/* For a new thread, whose frame is as context_prepare() made it. */
static inline void trap_frame_begin(struct trap_frame *frame, uint64_t instruction, uint64_t stack,
	uint64_t first, uint64_t second, uint64_t third);
/* Calls a handler with two arguments: handler(kind, state). The state lies on the stack, at a
 * multiple of STACK_ALIGNMENT, with CALL_BYTES free below it. */
static inline void trap_frame_call(
	struct trap_frame *frame, uint64_t handler, uint64_t kind, uint64_t state);
/* Registers beyond the result of a call may have been written: the way out has to load all. */
static inline void trap_frame_edited(struct trap_frame *frame);

#include "arch/impl/trap_frame.h"

#endif
