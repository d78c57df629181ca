/* Random bytes and their sources. One machine of the matrix has no source at all, and must never
 * give out bytes. */
#include "support.h"

#define UNTOUCHED 0x5a

static uint8_t bytes[256];

static bool untouched(void)
{
	for (unsigned i = 0; i < sizeof bytes; i++)
		if (bytes[i] != UNTOUCHED)
			return false;
	return true;
}

static void without_a_seed_nothing_is_filled(void)
{
	static const uint32_t lengths[] = { 0, 1, 16, sizeof bytes };
	memset(bytes, UNTOUCHED, sizeof bytes);
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 4; i++) {
			CHECK_FAILS(ENTROPY_SOURCE_FILL, NOT_SEEDED,
				capos_entropy_source_fill(
					capos_caps.entropy, lengths[i], bytes, sizeof bytes));
			CHECK_FAILS(ENTROPY_SOURCE_FILL, NOT_SEEDED,
				capos_entropy_source_fill_message(
					capos_caps.entropy, lengths[i], bytes, sizeof bytes));
		}
		capos_sleep_ns(5 * MS_NS);
	}
	CHECK_FAILS(ENTROPY_SOURCE_FILL, INVALID_ARGUMENT,
		capos_entropy_source_fill(capos_caps.entropy, 65537, bytes, sizeof bytes));
	CHECK_FAILS(ENTROPY_SOURCE_FILL, INVALID_ARGUMENT,
		capos_entropy_source_fill(capos_caps.entropy, 2, bytes, 1));
	CHECK(untouched());
}

static void with_a_seed_it_is_filled(void)
{
	memset(bytes, UNTOUCHED, sizeof bytes);
	CHECK_EQUAL(capos_entropy_source_fill(capos_caps.entropy, 16, bytes, sizeof bytes), 16);
	CHECK(!untouched());
	CHECK_EQUAL(bytes[16], UNTOUCHED);
	CHECK_EQUAL(capos_entropy_source_fill_message(
			    capos_caps.entropy, sizeof bytes, bytes, sizeof bytes),
		sizeof bytes);
	unsigned ones = 0;
	for (unsigned i = 0; i < sizeof bytes; i++)
		ones += (unsigned)__builtin_popcount(bytes[i]);
	CHECK(ones > 1024 - 226 && ones < 1024 + 226); /* ten standard deviations */
}

int main(void)
{
	uint32_t sources = 0;
	if (capos_entropy_source_status(capos_caps.entropy, &sources) < 0)
		return 1;
	if (sources)
		RUN(with_a_seed_it_is_filled);
	else
		RUN(without_a_seed_nothing_is_filled);
	return check_result();
}
