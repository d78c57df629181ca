/* Converts register values of the PC's real-time clock to Unix time. Two-digit years are of this
 * century. */
#include "dev/rtc.h"

#define STATUS_B_24_HOURS 0x02
#define STATUS_B_BINARY 0x04
#define HOUR_PM 0x80

static bool decode(uint8_t value, bool binary, unsigned max, unsigned *number)
{
	if (!binary) {
		if ((value & 15) > 9 || value >> 4 > 9)
			return false;
		value = (uint8_t)((value >> 4) * 10 + (value & 15));
	}
	*number = value;
	return value <= max;
}

/* Days from 1970-01-01 to the date, 2000 to 2099: every fourth year is a leap year there. */
static int64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
	static const uint16_t before_month[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304,
		334 };
	bool leap_past = year % 4 == 0 && month > 2;
	return 10957 + (int64_t)year * 365 + (year + 3) / 4 + before_month[month - 1] + leap_past +
		day - 1;
}

bool rtc_to_unix(struct rtc_time time, uint8_t status_b, int64_t *unix_s)
{
	bool binary = status_b & STATUS_B_BINARY, hours_24 = status_b & STATUS_B_24_HOURS;
	bool pm = !hours_24 && time.hour & HOUR_PM;
	unsigned second, minute, hour, day, month, year;
	if (!hours_24)
		time.hour &= (uint8_t)~HOUR_PM;
	if (!decode(time.second, binary, 59, &second) ||
		!decode(time.minute, binary, 59, &minute) ||
		!decode(time.hour, binary, 23, &hour) || !decode(time.day, binary, 31, &day) ||
		!decode(time.month, binary, 12, &month) || !decode(time.year, binary, 99, &year))
		return false;
	if (day == 0 || month == 0 || (!hours_24 && (hour == 0 || hour > 12)))
		return false;
	if (!hours_24)
		hour = hour % 12 + (pm ? 12 : 0);
	*unix_s = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
	return true;
}
