/* The parts of a panic, for callers with a report of their own: exceptions in the kernel and the
 * checks of the debug kernel. panic() itself is in core/log.h. debug/panic.c provides all of it,
 * because a report names threads and processes, which core does not know. Any context. */
#ifndef CAPOS_CORE_PANIC_H
#define CAPOS_CORE_PANIC_H

#include <stdbool.h>
#include <stdint.h>

/* Stops the other CPUs. Returns on the first CPU that panics, and on no other. place is the
 * instruction of this CPU, for the report of the first. */
void panic_begin(uint64_t place);
/* After the caller's own report: prints what every CPU ran, then ends the machine. */
_Noreturn void panic_end(void);
/* Prints the calls that led to an instruction, by the frame pointers from base on (their form is
 * that of trap_frame_base() in arch/trap_frame.h). */
void backtrace_print(uint64_t place, uint64_t base);
/* The same calls as numbers, from the caller's caller on; 0 behind the last. */
void backtrace_take(uint64_t *calls, unsigned count);
/* Whether a CPU has called panic_begin(). Locks then do not count, and checks pass. */
bool panic_begun(void);
/* Another CPU's panic stops this one. */
_Noreturn void panic_stop_cpu(uint64_t place);

#endif
