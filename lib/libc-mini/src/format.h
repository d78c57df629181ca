/* printf's formatting, without the destination of the text. */
#ifndef LIBC_MINI_FORMAT_H
#define LIBC_MINI_FORMAT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Takes the next bytes of the text. */
typedef void (*format_sink_t)(void *context, const char *bytes, size_t size);

/* The result is the text's length, or -1 when that or a width is more than INT_MAX. All conversions
 * of C but n and wide characters; an unknown one is put out as it is. */
int format_text(format_sink_t sink, void *context, const char *format, va_list arguments);

/* ---- between format.c and format_float.c ---- */

/* A conversion as parsed. */
struct spec {
	bool left, plus, space, alternative, zero;
	bool has_precision;
	int width;
	int precision;
	int length; /* of the argument: -2 hh, -1 h, 0 int, 1 l, 2 ll and the rest of 64 bits,
	               LENGTH_LONG_DOUBLE */
	char conversion;
};

#define LENGTH_LONG_DOUBLE 9

struct writer {
	format_sink_t sink;
	void *context;
	size_t length;
};

/* prefix (sign, 0x), then size bytes of body with zeros put in before byte `after`, padded to the
 * width. */
void format_put_number(struct writer *w, const struct spec *spec, const char *prefix,
	const char *body, size_t size, int zeros, size_t after);
const char *format_sign(const struct spec *spec, bool negative);

/* a, e, f, g and their capitals: exact, correctly rounded, halves to even. */
void format_float(struct writer *w, struct spec *spec, double value);
void format_long_double(struct writer *w, struct spec *spec, long double value);

#endif
