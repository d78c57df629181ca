/* Fuzzing the ring of a pipe: see pipe_steps.h. */
#include "pipe_steps.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	steps_begin(data[0] % STEPS_PAGES_MAX + 1);
	for (size_t i = 1; i + 1 < size; i += 2)
		if (!steps_step(data[i], data[i + 1]))
			abort();
	return 0;
}
