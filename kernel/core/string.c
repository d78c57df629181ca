/* Memory and string functions. What is hot in them is arch/memory.h. */
#include "core/string.h"

#include <stdint.h>

#include "arch/memory.h"
#include "core/kasan.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	kasan_check(from, size, false);
	kasan_check(to, size, true);
	bytes_copy(to, from, size);
	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	unsigned char *d = to;
	const unsigned char *s = from;
	if (d <= s || d >= s + size)
		return memcpy(to, from, size);
	kasan_check(from, size, false);
	kasan_check(to, size, true);
	while (size--)
		d[size] = s[size];
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	kasan_check(to, size, true);
	bytes_fill(to, (uint8_t)byte, size);
	return to;
}

void memory_wipe(void *memory, size_t size)
{
	memset(memory, 0, size);
}

int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;
	kasan_check(a, size, false);
	kasan_check(b, size, false);
	for (size_t i = 0; i < size; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strlen(const char *text)
{
	size_t n = 0;
	while (text[n])
		n++;
	return n;
}

size_t strnlen(const char *text, size_t max)
{
	size_t n = 0;
	while (n < max && text[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t max)
{
	for (size_t i = 0; i < max; i++) {
		if (a[i] != b[i])
			return (unsigned char)a[i] - (unsigned char)b[i];
		if (!a[i])
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *text, int c)
{
	for (;; text++) {
		if (*text == (char)c)
			return (char *)text;
		if (!*text)
			return NULL;
	}
}

char *strstr(const char *text, const char *word)
{
	size_t size = strlen(word);
	for (; *text; text++)
		if (!strncmp(text, word, size))
			return (char *)text;
	return size ? NULL : (char *)text;
}

void text_copy(char *to, const char *from, size_t size)
{
	size_t n = strnlen(from, size - 1);
	memcpy(to, from, n);
	to[n] = 0;
}
