/* Memory and string functions. Copies and fills use `rep` with eight bytes, which counts as one
 * instruction a word. That is the cost in instruction-exact measurement, and it is good enough on
 * hardware for the kernel's small copies. */
#include "core/string.h"

#include <stdint.h>

#include "core/kasan.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	void *d = to;
	const void *s = from;
	kasan_check(from, size, false);
	kasan_check(to, size, true);
	size_t words = size / 8;
	__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
	size_t tail = size % 8;
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(tail) : : "memory");
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
	void *d = to;
	kasan_check(to, size, true);
	uint64_t pattern = 0x0101010101010101ul * (uint8_t)byte;
	size_t words = size / 8;
	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
	size_t tail = size % 8;
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(tail) : "a"(pattern) : "memory");
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
