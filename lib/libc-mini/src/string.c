/* Memory and strings.
 *
 * Copies and fills of 16 bytes and more go in unaligned vectors, the last of which overlaps its
 * predecessor, so there is no tail loop; shorter ones are two overlapping words. String
 * instructions are avoided: they cost their start-up time on small sizes, and emulated CPUs run
 * them byte by byte. The file is compiled so that the compiler does not turn these functions into
 * calls of themselves. */
#include <string.h>

#include <stdint.h>
#include <stdlib.h>

typedef uint64_t vector __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word8 __attribute__((aligned(1), may_alias));
typedef uint32_t word4 __attribute__((aligned(1), may_alias));
typedef uint16_t word2 __attribute__((aligned(1), may_alias));

/* All loads come before all stores, so the regions may overlap. */
static void copy_short(char *d, const char *s, size_t size)
{
	if (size >= 8) {
		word8 first = *(const word8 *)s, last = *(const word8 *)(s + size - 8);

		*(word8 *)d = first;
		*(word8 *)(d + size - 8) = last;
	} else if (size >= 4) {
		word4 first = *(const word4 *)s, last = *(const word4 *)(s + size - 4);

		*(word4 *)d = first;
		*(word4 *)(d + size - 4) = last;
	} else if (size >= 2) {
		word2 first = *(const word2 *)s, last = *(const word2 *)(s + size - 2);

		*(word2 *)d = first;
		*(word2 *)(d + size - 2) = last;
	} else if (size == 1) {
		*d = *s;
	}
}

void *memmove(void *to, const void *from, size_t size)
{
	char *d = to;
	const char *s = from;

	if (size < 16) {
		copy_short(d, s, size);
	} else if ((uintptr_t)d - (uintptr_t)s >= size) {
		/* Ascending is safe: the destination is below the source, or behind it. */
		vector last = *(const vector *)(s + size - 16);
		size_t i = 0;

		for (; i + 64 <= size; i += 64) {
			vector a = *(const vector *)(s + i), b = *(const vector *)(s + i + 16);
			vector c = *(const vector *)(s + i + 32), e = *(const vector *)(s + i + 48);

			*(vector *)(d + i) = a;
			*(vector *)(d + i + 16) = b;
			*(vector *)(d + i + 32) = c;
			*(vector *)(d + i + 48) = e;
		}
		for (; i + 16 < size; i += 16)
			*(vector *)(d + i) = *(const vector *)(s + i);
		*(vector *)(d + size - 16) = last;
	} else {
		vector first = *(const vector *)s;

		for (; size > 16; size -= 16)
			*(vector *)(d + size - 16) = *(const vector *)(s + size - 16);
		*(vector *)d = first;
	}
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	return memmove(to, from, size);
}

void *memset(void *to, int byte, size_t size)
{
	char *d = to;
	uint64_t word = (unsigned char)byte * 0x0101010101010101u;

	if (size >= 16) {
		vector fill = { word, word };

		for (size_t i = 0; i + 16 < size; i += 16)
			*(vector *)(d + i) = fill;
		*(vector *)(d + size - 16) = fill;
	} else if (size >= 8) {
		*(word8 *)d = word;
		*(word8 *)(d + size - 8) = word;
	} else {
		for (size_t i = 0; i < size; i++)
			d[i] = (char)byte;
	}
	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;

	while (size >= 8 && *(const word8 *)x == *(const word8 *)y) {
		x += 8;
		y += 8;
		size -= 8;
	}
	for (size_t i = 0; i < size; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}

void *memchr(const void *bytes, int byte, size_t size)
{
	const unsigned char *p = bytes;

	for (; size > 0; p++, size--) {
		if (*p == (unsigned char)byte)
			return (void *)(uintptr_t)p;
	}
	return NULL;
}

size_t strlen(const char *string)
{
	const char *end = string;

	while (*end != '\0')
		end++;
	return (size_t)(end - string);
}

size_t strnlen(const char *string, size_t limit)
{
	size_t length = 0;

	while (length < limit && string[length] != '\0')
		length++;
	return length;
}

char *strcpy(char *restrict to, const char *restrict from)
{
	return memcpy(to, from, strlen(from) + 1);
}

char *strncpy(char *restrict to, const char *restrict from, size_t size)
{
	size_t length = strnlen(from, size);

	memcpy(to, from, length);
	memset(to + length, 0, size - length);
	return to;
}

char *strcat(char *restrict to, const char *restrict from)
{
	strcpy(to + strlen(to), from);
	return to;
}

char *strncat(char *restrict to, const char *restrict from, size_t limit)
{
	size_t length = strnlen(from, limit);
	char *end = to + strlen(to);

	memcpy(end, from, length);
	end[length] = '\0';
	return to;
}

size_t strlcpy(char *restrict to, const char *restrict from, size_t size)
{
	size_t length = strlen(from);

	if (size > 0) {
		size_t copied = length < size ? length : size - 1;

		memcpy(to, from, copied);
		to[copied] = '\0';
	}
	return length;
}

int strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t limit)
{
	for (; limit > 0; a++, b++, limit--) {
		if (*a != *b)
			return (unsigned char)*a - (unsigned char)*b;
		if (*a == '\0')
			break;
	}
	return 0;
}

char *strchr(const char *string, int character)
{
	for (;; string++) {
		if (*string == (char)character)
			return (char *)(uintptr_t)string;
		if (*string == '\0')
			return NULL;
	}
}

char *strrchr(const char *string, int character)
{
	const char *found = NULL;

	for (;; string++) {
		if (*string == (char)character)
			found = string;
		if (*string == '\0')
			return (char *)(uintptr_t)found;
	}
}

char *strstr(const char *string, const char *part)
{
	size_t length = strlen(part);

	for (; strncmp(string, part, length) != 0; string++) {
		if (*string == '\0')
			return NULL;
	}
	return (char *)(uintptr_t)string;
}

size_t strspn(const char *string, const char *accept)
{
	size_t length = 0;

	while (string[length] != '\0' && strchr(accept, string[length]) != NULL)
		length++;
	return length;
}

size_t strcspn(const char *string, const char *reject)
{
	size_t length = 0;

	/* strchr finds the terminator too, so this ends. */
	while (strchr(reject, string[length]) == NULL)
		length++;
	return length;
}

char *strpbrk(const char *string, const char *accept)
{
	string += strcspn(string, accept);
	return *string != '\0' ? (char *)(uintptr_t)string : NULL;
}

char *strtok_r(char *restrict string, const char *restrict separators, char **restrict rest)
{
	char *end;

	if (string == NULL)
		string = *rest;
	string += strspn(string, separators);
	if (*string == '\0') {
		*rest = string;
		return NULL;
	}
	end = string + strcspn(string, separators);
	*rest = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return string;
}

char *strndup(const char *string, size_t limit)
{
	size_t length = strnlen(string, limit);
	char *copy = malloc(length + 1);

	if (copy != NULL) {
		memcpy(copy, string, length);
		copy[length] = '\0';
	}
	return copy;
}

char *strdup(const char *string)
{
	return strndup(string, strlen(string));
}
