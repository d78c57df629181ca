/* Floating-point conversions of printf. A number is mantissa * 2^exponent; its decimal digits are
 * computed exactly, all of them, and then rounded. Buffers are as large as the number asks for: a
 * few hundred bytes for ordinary ones, 50 KiB for the smallest long double. */
#include "format.h"

#include <stdint.h>
#include <string.h>

/* What both formats of the processor come to. The mantissa's top bit is bit top_bit, unless the
 * number is subnormal or zero. */
struct binary {
	bool negative, finite, nan;
	uint64_t mantissa;
	int exponent; /* value = mantissa * 2^exponent */
	int top_bit;
};

/* IEEE 754-2019, 3.4: binary64. */
static struct binary split_double(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	int field = (int)(bits >> 52 & 0x7ff);
	struct binary number = { .negative = bits >> 63,
		.finite = field != 0x7ff,
		.mantissa = bits & (((uint64_t)1 << 52) - 1),
		.exponent = (field != 0 ? field : 1) - 1075,
		.top_bit = 52 };
	number.nan = !number.finite && number.mantissa != 0;
	if (field != 0)
		number.mantissa |= (uint64_t)1 << 52;
	return number;
}

/* Intel SDM volume 1, 4.2.2: double extended precision; the integer bit is stored. */
static struct binary split_long_double(long double value)
{
	struct {
		uint64_t mantissa;
		uint16_t sign_exponent;
	} parts = { 0 };
	memcpy(&parts, &value, 10);
	int field = parts.sign_exponent & 0x7fff;
	return (struct binary){ .negative = parts.sign_exponent >> 15,
		.finite = field != 0x7fff,
		.nan = field == 0x7fff && parts.mantissa << 1 != 0,
		.mantissa = parts.mantissa,
		.exponent = (field != 0 ? field : 1) - 16383 - 63,
		.top_bit = 63 };
}

/* ---- decimal ---- */

/* A decimal number as limbs of nine digits, most significant first. */
#define LIMB 1000000000u
#define LIMB_DIGITS 9

/* A mantissa has at most 20 digits; each power of two above adds 0.302 of one. */
static int limbs_before(const struct binary *number)
{
	int digits = 20 + (number->exponent > 0 ? number->exponent * 302 / 1000 + 1 : 0);
	return (digits + LIMB_DIGITS - 1) / LIMB_DIGITS;
}

/* Each halving adds one digit behind the point. */
static int limbs_after(const struct binary *number)
{
	return number->exponent < 0 ? (-number->exponent + LIMB_DIGITS - 1) / LIMB_DIGITS : 0;
}

/* The most by which a limb can be shifted in 64 bits together with a carry. */
#define SHIFT_MAX 29

static void expand(const struct binary *number, uint32_t *limbs, int before, int count)
{
	int exponent = number->exponent;
	uint64_t mantissa = number->mantissa;
	memset(limbs, 0, (size_t)count * sizeof(limbs[0]));
	for (int i = before - 1; mantissa != 0; i--, mantissa /= LIMB)
		limbs[i] = (uint32_t)(mantissa % LIMB);
	while (exponent > 0) {
		int shift = exponent < SHIFT_MAX ? exponent : SHIFT_MAX;
		uint64_t carry = 0;
		for (int i = before - 1; i >= 0; i--) {
			carry += (uint64_t)limbs[i] << shift;
			limbs[i] = (uint32_t)(carry % LIMB);
			carry /= LIMB;
		}
		exponent -= shift;
	}
	while (exponent < 0) {
		int shift = -exponent < SHIFT_MAX ? -exponent : SHIFT_MAX;
		uint64_t rest = 0;
		for (int i = 0; i < count; i++) {
			rest = rest * LIMB + limbs[i];
			limbs[i] = (uint32_t)(rest >> shift);
			rest &= ((uint64_t)1 << shift) - 1;
		}
		exponent += shift;
	}
}

/* Rounds the digits to count of them: away when the rest is above a half, or a half behind an odd
 * digit. True when a carry made the number one digit longer; the digits are then shifted. */
static bool round_digits(char *digits, int total, int count)
{
	if (count >= total)
		return false;
	bool half = digits[count] == '5';
	for (int i = count + 1; half && i < total; i++)
		half = digits[i] == '0';
	bool up = half ? count > 0 && (digits[count - 1] & 1) != 0 : digits[count] >= '5';
	if (!up)
		return false;
	int i = count - 1;
	for (; i >= 0 && digits[i] == '9'; i--)
		digits[i] = '0';
	if (i >= 0) {
		digits[i]++;
		return false;
	}
	memmove(digits + 1, digits, (size_t)count);
	digits[0] = '1';
	return true;
}

/* Decimal digits of a number. precision counts digits after the point when fixed, otherwise
 * significant digits less one; it is at most total. Writes the digits without point and gives their
 * count; *exponent is the decimal exponent of the first one. digits has room for twice total + 2.
 */
static int decimal_digits(const struct binary *number, int before, int after, int precision,
	bool fixed, char *digits, int *exponent)
{
	uint32_t limbs[before + after];
	int total = (before + after) * LIMB_DIGITS, first = 0;
	expand(number, limbs, before, before + after);
	for (int i = 0; i < before + after; i++) {
		uint32_t limb = limbs[i];
		for (int d = LIMB_DIGITS - 1; d >= 0; d--, limb /= 10)
			digits[i * LIMB_DIGITS + d] = (char)('0' + limb % 10);
	}
	while (first < total && digits[first] == '0')
		first++;
	if (first == total)
		first = before * LIMB_DIGITS -
			1; /* the one digit of zero stands before the point */
	*exponent = before * LIMB_DIGITS - 1 - first;
	int wanted = precision + 1 + (fixed ? *exponent : 0);
	if (wanted < 0) {
		/* All digits lie beyond the precision, and the first is not just behind it, so
		 * nothing rounds up. */
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
		wanted += fixed;
	}
	return wanted;
}

/* The text of f conversions: integer digits, point, fraction. digits begin at the decimal exponent.
 */
static size_t layout_fixed(
	char *text, const char *digits, int count, int exponent, int precision, bool point)
{
	size_t size = 0;
	for (int position = exponent > 0 ? exponent : 0; position >= -precision; position--) {
		int index = exponent - position;
		if (position == -1)
			text[size++] = '.';
		text[size++] = index >= 0 && index < count ? digits[index] : '0';
	}
	if (precision == 0 && point)
		text[size++] = '.';
	return size;
}

/* letter, sign and at least so many digits. */
static size_t layout_power(char *text, char letter, int exponent, int digits_min)
{
	char reversed[8];
	int magnitude = exponent < 0 ? -exponent : exponent, count = 0;
	size_t size = 0;
	for (; magnitude != 0 || count < digits_min; magnitude /= 10)
		reversed[count++] = (char)('0' + magnitude % 10);
	text[size++] = letter;
	text[size++] = exponent < 0 ? '-' : '+';
	while (count > 0)
		text[size++] = reversed[--count];
	return size;
}

/* *mantissa: how much of the text comes before the letter. */
static size_t layout_exponential(char *text, const char *digits, int count, int exponent,
	bool point, char letter, size_t *mantissa)
{
	size_t size = 0;
	text[size++] = digits[0];
	if (count > 1 || point)
		text[size++] = '.';
	memcpy(text + size, digits + 1, (size_t)count - 1);
	*mantissa = size += (size_t)count - 1;
	return size + layout_power(text + size, letter, exponent, 2);
}

static bool is_upper(const struct spec *spec)
{
	return spec->conversion >= 'A' && spec->conversion <= 'Z';
}

static __attribute__((noinline)) void format_decimal(
	struct writer *w, struct spec *spec, const struct binary *number, const char *sign)
{
	char kind = (char)(spec->conversion | 0x20);
	int before = limbs_before(number), after = limbs_after(number);
	int precision = spec->has_precision ? spec->precision : 6, zeros = 0, exponent;
	int total = (before + after) * LIMB_DIGITS;
	if (precision > total) { /* the number has no more digits than that: the rest are zeros */
		zeros = kind != 'g' || spec->alternative ? precision - total : 0;
		precision = total;
	}
	char digits[2 * total + 8], text[2 * total + 24];
	size_t mantissa, size;
	if (kind == 'g' && precision > 0)
		precision--;
	int count =
		decimal_digits(number, before, after, precision, kind == 'f', digits, &exponent);
	if (kind == 'g') {
		/* The rounded exponent decides between the two forms, and trailing zeros go. */
		kind = exponent >= -4 && exponent <= precision ? 'f' : 'e';
		while (!spec->alternative && count > 1 && digits[count - 1] == '0')
			count--;
		precision = (spec->alternative ? precision : count - 1) - exponent;
		precision = precision < 0 ? 0 : precision;
	}
	if (kind == 'f')
		size = mantissa =
			layout_fixed(text, digits, count, exponent, precision, spec->alternative);
	else
		size = layout_exponential(text, digits, count, exponent, spec->alternative,
			is_upper(spec) ? 'E' : 'e', &mantissa);
	format_put_number(w, spec, sign, text, size, zeros, mantissa);
}

/* ---- hexadecimal ---- */

/* Rounds to so many hexadecimal digits behind the first, halves to even; gives a carry out of the
 * mantissa's top. bits: of the mantissa behind the first digit. */
static uint64_t round_hexadecimal(uint64_t mantissa, int bits, int precision)
{
	int drop = bits - 4 * precision;
	if (drop <= 0)
		return mantissa;
	uint64_t unit = (uint64_t)1 << drop, half = unit >> 1, rest = mantissa & (unit - 1);
	mantissa -= rest;
	if (rest > half || (rest == half && mantissa & unit))
		mantissa += unit;
	return mantissa;
}

/* The first digit of a double is 1 (0 for subnormal numbers), that of a long double its four
 * highest bits, as the C library of Linux has it. */
static void format_hexadecimal(
	struct writer *w, struct spec *spec, const struct binary *number, const char *sign)
{
	const char *digit = is_upper(spec) ? "0123456789ABCDEF" : "0123456789abcdef";
	bool extended = number->top_bit == 63;
	int bits = extended ? 60 : 52; /* behind the first digit */
	int exponent = number->exponent + bits, count = bits / 4;
	uint64_t mantissa = number->mantissa;
	char text[40], prefix[4];
	size_t size = 0;
	int precision = count, zeros = 0;
	if (mantissa == 0)
		exponent = 0;
	if (spec->has_precision) {
		precision = spec->precision < count ? spec->precision : count;
		zeros = spec->precision - precision;
		uint64_t rounded = round_hexadecimal(mantissa, bits, precision);
		if (rounded == 0 && mantissa >> bits != 0) { /* a carry out of 64 bits */
			rounded = (uint64_t)1 << 60;
			exponent += 4;
		}
		mantissa = rounded;
	} else {
		while (precision > 0 && (mantissa >> (bits - 4 * precision) & 15) == 0)
			precision--;
	}
	text[size++] = digit[mantissa >> bits];
	if (precision > 0 || zeros > 0 || spec->alternative)
		text[size++] = '.';
	for (int i = 1; i <= precision; i++)
		text[size++] = digit[mantissa >> (bits - 4 * i) & 15];
	size_t after = size;
	size += layout_power(text + size, is_upper(spec) ? 'P' : 'p', exponent, 1);
	strcpy(prefix, sign); /* a character at most */
	strcat(prefix, is_upper(spec) ? "0X" : "0x");
	format_put_number(w, spec, prefix, text, size, zeros, after);
}

/* ---- */

static void format_binary(struct writer *w, struct spec *spec, const struct binary *number)
{
	const char *sign = format_sign(spec, number->negative);
	if (!number->finite) {
		const char *lower = number->nan ? "nan" : "inf";
		const char *upper = number->nan ? "NAN" : "INF";
		spec->zero = false;
		format_put_number(w, spec, sign, is_upper(spec) ? upper : lower, 3, 0, 0);
	} else if ((spec->conversion | 0x20) == 'a') {
		format_hexadecimal(w, spec, number, sign);
	} else {
		format_decimal(w, spec, number, sign);
	}
}

void format_float(struct writer *w, struct spec *spec, double value)
{
	struct binary number = split_double(value);
	format_binary(w, spec, &number);
}

void format_long_double(struct writer *w, struct spec *spec, long double value)
{
	struct binary number = split_long_double(value);
	format_binary(w, spec, &number);
}
