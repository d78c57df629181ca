/* A client of kv and counter, while they are made to fail. It knows what each of its keys has to
 * hold, as long as the service is the same process and no call has ended in an error, and tells the
 * service `faults` of each answer. Its argument is its number, of which its keys are. */
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

#include "../../../../services/faults/faults.h"
#include "../state.h"

#define MS UINT64_C(1000000)
#define DEADLINE_NS (10000 * MS) /* of a call: an error is clear, a call without end is not */
#define PAUSE_NS (4 * MS)
#define BURST 6
#define KEYS 8u

struct server {
	const char *name;
	capos_cap_t facet;
	uint64_t epoch, since_ns; /* 0: not known */
	bool adds;
	struct key {
		bool known;
		uint64_t value, version;
	} keys[KEYS];
};

static uint64_t random_state, number;

static uint64_t chance(uint64_t n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

static void tell(
	struct server *server, enum fault_outcome outcome, uint64_t begun_ns, int64_t detail)
{
	struct fault_report report = { .outcome = outcome,
		.begun_ns = begun_ns,
		.since_ns = server->since_ns,
		.detail = (uint64_t)detail };
	struct capos_message message;
	int64_t status;

	strncpy(report.service, server->name, sizeof(report.service) - 1);
	do {
		memcpy(message.words, &report, sizeof(report));
		status = capos_endpoint_call(
			capos_cap("faults"), &message, capos_now_ns() + DEADLINE_NS);
	} while (status == CAPOS_E(INTERRUPTED));
	if (status < 0)
		exit(EXIT_FAILURE);
	if (message.words[0] == FAULT_STOP)
		exit(EXIT_SUCCESS);
	if (outcome == FAULT_WRONG)
		server->epoch = 0;
}

/* The answer of another process: nothing is known of its state. */
static void begin(struct server *server, uint64_t epoch, uint64_t begun_ns)
{
	server->epoch = epoch;
	server->since_ns = begun_ns;
	memset(server->keys, 0, sizeof(server->keys));
}

static void use(struct server *server)
{
	unsigned index = (unsigned)chance(KEYS);
	struct key *key = &server->keys[index], after = *key;
	bool changes = chance(2);
	uint64_t what = changes ? chance(1000) : 0, begun_ns = capos_now_ns();
	struct capos_message message = { .words = { changes ? KV_PUT : KV_GET,
						 number * KEYS + index, what } };
	int64_t status = capos_endpoint_call(server->facet, &message, begun_ns + DEADLINE_NS);

	if (status < 0) {
		key->known = key->known && !changes;
		tell(server, FAULT_REFUSED, begun_ns, -status);
		return;
	}
	const uint64_t *words = message.words;

	if (words[0] != server->epoch)
		begin(server, words[0], begun_ns);
	if (changes) {
		after.version++;
		after.value = server->adds ? after.value + what : what;
	}
	if (words[1] != number * KEYS + index || words[4] != state_sum(words) ||
		(key->known && (words[2] != after.value || words[3] != after.version))) {
		tell(server, FAULT_WRONG, begun_ns, (int64_t)words[1]);
		return;
	}
	*key = (struct key){ true, words[2], words[3] };
	tell(server, FAULT_RIGHT, begun_ns, 0);
}

int main(int argc, char **argv)
{
	static struct server servers[2] = { { .name = "kv" }, { .name = "counter", .adds = true } };

	number = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	random_state = number * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (unsigned i = 0; i < 2; i++)
		servers[i].facet = capos_cap(servers[i].name);
	for (;;) {
		for (unsigned i = 0; i < BURST; i++)
			use(&servers[chance(2)]);
		capos_sleep_ns(chance(PAUSE_NS));
	}
}
