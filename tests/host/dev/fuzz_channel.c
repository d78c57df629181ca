/* Fuzzing both halves of the host channel: see channel_pair.h. */
#include "channel_pair.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	channel_pair_begin();
	for (size_t i = 0; i + 1 < size; i += 2)
		if (!channel_pair_step(data[i], data[i + 1]))
			abort();
	return 0;
}
