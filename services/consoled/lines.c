/* Lines are gathered in one buffer, because each write to the console is a message to the host. */
#include "lines.h"

#include <string.h>

static char out[OUT_BYTES];
static size_t out_size;

static void write_out(struct lines *lines)
{
	if (out_size > 0)
		lines->put(lines->context, out, out_size);
	out_size = 0;
}

static void gather(const char *bytes, size_t size)
{
	memcpy(out + out_size, bytes, size);
	out_size += size;
}

/* The line kept so far, as a whole one. */
static void end_line(struct lines *lines)
{
	if (out_size + lines->label_size + lines->size + 1 > OUT_BYTES)
		write_out(lines);
	gather(lines->label, lines->label_size);
	gather(lines->partial, lines->size);
	gather("\n", 1);
	lines->size = 0;
}

void lines_init(struct lines *lines, const char *label,
	void (*put)(void *context, const char *bytes, size_t size), void *context)
{
	size_t length = strlen(label);

	if (length > LABEL_BYTES - 3)
		length = LABEL_BYTES - 3;
	memcpy(lines->label, label, length);
	memcpy(lines->label + length, ": ", 3);
	lines->label_size = length + 2;
	lines->size = 0;
	lines->put = put;
	lines->context = context;
}

void lines_add(struct lines *lines, const char *bytes, size_t size)
{
	while (size > 0) {
		const char *end = memchr(bytes, '\n', size);
		size_t length = end != NULL ? (size_t)(end - bytes) : size;
		size_t room = LINE_BYTES - lines->size;
		bool fits = length <= room;
		size_t taken = fits ? length : room;

		memcpy(lines->partial + lines->size, bytes, taken);
		lines->size += taken;
		if (!fits || end != NULL)
			end_line(lines);
		if (fits && end != NULL)
			taken++; /* the newline */
		bytes += taken;
		size -= taken;
	}
	write_out(lines);
}

bool lines_partial(const struct lines *lines)
{
	return lines->size > 0;
}

void lines_flush(struct lines *lines)
{
	if (lines->size > 0)
		end_line(lines);
	write_out(lines);
}
