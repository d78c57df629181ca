/* A program that starts itself again, as a child that gets three capabilities and 2 MiB, and waits
 * for it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <capos/capos.h>

/* The child may write and use memory of its own. It has no file, no clock and no other process. */
static int child(void)
{
	uint32_t count = capos_cap_set()->count;

	printf("child: hello from process %" PRIu64 " with %" PRIu32 " capabilities\n",
		capos_cap_set()->process_id, count);
	return count == 3 ? 7 : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return child();

	const struct capos_grant grants[] = {
		{ "stdout", capos_caps.standard_output },
		{ "vm", capos_caps.vm },
		{ "thread_control", capos_caps.thread_control },
	};
	const char *const arguments[] = { argv[0], "child", NULL };
	const struct capos_spawn program = {
		.path = argv[0],
		.argv = arguments,
		.grants = grants,
		.grant_count = sizeof(grants) / sizeof(grants[0]),
		.memory_pages = 512,
	};
	capos_cap_t process;
	struct capos_process_end end;
	int64_t status = capos_spawn(&program, &process);

	if (status == 0)
		status = capos_process_finish(process, &end);
	if (status < 0) {
		printf("parent: %s\n", capos_error_name(status));
		return EXIT_FAILURE;
	}
	printf("parent: the child ended with kind %" PRIu32 " and code %" PRId32 "\n", end.kind,
		end.code);
	return end.kind == CAPOS_EXIT_KIND_EXITED && end.code == 7 ? EXIT_SUCCESS : EXIT_FAILURE;
}
