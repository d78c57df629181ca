/* printf's formatting. A conversion is parsed into a struct spec, its text produced in a small
 * buffer, then padded. */
#include "format.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void put(struct writer *w, const char *bytes, size_t size)
{
	w->sink(w->context, bytes, size);
	w->length += size;
}

static void put_repeated(struct writer *w, char byte, int count)
{
	char run[32];

	memset(run, byte, sizeof(run));
	for (; count > 0; count -= (int)sizeof(run))
		put(w, run, count < (int)sizeof(run) ? (size_t)count : sizeof(run));
}

void format_put_number(struct writer *w, const struct spec *spec, const char *prefix,
	const char *body, size_t size, int zeros, size_t after)
{
	size_t total = strlen(prefix) + size + (size_t)zeros;
	int padding = (size_t)spec->width > total ? spec->width - (int)total : 0;

	if (!spec->left && !spec->zero)
		put_repeated(w, ' ', padding);
	put(w, prefix, strlen(prefix));
	if (!spec->left && spec->zero)
		put_repeated(w, '0', padding);
	put(w, body, after);
	put_repeated(w, '0', zeros);
	put(w, body + after, size - after);
	if (spec->left)
		put_repeated(w, ' ', padding);
}

const char *format_sign(const struct spec *spec, bool negative)
{
	return negative ? "-" : spec->plus ? "+" : spec->space ? " " : "";
}

static void format_integer(
	struct writer *w, struct spec *spec, uint64_t magnitude, const char *prefix)
{
	const char *digits = spec->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned base = spec->conversion == 'o'                      ? 8
		: spec->conversion == 'x' || spec->conversion == 'X' ? 16
								     : 10;
	char text[24];
	char *start = text + sizeof(text);
	int size, zeros;

	if (spec->alternative && base == 16 && magnitude != 0)
		prefix = spec->conversion == 'X' ? "0X" : "0x";
	for (uint64_t rest = magnitude; rest != 0; rest /= base)
		*--start = digits[rest % base];
	size = (int)(text + sizeof(text) - start);
	zeros = (spec->has_precision ? spec->precision : 1) - size;
	if (spec->alternative && base == 8 && zeros <= 0 && (size > 0 || spec->has_precision))
		zeros = 1;
	if (spec->has_precision)
		spec->zero = false;
	format_put_number(w, spec, prefix, start, (size_t)size, zeros > 0 ? zeros : 0, 0);
}

static void format_string(struct writer *w, const struct spec *spec, const char *text)
{
	size_t size;
	int padding;

	if (text == NULL)
		text = "(null)";
	size = spec->has_precision ? strnlen(text, (size_t)spec->precision) : strlen(text);
	padding = spec->width > (int)size ? spec->width - (int)size : 0;
	if (!spec->left)
		put_repeated(w, ' ', padding);
	put(w, text, size);
	if (spec->left)
		put_repeated(w, ' ', padding);
}

/* ---- conversions ---- */

static bool parse_flag(struct spec *spec, char c)
{
	switch (c) {
	case '-':
		return spec->left = true;
	case '+':
		return spec->plus = true;
	case ' ':
		return spec->space = true;
	case '#':
		return spec->alternative = true;
	case '0':
		return spec->zero = true;
	default:
		return false;
	}
}

/* *count is -1 when the number is more than INT_MAX. */
static const char *parse_count(const char *format, int *count)
{
	*count = 0;
	for (; *format >= '0' && *format <= '9'; format++) {
		if (*count >= 0 &&
			(__builtin_mul_overflow(*count, 10, count) ||
				__builtin_add_overflow(*count, *format - '0', count)))
			*count = -1;
	}
	return format;
}

static const char *parse_length(const char *format, int *length)
{
	*length = 0;
	for (;; format++) {
		switch (*format) {
		case 'h':
			--*length;
			break;
		case 'l':
			++*length;
			break;
		case 'L':
			*length = LENGTH_LONG_DOUBLE;
			break;
		case 'z':
		case 'j':
		case 't':
			*length = 2;
			break;
		default:
			return format;
		}
	}
}

struct arguments {
	va_list list;
};

static const char *parse_spec(struct spec *spec, const char *format, struct arguments *arguments)
{
	*spec = (struct spec){ 0 };
	while (parse_flag(spec, *format))
		format++;
	if (*format == '*') {
		spec->width = va_arg(arguments->list, int);
		format++;
		if (spec->width < 0) {
			spec->left = true;
			spec->width = spec->width == INT_MIN ? -1 : -spec->width;
		}
	} else {
		format = parse_count(format, &spec->width);
	}
	if (*format == '.') {
		spec->has_precision = true;
		if (*++format == '*') {
			spec->precision = va_arg(arguments->list, int);
			spec->has_precision = spec->precision >= 0;
			format++;
		} else {
			format = parse_count(format, &spec->precision);
		}
	}
	format = parse_length(format, &spec->length);
	spec->conversion = *format;
	return format;
}

static int64_t signed_argument(const struct spec *spec, struct arguments *arguments)
{
	if (spec->length > 0)
		return va_arg(arguments->list, long);
	switch (spec->length) {
	case 0:
		return va_arg(arguments->list, int);
	case -1:
		return (short)va_arg(arguments->list, int);
	default:
		return (signed char)va_arg(arguments->list, int);
	}
}

static uint64_t unsigned_argument(const struct spec *spec, struct arguments *arguments)
{
	if (spec->length > 0)
		return va_arg(arguments->list, unsigned long);
	switch (spec->length) {
	case 0:
		return va_arg(arguments->list, unsigned int);
	case -1:
		return (unsigned short)va_arg(arguments->list, unsigned int);
	default:
		return (unsigned char)va_arg(arguments->list, unsigned int);
	}
}

static bool format_conversion(struct writer *w, struct spec *spec, struct arguments *arguments)
{
	int64_t number;
	char character;

	switch (spec->conversion) {
	case 'd':
	case 'i':
		number = signed_argument(spec, arguments);
		format_integer(w, spec, number < 0 ? 0 - (uint64_t)number : (uint64_t)number,
			format_sign(spec, number < 0));
		return true;
	case 'u':
	case 'o':
	case 'x':
	case 'X':
		format_integer(w, spec, unsigned_argument(spec, arguments), "");
		return true;
	case 'p':
		spec->conversion = 'x';
		format_integer(w, spec, (uintptr_t)va_arg(arguments->list, void *), "0x");
		return true;
	case 'c':
		character = (char)va_arg(arguments->list, int);
		spec->zero = false;
		format_put_number(w, spec, "", &character, 1, 0, 0);
		return true;
	case 's':
		format_string(w, spec, va_arg(arguments->list, const char *));
		return true;
	case 'a':
	case 'A':
	case 'f':
	case 'F':
	case 'e':
	case 'E':
	case 'g':
	case 'G':
		if (spec->length == LENGTH_LONG_DOUBLE)
			format_long_double(w, spec, va_arg(arguments->list, long double));
		else
			format_float(w, spec, va_arg(arguments->list, double));
		return true;
	case '%':
		put(w, "%", 1);
		return true;
	default:
		return false;
	}
}

int format_text(format_sink_t sink, void *context, const char *format, va_list list)
{
	struct writer w = { .sink = sink, .context = context };
	struct arguments arguments;

	va_copy(arguments.list, list);
	while (*format != '\0') {
		const char *start = format;
		struct spec spec;

		while (*format != '\0' && *format != '%')
			format++;
		if (format != start)
			put(&w, start, (size_t)(format - start));
		if (*format == '\0')
			break;
		start = format;
		format = parse_spec(&spec, format + 1, &arguments);
		if (spec.width < 0 || (spec.has_precision && spec.precision < 0)) {
			va_end(arguments.list);
			return -1;
		}
		if (*format != '\0')
			format++;
		if (!format_conversion(&w, &spec, &arguments))
			put(&w, start, (size_t)(format - start));
	}
	va_end(arguments.list);
	return w.length > INT_MAX ? -1 : (int)w.length;
}

/* ---- into memory ---- */

struct memory {
	char *buffer;
	size_t size;
	size_t length;
};

static void put_memory(void *context, const char *bytes, size_t size)
{
	struct memory *memory = context;

	if (memory->length < memory->size) {
		size_t room = memory->size - memory->length;

		memcpy(memory->buffer + memory->length, bytes, size < room ? size : room);
	}
	memory->length += size;
}

int vsnprintf(char *restrict buffer, size_t size, const char *restrict format, va_list arguments)
{
	/* One byte is kept for the terminator. */
	struct memory memory = { .buffer = buffer, .size = size > 0 ? size - 1 : 0 };
	int length = format_text(put_memory, &memory, format, arguments);

	if (size > 0)
		buffer[memory.length < size ? memory.length : size - 1] = '\0';
	return length;
}

int snprintf(char *restrict buffer, size_t size, const char *restrict format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(buffer, size, format, arguments);
	va_end(arguments);
	return length;
}

int sprintf(char *restrict buffer, const char *restrict format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(buffer, SIZE_MAX, format, arguments);
	va_end(arguments);
	return length;
}
