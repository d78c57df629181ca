/* Ending, environment, numbers, sorting. */
#include <stdlib.h>

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <capos/caps.h>
#include <capos/stubs.h>
#include <capos/thread.h>

#include "internal.h"

#define EXIT_ABORTED 134
#define AT_EXIT_BLOCK 32 /* C promises 32; more take memory */

static _Thread_local int error_number;

int *capos_errno_location(void)
{
	return &error_number;
}

/* ---- ending ---- */

struct at_exit {
	void (*function)(void *);
	void *argument;
};

struct at_exit_block {
	struct at_exit_block *older;
	uint32_t count;
	struct at_exit entries[AT_EXIT_BLOCK];
};

static struct capos_mutex at_exit_lock = CAPOS_MUTEX_INITIALIZER;
static struct at_exit_block first_block;
static struct at_exit_block *newest = &first_block; /* guarded by at_exit_lock */

int libc_at_exit(void (*function)(void *), void *argument)
{
	int result = 0;

	capos_mutex_lock(&at_exit_lock);
	if (newest->count == AT_EXIT_BLOCK) {
		struct at_exit_block *block = calloc(1, sizeof(*block));

		if (block != NULL) {
			block->older = newest;
			newest = block;
		} else {
			result = -1;
		}
	}
	if (result == 0)
		newest->entries[newest->count++] = (struct at_exit){ function, argument };
	capos_mutex_unlock(&at_exit_lock);
	return result;
}

static void call_without_argument(void *function)
{
	((void (*)(void))function)();
}

int atexit(void (*function)(void))
{
	return libc_at_exit(call_without_argument, (void *)function);
}

/* The lock is not held while a function runs: it may register another. */
static bool take_at_exit(struct at_exit *entry)
{
	bool taken = false;

	capos_mutex_lock(&at_exit_lock);
	if (newest->count == 0 && newest->older != NULL)
		newest = newest->older; /* the block is never freed */
	if (newest->count > 0) {
		*entry = newest->entries[--newest->count];
		taken = true;
	}
	capos_mutex_unlock(&at_exit_lock);
	return taken;
}

_Noreturn void _Exit(int status)
{
	capos_exit(status, CAPOS_EXIT_SCOPE_PROCESS);
}

_Noreturn void exit(int status)
{
	struct at_exit entry;

	while (take_at_exit(&entry))
		entry.function(entry.argument);
	stdio_flush_all();
	_Exit(status);
}

_Noreturn void abort(void)
{
	_Exit(EXIT_ABORTED);
}

void fail(const char *message)
{
	char line[256];
	size_t length = strlcpy(line, "libcapos: ", sizeof(line));

	length += strlcpy(line + length, message, sizeof(line) - length - 1);
	if (length > sizeof(line) - 1)
		length = sizeof(line) - 1;
	line[length++] = '\n';
	capos_report(line, length);
	abort();
}

void capos_assert_failed(const char *condition, const char *file, int line, const char *function)
{
	fflush(stdout);
	fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, function, condition);
	abort();
}

char *getenv(const char *name)
{
	size_t length = strlen(name);

	for (char **entry = environ; *entry != NULL; entry++) {
		if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
			return *entry + length + 1;
	}
	return NULL;
}

/* ---- numbers ---- */

static int digit_value(char c)
{
	if (isdigit(c))
		return c - '0';
	if (isalpha(c))
		return tolower(c) - 'a' + 10;
	return INT_MAX;
}

/* The magnitude of a number in text. A value above limit is reported as ERANGE and limit, not
 * negative. *end is string when there is no number. */
static unsigned long long parse(
	const char *string, char **end, int base, bool *negative, unsigned long long limit)
{
	const char *s = string;
	unsigned long long value = 0;
	bool any = false, overflow = false;

	while (isspace((unsigned char)*s))
		s++;
	*negative = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	if ((base == 0 || base == 16) && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') &&
		digit_value(s[2]) < 16) {
		s += 2;
		base = 16;
	} else if (base == 0) {
		base = *s == '0' ? 8 : 10;
	}
	for (; digit_value(*s) < base; s++) {
		any = true;
		overflow |= __builtin_mul_overflow(value, (unsigned)base, &value);
		overflow |= __builtin_add_overflow(value, (unsigned)digit_value(*s), &value);
	}
	if (end != NULL)
		*end = (char *)(uintptr_t)(any ? s : string);
	if (overflow || value > limit) {
		errno = ERANGE;
		*negative = false;
		return limit;
	}
	return value;
}

unsigned long long strtoull(const char *restrict string, char **restrict end, int base)
{
	bool negative;
	unsigned long long value = parse(string, end, base, &negative, ULLONG_MAX);

	return negative ? 0 - value : value;
}

long long strtoll(const char *restrict string, char **restrict end, int base)
{
	const char *s = string;
	unsigned long long value;
	bool negative;

	while (isspace((unsigned char)*s))
		s++;
	value = parse(string, end, base, &negative,
		*s == '-' ? (unsigned long long)LLONG_MAX + 1 : LLONG_MAX);
	return (long long)(negative ? 0 - value : value);
}

unsigned long strtoul(const char *restrict string, char **restrict end, int base)
{
	return strtoull(string, end, base);
}

long strtol(const char *restrict string, char **restrict end, int base)
{
	return strtoll(string, end, base);
}

int atoi(const char *string)
{
	return (int)strtol(string, NULL, 10);
}

long atol(const char *string)
{
	return strtol(string, NULL, 10);
}

long long atoll(const char *string)
{
	return strtoll(string, NULL, 10);
}

int abs(int value)
{
	return value < 0 ? -value : value;
}

long labs(long value)
{
	return value < 0 ? -value : value;
}

long long llabs(long long value)
{
	return value < 0 ? -value : value;
}

static uint64_t rand_state = 1;

void srand(unsigned int seed)
{
	__atomic_store_n(&rand_state, seed, __ATOMIC_RELAXED);
}

int rand(void)
{
	uint64_t z = __atomic_add_fetch(&rand_state, 0x9e3779b97f4a7c15, __ATOMIC_RELAXED);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (int)((z ^ z >> 31) & RAND_MAX);
}

/* ---- sorting ---- */

static void swap_items(char *a, char *b, size_t size)
{
	for (; size > 0; a++, b++, size--) {
		char byte = *a;

		*a = *b;
		*b = byte;
	}
}

/* Restores the heap below root: the larger child moves up until both are no larger. */
static void sift_down(char *items, size_t root, size_t count, size_t size,
	int (*compare)(const void *, const void *))
{
	for (;;) {
		size_t child = 2 * root + 1;

		if (child >= count)
			return;
		if (child + 1 < count &&
			compare(items + child * size, items + (child + 1) * size) < 0)
			child++;
		if (compare(items + root * size, items + child * size) >= 0)
			return;
		swap_items(items + root * size, items + child * size, size);
		root = child;
	}
}

/* Heapsort: no memory, no recursion, and no input makes it slow. */
void qsort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	for (size_t root = count / 2; root-- > 0;)
		sift_down(items, root, count, size, compare);
	for (size_t end = count; end-- > 1;) {
		swap_items(items, (char *)items + end * size, size);
		sift_down(items, 0, end, size, compare);
	}
}

void *bsearch(const void *key, const void *items, size_t count, size_t size,
	int (*compare)(const void *, const void *))
{
	const char *low = items;

	while (count > 0) {
		const char *middle = low + count / 2 * size;
		int order = compare(key, middle);

		if (order == 0)
			return (void *)(uintptr_t)middle;
		if (order > 0) {
			low = middle + size;
			count--;
		}
		count /= 2;
	}
	return NULL;
}
