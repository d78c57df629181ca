/* Writes lines of 64 bytes, as many as its first argument says, and tells how long that took. With
 * a second argument it writes so many bytes of each line apart, and sleeps in between. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <capos/capos.h>

#define NS_PER_US UINT64_C(1000)
#define PAUSE_NS 1000000ull
#define LINE_BYTES 64

int main(int argc, char **argv)
{
	long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	size_t apart = argc > 2 ? (size_t)strtol(argv[2], NULL, 10) : 0;
	uint64_t begun_ns = capos_now_ns();
	char line[LINE_BYTES + 1];

	for (long i = 0; i < count; i++) {
		snprintf(line, sizeof(line), "%08ld %054ld\n", i, i);
		if (apart > 0) {
			fwrite(line, 1, apart, stdout);
			fflush(stdout);
			capos_sleep_ns(PAUSE_NS);
		}
		fwrite(line + apart, 1, LINE_BYTES - apart, stdout);
	}
	fprintf(stderr, "%ld lines in %" PRIu64 " us\n", count,
		(capos_now_ns() - begun_ns) / NS_PER_US);
	return ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
