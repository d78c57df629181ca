/* consoled: what several services write to the console, as lines that begin with the service's name
 * and come whole. init gives it the end to read from of a pipe for each stream of each service, by
 * the names "stdout:NAME" and "stderr:NAME", and keeps these pipes, so what consoled has not read
 * when it ends is read by the next one. docs/manifest.md is the manual.
 *
 * One thread waits for all pipes by one event with a bit for each. It reads from each that is ready
 * in turn, as much as one buffer holds, so a service that floods keeps no other waiting for longer
 * than that. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

#include "lines.h"

#define READ_BYTES 4096
#define STREAMS_MAX 62
#define BIT_ASKED (1ull << 62) /* to end */
#define NS_PER_MS 1000000ull
#define PARTIAL_NS (200 * NS_PER_MS) /* how long a line without an end is waited for */

struct stream {
	capos_cap_t reader;
	struct lines lines;
	uint64_t due_ns; /* when a line without an end is written; of no meaning without one */
};

static struct stream *streams; /* of as many as there are */
static uint32_t stream_count;
static capos_cap_t event;

/* ---- output ---- */

/* There is nowhere to tell of a console that does not take it. */
static void put(void *context, const char *bytes, size_t size)
{
	(void)capos_console_write(*(const capos_cap_t *)context, bytes, size);
}

/* ---- the streams ---- */

static bool begins(const char *text, const char *beginning, const char **rest)
{
	size_t length = strlen(beginning);

	*rest = text + length;
	return strncmp(text, beginning, length) == 0;
}

static int64_t open_stream(const struct capos_cap_set_entry *entry)
{
	struct stream *stream = &streams[stream_count];
	const char *label;
	void *console;

	if (begins((const char *)entry->name, "stdout:", &label))
		console = &capos_caps.standard_output;
	else if (begins((const char *)entry->name, "stderr:", &label))
		console = &capos_caps.standard_error;
	else
		return 0;
	if (stream_count == STREAMS_MAX)
		return CAPOS_E(LIMIT_REACHED);
	lines_init(&stream->lines, label, put, console);
	stream->reader = entry->cap;
	return capos_pipe_reader_bind(stream->reader, event, 1ull << stream_count++);
}

/* Reads once. False: there is nothing now, or no more at all. */
static bool pump(struct stream *stream)
{
	char bytes[READ_BYTES];
	bool had = lines_partial(&stream->lines);
	int64_t got =
		capos_pipe_reader_read(stream->reader, sizeof(bytes), 0, bytes, sizeof(bytes));

	if (got == CAPOS_E(INTERRUPTED))
		return true;
	if (got <= 0) {
		if (got != CAPOS_E(TIMED_OUT))
			lines_flush(&stream->lines); /* the last one */
		return false;
	}
	lines_add(&stream->lines, bytes, (size_t)got);
	if (!had)
		stream->due_ns = capos_deadline_ns(PARTIAL_NS);
	return true;
}

/* Reads from all of them in turn until none has anything. */
static void pump_all(uint64_t ready)
{
	while (ready != 0)
		for (uint64_t left = ready; left != 0; left &= left - 1) {
			uint32_t i = (uint32_t)__builtin_ctzll(left);

			if (!pump(&streams[i]))
				ready &= ~(1ull << i);
		}
}

/* Writes the lines that have been waited for, and tells when the next one is due. */
static uint64_t flush_due(void)
{
	uint64_t now_ns = capos_now_ns(), next_ns = CAPOS_WAIT_FOREVER;

	for (uint32_t i = 0; i < stream_count; i++) {
		struct stream *stream = &streams[i];

		if (!lines_partial(&stream->lines))
			continue;
		if (stream->due_ns <= now_ns)
			lines_flush(&stream->lines);
		else if (stream->due_ns < next_ns)
			next_ns = stream->due_ns;
	}
	return next_ns;
}

/* ---- the end ---- */

static void handle(uint32_t kind, struct capos_thread_state *state)
{
	(void)state;
	if (kind == CAPOS_NOTIFICATION_KIND_TERMINATE)
		capos_event_signal(event, BIT_ASKED);
	else
		capos_notification_set_handler(NULL); /* a fault comes again */
}

static int finish(void)
{
	pump_all((1ull << stream_count) - 1);
	for (uint32_t i = 0; i < stream_count; i++)
		lines_flush(&streams[i].lines);
	return EXIT_SUCCESS;
}

int main(void)
{
	const struct capos_cap_set_entry *entries = capos_cap_entries();

	streams = calloc(capos_cap_set()->count, sizeof(streams[0]));
	if (streams == NULL)
		return EXIT_FAILURE;
	int64_t status = capos_event_factory_create(capos_caps.event_factory, &event);

	if (status == 0)
		status = capos_notification_set_handler(handle);
	for (uint32_t i = 0; status == 0 && i < capos_cap_set()->count; i++)
		status = open_stream(&entries[i]);
	if (status < 0)
		return EXIT_FAILURE;
	for (;;) {
		uint64_t bits = 0;

		(void)capos_event_wait(event, ~0ull >> 1, flush_due(), &bits);
		pump_all(bits & ~BIT_ASKED);
		if (bits & BIT_ASKED)
			return finish();
	}
}
