/* The fuzzer chooses the operations. The first byte chooses the machine. */
#include "host.h"
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct model_options options = { .steps = 2000, .check_every = 8 };

	if (!ready)
		host_memory(64ul << 20, NULL, 0);
	ready = true;
	test_name = "mm-aspace-fuzz";
	if (size < 2)
		return 0;
	options.fail_percent = data[0] & 1 ? 50 : 0;
	options.committed_limit = data[0] & 2 ? 1500 : 0;
	host_bytes(data + 1, size - 1);
	model_run(&options);
	return 0;
}
