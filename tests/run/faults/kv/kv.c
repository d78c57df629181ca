/* A service that keeps numbers by key, for tests that make it fail. Its interface is state.h. */
#include <stdio.h>
#include <stdlib.h>

#include <capos/capos.h>

#include "../state.h"

#define IDLE_NS UINT64_C(100000000)

#define LATE_NS UINT64_C(5000000)

struct entry {
	uint64_t value, version;
};

static struct entry entries[KV_KEYS];

static uint32_t handle(uint64_t epoch, struct capos_message *message)
{
	uint64_t operation = message->words[0], key = message->words[1];

	if (key >= KV_KEYS)
		return CAPOS_ERROR_OUT_OF_RANGE;
	if (capos_inject(1)) {
		fputs("kv: the answer is late\n", stderr);
		capos_sleep_ns(LATE_NS);
	}
	struct entry *entry = &entries[key];

	if (operation == KV_PUT) {
		entry->value = message->words[2];
		entry->version++;
	} else if (operation != KV_GET) {
		return CAPOS_ERROR_UNIMPLEMENTED;
	}
	message->words[0] = epoch;
	message->words[2] = entry->value;
	message->words[3] = entry->version;
	message->words[4] = state_sum(message->words);
	return 0;
}

int main(void)
{
	capos_cap_t endpoint = capos_cap("kv"), heartbeat = capos_cap("heartbeat");
	uint64_t epoch = capos_now_ns(), tag;
	struct capos_message message;

	if (capos_event_signal(capos_cap("ready"), 1) < 0)
		return EXIT_FAILURE;
	for (;;) {
		int64_t got =
			capos_endpoint_receive(endpoint, &message, &tag, capos_now_ns() + IDLE_NS);

		capos_event_signal(heartbeat, 1);
		while (got == CAPOS_RECEIVE_RESULT_CALL)
			got = capos_endpoint_reply_receive(endpoint, &message,
				handle(epoch, &message), &tag, capos_now_ns() + IDLE_NS);
		if (got < 0 && got != CAPOS_E(TIMED_OUT) && got != CAPOS_E(INTERRUPTED))
			return EXIT_FAILURE;
	}
}
