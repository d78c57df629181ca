/* One thread answers. It gives a copy of the handle with the services' lock held, so that the
 * thread that waits for the process does not release the handle meanwhile. */
#include "processes.h"

#include <string.h>

#include <capos/caps.h>
#include <capos/endpoint.h>
#include <capos/stubs.h>

#include "endpoints.h"
#include "service.h"

static void answer(const struct service *service, void *context)
{
	struct capos_init_process process = { 0 };
	struct capos_message message = { 0 };
	struct capos_memory_usage usage;

	(void)context;
	if (service == NULL) {
		(void)capos_endpoint_reply(&message, CAPOS_ERROR_NOT_FOUND);
		return;
	}
	process.instance = service->instances;
	process.started_ns = service->started_ns;
	process.over = service->state == SERVICE_OVER;
	process.restarts = service->restarts;
	process.ready = service->ready_instance == service->instances;
	if (capos_virtual_memory_usage(capos_caps.vm, &usage, sizeof(usage)) >= 0)
		process.init_pages = usage.kernel_pages;
	_Static_assert(sizeof(process) == sizeof(message.words), "it is a message");
	memcpy(message.words, &process, sizeof(process));
	(void)capos_endpoint_reply_cap(&message, service->process, 0, 0);
}

static int64_t serve(void *argument)
{
	const struct own_endpoint *own = argument;
	struct capos_message message;
	uint64_t tag;
	int64_t got;

	for (;;) {
		got = capos_endpoint_receive(own->owner, &message, &tag, CAPOS_WAIT_FOREVER);
		if (got < 0 && got != CAPOS_E(INTERRUPTED))
			return got;
		if (got != CAPOS_RECEIVE_RESULT_CALL)
			continue;
		char name[sizeof(((struct capos_manifest_service *)0)->name)];

		memcpy(name, message.words, sizeof(name));
		name[sizeof(name) - 1] = '\0';
		service_look(name, answer, NULL);
	}
}

int64_t processes_facet(capos_cap_t *facet)
{
	static struct own_endpoint own = { .name = "processes", .calls_max = 4, .serve = serve };

	return own_endpoint_facet(&own, facet);
}
