/* A C program on capOS: what it was given, and what time it is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <capos/capos.h>

int main(int argc, char **argv)
{
	const struct capos_cap_set_header *set = capos_cap_set();

	printf("Hello from process %" PRIu64 " on capOS, %u CPU%s.\n", set->process_id,
		capos_cpu_count(), capos_cpu_count() == 1 ? "" : "s");
	for (int i = 0; i < argc; i++)
		printf("argument %d: %s\n", i, argv[i]);
	for (uint32_t i = 0; i < set->count; i++) {
		const struct capos_cap_set_entry *entry = &capos_cap_entries()[i];

		printf("capability %-16s interface %016" PRIx64 "\n", (const char *)entry->name,
			entry->interface_id);
	}
	printf("%.3f seconds since the machine started\n", (double)capos_now_ns() / 1e9);
	return EXIT_SUCCESS;
}
