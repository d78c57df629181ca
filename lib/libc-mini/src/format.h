/* printf's formatting, apart from where the text goes. */
#ifndef LIBCAPOS_FORMAT_H
#define LIBCAPOS_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* Takes the next bytes of the text. */
typedef void (*format_sink_t)(void *context, const char *bytes, size_t size);

/* The result is the text's length. All conversions of C but n, a, A and wide characters; an unknown
 * one is put out as it is. A long double is formatted as the double nearest to it. */
int format_text(format_sink_t sink, void *context, const char *format, va_list arguments);

/* Decimal digits of a finite, non-negative double. precision counts digits after the point when
 * fixed, otherwise significant digits less one. Writes the digits without point, rounded correctly
 * (half to even on exact ties), into digits (capacity FORMAT_DIGITS_MAX) and gives their count;
 * *exponent is the decimal exponent of the first digit. */
#define FORMAT_DIGITS_MAX 1600
#define FORMAT_PRECISION_MAX 1100
size_t format_digits(double value, int precision, int fixed, char *digits, int *exponent);

#endif
