/* Address spaces compared with the oracle: with plenty of memory, with a limit, with hardly any
 * memory, and with failing allocations. */
#include "host.h"
#include "model.h"

int main(int count, char **arguments)
{
	static const struct {
		const char *name;
		struct model_options options;
	} runs[] = {
		{ "mm-aspace-model", { .steps = 6000, .check_every = 20 } },
		{ "mm-aspace-limit",
			{ .steps = 6000, .check_every = 20, .committed_limit = 2500 } },
		{ "mm-aspace-failures", { .steps = 12000, .check_every = 20, .fail_percent = 50 } },
		{ "mm-aspace-failures-each-checked",
			{ .steps = 2500, .check_every = 2, .fail_percent = 80 } },
		{ "mm-aspace-scarce", { .steps = 10000, .check_every = 20, .scarce = true } },
	};
	uint64_t seed = count > 1 ? strtoull(arguments[1], NULL, 0) : 1;
	size_t hog_frames = 0;
	paddr_t hogs[64];

	host_memory(96ul << 20, NULL, 0);
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		test_name = runs[i].name;
		if (runs[i].options.scarce) /* all but 6 MiB is in other use */
			while (frames_available() > 1536 + 1024 &&
				(hogs[hog_frames] = frame_alloc(KERNEL_PAYS, 10, 0)) != 0)
				hog_frames++;
		for (unsigned round = 0; round < 3; round++) {
			host_seed(seed * 1000 + i * 10 + round);
			model_run(&runs[i].options);
		}
		model_check_successes(4);
		while (hog_frames)
			frame_free(KERNEL_PAYS, hogs[--hog_frames], 10);
		printf("ok %s\n", test_name);
	}
	return 0;
}
