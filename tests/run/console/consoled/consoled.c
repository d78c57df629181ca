/* consoled that has a fault at its 20th read, in the first 200 ms of the machine. It writes
 * what it has read before it reads more, so that nothing but lines that have just begun is lost. */
#include <capos/capos.h>

#define CRASHES_NS 200000000ull

static int64_t counted_read(
	capos_cap_t reader, uint32_t max, uint64_t timeout_ns, void *data, size_t size)
{
	static unsigned reads;

	if (++reads == 20 && capos_now_ns() < CRASHES_NS)
		__builtin_trap();
	return (capos_pipe_reader_read)(reader, max, timeout_ns, data, size);
}

#define capos_pipe_reader_read counted_read
#include "../../../../services/consoled/lines.c"
#include "../../../../services/consoled/main.c"
