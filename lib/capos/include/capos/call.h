/* Entering the kernel: register calls, the calling thread's ring, parking, and the error numbers.
 *
 * Every call returns one signed 64-bit word. From -4095 to -1 it is an error: minus a
 * TransportError, or -(CAPOS_ERROR_BASE + CAPOS_ERROR_x). CAPOS_E(NO_MEMORY) is the latter as a
 * value to compare with.
 */
#ifndef CAPOS_CALL_H
#define CAPOS_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <capos/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A capability of this process: (generation << 16) | slot. 0 is none. */
typedef uint32_t capos_cap_t;

#define CAPOS_E(name) (-(int64_t)(CAPOS_ERROR_BASE + CAPOS_ERROR_##name))
#define CAPOS_TRANSPORT_E(name) (-(int64_t)CAPOS_TRANSPORT_ERROR_##name)

static inline bool capos_is_error(int64_t word)
{
	return word < 0 && word >= -4095;
}

/* The schema's name of an error ("noMemory"), and one sentence on what it means. Never NULL. */
const char *capos_error_name(int64_t status);
const char *capos_error_meaning(int64_t status);

/* ---- register calls: they touch neither ring nor stack and may be made anywhere ---- */

/* One system call with all registers under the caller's control. */
static inline int64_t capos_syscall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2,
	uint64_t a3, uint64_t a4, uint64_t a5)
{
	register uint64_t r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = a4;
	register uint64_t r9 __asm__("r9") = a5;

	__asm__ volatile("syscall"
		: "+a"(number)
		: "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return (int64_t)number;
}

static inline int64_t capos_register_call(uint32_t opcode, uint64_t target, uint64_t a0,
	uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	return capos_syscall(
		CAPOS_SYS_CAP_ENTER | (uint64_t)opcode << 8, target, a0, a1, a2, a3, a4);
}

/* Calls a method in compact form. The typed calls in capos/stubs.h are usually the better
 * choice. */
static inline int64_t capos_call(capos_cap_t cap, uint32_t method, uint64_t a0, uint64_t a1,
	uint64_t a2, uint64_t a3, uint64_t a4)
{
	return capos_register_call(
		CAPOS_OPCODE_COMPACT, cap | (uint64_t)method << 32, a0, a1, a2, a3, a4);
}

/* Waits while *word is expected, until deadline_ns of the monotonic clock (CAPOS_WAIT_FOREVER:
 * none). The result is a CAPOS_PARK_RESULT_x or an error. space is a ParkSpace or SharedParkSpace.
 */
static inline int64_t capos_park_in(
	capos_cap_t space, const volatile void *word, uint32_t expected, uint64_t deadline_ns)
{
	return capos_register_call(
		CAPOS_OPCODE_PARK, space, (uintptr_t)word, expected, deadline_ns, 0, 0);
}

/* Wakes up to count waiters; the result is how many. */
static inline int64_t capos_unpark_in(capos_cap_t space, const volatile void *word, uint64_t count)
{
	return capos_register_call(CAPOS_OPCODE_UNPARK, space, (uintptr_t)word, count, 0, 0, 0);
}

/* Drops a capability. */
static inline int64_t capos_release(capos_cap_t cap)
{
	return capos_register_call(CAPOS_OPCODE_RELEASE, cap, 0, 0, 0, 0, 0);
}

__attribute__((noreturn)) static inline void capos_exit(int code, uint64_t scope)
{
	for (;;)
		capos_syscall(CAPOS_SYS_EXIT, (uint32_t)code, scope, 0, 0, 0, 0);
}

/* ---- the calling thread's ring; not for notification handlers ---- */

struct capos_ring_header *capos_ring(void);

static inline struct capos_submission *capos_ring_submissions(struct capos_ring_header *ring)
{
	return (struct capos_submission *)((char *)ring + CAPOS_RING_SUBMISSION_OFFSET);
}

static inline struct capos_completion *capos_ring_completions(struct capos_ring_header *ring)
{
	return (struct capos_completion *)((char *)ring + CAPOS_RING_COMPLETION_OFFSET);
}

/* Queues one operation without entering the kernel; false when the queue is full. */
bool capos_ring_push(const struct capos_submission *submission);

/* Executes the queued operations and waits for at least min_complete completions. The result is the
 * number of completions that can be popped. */
int64_t capos_ring_enter(uint64_t min_complete, uint64_t timeout_ns);

/* Takes the oldest completion; false when there is none. */
bool capos_ring_pop(struct capos_completion *completion);

/* Pushes, enters and pops one operation. busy when the program has operations of its own in the
 * ring. The result is the completion's. */
int64_t capos_ring_do(
	const struct capos_submission *submission, struct capos_completion *completion);

/* A method call in compact form over the ring; *word receives the result word. */
int64_t capos_ring_compact(
	capos_cap_t cap, uint32_t method, const uint64_t words[6], uint64_t *word);

#ifdef __cplusplus
}
#endif

#endif
