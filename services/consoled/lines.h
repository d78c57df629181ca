/* A stream of bytes as lines with a label. Pure: what it writes goes to a function. */
#ifndef CONSOLED_LINES_H
#define CONSOLED_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_BYTES 1024 /* a longer line becomes several */
#define LABEL_BYTES 34  /* the longest name of a service, ": " and NUL */
#define OUT_BYTES (16 * 1024)

struct lines {
	char label[LABEL_BYTES];
	size_t label_size;
	char partial[LINE_BYTES]; /* a line whose end has not come */
	size_t size;
	void (*put)(void *context, const char *bytes, size_t size);
	void *context;
};

/* put is called with whole lines, several at a time. */
void lines_init(struct lines *lines, const char *label,
	void (*put)(void *context, const char *bytes, size_t size), void *context);

/* Writes the lines that end in these bytes, and keeps what is left. */
void lines_add(struct lines *lines, const char *bytes, size_t size);

/* Whether a line has begun that is kept. */
bool lines_partial(const struct lines *lines);

/* Writes that line as if it had ended. */
void lines_flush(struct lines *lines);

#endif
