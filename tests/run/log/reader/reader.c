/* Prints init's log until a service is given up: a client in C of abi/schema/init.capnp. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

#define PAUSE_NS 1000000ull

int main(void)
{
	struct capos_init_event event = { 0 };

	while (event.kind != CAPOS_INIT_EVENT_KIND_GAVE_UP) {
		struct capos_message message = { .words = { event.number + 1 } };
		int64_t status =
			capos_endpoint_call(capos_cap("init_log"), &message, CAPOS_WAIT_FOREVER);

		if (status == CAPOS_E(NOT_FOUND)) {
			capos_sleep_ns(PAUSE_NS);
			continue;
		}
		if (status < 0)
			return EXIT_FAILURE;
		memcpy(&event, message.words, sizeof(event));
		if (strcmp((const char *)event.service, "brief") == 0)
			printf("%" PRIu32 " %" PRId32 "\n", event.kind, event.code);
	}
	return EXIT_SUCCESS;
}
