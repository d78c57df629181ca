/* printf-style formatting for the kernel's own text: a small subset, no allocation, no floating
 * point. */
#include <stdbool.h>

#include "core/log.h"
#include "core/string.h"

struct output {
	char *buffer;
	size_t size, length;
};

static void put(struct output *out, char c)
{
	if (out->length + 1 < out->size)
		out->buffer[out->length] = c;
	out->length++;
}

static void put_text(struct output *out, const char *text, size_t length, int width)
{
	for (int pad = width - (int)length; pad > 0; pad--)
		put(out, ' ');
	for (size_t i = 0; i < length; i++)
		put(out, text[i]);
}

static void put_number(
	struct output *out, uint64_t value, bool negative, unsigned base, int width, char pad)
{
	char digits[24];
	int n = 0;
	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative && pad == '0')
		put(out, '-');
	for (int i = width - n - negative; i > 0; i--)
		put(out, pad);
	if (negative && pad != '0')
		put(out, '-');
	while (n)
		put(out, digits[--n]);
}

struct spec {
	int width, precision, longs;
	char pad;
};

static const char *parse_spec(const char *f, struct spec *spec, va_list *arguments)
{
	*spec = (struct spec){ .precision = -1, .pad = ' ' };
	if (*f == '0') {
		spec->pad = '0';
		f++;
	}
	while (*f >= '0' && *f <= '9')
		spec->width = spec->width * 10 + (*f++ - '0');
	if (f[0] == '.' && f[1] == '*') {
		spec->precision = va_arg(*arguments, int);
		f += 2;
	}
	while (*f == 'l' || *f == 'z') {
		spec->longs++;
		f++;
	}
	return f;
}

static void put_spec(struct output *out, char kind, const struct spec *spec, va_list *arguments)
{
	switch (kind) {
	case 's': {
		const char *text = va_arg(*arguments, const char *);
		if (!text)
			text = "(null)";
		put_text(out, text,
			spec->precision < 0 ? strlen(text) : strnlen(text, (size_t)spec->precision),
			spec->width);
		break;
	}
	case 'c':
		put(out, (char)va_arg(*arguments, int));
		break;
	case 'd': {
		int64_t value = spec->longs ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);
		put_number(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, 10,
			spec->width, spec->pad);
		break;
	}
	case 'u':
	case 'x': {
		uint64_t value =
			spec->longs ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned);
		put_number(out, value, false, kind == 'x' ? 16 : 10, spec->width, spec->pad);
		break;
	}
	case 'p':
		put_number(out, (uint64_t)va_arg(*arguments, void *), false, 16, 16, '0');
		break;
	default:
		put(out, kind);
	}
}

int text_vformat(char *buffer, size_t size, const char *format, va_list original)
{
	struct output out = { buffer, size, 0 };
	va_list arguments;
	va_copy(arguments, original);
	for (const char *f = format; *f; f++) {
		if (*f != '%') {
			put(&out, *f);
			continue;
		}
		struct spec spec;
		f = parse_spec(f + 1, &spec, &arguments);
		if (!*f)
			break;
		put_spec(&out, *f, &spec, &arguments);
	}
	va_end(arguments);
	if (size)
		buffer[out.length < size ? out.length : size - 1] = 0;
	return (int)out.length;
}

int text_format(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = text_vformat(buffer, size, format, arguments);
	va_end(arguments);
	return length;
}
