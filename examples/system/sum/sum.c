/* A service that keeps a sum. Its endpoint is called "sum", as the manifest says. Its interface:
 * word 0 of a call is the operation, word 1 what is added, or the answer. */
#include <stdlib.h>

#include <capos/capos.h>

enum { ADD = 1, SUM = 2, COUNT = 3 };

struct state {
	uint64_t sum, additions;
};

static uint32_t handle(void *context, uint64_t tag, struct capos_message *message)
{
	struct state *state = context;

	(void)tag;
	switch (message->words[0]) {
	case ADD:
		state->sum += message->words[1];
		state->additions++;
		return 0;
	case SUM:
		message->words[1] = state->sum;
		return 0;
	case COUNT:
		message->words[1] = state->additions;
		return 0;
	default:
		return CAPOS_ERROR_UNIMPLEMENTED;
	}
}

int main(void)
{
	struct state state = { 0 };
	uint64_t tag;
	int64_t end;

	/* Its clients are started now. */
	if (capos_event_signal(capos_cap("ready"), 1) < 0)
		return EXIT_FAILURE;
	do
		end = capos_endpoint_serve(capos_cap("sum"), handle, &state, &tag);
	while (end == CAPOS_RECEIVE_RESULT_FACET_GONE); /* there are other clients */
	return EXIT_FAILURE;
}
