/* The program for the check of ./capos run --learn. It uses what it needs in each of the ways that
 * there are: by calls of its own (standard output, input), by a call that names another capability
 * (the boot image, from which a child is started), and in a child that it passes one on to. It also
 * uses what it can do without, and gives the child what that does not use. */
#include <stdio.h>
#include <stdlib.h>

#include <capos/capos.h>

/* The child's status tells whether it can make a memory object. */
static int child(void)
{
	capos_cap_t object;
	int64_t status = capos_memory_allocator_create(capos_caps.memory_allocator, 4096, &object);

	return status == 0 ? 7 : 8;
}

/* The child gets the first of these that the program holds. */
static int start_child(const char *path, struct capos_process_end *end)
{
	const struct capos_grant grants[] = {
		{ "memory_allocator", capos_caps.memory_allocator },
		{ "entropy", capos_caps.entropy },
		{ "system", capos_caps.system },
	};
	uint32_t count = 0;
	capos_cap_t process;

	while (count < sizeof(grants) / sizeof(grants[0]) && grants[count].cap != 0)
		count++;
	const struct capos_spawn spawn = {
		.path = path,
		.argv = (const char *const[]){ "child", "child", NULL },
		.grants = grants,
		.grant_count = count,
		.memory_pages = 256,
	};
	int64_t status = capos_spawn(&spawn, &process);

	return status < 0 || capos_process_finish(process, end) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	uint8_t random[16];
	char line[64];
	struct capos_process_end end = { .code = -1 };

	if (argc > 1)
		return child();
	if (fgets(line, sizeof(line), stdin) == NULL)
		return EXIT_FAILURE;
	/* Not looked at: the program is content with none. */
	(void)!capos_entropy_source_fill(capos_caps.entropy, 16, random, sizeof(random));
	if (start_child(argv[0], &end) != 0)
		return EXIT_FAILURE;
	printf("needs: the child ended with %d after %s", end.code, line);
	return end.code == 7 ? EXIT_SUCCESS : EXIT_FAILURE;
}
