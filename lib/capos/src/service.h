/* The form of a message of a user's interface: docs/decisions/0026-interfaces-of-users.md. */
#ifndef LIBCAPOS_SERVICE_H
#define LIBCAPOS_SERVICE_H

#include <capos/abi.h>

/* Words before the segment. A call: the interface; method and length. An answer: the length. */
#define CALL_HEAD 2u
#define ANSWER_HEAD 1u

#define REGISTER_WORDS 8u
#define MESSAGE_WORDS (CAPOS_MESSAGE_BYTES_MAX / 8u)

/* The most memory in which what a message says is kept in C, bytes. */
#define DECODED_MAX (4u * CAPOS_MESSAGE_BYTES_MAX)

#endif
