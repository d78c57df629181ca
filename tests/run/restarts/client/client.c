/* Ends each of three servers in the middle of a call, and calls it again at once. */
#include <stdio.h>
#include <stdlib.h>

#include <capos/capos.h>

enum { ANSWER, END }; /* word 0 of a call, as in server.c */

static int64_t call(const char *name, uint64_t operation)
{
	struct capos_message message = { .words = { operation } };

	return capos_endpoint_call(capos_cap(name), &message, CAPOS_WAIT_FOREVER);
}

int main(void)
{
	static const struct {
		const char *name;
		int64_t again; /* what the call after the server's end gives */
	} servers[] = {
		{ "kept", 0 },
		{ "fresh", CAPOS_E(DISCONNECTED) },
		{ "gone", CAPOS_E(DISCONNECTED) },
	};
	int result = EXIT_SUCCESS;

	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		int64_t before = call(servers[i].name, ANSWER);
		int64_t during = call(servers[i].name, END);
		int64_t after = call(servers[i].name, ANSWER);

		printf("%s: %s, %s, %s\n", servers[i].name, capos_error_name(before),
			capos_error_name(during), capos_error_name(after));
		if (before != 0 || during != CAPOS_E(DISCONNECTED) || after != servers[i].again)
			result = EXIT_FAILURE;
	}
	return result;
}
