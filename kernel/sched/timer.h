/* The one-shot timer of this CPU, in monotonic time. */
#ifndef CAPOS_SCHED_TIMER_H
#define CAPOS_SCHED_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/* An interrupt at deadline_ns or a little later, or up to a second earlier when it is far away;
 * UINT64_MAX: none. */
void timer_program(uint64_t deadline_ns);
/* Publishes the number of CPUs on the clock page. */
void clock_set_cpus(unsigned count);
/* From now on time does not come from the time-stamp counter, and the log says why; monotonic time
 * goes on. Only while no program and no other CPU runs. False if there is nothing else to take it
 * from. */
bool clock_distrust_tsc(const char *why);

#endif
