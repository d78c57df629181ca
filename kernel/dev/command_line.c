/* Kernel parameters: see command_line.h. */
#include "dev/command_line.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

bool command_line_next(const char **line, const char *name, const char **value, size_t *length)
{
	const char *cursor = *line;
	for (;;) {
		while (is_blank(*cursor))
			cursor++;
		if (!*cursor)
			break;
		const char *word = cursor, *wanted = name;
		while (*cursor && !is_blank(*cursor))
			cursor++;
		while (*wanted && word < cursor && *word == *wanted)
			word++, wanted++;
		if (*wanted || (word < cursor && *word != '='))
			continue;
		*value = word < cursor ? word + 1 : word;
		*length = (size_t)(cursor - *value);
		*line = cursor;
		return true;
	}
	*line = cursor;
	return false;
}

bool command_line_has(const char *line, const char *name, const char *value)
{
	const char *found;
	size_t length;
	while (command_line_next(&line, name, &found, &length)) {
		if (!value)
			return true;
		size_t i = 0;
		while (i < length && value[i] == found[i] && value[i])
			i++;
		if (i == length && !value[i])
			return true;
	}
	return false;
}

/* A decimal or 0x number; advances *text. False without a digit, or when it does not fit. */
static bool parse_number(const char **text, const char *end, uint64_t *number)
{
	const char *cursor = *text;
	unsigned base = 10;
	if (end - cursor > 2 && cursor[0] == '0' && (cursor[1] | 32) == 'x') {
		base = 16;
		cursor += 2;
	}
	const char *first = cursor;
	uint64_t total = 0;
	for (; cursor < end; cursor++) {
		unsigned digit;
		char c = *cursor;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (base == 16 && (c | 32) >= 'a' && (c | 32) <= 'f')
			digit = (unsigned)((c | 32) - 'a' + 10);
		else
			break;
		if (total > (UINT64_MAX - digit) / base)
			return false;
		total = total * base + digit;
	}
	*number = total;
	*text = cursor;
	return cursor > first;
}

uint64_t command_line_number(const char *line, const char *name, uint64_t without)
{
	const char *value;
	size_t length;
	uint64_t number;
	if (!command_line_next(&line, name, &value, &length))
		return without;
	const char *end = value + length;
	return parse_number(&value, end, &number) && value == end ? number : without;
}

bool command_line_mmio_device(
	const char *value, size_t length, struct mmio_device_parameter *device)
{
	const char *end = value + length;
	uint64_t size, base, gsi;
	if (!parse_number(&value, end, &size))
		return false;
	if (value < end && (*value == 'K' || *value == 'k'))
		size *= 1024, value++;
	else if (value < end && (*value == 'M' || *value == 'm'))
		size *= 1024 * 1024, value++;
	if (value == end || *value++ != '@' || !parse_number(&value, end, &base))
		return false;
	if (value == end || *value++ != ':' || !parse_number(&value, end, &gsi) || gsi > 255)
		return false;
	*device =
		(struct mmio_device_parameter){ .base = base, .size = size, .gsi = (unsigned)gsi };
	return true;
}
