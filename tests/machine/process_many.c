/* A thousand processes, one after the other and several at once: frames, charges and capabilities
 * are what they were.
 *
 * // test: kernel release
 */
#include "spawn.h"

#define ROUNDS 125
#define AT_ONCE 8

static int role_exit(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}

static const struct role roles[] = { { "exit", role_exit } };

static void round_of(unsigned count)
{
	capos_cap_t process[AT_ONCE];
	for (unsigned i = 0; i < count; i++)
		process[i] = spawn("exit", NULL);
	for (unsigned i = 0; i < count; i++)
		finishes(process[i], CAPOS_EXIT_KIND_EXITED, 0);
}

static void nothing_is_left_of_a_thousand(void)
{
	struct capos_process_info before, after;
	struct capos_memory_usage usage_before, usage_after;
	round_of(AT_ONCE); /* the first touches pages of the parent's stack */
	usage_before = vm_usage();
	capos_system_info_process(capos_caps.system, &before, sizeof before);
	for (int i = 0; i < ROUNDS && !check_why[0]; i++)
		round_of(i % 2 ? AT_ONCE : 1);
	for (int i = 0; i < ROUNDS && !check_why[0]; i++)
		round_of(i % 2 ? 1 : AT_ONCE);
	capos_system_info_process(capos_caps.system, &after, sizeof after);
	usage_after = vm_usage();
	CHECK_EQUAL(after.capabilities, before.capabilities);
	CHECK_EQUAL(usage_after.committed_pages, usage_before.committed_pages);
	CHECK_EQUAL(usage_after.reserved_pages, usage_before.reserved_pages);
	/* The kernel keeps an empty slab of each of its sizes. */
	CHECK(usage_after.machine_free_pages + 8 > usage_before.machine_free_pages);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	RUN(nothing_is_left_of_a_thousand);
	return check_result();
}
