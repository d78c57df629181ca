/* A server that answers, or ends with a call that it has received. Its argument names its endpoint.
 * It never says that it is ready. */
#include <stdlib.h>

#include <capos/capos.h>

enum { ANSWER, END }; /* word 0 of a call, as in client.c */

#define END_AFTER_NS 10000000ull

static uint32_t handle(void *context, uint64_t tag, struct capos_message *message)
{
	(void)context;
	(void)tag;
	if (message->words[0] == END) {
		capos_sleep_ns(END_AFTER_NS); /* other calls come meanwhile */
		exit(EXIT_FAILURE);
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t tag;

	if (argc > 1)
		capos_endpoint_serve(capos_cap(argv[1]), handle, NULL, &tag);
	return EXIT_FAILURE;
}
