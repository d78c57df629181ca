/* A service with an interface of its own, counter.capnp, in a process of its own. The child is the
 * service and holds the endpoint; the parent is the client and holds a facet. With an argument, the
 * program at that path is the service; examples/counter-go is one in Go:
 *
 *     ./capos go build -o build/counter-go ./examples/counter-go
 *     ./capos run --files build/counter-go:/bin/service examples/counter /bin/service */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

#include "counter.capnp.h"

/* ---- the service ---- */

struct sum {
	int64_t total, watched;
	capos_cap_t event; /* 0: none */
};

static uint32_t add(struct capos_call *call, const struct counter_add_params *params,
	struct counter_add_results *results)
{
	struct sum *sum = call->context;

	results->total = sum->total += params->number;
	if (sum->event && sum->total >= sum->watched) {
		capos_event_signal(sum->event, 1);
		capos_release(sum->event);
		sum->event = 0;
	}
	return 0;
}

static uint32_t watch(struct capos_call *call, const struct counter_watch_params *params,
	struct counter_watch_results *results)
{
	struct sum *sum = call->context;

	if (sum->event || !params->event)
		return CAPOS_ERROR_BUSY;
	sum->event = capos_call_keep(call, params->event);
	sum->watched = params->total;
	results->missing = sum->watched - sum->total;
	return 0;
}

static const struct counter_methods methods = { .add = add, .watch = watch };

static int serve(void)
{
	struct sum sum = { 0 };

	return counter_serve(capos_cap("endpoint"), &methods, &sum, 1) == 0 ? EXIT_SUCCESS
									    : EXIT_FAILURE;
}

/* ---- the client ---- */

static int64_t use(struct capos_client *counter, capos_cap_t event)
{
	int64_t total = 0, missing = 0;
	uint64_t bits;
	int64_t status = counter_watch(counter, event, 4000, &missing);

	for (int64_t number = 1; number <= 100 && status == 0; number++)
		status = counter_add(counter, number, &total);
	if (status == 0)
		status = capos_event_wait(event, 1, CAPOS_WAIT_FOREVER, &bits);
	if (status < 0)
		printf("client: %s\n", capos_error_name(status));
	else
		printf("client: %" PRId64 " were missing, and the sum of 1 to 100 is %" PRId64 "\n",
			missing, total);
	return status;
}

static int64_t start(const char *path, capos_cap_t endpoint, capos_cap_t *process)
{
	const struct capos_grant grants[] = {
		{ "endpoint", endpoint },
		{ "vm", capos_caps.vm },
		{ "thread_control", capos_caps.thread_control },
		/* what a Go program needs besides */
		{ "thread_spawner", capos_caps.thread_spawner },
		{ "park", capos_caps.park },
		{ "timer", capos_caps.timer },
	};
	const char *const arguments[] = { path, "serve", NULL };
	const struct capos_spawn program = {
		.path = path,
		.argv = arguments,
		.grants = grants,
		.grant_count = sizeof(grants) / sizeof(grants[0]),
		.memory_pages = 2048,
	};

	return capos_spawn(&program, process);
}

int main(int argc, char **argv)
{
	capos_cap_t endpoint = 0, event = 0, process = 0;
	struct capos_client counter = { 0 };
	struct capos_process_end end = { 0 };

	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return serve();
	int64_t status = capos_endpoint_factory_create(capos_caps.endpoint_factory, 8, &endpoint);
	if (status == 0)
		status = capos_endpoint_accept(endpoint, 1);
	if (status == 0)
		status = capos_endpoint_make_facet(endpoint, 1, &counter.facet);
	if (status == 0)
		status = capos_event_factory_create(capos_caps.event_factory, &event);
	if (status == 0)
		status = start(argc > 1 ? argv[1] : argv[0], endpoint, &process);
	if (status < 0) {
		printf("client: no service: %s\n", capos_error_name(status));
		return EXIT_FAILURE;
	}
	capos_release(endpoint); /* only the service holds it now: its end ends every call */
	int64_t used = use(&counter, event);
	capos_release(event);
	capos_release(counter.facet); /* the last one: the service ends */
	status = capos_process_finish(process, &end);
	return used == 0 && status == 0 && end.code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
