/* Time: what the machine provides. Monotonic time since boot, wall-clock time, and one interrupt to
 * come for each CPU. Any context, unless said otherwise. */
#ifndef CAPOS_MACHINE_CLOCK_H
#define CAPOS_MACHINE_CLOCK_H

#include <stdint.h>

/* CPU 0, once, with interrupts off. A kernel parameter may name the clock to use (docs/run.md).
 * Panics when the machine has no clock. */
void clock_init(const char *command_line);

/* Since boot; the same on all CPUs. */
uint64_t clock_now_ns(void);
/* The counter that programs read by an instruction; its rate is on the clock page. */
uint64_t clock_ticks(void);
/* Physical address of the page shared read-only with programs (ClockPage in the schema). */
uint64_t clock_page_frame(void);
/* The offset from monotonic time to ns since 1970. */
int64_t clock_wall_offset_ns(void);
/* Boot, once, when the wall clock is known: ns since 1970 now. */
void clock_set_wall(int64_t unix_ns);

/* Requests an interrupt on this CPU, which calls sched_timer() at deadline_ns or a little later, or
 * up to a second earlier when it is far away; UINT64_MAX: none. Replaces the request before.
 * Returns when it is due, which is now for a deadline that has passed. With interrupts off. */
uint64_t timer_program(uint64_t deadline_ns);

#endif
