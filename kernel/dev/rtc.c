/* Reads the real-time clock through ports 0x70 and 0x71. Two equal readings outside an update count
 * as one. */
#include "dev/rtc.h"

#include "arch/ports.h"
#include "core/string.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define UPDATE_POLLS 100000u
#define READINGS_MAX 8

enum cmos_register {
	CMOS_SECOND = 0,
	CMOS_MINUTE = 2,
	CMOS_HOUR = 4,
	CMOS_DAY = 7,
	CMOS_MONTH = 8,
	CMOS_YEAR = 9,
	CMOS_STATUS_A = 10,
	CMOS_STATUS_B = 11,
};
#define STATUS_A_UPDATING 0x80

static uint8_t cmos_read(uint8_t index)
{
	outb(CMOS_INDEX, index);
	return inb(CMOS_DATA);
}

static bool wait_for_update(void)
{
	for (unsigned i = 0; i < UPDATE_POLLS; i++)
		if (!(cmos_read(CMOS_STATUS_A) & STATUS_A_UPDATING))
			return true;
	return false;
}

static struct rtc_time reading(void)
{
	return (struct rtc_time){
		.second = cmos_read(CMOS_SECOND),
		.minute = cmos_read(CMOS_MINUTE),
		.hour = cmos_read(CMOS_HOUR),
		.day = cmos_read(CMOS_DAY),
		.month = cmos_read(CMOS_MONTH),
		.year = cmos_read(CMOS_YEAR),
	};
}

bool rtc_read(int64_t *unix_s)
{
	if (cmos_read(CMOS_STATUS_A) == 0xff) /* no such device: the bus floats */
		return false;
	for (int i = 0; i < READINGS_MAX; i++) {
		if (!wait_for_update())
			return false;
		struct rtc_time first = reading();
		struct rtc_time second = reading();
		if (memcmp(&first, &second, sizeof first) == 0)
			return rtc_to_unix(first, cmos_read(CMOS_STATUS_B), unix_s);
	}
	return false;
}
