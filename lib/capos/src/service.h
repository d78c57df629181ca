/* The form of a message of a user's interface: docs/decisions/0026-interfaces-of-users.md. */
#ifndef LIBCAPOS_SERVICE_H
#define LIBCAPOS_SERVICE_H

#include <capos/abi.h>
#include <capos/schema.h>

/* Words before the segment. A call: the interface; method and length. An answer: the length. */
#define CALL_HEAD 2u
#define ANSWER_HEAD 1u

#define REGISTER_WORDS 8u
#define MESSAGE_WORDS (CAPOS_MESSAGE_BYTES_MAX / 8u)

/* The most memory in which what a message says is kept in C, bytes. */
#define DECODED_MAX (4u * CAPOS_MESSAGE_BYTES_MAX)

/* The kernel names capabilities in words of 64 bits. */
static inline void carried_to_kernel(
	const struct capos_carried *goes, struct capos_message_caps *caps)
{
	caps->count = goes->count;
	for (uint32_t i = 0; i < goes->count; i++)
		caps->caps[i] = goes->caps[i];
}

static inline void carried_from_kernel(
	const struct capos_message_caps *caps, struct capos_carried *came)
{
	came->count = caps->count;
	for (uint32_t i = 0; i < caps->count; i++)
		came->caps[i] = (capos_cap_t)caps->caps[i];
}

#endif
