/* The sending half of the host channel: what may go out when, and both halves under random steps.
 */
#define CHECK_GROUP "dev"
#include "dev/channel_output.h"

#include <string.h>

#include "channel_pair.h"
#include "check.h"

static uint8_t buffer[100];
static struct channel_output output;

static void put(size_t size, bool bulk)
{
	static const uint8_t bytes[sizeof buffer];
	channel_output_append(&output, bytes, size);
	if (bulk)
		channel_output_charge(&output, size);
}

static void control_has_room_of_its_own(void)
{
	channel_output_init(&output, buffer, sizeof buffer, 20);
	CHECK(channel_output_fits(&output, 80, true) && !channel_output_fits(&output, 81, true));
	CHECK(channel_output_fits(&output, 100, false));
	put(75, true);
	CHECK(!channel_output_fits(&output, 6, true) && channel_output_fits(&output, 25, false));
	CHECK(!channel_output_fits(&output, 26, false));
}

/* Room counts again when the device no longer needs the bytes, not when it has been given them. */
static void room_comes_back_when_sent(void)
{
	const uint8_t *bytes;
	channel_output_init(&output, buffer, sizeof buffer, 0);
	put(100, true);
	CHECK(channel_output_next(&output, &bytes) == 100 && bytes == buffer);
	channel_output_started(&output, 100);
	CHECK(channel_output_next(&output, &bytes) == 0 && !channel_output_fits(&output, 1, true));
	channel_output_sent(&output, 60);
	CHECK(channel_output_fits(&output, 60, true) && !channel_output_fits(&output, 61, true));
	put(60, true);
	CHECK(channel_output_next(&output, &bytes) == 60 && bytes == buffer);
}

static void no_limit_before_the_first_grant(void)
{
	channel_output_init(&output, buffer, sizeof buffer, 0);
	put(50, true);
	CHECK(channel_output_fits(&output, 50, true));
	channel_output_grant(&output, 40); /* less than has gone out already */
	CHECK(!channel_output_fits(&output, 1, true) && channel_output_fits(&output, 1, false));
	channel_output_grant(&output, 10);
	CHECK(!channel_output_fits(&output, 1, true));
	channel_output_grant(&output, 1);
	CHECK(channel_output_fits(&output, 50, true)); /* the last message may go beyond */
	put(50, true);
	channel_output_grant(&output, 49);
	CHECK(output.credit == 0);
}

static void both_halves_under_random_steps(void)
{
	srand(1);
	for (int run = 0; run < 200; run++) {
		channel_pair_begin();
		for (int i = 0; i < 2000; i++)
			CHECK(channel_pair_step((uint8_t)rand(), (uint8_t)rand()));
	}
}

int main(void)
{
	RUN(control_has_room_of_its_own);
	RUN(room_comes_back_when_sent);
	RUN(no_limit_before_the_first_grant);
	RUN(both_halves_under_random_steps);
	return check_failures != 0;
}
