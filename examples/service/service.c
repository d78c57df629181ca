/* A service in a process of its own: it keeps a sum, and its only client adds to it. The child is
 * the service; it holds the endpoint, and no other capability that reaches beyond itself. The
 * parent is the client; it holds a facet, by which it can call and do nothing else. With an
 * argument, the program at that path is the service; examples/adder is one in Go.
 *
 * The client gives the service one capability more, a copy of an event, and the service signals it
 * when the sum reaches a number. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

/* The service's interface: word 0 is the operation, word 1 what is added, the sum, or the number to
 * watch for; WATCH brings an event. END ends the service, without an answer. */
enum { ADD = 1, SUM = 2, WATCH = 3, END = 4 };

struct service {
	uint64_t sum, watched;
	capos_cap_t event; /* 0: none */
};

static void add(struct service *service, uint64_t number)
{
	service->sum += number;
	if (service->event && service->sum >= service->watched) {
		capos_event_signal(service->event, 1);
		capos_release(service->event);
		service->event = 0;
	}
}

/* What has come is the service's: it keeps it, or releases it. Nothing goes back. */
static uint32_t handle(void *context, uint64_t tag, struct capos_message *message, capos_cap_t *cap)
{
	struct service *service = context;
	capos_cap_t came = *cap;

	(void)tag;
	*cap = 0;
	if (message->words[0] == WATCH && came && !service->event) {
		service->watched = message->words[1];
		service->event = came;
		return 0;
	}
	if (came)
		capos_release(came);
	switch (message->words[0]) {
	case ADD:
		add(service, message->words[1]);
		return 0;
	case SUM:
		message->words[1] = service->sum;
		return 0;
	case END:
		exit(EXIT_SUCCESS);
	default:
		return CAPOS_ERROR_UNIMPLEMENTED;
	}
}

/* Serves until the client is gone. */
static int serve(void)
{
	struct service service = { 0 };
	uint64_t tag;
	int64_t end = capos_endpoint_serve_cap(capos_cap("endpoint"), handle, &service, &tag);

	return end == CAPOS_RECEIVE_RESULT_FACET_GONE ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int64_t call(capos_cap_t facet, uint64_t operation, uint64_t *number)
{
	struct capos_message message = { .words = { operation, *number } };
	int64_t status = capos_endpoint_call(facet, &message, CAPOS_WAIT_FOREVER);

	*number = message.words[1];
	return status;
}

/* A copy of the event goes to the service, so the client can wait for it. */
static int64_t watch(capos_cap_t facet, uint64_t number, capos_cap_t event)
{
	struct capos_message message = { .words = { WATCH, number } };
	capos_cap_t cap = event;

	return capos_endpoint_call_cap(facet, &message, &cap, 0, CAPOS_WAIT_FOREVER);
}

static int use(capos_cap_t facet, capos_cap_t event)
{
	uint64_t sum = 0, bits = 0;
	int64_t status = watch(facet, 4000, event);

	for (uint64_t number = 1; number <= 100 && status == 0; number++) {
		uint64_t added = number;
		status = call(facet, ADD, &added);
	}
	if (status == 0)
		status = call(facet, SUM, &sum);
	if (status == 0)
		status = capos_event_wait(event, 1, CAPOS_WAIT_FOREVER, &bits);
	if (status < 0)
		printf("client: %s\n", capos_error_name(status));
	else
		printf("client: hello; the sum of 1 to 100 is %" PRIu64 "\n", sum);
	printf("client: another operation fails: %s\n", capos_error_name(call(facet, 5, &sum)));
	printf("client: the service ends in a call: %s\n",
		capos_error_name(call(facet, END, &sum)));
	return status == 0 && sum == 5050 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int64_t start_service(const char *path, capos_cap_t endpoint, capos_cap_t *process)
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
	capos_cap_t endpoint = 0, facet = 0, event = 0, process = 0;
	struct capos_process_end end = { 0 };
	int64_t status;

	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return serve();
	status = capos_endpoint_factory_create(capos_caps.endpoint_factory, 8, &endpoint);
	if (status == 0)
		status = capos_endpoint_make_facet(endpoint, 1, &facet);
	if (status == 0)
		status = capos_endpoint_accept(endpoint, 1);
	if (status == 0)
		status = capos_event_factory_create(capos_caps.event_factory, &event);
	if (status == 0)
		status = start_service(argc > 1 ? argv[1] : argv[0], endpoint, &process);
	if (status < 0) {
		printf("client: no service: %s\n", capos_error_name(status));
		return EXIT_FAILURE;
	}
	capos_release(endpoint); /* only the service holds it now: its end ends every call */
	int result = use(facet, event);
	capos_release(event);
	capos_release(facet);
	status = capos_process_finish(process, &end);
	return status == 0 && end.code == EXIT_SUCCESS ? result : EXIT_FAILURE;
}
