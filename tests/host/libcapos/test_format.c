/* printf formatting and string functions against the host's C library. */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int capos_vsnprintf(char *buffer, size_t size, const char *format, va_list arguments);
void *capos_memcpy(void *to, const void *from, size_t size);
void *capos_memmove(void *to, const void *from, size_t size);
void *capos_memset(void *to, int byte, size_t size);
int capos_memcmp(const void *a, const void *b, size_t size);

static int failures;

static void report(const char *name, bool good)
{
	printf("%s libcapos %s\n", good ? "ok" : "FAIL", name);
	failures += !good;
}

__attribute__((format(printf, 1, 2))) static bool same(const char *format, ...)
{
	static char ours[20000], theirs[20000];
	va_list a, b;
	int n, m;

	va_start(a, format);
	va_copy(b, a);
	n = capos_vsnprintf(ours, sizeof(ours), format, a);
	m = vsnprintf(theirs, sizeof(theirs), format, b);
	va_end(a);
	va_end(b);
	if (n == m && strcmp(ours, theirs) == 0)
		return true;
	printf("# \"%s\": \"%s\" (%d), not \"%s\" (%d)\n", format, ours, n, theirs, m);
	return false;
}

static int count_only(const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = capos_vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	return length;
}

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static uint64_t random64(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Every combination of flags, some widths and precisions, with interesting and random values. */
static bool test_integers(void)
{
	static const char *const conversions[] = { "d", "i", "u", "o", "x", "X", "ld", "lu", "lx",
		"llo", "hd", "hhu", "hhd", "hx", "zu" };
	static const char *const sizes[] = { "", "1", "5", "24", ".0", ".1", ".5", "12.7", ".30" };
	bool good = true;

	for (int flags = 0; flags < 32; flags++) {
		for (size_t c = 0; c < sizeof(conversions) / sizeof(conversions[0]); c++) {
			for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
				char format[32];
				uint64_t values[] = { 0, 1, 42, (uint64_t)INT_MIN, INT_MAX,
					UINT_MAX, (uint64_t)LLONG_MIN, random64() };

				snprintf(format, sizeof(format), "<%%%s%s%s%s%s%s%s>",
					flags & 1 ? "-" : "", flags & 2 ? "+" : "",
					flags & 4 ? " " : "", flags & 8 ? "#" : "",
					flags & 16 ? "0" : "", sizes[s], conversions[c]);
				for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
					good &= same(format, values[v]);
			}
		}
	}
	return good;
}

static bool test_doubles(void)
{
	static const double values[] = { 0.0, -0.0, 1.0, 0.5, 1.5, 2.5, 0.1, 9.5, 99.5, 999999.5,
		0.0001, 0.00001234, 123456789.0, 1e15, 1e16, 1e17, 1e100, 1e-100, DBL_MAX, DBL_MIN,
		4.9406564584124654e-324, 0.05, 0.15, 0.25, 0.35, 9.999999, 1e-7, 0.5000000001,
		5e-324, INFINITY, -INFINITY };
	static const char *const formats[] = { "%f", "%e", "%g", "%.0f", "%.1f", "%.2f", "%.10f",
		"%.0e", "%.3e", "%.17g", "%.1g", "%.0g", "%#.8g", "%#.0f", "%#.0e", "%12.3f",
		"%-12.3e|", "%+g", "% f", "%015.4f", "%G", "%E", "%.60f", "%.40g", "%.330f",
		"%.1200f", "%.1300e", "%.1200g", "%#.1200g", "%1500.1200f|" };
	bool good = true;

	for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
			good &= same(formats[f], values[v]);
		for (int i = 0; i < 400; i++) {
			union {
				uint64_t bits;
				double value;
			} any = { random64() };

			if (!isnan(any.value))
				good &= same(formats[f], any.value);
			good &= same(formats[f], (double)(random64() % 100000) / 1000.0);
		}
	}
	return good;
}

static long double random_long_double(void)
{
	struct {
		uint64_t mantissa;
		uint16_t exponent;
	} parts = { random64() | (uint64_t)1 << 63, (uint16_t)random64() };
	long double value = 0;

	/* Bounded, because each of the smallest takes 16 000 digits. */
	parts.exponent =
		(uint16_t)((parts.exponent & 0x8000) | (16383 + parts.exponent % 600 - 300));
	memcpy(&value, &parts, 10);
	return value;
}

/* Hexadecimal, and the processor's long double with all its digits. The host prints "1.e+06" where
 * "%#g" rounds up to the next power of ten, so that flag is not compared. */
static bool test_hexadecimal_and_long(void)
{
	static const char *const conversions[] = { "%a", "%A", "%.0a", "%.1a", "%.5a", "%.13a",
		"%.20a", "%20a|", "%-20a|", "%020a|", "%+a", "% a", "%#.0a" };
	static const char *const wide[] = { "%La", "%.0La", "%.3La", "%.15La", "%.30La", "%Lf",
		"%.0Lf", "%.40Lf", "%Le", "%.25Le", "%Lg", "%.21Lg", "%030.5Lf", "%.300Le" };
	static const double doubles[] = { 0.0, -0.0, 1.0, 0.1, 255.5, 1.96875, 1.5, 5e-324, DBL_MIN,
		DBL_MAX, INFINITY, NAN, 0.9999999999999999, 1.9999999999999998 };
	static const long double longs[] = { 0.0L, -0.0L, 1.0L, 0.1L, 1e400L, LDBL_MIN, LDBL_MAX,
		LDBL_TRUE_MIN, 0.99999999999999999995L, 1e20L, 9.5L, INFINITY, NAN };
	bool good = true;

	for (unsigned i = 0; i < sizeof(conversions) / sizeof(conversions[0]); i++) {
		for (unsigned j = 0; j < sizeof(doubles) / sizeof(doubles[0]); j++)
			good &= same(conversions[i], doubles[j]);
		for (int j = 0; j < 2000; j++) {
			uint64_t bits = random64();
			double value;
			memcpy(&value, &bits, sizeof(value));
			good &= same(conversions[i], value);
		}
	}
	for (unsigned i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		for (unsigned j = 0; j < sizeof(longs) / sizeof(longs[0]); j++)
			good &= same(wide[i], longs[j]);
		for (int j = 0; j < 300; j++)
			good &= same(wide[i], random_long_double());
	}
	return good && same("%.5000f|%.3000Lf", 1.0, 0.1L) && same("%.1074f", 5e-324);
}

/* Widths and lengths at the edge of what the result can express. */
static bool test_huge(void)
{
	return count_only("%2147483647d", 1) == INT_MAX &&
		count_only("%.2147483647d", 1) == INT_MAX && count_only("%2147483648d", 1) == -1 &&
		count_only("%.99999999999d", 1) == -1 && count_only("x%2147483647d", 1) == -1 &&
		count_only("%*d", INT_MIN, 1) == -1;
}

static bool test_text(void)
{
	char small[4];
	bool good = true;

	good &= same(
		"%s|%10s|%-10s|%.2s|%.0s|%c|%5c|%%", "abc", "abc", "abc", "abc", "abc", 'x', 'y');
	good &= same("%*d|%-*d|%.*s|%*.*f", 6, 42, 6, 42, 2, "abcdef", 10, 3, 3.14159);
	good &= same("%*d", -8, 7);
	good &= same("%.*s", -1, "whole");
	good &= same("%Lf %.3Le %d", 2.5L, 1e300L, 7);
	good &= same("%p", (void *)0x1234abcd);
	good &= same("no conversions");
	good &= same("%d%s%d", 1, "", 2);
	va_list none;
	memset(&none, 0, sizeof(none));
	good &= capos_vsnprintf(small, sizeof(small), "abcdef", none) == 6 &&
		strcmp(small, "abc") == 0;
	good &= capos_vsnprintf(NULL, 0, "abcdef", none) == 6;
	return good;
}

/* Every size up to 200 at every alignment and overlap, against byte loops. */
static bool test_memory(void)
{
	static unsigned char a[512], b[512];

	for (size_t size = 0; size < 200; size++) {
		for (size_t from = 0; from < 24; from++) {
			for (size_t to = 0; to < 40; to += 3) {
				for (size_t i = 0; i < sizeof(a); i++)
					a[i] = b[i] = (unsigned char)random64();
				memmove(a + 64 + to, a + 64 + from, size);
				capos_memmove(b + 64 + to, b + 64 + from, size);
				if (memcmp(a, b, sizeof(a)) != 0)
					return false;
			}
		}
		memset(a, 0x55, sizeof(a));
		capos_memset(b, 0x55, sizeof(b));
		capos_memset(b + 7, 0xa1, size);
		memset(a + 7, 0xa1, size);
		if (memcmp(a, b, sizeof(a)) != 0 || capos_memcmp(a, b, sizeof(a)) != 0)
			return false;
		b[size] ^= 0x80;
		if ((capos_memcmp(a, b, 300) < 0) != (memcmp(a, b, 300) < 0) ||
			capos_memcmp(a, b, size) != 0)
			return false;
	}
	return true;
}

int main(void)
{
	report("integers as the host formats them", test_integers());
	report("floating point as the host formats it", test_doubles());
	report("hexadecimal and long double as the host formats them", test_hexadecimal_and_long());
	report("widths and lengths beyond int", test_huge());
	report("strings and widths", test_text());
	report("memory functions", test_memory());
	return failures != 0;
}
