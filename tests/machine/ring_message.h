/* The operations on endpoints in the ring, for a thread that may have calls outstanding. */
#ifndef CAPOS_MACHINE_RING_MESSAGE_H
#define CAPOS_MACHINE_RING_MESSAGE_H

#include "message.h"

#define WORDS_BYTES 64u
#define BYTES_MAX CAPOS_MESSAGE_BYTES_MAX

static capos_cap_t endpoint, facet;

__attribute__((unused)) static void make(uint32_t calls_max, uint64_t tag)
{
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, calls_max, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, tag, &facet));
}

/* A call that is outstanding. */
struct sent {
	capos_cap_t facet;
	uint64_t user_data, deadline_ns;
	const void *message;
	uint64_t size;
	void *result;
	uint64_t capacity;
};

/* Puts it into the queue; it begins with the next entry. */
__attribute__((unused)) static void push_call(const struct sent *sent)
{
	CHECK(capos_ring_push(&(struct capos_submission){
		.opcode = CAPOS_OPCODE_ENDPOINT_CALL,
		.cap = sent->facet,
		.user_data = sent->user_data,
		.args = { (uint64_t)sent->message, sent->size, (uint64_t)sent->result,
			sent->capacity, sent->deadline_ns },
	}));
}

/* The next completion, for which it waits. */
__attribute__((unused)) static struct capos_completion next_completion(void)
{
	struct capos_completion completion = { .result = 12345 };
	if (!capos_ring_pop(&completion)) {
		CHECK_EQUAL(capos_ring_enter(1, FOREVER) > 0, 1);
		CHECK(capos_ring_pop(&completion));
	}
	return completion;
}

/* No completion is there. */
__attribute__((unused)) static void nothing_completes(void)
{
	struct capos_completion completion;
	CHECK_EQUAL(capos_ring_enter(0, 0), 0);
	CHECK(!capos_ring_pop(&completion));
}

/* What user_data is of operations that complete at once. */
#define AT_ONCE 0xa70ceull

__attribute__((unused)) static struct capos_completion at_once(
	uint8_t opcode, capos_cap_t cap, uint64_t a, uint64_t b, uint64_t c)
{
	struct capos_completion completion;
	CHECK(capos_ring_push(&(struct capos_submission){
		.opcode = opcode, .cap = cap, .user_data = AT_ONCE, .args = { a, b, c } }));
	capos_ring_enter(0, 0);
	completion = next_completion();
	CHECK_EQUAL(completion.user_data, AT_ONCE);
	return completion;
}

__attribute__((unused)) static struct capos_completion recv_into(void *buffer, uint64_t size)
{
	return at_once(CAPOS_OPCODE_RECV, endpoint, (uint64_t)buffer, size, FOREVER);
}

/* The ReplyResult, or an error. */
__attribute__((unused)) static int64_t return_bytes(
	const void *message, uint64_t size, uint64_t code)
{
	struct capos_completion completion =
		at_once(CAPOS_OPCODE_RETURN, 0, (uint64_t)message, size, code);
	return completion.result ? completion.result : (int64_t)completion.value;
}

__attribute__((unused)) static int64_t finish_call(uint64_t user_data)
{
	return at_once(CAPOS_OPCODE_FINISH, 0, user_data, 0, 0).result;
}

/* Bytes by which a message is known. */
__attribute__((unused)) static void fill(uint8_t *bytes, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(seed * 31 + i + (i >> 8));
}

__attribute__((unused)) static bool is_filled(const uint8_t *bytes, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size; i++)
		if (bytes[i] != (uint8_t)(seed * 31 + i + (i >> 8)))
			return false;
	return true;
}

#endif
