/* The battery-backed clock of a PC (MC146818 and successors): read once, for the wall clock. Boot.
 */
#ifndef CAPOS_DEV_RTC_H
#define CAPOS_DEV_RTC_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds since 1970-01-01 UTC. False when there is no such clock or its values make no sense. The
 * clock is assumed to run in UTC. */
bool rtc_read(int64_t *unix_s);

/* The same from register values. Pure. status_b is register B; its bits say BCD or binary, 12 or 24
 * hours. */
struct rtc_time {
	uint8_t second, minute, hour, day, month, year;
};
bool rtc_to_unix(struct rtc_time time, uint8_t status_b, int64_t *unix_s);

#endif
