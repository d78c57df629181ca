/* Monotonic time since boot and wall-clock time, from the time-stamp counter. */
#ifndef CAPOS_SCHED_CLOCK_H
#define CAPOS_SCHED_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void);
uint64_t clock_ticks(void); /* raw counter */
/* The page shared read-only with programs. */
uint64_t clock_page_frame(void);
int64_t clock_wall_offset_ns(void);
/* Called once when the wall clock is known: ns since 1970 now. */
void clock_set_wall(int64_t unix_ns);

#endif
