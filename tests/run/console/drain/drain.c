/* consoled that reads nothing until it is asked to end, and then has a fault, in its first life. */
#include <capos/capos.h>

#define FIRST_PROCESS 2u /* after init */

static bool asked;

static int64_t counted_read(
	capos_cap_t reader, uint32_t max, uint64_t timeout_ns, void *data, size_t size)
{
	bool first = capos_cap_set()->process_id == FIRST_PROCESS;

	if (first && asked)
		__builtin_trap();
	if (first)
		return CAPOS_E(TIMED_OUT);
	return (capos_pipe_reader_read)(reader, max, timeout_ns, data, size);
}

static int64_t noted_signal(capos_cap_t event, uint64_t bits)
{
	asked = true;
	return (capos_event_signal)(event, bits);
}

#define capos_pipe_reader_read counted_read
#define capos_event_signal noted_signal
#include "../../../../services/consoled/lines.c"
#include "../../../../services/consoled/main.c"
