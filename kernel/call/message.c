/* Reading and writing Cap'n Proto messages of one segment: see message.h. Plain C without any
 * kernel service, so that tests and fuzzers run the same code on the host. */
#include "call/message.h"

/* The machine is little endian, as the wire is; memcpy because a message may lie at any address. */
static uint64_t load_word(const uint8_t *segment, uint32_t word)
{
	uint64_t value;

	__builtin_memcpy(&value, segment + (size_t)word * MESSAGE_WORD_BYTES, sizeof(value));
	return value;
}

static void store_word(uint8_t *bytes, uint64_t value)
{
	__builtin_memcpy(bytes, &value, sizeof(value));
}

/* The offset field counts in words from the word after the pointer; it is signed. The result is
 * where the object starts, or malformedMessage unless all size_words of it lie in the segment. 64
 * bits hold every sum. */
MUST_CHECK static status_t locate(uint32_t segment_words, uint32_t pointer_word, uint64_t pointer,
	uint64_t size_words, uint32_t *start)
{
	int64_t offset = (int32_t)(uint32_t)pointer >> 2;
	int64_t target = (int64_t)pointer_word + 1 + offset;

	if (target < 0 || target > segment_words || size_words > segment_words - (uint64_t)target)
		return STATUS(MALFORMED_MESSAGE);
	*start = (uint32_t)target;
	return STATUS_OK;
}

status_t message_open(struct message_struct *root, const void *bytes, size_t size)
{
	uint32_t framing[2];
	uint32_t data_words;
	uint64_t pointer;
	uint32_t start;
	status_t status;

	if (size < MESSAGE_FRAMING_BYTES + MESSAGE_WORD_BYTES)
		return STATUS(MALFORMED_MESSAGE);
	__builtin_memcpy(framing, bytes, sizeof(framing));
	if (framing[0] != 0 ||
		size != MESSAGE_FRAMING_BYTES + (uint64_t)framing[1] * MESSAGE_WORD_BYTES)
		return STATUS(MALFORMED_MESSAGE);
	*root = (struct message_struct){
		.segment = (const uint8_t *)bytes + MESSAGE_FRAMING_BYTES,
		.segment_words = framing[1],
	};
	pointer = load_word(root->segment, 0);
	if (pointer == 0)
		return STATUS_OK;
	if ((pointer & 3) != 0)
		return STATUS(MALFORMED_MESSAGE);
	data_words = (pointer >> 32) & 0xffff;
	root->pointer_count = (uint32_t)(pointer >> 48);
	status = locate(framing[1], 0, pointer, (uint64_t)data_words + root->pointer_count, &start);
	if (status != STATUS_OK)
		return status;
	root->data_word = start;
	root->data_bytes = data_words * MESSAGE_WORD_BYTES;
	root->pointer_word = start + data_words;
	return STATUS_OK;
}

uint64_t message_read_scalar(const struct message_struct *s, uint32_t byte_offset, uint32_t width)
{
	uint64_t value = 0;

	if (byte_offset + width > s->data_bytes)
		return 0;
	__builtin_memcpy(&value,
		s->segment + (size_t)s->data_word * MESSAGE_WORD_BYTES + byte_offset, width);
	return value;
}

status_t message_read_bytes(const struct message_struct *s, uint32_t pointer_index, int text,
	const void **bytes, size_t *length)
{
	uint64_t pointer = 0;
	uint64_t count;
	uint32_t start;
	status_t status;

	if (pointer_index < s->pointer_count)
		pointer = load_word(s->segment, s->pointer_word + pointer_index);
	if (pointer == 0) {
		*bytes = "";
		*length = 0;
		return STATUS_OK;
	}
	if ((pointer & 3) != 1 || ((pointer >> 32) & 7) != 2)
		return STATUS(MALFORMED_MESSAGE);
	count = pointer >> 35;
	status = locate(s->segment_words, s->pointer_word + pointer_index, pointer,
		(count + MESSAGE_WORD_BYTES - 1) / MESSAGE_WORD_BYTES, &start);
	if (status != STATUS_OK)
		return status;
	*bytes = s->segment + (size_t)start * MESSAGE_WORD_BYTES;
	if (text) {
		if (count == 0 || ((const uint8_t *)*bytes)[count - 1] != 0)
			return STATUS(MALFORMED_MESSAGE);
		count--;
	}
	*length = count;
	return STATUS_OK;
}

/* ---- writing ---- */

static uint8_t *data_section(struct message_writer *writer)
{
	return writer->buffer + MESSAGE_FRAMING_BYTES + MESSAGE_WORD_BYTES;
}

static uint8_t *pointer_slot(struct message_writer *writer, uint32_t pointer_index)
{
	return data_section(writer) +
		MESSAGE_WORD_BYTES * ((size_t)writer->data_words + pointer_index);
}

void message_begin(
	struct message_writer *writer, void *buffer, uint32_t data_words, uint32_t pointer_words)
{
	*writer = (struct message_writer){
		.buffer = buffer,
		.data_words = data_words,
		.pointer_words = pointer_words,
		.length = message_prefix_bytes(data_words, pointer_words),
	};
	__builtin_memset(buffer, 0, writer->length);
	/* An empty struct has offset -1 by convention: an all-zero pointer would mean "absent". */
	if (data_words == 0 && pointer_words == 0)
		store_word(writer->buffer + MESSAGE_FRAMING_BYTES, 0xfffffffc);
	else
		store_word(writer->buffer + MESSAGE_FRAMING_BYTES,
			(uint64_t)data_words << 32 | (uint64_t)pointer_words << 48);
}

void message_write_scalar(
	struct message_writer *writer, uint32_t byte_offset, uint32_t width, uint64_t value)
{
	__builtin_memcpy(data_section(writer) + byte_offset, &value, width);
}

void message_write_cap(struct message_writer *writer, uint32_t pointer_index)
{
	store_word(pointer_slot(writer, pointer_index), 3);
}

void message_write_list(struct message_writer *writer, uint32_t pointer_index, size_t length)
{
	uint64_t offset = writer->pointer_words - pointer_index - 1;
	size_t prefix = message_prefix_bytes(writer->data_words, writer->pointer_words);
	size_t padded = (length + MESSAGE_WORD_BYTES - 1) & ~(size_t)(MESSAGE_WORD_BYTES - 1);

	store_word(pointer_slot(writer, pointer_index),
		1 | offset << 2 | (uint64_t)2 << 32 | (uint64_t)length << 35);
	__builtin_memset(writer->buffer + prefix + length, 0, padded - length);
	writer->length = prefix + padded;
}

size_t message_end(struct message_writer *writer)
{
	uint32_t framing[2] = { 0,
		(uint32_t)((writer->length - MESSAGE_FRAMING_BYTES) / MESSAGE_WORD_BYTES) };

	__builtin_memcpy(writer->buffer, framing, sizeof(framing));
	return writer->length;
}
