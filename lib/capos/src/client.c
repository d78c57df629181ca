/* Calls of a user's interface: see capos/service.h. docs/decisions/0026-interfaces-of-users.md has
 * the form of messages. */
#include <stdlib.h>

#include <capos/ring_call.h>
#include <capos/service.h>

#include "service.h"

/* Gives back what a call has brought that no field names: what it is for is unknown. */
static void drop_unnamed(const struct capos_carried *came)
{
	for (uint32_t i = 0; i < came->count; i++)
		if (!(came->named >> i & 1))
			capos_release(came->caps[i]);
}

static int64_t take_answer(struct capos_client *client, const struct capos_method *method,
	const uint64_t *answer, size_t words, struct capos_carried *came, void *results)
{
	int64_t status = CAPOS_E(MALFORMED_MESSAGE);

	if (words >= ANSWER_HEAD && (uint32_t)answer[0] == 0 &&
		answer[0] >> 32 <= words - ANSWER_HEAD)
		status = capos_decode(method->results, results, answer + ANSWER_HEAD,
			answer[0] >> 32, came, &client->memory);
	if (status < 0)
		came->named = 0;
	drop_unnamed(came);
	return status;
}

static int64_t put_question(uint64_t interface, const struct capos_method *method,
	const void *params, uint64_t *message, size_t *words, struct capos_carried *goes)
{
	*words -= CALL_HEAD;
	int64_t status = capos_encode(method->params, params, message + CALL_HEAD, words, goes);
	message[0] = interface;
	message[1] = method->ordinal | (uint64_t)*words << 32;
	*words += CALL_HEAD;
	return status;
}

static int64_t call_in_registers(struct capos_client *client, uint64_t interface,
	const struct capos_method *method, const void *params, void *results)
{
	struct capos_message message = { { 0 } };
	struct capos_carried goes = { .count = 0 }, came = { .count = 0 };
	size_t words = REGISTER_WORDS;
	uint64_t deadline_ns = client->deadline_ns ? client->deadline_ns : CAPOS_WAIT_FOREVER;
	int64_t status = put_question(interface, method, params, message.words, &words, &goes);

	if (status < 0)
		return status;
	if (goes.count || method->results_carry) {
		capos_cap_t cap = goes.count ? goes.caps[0] : 0;

		status = capos_endpoint_call_cap(client->facet, &message, &cap,
			(client->moves && cap ? CAPOS_MESSAGE_MOVES : 0) |
				(method->results_carry ? CAPOS_MESSAGE_TAKES : 0),
			deadline_ns);
		came = (struct capos_carried){ .caps = { cap }, .count = cap != 0 };
	} else {
		status = capos_endpoint_call(client->facet, &message, deadline_ns);
	}
	if (status < 0) {
		drop_unnamed(&came);
		return status;
	}
	return take_answer(client, method, message.words, REGISTER_WORDS, &came, results);
}

/* Room for an answer, in bytes: the kernel charges it with the call. */
static size_t answer_room(const struct capos_client *client, const struct capos_method *method)
{
	size_t bytes = client->answer_size;

	if (!bytes && method->result_words)
		bytes = (ANSWER_HEAD + (size_t)method->result_words) * 8 + CAPOS_ANSWER_SPARE;
	return !bytes || bytes > MESSAGE_WORDS * 8 ? MESSAGE_WORDS * 8 : bytes;
}

static int64_t call_through_ring(struct capos_client *client, uint64_t interface,
	const struct capos_method *method, const void *params, void *results)
{
	struct capos_carried goes = { .count = 0 }, came = { .count = 0 };
	struct capos_message_caps caps = { .takes = method->results_carry };
	size_t words = MESSAGE_WORDS;

	if (!client->message && !(client->message = malloc(2 * MESSAGE_WORDS * 8)))
		return CAPOS_E(NO_MEMORY);
	int64_t status = put_question(interface, method, params, client->message, &words, &goes);
	if (status < 0)
		return status;
	struct capos_ring_call call = {
		.facet = client->facet,
		.message = client->message,
		.size = words * 8,
		.result = client->message + MESSAGE_WORDS,
		.capacity = answer_room(client, method),
		.deadline_ns = client->deadline_ns ? client->deadline_ns : CAPOS_WAIT_FOREVER,
		.caps = &caps,
	};
	carried_to_kernel(&goes, &caps);
	caps.moves = client->moves ? (1u << goes.count) - 1 : 0;
	if (!goes.count && !caps.takes)
		call.caps = NULL;
	status = capos_ring_call(&call);
	if (status < 0)
		return status;
	if (call.caps)
		carried_from_kernel(&caps, &came);
	return take_answer(client, method, call.result, call.answer_size / 8, &came, results);
}

int64_t capos_client_call(struct capos_client *client, uint64_t interface,
	const struct capos_method *method, const void *params, void *results)
{
	if (client->memory.blocks)
		capos_memory_reset(&client->memory);
	else
		capos_memory_init(&client->memory, NULL, 0, DECODED_MAX);
	return method->in_registers ? call_in_registers(client, interface, method, params, results)
				    : call_through_ring(client, interface, method, params, results);
}

void capos_client_free(struct capos_client *client)
{
	free(client->message);
	client->message = NULL;
	capos_memory_reset(&client->memory);
}
