/* The log of events: a ring of the newest, which one thread of init serves where a manifest grants
 * it. A reader names the number that it wants next, so init keeps nothing of readers. */
#include <inttypes.h>
#include <string.h>

#include <capos/endpoint.h>
#include <capos/thread.h>
#include <capos/time.h>

#include "endpoints.h"
#include "log.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

static struct capos_mutex lock = CAPOS_MUTEX_INITIALIZER;
static struct capos_init_event events[CAPOS_INIT_EVENTS_MAX]; /* number n is at n % their count */
static uint64_t newest;                                       /* 0: none */

void log_event(const char *service, uint32_t kind, int32_t code)
{
	capos_mutex_lock(&lock);
	struct capos_init_event *event = &events[++newest % CAPOS_INIT_EVENTS_MAX];

	memset(event, 0, sizeof(*event));
	event->number = newest;
	event->time_ns = capos_now_ns();
	event->kind = kind;
	event->code = code;
	strncpy((char *)event->service, service, sizeof(event->service) - 1);
	capos_mutex_unlock(&lock);
}

/* The first event from that number on. False: there is none. */
static bool find(uint64_t number, struct capos_init_event *found)
{
	capos_mutex_lock(&lock);
	uint64_t oldest = newest < CAPOS_INIT_EVENTS_MAX ? 1 : newest - CAPOS_INIT_EVENTS_MAX + 1;

	if (number < oldest)
		number = oldest;
	if (number <= newest)
		*found = events[number % CAPOS_INIT_EVENTS_MAX];
	bool there = number <= newest;
	capos_mutex_unlock(&lock);
	return there;
}

static uint32_t answer(void *context, uint64_t tag, struct capos_message *message)
{
	struct capos_init_event event;

	(void)context, (void)tag;
	if (!find(message->words[0], &event))
		return CAPOS_ERROR_NOT_FOUND;
	_Static_assert(sizeof(event) == sizeof(message->words), "an event is a message");
	memcpy(message->words, &event, sizeof(event));
	return 0;
}

static int64_t serve(void *argument)
{
	const struct own_endpoint *own = argument;
	uint64_t tag;

	while (capos_endpoint_serve(own->owner, answer, NULL, &tag) ==
		CAPOS_RECEIVE_RESULT_FACET_GONE)
		;
	return 0;
}

int64_t log_facet(capos_cap_t *facet)
{
	static struct own_endpoint own = { .name = "log", .calls_max = 16, .serve = serve };

	return own_endpoint_facet(&own, facet);
}

void log_print(void)
{
	static const char *const kinds[] = {
		[CAPOS_INIT_EVENT_KIND_STARTED] = "started",
		[CAPOS_INIT_EVENT_KIND_READY] = "ready",
		[CAPOS_INIT_EVENT_KIND_ENDED] = "ended",
		[CAPOS_INIT_EVENT_KIND_RESTARTING] = "restarting",
		[CAPOS_INIT_EVENT_KIND_GAVE_UP] = "gave up",
		[CAPOS_INIT_EVENT_KIND_REFUSED] = "refused",
		[CAPOS_INIT_EVENT_KIND_SILENT] = "silent",
		[CAPOS_INIT_EVENT_KIND_ASKED] = "asked",
		[CAPOS_INIT_EVENT_KIND_FORCED] = "forced",
	};
	struct capos_init_event event;

	for (uint64_t number = 1; find(number, &event); number = event.number + 1)
		log_line("%" PRIu64 " at %" PRIu64 ".%03" PRIu64 " ms: %s: %s, %" PRId32,
			event.number, event.time_ns / NS_PER_MS,
			event.time_ns % NS_PER_MS / NS_PER_US, event.service, kinds[event.kind],
			event.code);
}
