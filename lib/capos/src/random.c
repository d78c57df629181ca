/* Random bytes. */
#include <capos/random.h>

#include <capos/caps.h>
#include <capos/stubs.h>
#include <capos/time.h>

/* The most bytes that one call gives. */
#define FILL_MAX_BYTES 65536
#define SEED_RETRY_NS 1000000

int64_t capos_random_fill(void *buffer, size_t size_bytes)
{
	char *next = buffer;

	while (size_bytes > 0) {
		uint32_t wanted =
			size_bytes < FILL_MAX_BYTES ? (uint32_t)size_bytes : FILL_MAX_BYTES;
		int64_t got = capos_entropy_source_fill(capos_caps.entropy, wanted, next, wanted);

		if (got == CAPOS_E(NOT_SEEDED)) {
			capos_sleep_ns(SEED_RETRY_NS);
			continue;
		}
		if (got < 0)
			return got;
		next += got;
		size_bytes -= (size_t)got;
	}
	return 0;
}
