/* The pieces of a panic, for those who report one in their own words: exceptions in the kernel and
 * the checks of the debug kernel. panic() itself is in core/log.h. debug/panic.c provides all of
 * it, because a report names threads and processes, of which core knows nothing. */
#ifndef CAPOS_CORE_PANIC_H
#define CAPOS_CORE_PANIC_H

#include <stdbool.h>
#include <stdint.h>

/* Any context. Stops the other CPUs; returns on the first CPU that panics, on no other. rip: where
 * this CPU was, for the report of the one that was first. */
void panic_begin(uint64_t rip);
/* After the caller's own words: what every CPU ran, then the end. */
_Noreturn void panic_end(void);
/* The calls that led to an instruction, by the frame pointers from rbp on. */
void backtrace_print(uint64_t rip, uint64_t rbp);
/* Whether a CPU has called panic_begin(): locks then mean nothing, and checks pass. */
bool panic_begun(void);
/* Another CPU's panic stops this one. */
_Noreturn void panic_stop_cpu(uint64_t rip);

#endif
