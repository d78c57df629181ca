/* Message parser and input buffer of the host channel: see channel_input.h. Messages of a type it
 * does not know are skipped. */
#include "dev/channel_input.h"

#include <capos/abi.h>

#include "core/log.h"
#include "core/string.h"

void channel_input_init(struct channel_input *input, void *buffer, size_t size)
{
	*input = (struct channel_input){ .buffer = buffer, .size = size };
}

static size_t buffer_room(const struct channel_input *input)
{
	return input->size - input->count - input->held;
}

size_t channel_input_room(const struct channel_input *input)
{
	if (input->header_count < sizeof input->header)
		return sizeof input->header - input->header_count;
	if (input->type != CAPOS_HOST_MESSAGE_STDIN)
		return input->payload_left;
	size_t room = buffer_room(input);
	return room < input->payload_left ? room : input->payload_left;
}

static void begin_message(struct channel_input *input)
{
	input->type = input->header[0];
	memcpy(&input->payload_left, input->header + 4, sizeof input->payload_left);
	input->number = 0;
	if (input->type == CAPOS_HOST_MESSAGE_STDIN_END)
		input->ended = true;
	else if (input->type == CAPOS_HOST_MESSAGE_LOOK)
		input->look = true;
}

static void key_add(struct channel_input *input, uint8_t key)
{
	if (key == CAPOS_NOTIFICATION_KIND_INTERRUPT || key == CAPOS_NOTIFICATION_KIND_QUIT ||
		key == CAPOS_NOTIFICATION_KIND_TERMINATE)
		input->keys |= 1ull << key;
}

/* Little-endian, and complete when nothing of the payload is left behind it. Of a longer payload
 * only the last four bytes count. */
static void grant_add(struct channel_input *input, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		input->number = input->number >> 8 | (uint32_t)bytes[i] << 24;
	if (size == input->payload_left)
		input->granted += input->number;
}

static void buffer_append(struct channel_input *input, const uint8_t *bytes, size_t size)
{
	size_t end = (input->start + input->count) % input->size;
	size_t first = size < input->size - end ? size : input->size - end;
	memcpy(input->buffer + end, bytes, first);
	memcpy(input->buffer, bytes + first, size - first);
	input->count += size;
}

void channel_input_feed(struct channel_input *input, const uint8_t *bytes, size_t size)
{
	while (size) {
		size_t part = channel_input_room(input);
		if (part > size)
			part = size;
		if (!part)
			return;
		if (input->header_count < sizeof input->header) {
			memcpy(input->header + input->header_count, bytes, part);
			input->header_count += (uint32_t)part;
			if (input->header_count == sizeof input->header)
				begin_message(input);
		} else {
			if (input->type == CAPOS_HOST_MESSAGE_STDIN)
				buffer_append(input, bytes, part);
			else if (input->type == CAPOS_HOST_MESSAGE_KEY)
				key_add(input, bytes[0]);
			else if (input->type == CAPOS_HOST_MESSAGE_CREDIT)
				grant_add(input, bytes, part);
			input->payload_left -= (uint32_t)part;
		}
		if (input->header_count == sizeof input->header && !input->payload_left)
			input->header_count = 0;
		bytes += part;
		size -= part;
	}
}

size_t channel_input_take(struct channel_input *input, void *to, size_t size)
{
	if (size > input->count)
		size = input->count;
	size_t first = size < input->size - input->start ? size : input->size - input->start;
	memcpy(to, input->buffer + input->start, first);
	memcpy((uint8_t *)to + first, input->buffer, size - first);
	input->start = (input->start + size) % input->size;
	input->count -= size;
	input->held += size;
	return size;
}

void channel_input_keep(struct channel_input *input, size_t size)
{
	ASSERT(size <= input->held);
	input->held -= size;
}

void channel_input_put_back(struct channel_input *input, const void *from, size_t size)
{
	ASSERT(size <= input->held);
	input->held -= size;
	input->start = (input->start + input->size - size) % input->size;
	size_t first = size < input->size - input->start ? size : input->size - input->start;
	memcpy(input->buffer + input->start, from, first);
	memcpy(input->buffer, (const uint8_t *)from + first, size - first);
	input->count += size;
}
