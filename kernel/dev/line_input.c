/* See line_input.h. When the pending messages leave no room for a finished line, the line stays in
 * the editor, and a bell tells the person. */
#include "dev/line_input.h"

#include <capos/abi.h>

#include "core/string.h"

#define CONTROL_C 0x03
#define CONTROL_D 0x04
#define CONTROL_U 0x15
#define CONTROL_BACKSLASH 0x1c
#define DELETE 0x7f
#define MESSAGE_HEADER_BYTES 8u

static bool add_message(struct line_input *input, uint8_t type, const uint8_t *bytes, size_t size)
{
	uint8_t header[MESSAGE_HEADER_BYTES] = { type, 0, 0, 0, (uint8_t)size,
		(uint8_t)(size >> 8) };
	if (input->taken) {
		memmove(input->messages, input->messages + input->taken,
			input->count - input->taken);
		input->count -= input->taken;
		input->taken = 0;
	}
	if (size + sizeof header > sizeof input->messages - input->count)
		return false;
	memcpy(input->messages + input->count, header, sizeof header);
	memcpy(input->messages + input->count + sizeof header, bytes, size);
	input->count += sizeof header + size;
	return true;
}

static size_t show(char echo[LINE_ECHO_MAX], const char *text)
{
	size_t length = strlen(text);
	memcpy(echo, text, length);
	return length;
}

/* The last byte of a full line is kept for its line feed. */
static size_t add_byte(struct line_input *input, uint8_t byte, char echo[LINE_ECHO_MAX])
{
	if (input->length == LINE_BYTES_MAX - 1)
		return show(echo, "\a");
	input->line[input->length++] = byte;
	echo[0] = (char)byte;
	return 1;
}

static size_t finish(struct line_input *input, bool newline, char echo[LINE_ECHO_MAX])
{
	size_t length = input->length;
	if (newline)
		input->line[length++] = '\n';
	if (!add_message(input, CAPOS_HOST_MESSAGE_STDIN, input->line, length))
		return show(echo, "\a");
	input->length = 0;
	return newline ? show(echo, "\n") : 0;
}

static size_t key(
	struct line_input *input, uint8_t kind, const char *name, char echo[LINE_ECHO_MAX])
{
	input->length = 0;
	input->keys |= 1ull << kind;
	return show(echo, name);
}

/* Removes one character, which may have several bytes: continuation bytes go with the byte they
 * continue. */
static size_t erase(struct line_input *input, char echo[LINE_ECHO_MAX])
{
	if (!input->length)
		return 0;
	while (input->length > 1 && (input->line[input->length - 1] & 0xc0) == 0x80)
		input->length--;
	input->length--;
	return show(echo, "\b \b");
}

static size_t end_input(struct line_input *input, char echo[LINE_ECHO_MAX])
{
	if (input->length)
		return finish(input, false, echo);
	return add_message(input, CAPOS_HOST_MESSAGE_STDIN_END, input->line, 0) ? 0
										: show(echo, "\a");
}

size_t line_input_type(struct line_input *input, uint8_t byte, char echo[LINE_ECHO_MAX])
{
	bool after_return = input->after_return;
	input->after_return = byte == '\r';
	switch (byte) {
	case '\n':
		return after_return ? 0 : finish(input, true, echo);
	case '\r':
		return finish(input, true, echo);
	case CONTROL_C:
		return key(input, CAPOS_NOTIFICATION_KIND_INTERRUPT, "^C\n", echo);
	case CONTROL_BACKSLASH:
		return key(input, CAPOS_NOTIFICATION_KIND_QUIT, "^\\\n", echo);
	case CONTROL_D:
		return end_input(input, echo);
	case CONTROL_U:
		input->length = 0;
		return show(echo, "^U\n");
	case '\b':
	case DELETE:
		return erase(input, echo);
	default:
		return byte >= 0x20 || byte == '\t' ? add_byte(input, byte, echo) : 0;
	}
}

const uint8_t *line_input_take(struct line_input *input, size_t max, size_t *got)
{
	size_t ready = input->count - input->taken;
	if (!ready || !max)
		return NULL;
	*got = ready < max ? ready : max;
	const uint8_t *bytes = input->messages + input->taken;
	input->taken += *got;
	return bytes;
}
