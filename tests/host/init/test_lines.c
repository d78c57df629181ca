/* How consoled makes lines of bytes: the same ones whatever pieces the bytes come in, with long
 * lines in several, and nothing behind its buffers is touched. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

static int failures;
static char written[1 << 16];
static size_t written_size;

static void report(const char *name, bool good)
{
	printf("%s consoled %s\n", good ? "ok" : "FAIL", name);
	failures += !good;
}

static void put(void *context, const char *bytes, size_t size)
{
	(void)context;
	memcpy(written + written_size, bytes, size);
	written_size += size;
}

/* Feeds bytes in pieces of one size, and compares what comes out. */
static bool gives(const char *bytes, size_t size, size_t piece, const char *want)
{
	struct lines lines;

	written_size = 0;
	lines_init(&lines, "a", put, NULL);
	for (size_t at = 0; at < size; at += piece)
		lines_add(&lines, bytes + at, size - at < piece ? size - at : piece);
	lines_flush(&lines);
	return written_size == strlen(want) && memcmp(written, want, written_size) == 0;
}

static void test_pieces(void)
{
	static const char text[] = "one\n\ntwo\nno end";
	bool good = true;

	for (size_t piece = 1; piece <= sizeof(text); piece++)
		good = gives(text, sizeof(text) - 1, piece, "a: one\na: \na: two\na: no end\n") &&
			good;
	report("pieces", good);
}

/* Lines of about the longest length, which is the place for a mistake by one. */
static void test_long(void)
{
	static char text[2 * LINE_BYTES + 2], want[2 * LINE_BYTES + 64];
	bool good = true;

	memset(text, 'x', sizeof(text));
	for (int length = LINE_BYTES - 1; length <= LINE_BYTES + 1; length++) {
		int first = length < LINE_BYTES ? length : LINE_BYTES;
		int rest = length - first;
		char tail[8] = "";

		text[length] = '\n';
		if (rest > 0)
			snprintf(tail, sizeof(tail), "a: %.*s\n", rest, text);
		snprintf(want, sizeof(want), "a: %.*s\n%s", first, text, tail);
		for (int piece = 1; piece <= length + 1; piece += 97)
			good = gives(text, (size_t)length + 1, (size_t)piece, want) && good;
		text[length] = 'x';
	}
	report("long_lines", good);
}

static void test_label(void)
{
	struct lines lines;
	char name[64];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	written_size = 0;
	lines_init(&lines, name, put, NULL);
	lines_add(&lines, "x\n", 2);
	report("long_label", written_size == LABEL_BYTES - 1 + 2);
}

/* More in one piece than the buffer of the output holds. */
static void test_much(void)
{
	static char text[OUT_BYTES + OUT_BYTES / 2];
	size_t lines = 0;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 8 == 7 ? '\n' : 'x';
	gives(text, sizeof(text), sizeof(text), "");
	for (size_t i = 0; i < written_size; i += 11)
		lines += memcmp(written + i, "a: xxxxxxx\n", 11) == 0;
	report("much", lines == sizeof(text) / 8 && written_size == lines * 11);
}

int main(void)
{
	test_pieces();
	test_long();
	test_label();
	test_much();
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
