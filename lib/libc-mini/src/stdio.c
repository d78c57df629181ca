/* The three standard streams: a buffer and a lock each, over capabilities for a Console or for the
 * end of a pipe. A stream whose capability was not granted fails with its error flag set. */
#include <stdio.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <capos/caps.h>
#include <capos/stubs.h>
#include <capos/thread.h>

#include "format.h"
#include "internal.h"

enum buffering { BUFFER_LINES, BUFFER_NOTHING };

struct capos_stream {
	struct capos_mutex lock;
	const char *name;       /* of the capability */
	const capos_cap_t *cap; /* where it is found */
	bool input;             /* operations that do not fit the stream's direction fail */
	enum buffering buffering;
	bool error;
	bool end_of_file;
	size_t start; /* input: what is not read yet is buffer[start..end); output: start is 0 */
	size_t end;
	char *buffer; /* BUFSIZ bytes */
};

static char buffers[3][BUFSIZ];

static struct capos_stream standard_input = {
	.name = "stdin",
	.cap = &capos_caps.standard_input,
	.buffer = buffers[0],
	.input = true,
};
static struct capos_stream standard_output = {
	.name = "stdout",
	.cap = &capos_caps.standard_output,
	.buffer = buffers[1],
	.buffering = BUFFER_LINES,
};
static struct capos_stream standard_error = {
	.name = "stderr",
	.cap = &capos_caps.standard_error,
	.buffer = buffers[2],
	.buffering = BUFFER_NOTHING,
};

FILE *const stdin = &standard_input;
FILE *const stdout = &standard_output;
FILE *const stderr = &standard_error;

/* ---- output; the caller holds the lock ---- */

static bool is_pipe(const FILE *stream)
{
	const struct capos_cap_set_entry *entry = capos_cap_entry(stream->name);

	return entry != NULL && entry->interface_id != CAPOS_INTERFACE_CONSOLE;
}

/* How many bytes were written, or an error. */
static int64_t write_some(const FILE *stream, const char *bytes, size_t size)
{
	uint64_t count = size;
	int64_t status = is_pipe(stream)
		? capos_pipe_writer_write(*stream->cap, bytes, size, CAPOS_WAIT_FOREVER, &count)
		: capos_console_write(*stream->cap, bytes, size);

	return status < 0 ? status : (int64_t)count;
}

static bool write_through(FILE *stream, const char *bytes, size_t size)
{
	while (size > 0) {
		int64_t written = write_some(stream, bytes, size);

		if (written == CAPOS_E(INTERRUPTED))
			continue;
		if (written < 0) {
			stream->error = true;
			return false;
		}
		bytes += written;
		size -= (size_t)written;
	}
	return true;
}

static bool flush_locked(FILE *stream)
{
	size_t size = stream->end;

	stream->end = 0;
	return write_through(stream, stream->buffer, size);
}

static void put_locked(FILE *stream, const char *bytes, size_t size)
{
	if (stream->input) {
		stream->error = true;
		return;
	}
	if (size > BUFSIZ - stream->end)
		flush_locked(stream);
	if (size > BUFSIZ) {
		write_through(stream, bytes, size);
		return;
	}
	memcpy(stream->buffer + stream->end, bytes, size);
	stream->end += size;
}

/* Called when all bytes of one operation are in the buffer. */
static void finish_locked(FILE *stream)
{
	if (!stream->input && stream->end > 0 &&
		(stream->buffering == BUFFER_NOTHING ||
			memchr(stream->buffer, '\n', stream->end) != NULL))
		flush_locked(stream);
}

/* Around one operation: its failure is its own, while the flag remembers every failure. */
static bool begin_locked(FILE *stream)
{
	bool before = stream->error;

	stream->error = false;
	return before;
}

static bool end_locked(FILE *stream, bool before)
{
	bool failed;

	finish_locked(stream);
	failed = stream->error;
	stream->error = failed || before;
	return failed;
}

static void put_formatted(void *stream, const char *bytes, size_t size)
{
	put_locked(stream, bytes, size);
}

int vfprintf(FILE *restrict stream, const char *restrict format, va_list arguments)
{
	int length;
	bool before;

	capos_mutex_lock(&stream->lock);
	before = begin_locked(stream);
	length = format_text(put_formatted, stream, format, arguments);
	if (end_locked(stream, before))
		length = -1;
	capos_mutex_unlock(&stream->lock);
	return length;
}

size_t fwrite(const void *restrict items, size_t size, size_t count, FILE *restrict stream)
{
	size_t total;
	bool before, failed;

	if (__builtin_mul_overflow(size, count, &total) || total == 0)
		return 0;
	capos_mutex_lock(&stream->lock);
	before = begin_locked(stream);
	put_locked(stream, items, total);
	failed = end_locked(stream, before);
	capos_mutex_unlock(&stream->lock);
	return failed ? 0 : count;
}

int fputs(const char *restrict string, FILE *restrict stream)
{
	size_t length = strlen(string);

	return fwrite(string, 1, length, stream) == length ? 0 : EOF;
}

int puts(const char *string)
{
	bool before, failed;

	capos_mutex_lock(&stdout->lock);
	before = begin_locked(stdout);
	put_locked(stdout, string, strlen(string));
	put_locked(stdout, "\n", 1);
	failed = end_locked(stdout, before);
	capos_mutex_unlock(&stdout->lock);
	return failed ? EOF : 0;
}

int fputc(int character, FILE *stream)
{
	char byte = (char)character;

	return fwrite(&byte, 1, 1, stream) == 1 ? (unsigned char)byte : EOF;
}

int putc(int character, FILE *stream)
{
	return fputc(character, stream);
}

int putchar(int character)
{
	return fputc(character, stdout);
}

int fflush(FILE *stream)
{
	bool done = true;

	if (stream == NULL)
		return fflush(stdout) | fflush(stderr);
	if (stream == stdin)
		return 0;
	capos_mutex_lock(&stream->lock);
	if (stream->end > 0)
		done = flush_locked(stream);
	capos_mutex_unlock(&stream->lock);
	return done ? 0 : EOF;
}

void stdio_flush_all(void)
{
	fflush(NULL);
}

int vprintf(const char *restrict format, va_list arguments)
{
	return vfprintf(stdout, format, arguments);
}

int printf(const char *restrict format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vfprintf(stdout, format, arguments);
	va_end(arguments);
	return length;
}

int fprintf(FILE *restrict stream, const char *restrict format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vfprintf(stream, format, arguments);
	va_end(arguments);
	return length;
}

/* ---- input ---- */

static int64_t read_some(FILE *stream)
{
	if (is_pipe(stream))
		return capos_pipe_reader_read(
			*stream->cap, BUFSIZ, CAPOS_WAIT_FOREVER, stream->buffer, BUFSIZ);
	return capos_console_read(*stream->cap, BUFSIZ, stream->buffer, BUFSIZ);
}

/* More bytes in the buffer; false at the end or on an error. */
static bool fill_locked(FILE *stream)
{
	int64_t got;

	if (!stream->input)
		stream->error = true;
	if (!stream->input || stream->end_of_file)
		return false;
	do
		got = read_some(stream);
	while (got == CAPOS_E(INTERRUPTED));
	stream->start = 0;
	stream->end = got > 0 ? (size_t)got : 0;
	stream->error |= got < 0;
	stream->end_of_file |= got == 0;
	return got > 0;
}

/* Bytes to read, from the buffer or the console. */
static bool has_input_locked(FILE *stream)
{
	return (stream->input && stream->start < stream->end) || fill_locked(stream);
}

static int get_locked(FILE *stream)
{
	if (!has_input_locked(stream))
		return EOF;
	return (unsigned char)stream->buffer[stream->start++];
}

int fgetc(FILE *stream)
{
	int character;

	capos_mutex_lock(&stream->lock);
	character = get_locked(stream);
	capos_mutex_unlock(&stream->lock);
	return character;
}

int getc(FILE *stream)
{
	return fgetc(stream);
}

int getchar(void)
{
	return fgetc(stdin);
}

char *fgets(char *restrict buffer, int size, FILE *restrict stream)
{
	int length = 0, character = 0;

	if (size <= 0)
		return NULL;
	capos_mutex_lock(&stream->lock);
	while (length < size - 1 && character != '\n' && (character = get_locked(stream)) != EOF)
		buffer[length++] = (char)character;
	capos_mutex_unlock(&stream->lock);
	buffer[length] = '\0';
	return length > 0 || size == 1 ? buffer : NULL;
}

size_t fread(void *restrict items, size_t size, size_t count, FILE *restrict stream)
{
	size_t total, done = 0;

	if (__builtin_mul_overflow(size, count, &total) || total == 0)
		return 0;
	capos_mutex_lock(&stream->lock);
	while (done < total) {
		size_t n;

		if (!has_input_locked(stream))
			break;
		n = stream->end - stream->start;
		if (n > total - done)
			n = total - done;
		memcpy((char *)items + done, stream->buffer + stream->start, n);
		stream->start += n;
		done += n;
	}
	capos_mutex_unlock(&stream->lock);
	return done / size;
}

int feof(FILE *stream)
{
	return stream->end_of_file;
}

int ferror(FILE *stream)
{
	return stream->error;
}

void clearerr(FILE *stream)
{
	stream->error = false;
	stream->end_of_file = false;
}
