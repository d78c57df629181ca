/* Time. Reading a clock does not enter the kernel, because the numbers come from the clock page and
 * the time-stamp counter. */
#ifndef CAPOS_TIME_H
#define CAPOS_TIME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Nanoseconds of the monotonic clock, the one all deadlines are in; 0 when the process has no
 * Timer. */
uint64_t capos_now_ns(void);

/* Nanoseconds since 1970-01-01 UTC; 0 when the process has no Timer. */
int64_t capos_wall_ns(void);

/* now + duration, or CAPOS_WAIT_FOREVER when that is beyond the clock. */
uint64_t capos_deadline_ns(uint64_t duration_ns);

/* Sleeps at least that long, also when notifications interrupt. 0 or an error. */
int64_t capos_sleep_ns(uint64_t duration_ns);
int64_t capos_sleep_until_ns(uint64_t deadline_ns);

/* CPUs online; 1 when the process has no Timer. */
uint32_t capos_cpu_count(void);

#ifdef __cplusplus
}
#endif

#endif
