/* Reading and writing Cap'n Proto messages of one segment.
 *
 * The framing is the standard stream framing: u32 segment count - 1 (always 0), u32 words, then the
 * words, of which the first is the root pointer. The reader works in place on a private copy of the
 * message and trusts nothing in it: every pointer is checked against the segment before anything
 * behind it is read. Only what a method's parameters can hold is understood: one struct with
 * integers, and byte lists. Far pointers and capabilities make a message malformed. Pure.
 *
 *     bits     0..1   2..31                         32..63
 *     struct   0      offset from the next word     32..47 data words, 48..63 pointers
 *     list     1      offset from the next word     32..34 element size (2: bytes), 35..63 count
 *     cap      3      0                             index
 *
 * Offsets are in words. */
#ifndef CALL_MESSAGE_H
#define CALL_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"

#define MESSAGE_FRAMING_BYTES 8
#define MESSAGE_WORD_BYTES 8

/* A struct inside a message. Both sections may be shorter than the schema says (an older caller) or
 * longer (a newer one). Fields beyond the end read as zero, and fields beyond the schema are
 * ignored. */
struct message_struct {
	const uint8_t *segment;
	uint32_t segment_words;
	uint32_t data_bytes;
	uint32_t data_word;    /* where the data section starts in the segment */
	uint32_t pointer_word; /* where the pointer section starts */
	uint32_t pointer_count;
};

/* Checks the framing of size bytes at bytes and finds the root struct. malformedMessage when that
 * is not one whole message. The bytes must stay unchanged while the struct is in use. */
MUST_CHECK status_t message_open(struct message_struct *root, const void *bytes, size_t size);

/* An unsigned integer of the width (1, 2, 4 or 8 bytes) at byte offset of the data section. */
uint64_t message_read_scalar(const struct message_struct *s, uint32_t byte_offset, uint32_t width);

/* The bytes a pointer field refers to; an absent one has length 0. text: demands the terminating
 * NUL, and does not count it. *bytes is never NULL on success. */
MUST_CHECK status_t message_read_bytes(const struct message_struct *s, uint32_t pointer_index,
	int text, const void **bytes, size_t *length);

/* A message with a root struct of the given shape, and at most one byte list, being written into a
 * buffer:
 *
 *   | framing | root pointer | data section | pointer section | bytes, padded to words |
 *                                                             ^ message_prefix_bytes */
struct message_writer {
	uint8_t *buffer;
	uint32_t data_words;
	uint32_t pointer_words;
	size_t length; /* bytes of message so far, framing included */
};

static inline size_t message_prefix_bytes(uint32_t data_words, uint32_t pointer_words)
{
	return MESSAGE_FRAMING_BYTES +
		MESSAGE_WORD_BYTES * (1 + (size_t)data_words + pointer_words);
}

/* The most bytes a list can hold behind such a struct in a buffer of that capacity. The buffer
 * holds the prefix. */
static inline size_t message_list_capacity(
	uint32_t data_words, uint32_t pointer_words, size_t capacity)
{
	return (capacity - message_prefix_bytes(data_words, pointer_words)) &
		~(size_t)(MESSAGE_WORD_BYTES - 1);
}

/* Writes an all-zero struct. The caller has checked that message_prefix_bytes fit into the
 * buffer. */
void message_begin(
	struct message_writer *writer, void *buffer, uint32_t data_words, uint32_t pointer_words);

void message_write_scalar(
	struct message_writer *writer, uint32_t byte_offset, uint32_t width, uint64_t value);

/* Makes a pointer field a capability with index 0, the only one a message carries. */
void message_write_cap(struct message_writer *writer, uint32_t pointer_index);

/* Makes a pointer field refer to a list of the length bytes that lie, or will lie, directly behind
 * the struct, and zeroes the padding after them. At most one list per message; length at most
 * message_list_capacity. */
void message_write_list(struct message_writer *writer, uint32_t pointer_index, size_t length);

/* Completes the framing. The result is the message's size in bytes. */
size_t message_end(struct message_writer *writer);

#endif
