/* What a person types, made into what the host channel would send: messages with lines of
 * standard input and its end, and keys. Pure.
 *
 * A line can be edited until it is finished: backspace takes the last character away, Ctrl-U the
 * line. Ctrl-C and Ctrl-\ are keys, Ctrl-D on an empty line is the end of the input, otherwise it
 * finishes the line as it is. */
#ifndef CAPOS_DEV_LINE_INPUT_H
#define CAPOS_DEV_LINE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_BYTES_MAX 1024u
#define LINE_MESSAGES_BYTES 4096u
/* The longest answer to one byte typed. */
#define LINE_ECHO_MAX 4u

struct line_input {
	/* Messages not yet taken: messages[taken] to messages[count - 1]. */
	uint8_t messages[LINE_MESSAGES_BYTES];
	size_t taken, count;
	/* The line being edited. */
	uint8_t line[LINE_BYTES_MAX];
	size_t length;
	bool after_return; /* a line feed now belongs to the carriage return before it */
	/* Keys typed and not yet taken, a bit for each NotificationKind: they overtake lines. */
	uint64_t keys;
};

/* Takes one typed byte. Returns the number of bytes to be shown, which are in echo. */
size_t line_input_type(struct line_input *input, uint8_t byte, char echo[LINE_ECHO_MAX]);
/* Up to max bytes of messages, valid until the next call; NULL when there are none. */
const uint8_t *line_input_take(struct line_input *input, size_t max, size_t *got);

#endif
