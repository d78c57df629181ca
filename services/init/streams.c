/* Pipes to the console's service: see streams.h. */
#include "streams.h"

#include <stdbool.h>

#include <capos/caps.h>
#include <capos/stubs.h>

#define PIPE_BYTES 8192 /* two whole writes */

/* A manifest has one console's service, whose CapSet bounds how many pipes there are. */
struct stream {
	uint32_t grant;
	struct capos_pipe_ends ends; /* 0: released */
};
static struct stream streams[CAPOS_SPAWN_GRANTS_MAX];
static uint32_t stream_count;
static bool unread; /* the console's service is over */

static const struct manifest *manifest;

void streams_init(const struct manifest *opened)
{
	manifest = opened;
}

static void release(capos_cap_t *end)
{
	if (*end != 0)
		capos_release(*end);
	*end = 0;
}

static int64_t find(uint32_t grant, struct stream **found)
{
	for (uint32_t i = 0; i < stream_count; i++)
		if (streams[i].grant == grant) {
			*found = &streams[i];
			return 0;
		}
	if (stream_count == CAPOS_SPAWN_GRANTS_MAX)
		return CAPOS_E(LIMIT_REACHED);
	struct stream *stream = &streams[stream_count];
	int64_t status = capos_pipe_factory_create(
		capos_caps.pipe_factory, PIPE_BYTES, &stream->ends, sizeof(stream->ends));
	if (status < 0)
		return status;
	if (unread)
		release(&stream->ends.reader);
	stream->grant = grant;
	stream_count++;
	*found = stream;
	return 0;
}

int64_t stream_writer(uint32_t grant, capos_cap_t *writer)
{
	struct stream *stream;
	int64_t status = find(grant, &stream);

	if (status == 0)
		*writer = stream->ends.writer;
	return status;
}

int64_t stream_reader(uint32_t grant, capos_cap_t *reader)
{
	struct stream *stream;
	int64_t status = find(grant, &stream);

	if (status == 0)
		*reader = stream->ends.reader;
	return status;
}

void streams_service_over(uint32_t service)
{
	const struct capos_manifest_service *entry = &manifest->services[service];

	unread = unread || entry->flags & CAPOS_MANIFEST_CONSOLE;
	for (uint32_t i = 0; i < stream_count; i++) {
		uint32_t grant = streams[i].grant;

		if (entry->flags & CAPOS_MANIFEST_CONSOLE)
			release(&streams[i].ends.reader);
		if (grant - entry->first_grant < entry->grant_count)
			release(&streams[i].ends.writer);
	}
}
