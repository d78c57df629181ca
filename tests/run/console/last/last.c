/* Writes two lines and ends. With an argument it fills the pipe that is its standard error, and
 * then frees memory twice. */
#include <stdio.h>
#include <stdlib.h>

#include <capos/capos.h>

static void fill(void)
{
	static const char line[] =
		"0123456789012345678901234567890123456789012345678901234567890\n";
	uint64_t count;

	while (capos_pipe_writer_write(
		       capos_caps.standard_error, line, sizeof(line) - 1, 0, &count) == 0)
		;
}

int main(int argc, char **argv)
{
	char *volatile block = malloc(16);

	(void)argv;
	if (argc > 1) {
		free(block);
		fill();
		free(block);
	}
	puts("first\nlast");
	return 0;
}
