/* printf's formatting. A conversion is parsed into a struct spec, its text produced in a small
 * buffer, then padded. */
#include "format.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

/* prefix (sign, 0x), then the body with zeros put in after so many of its bytes, padded to the
 * width. */
static void put_number(struct writer *w, const struct spec *spec, const char *prefix,
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

static const char *sign_prefix(const struct spec *spec, bool negative)
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
	put_number(w, spec, prefix, start, (size_t)size, zeros > 0 ? zeros : 0, 0);
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

/* ---- floating point ---- */

/* A decimal number as base 10^9 limbs, most significant first, with as many before the point as it
 * needs. */
#define LIMB 1000000000u
#define LIMB_DIGITS 9
#define LIMBS_BEFORE 36 /* 2^1024 has 309 digits */
#define LIMBS_AFTER 120 /* 2^-1074 has 1074 */

/* value = mantissa * 2^exponent, exactly, in limbs. Each step multiplies or divides by a small
 * power of two. */
static void expand(double value, uint32_t limbs[LIMBS_BEFORE + LIMBS_AFTER])
{
	const int count = LIMBS_BEFORE + LIMBS_AFTER;
	uint64_t bits, mantissa;
	int exponent;

	__builtin_memcpy(&bits, &value, sizeof(bits));
	exponent = (int)(bits >> 52 & 0x7ff);
	mantissa = bits & (((uint64_t)1 << 52) - 1);
	if (exponent != 0)
		mantissa |= (uint64_t)1 << 52;
	else
		exponent = 1;
	exponent -= 1075;
	memset(limbs, 0, (size_t)count * sizeof(limbs[0]));
	for (int i = LIMBS_BEFORE - 1; mantissa != 0; i--, mantissa /= LIMB)
		limbs[i] = (uint32_t)(mantissa % LIMB);
	for (; exponent > 0; exponent -= exponent < 29 ? exponent : 29) {
		int shift = exponent < 29 ? exponent : 29;
		uint64_t carry = 0;

		for (int i = LIMBS_BEFORE - 1; i >= 0; i--) {
			carry += (uint64_t)limbs[i] << shift;
			limbs[i] = (uint32_t)(carry % LIMB);
			carry /= LIMB;
		}
	}
	for (; exponent < 0; exponent += -exponent < 29 ? -exponent : 29) {
		int shift = exponent > -29 ? -exponent : 29;
		uint64_t rest = 0;

		for (int i = 0; i < count; i++) {
			rest = rest * LIMB + limbs[i];
			limbs[i] = (uint32_t)(rest >> shift);
			rest &= ((uint64_t)1 << shift) - 1;
		}
	}
}

/* Rounds the digits to count of them: away when the rest is above a half, or a half behind an odd
 * digit. True when a carry made the number one digit longer; the digits are then shifted. */
static bool round_digits(char *digits, int total, int count)
{
	bool up, half;
	int i;

	if (count >= total)
		return false;
	half = digits[count] == '5';
	for (i = count + 1; half && i < total; i++)
		half = digits[i] == '0';
	up = half ? count > 0 && (digits[count - 1] & 1) != 0 : digits[count] >= '5';
	if (!up)
		return false;
	for (i = count - 1; i >= 0 && digits[i] == '9'; i--)
		digits[i] = '0';
	if (i >= 0) {
		digits[i]++;
		return false;
	}
	memmove(digits + 1, digits, (size_t)count);
	digits[0] = '1';
	return true;
}

size_t format_digits(double value, int precision, int fixed, char *digits, int *exponent)
{
	uint32_t limbs[LIMBS_BEFORE + LIMBS_AFTER];
	int total = 0, first, wanted;

	expand(value, limbs);
	for (int i = 0; i < LIMBS_BEFORE + LIMBS_AFTER; i++) {
		uint32_t limb = limbs[i];

		for (int d = LIMB_DIGITS - 1; d >= 0; d--) {
			digits[total + d] = (char)('0' + limb % 10);
			limb /= 10;
		}
		total += LIMB_DIGITS;
	}
	for (first = 0; first < total && digits[first] == '0'; first++)
		;
	if (first == total)
		first = LIMBS_BEFORE * LIMB_DIGITS -
			1; /* zero: its one digit stands before the point */
	*exponent = LIMBS_BEFORE * LIMB_DIGITS - 1 - first;
	wanted = precision + 1 + (fixed ? *exponent : 0);
	if (wanted < 0) {
		/* All digits lie beyond the precision, and the first is not just behind it: nothing
		 * rounds up. */
		*exponent = -precision - 1;
		return 0;
	}
	memmove(digits, digits + first, (size_t)(total - first));
	total -= first;
	if (wanted > total) {
		memset(digits + total, '0', (size_t)(wanted - total));
		total = wanted;
	}
	if (round_digits(digits, total, wanted)) {
		++*exponent;
		wanted += fixed != 0;
	}
	return (size_t)wanted;
}

/* The text of f conversions: integer digits, point, fraction. digits begin at the decimal exponent.
 */
static size_t layout_fixed(
	char *text, const char *digits, size_t count, int exponent, int precision, bool point)
{
	size_t size = 0;

	for (int position = exponent > 0 ? exponent : 0; position >= -precision; position--) {
		size_t index = (size_t)(exponent - position);

		if (position == -1)
			text[size++] = '.';
		text[size++] = position <= exponent && index < count ? digits[index] : '0';
	}
	if (precision == 0 && point)
		text[size++] = '.';
	return size;
}

/* *mantissa: how much of the text comes before the letter. */
static size_t layout_exponential(char *text, const char *digits, size_t count, int exponent,
	bool point, char letter, size_t *mantissa)
{
	size_t size = 0;
	int magnitude = exponent < 0 ? -exponent : exponent;

	text[size++] = digits[0];
	if (count > 1 || point)
		text[size++] = '.';
	memcpy(text + size, digits + 1, count - 1);
	*mantissa = size += count - 1;
	text[size++] = letter;
	text[size++] = exponent < 0 ? '-' : '+';
	if (magnitude >= 100)
		text[size++] = (char)('0' + magnitude / 100);
	text[size++] = (char)('0' + magnitude / 10 % 10);
	text[size++] = (char)('0' + magnitude % 10);
	return size;
}

static void format_double(struct writer *w, struct spec *spec, double value)
{
	bool upper = spec->conversion >= 'A' && spec->conversion <= 'Z';
	char kind = (char)(spec->conversion | 0x20);
	const char *prefix = sign_prefix(spec, __builtin_signbit(value));
	int precision = spec->has_precision ? spec->precision : 6;
	char digits[FORMAT_DIGITS_MAX], text[FORMAT_DIGITS_MAX + 16];
	size_t count, size, mantissa;
	int exponent, zeros = 0;

	if (__builtin_isnan(value) || __builtin_isinf(value)) {
		spec->zero = false;
		put_number(w, spec, prefix,
			__builtin_isnan(value) ? upper ? "NAN" : "nan"
				: upper        ? "INF"
					       : "inf",
			3, 0, 0);
		return;
	}
	if (precision > FORMAT_PRECISION_MAX) {
		/* No double has so many digits: the rest are zeros. */
		zeros = kind != 'g' || spec->alternative ? precision - FORMAT_PRECISION_MAX : 0;
		precision = FORMAT_PRECISION_MAX;
	}
	if (kind == 'g' && precision > 0)
		precision--;
	value = __builtin_fabs(value);
	count = format_digits(value, precision, kind == 'f', digits, &exponent);
	if (kind == 'g') {
		/* The rounded exponent decides between the two forms, and trailing zeros go. */
		kind = exponent >= -4 && exponent <= precision ? 'F' : 'E';
		while (!spec->alternative && count > 1 && digits[count - 1] == '0')
			count--;
		precision = (spec->alternative ? precision : (int)count - 1) - exponent;
		if (precision < 0)
			precision = 0;
	}
	if ((kind | 0x20) == 'f')
		size = mantissa =
			layout_fixed(text, digits, count, exponent, precision, spec->alternative);
	else
		size = layout_exponential(text, digits, count, exponent, spec->alternative,
			upper ? 'E' : 'e', &mantissa);
	put_number(w, spec, prefix, text, size, zeros, mantissa);
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

static const char *parse_count(const char *format, int *count)
{
	*count = 0;
	for (; *format >= '0' && *format <= '9'; format++) {
		if (*count < INT_MAX / 10 - 1)
			*count = *count * 10 + (*format - '0');
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
			spec->width = spec->width == INT_MIN ? INT_MAX : -spec->width;
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
			sign_prefix(spec, number < 0));
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
		put_number(w, spec, "", &character, 1, 0, 0);
		return true;
	case 's':
		format_string(w, spec, va_arg(arguments->list, const char *));
		return true;
	case 'f':
	case 'F':
	case 'e':
	case 'E':
	case 'g':
	case 'G':
		format_double(w, spec,
			spec->length == LENGTH_LONG_DOUBLE
				? (double)va_arg(arguments->list, long double)
				: va_arg(arguments->list, double));
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
