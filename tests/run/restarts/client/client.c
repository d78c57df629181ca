/* Ends each of three servers in the middle of a call, while another call waits for it, and calls it
 * again at once. */
#include <stdio.h>
#include <stdlib.h>

#include <capos/capos.h>

enum { ANSWER, END }; /* word 0 of a call, as in server.c */

#define QUEUED_AFTER_NS 2000000ull /* less than the server waits before it ends */

static int64_t call(const char *name, uint64_t operation)
{
	struct capos_message message = { .words = { operation } };

	return capos_endpoint_call(capos_cap(name), &message, CAPOS_WAIT_FOREVER);
}

/* A call that the server has not received when it ends, because it waits a while in the one before.
 */
static int64_t call_queued(void *name)
{
	capos_sleep_ns(QUEUED_AFTER_NS);
	return call(name, ANSWER);
}

int main(void)
{
	static const struct {
		char *name;
		int64_t again; /* what a call that waits at the server's end gives, and one after it
		                */
	} servers[] = {
		{ "kept", 0 },
		{ "fresh", CAPOS_E(DISCONNECTED) },
		{ "gone", CAPOS_E(DISCONNECTED) },
	};
	int result = EXIT_SUCCESS;

	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		int64_t before = call(servers[i].name, ANSWER);
		int64_t queued = CAPOS_E(NO_MEMORY);
		struct capos_thread *thread;

		if (capos_thread_start(&thread, call_queued, servers[i].name, NULL) < 0)
			return EXIT_FAILURE;
		int64_t during = call(servers[i].name, END);
		int64_t after = call(servers[i].name, ANSWER);
		capos_thread_join(thread, &queued);

		printf("%s: %s, %s, %s, %s\n", servers[i].name, capos_error_name(before),
			capos_error_name(during), capos_error_name(queued),
			capos_error_name(after));
		if (before != 0 || during != CAPOS_E(DISCONNECTED) || queued != servers[i].again ||
			after != servers[i].again)
			result = EXIT_FAILURE;
	}
	return result;
}
