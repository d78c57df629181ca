/* Process.lastCalls: what a thread called before the fault that ended its process, of a process
 * that remembers it. */
#include "spawn.h"

#define LAST CAPOS_LAST_CALLS_MAX

static uint32_t word;

static void fall(void)
{
	__asm__ volatile("ud2");
}

/* ---- roles ---- */

static int64_t through_ring(uint8_t opcode, capos_cap_t cap, uint16_t method, uint64_t argument)
{
	struct capos_completion completion = { .result = -1 };
	capos_ring_push(&(struct capos_submission){
		.opcode = opcode, .cap = cap, .method = method, .args = { argument, 1 } });
	capos_ring_enter(1, CAPOS_WAIT_FOREVER);
	capos_ring_pop(&completion);
	return completion.result;
}

/* More calls than are remembered; the last ten are listed in every_kind_is_there. */
static int role_kinds(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct capos_memory_usage usage;
	capos_cap_t event = 0;
	for (unsigned i = 0; i < 2 * LAST; i++)
		capos_unpark(&word, 1);
	capos_event_factory_create(capos_caps.event_factory, &event);
	capos_event_signal(event, 5);
	capos_call(event, 99, 0, 0, 0, 0, 0);
	capos_event_signal_message(event, 6);
	through_ring(CAPOS_OPCODE_COMPACT, event, CAPOS_EVENT_SIGNAL, 7);
	through_ring(CAPOS_OPCODE_UNPARK, capos_caps.park, 0, (uint64_t)&word);
	capos_virtual_memory_unmap(capos_caps.vm, 1, 1);
	capos_virtual_memory_usage(capos_caps.vm, &usage, sizeof usage);
	capos_park(&word, 1, CAPOS_WAIT_FOREVER);
	capos_release(event);
	fall();
	return 1;
}

static uint32_t answer(void *context, uint64_t tag, struct capos_message *message)
{
	(void)context, (void)tag, (void)message;
	return 0;
}

/* A facet of an endpoint that a thread serves, which gets the endpoint's place. */
static capos_cap_t serve_by(int64_t (*server)(void *))
{
	static capos_cap_t endpoint;
	capos_cap_t facet = 0;
	struct capos_thread *thread;
	capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint);
	capos_endpoint_make_facet(endpoint, 77, &facet);
	capos_thread_start(&thread, server, &endpoint, NULL);
	return facet;
}

static int64_t serve(void *context)
{
	uint64_t tag;
	return capos_endpoint_serve(*(capos_cap_t *)context, answer, NULL, &tag);
}

/* Calls between two threads that wait for each other on one CPU would otherwise go straight from
 * one to the other. */
static int role_endpoint(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct capos_message message = { { 0 } };
	capos_cap_t facet = serve_by(serve);
	for (unsigned i = 0; i < LAST; i++)
		capos_endpoint_call(facet, &message, CAPOS_WAIT_FOREVER);
	capos_endpoint_call(facet + 1, &message, CAPOS_WAIT_FOREVER);
	fall();
	return 1;
}

/* As server: the last it has returned from is a receive. */
static int64_t serve_once(void *context)
{
	struct capos_message message;
	uint64_t tag;
	capos_endpoint_receive(*(capos_cap_t *)context, &message, &tag, CAPOS_WAIT_FOREVER);
	capos_endpoint_reply_receive(
		*(capos_cap_t *)context, &message, 0, &tag, CAPOS_WAIT_FOREVER);
	fall();
	return 1;
}

static int role_server(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct capos_message message = { { 0 } };
	capos_cap_t facet = serve_by(serve_once);
	for (;;)
		capos_endpoint_call(facet, &message, CAPOS_WAIT_FOREVER);
}

/* Few calls before the fault: of its first thread those of the start-up. */
static int role_few(int argc, char **argv)
{
	(void)argc, (void)argv;
	fall();
	return 1;
}

static int64_t fall_in_thread(void *argument)
{
	(void)argument;
	capos_unpark(&word, 1);
	fall();
	return 1;
}

static int role_threads(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct capos_thread *thread;
	for (unsigned i = 0; i < LAST; i++)
		capos_call(capos_caps.vm, 99, 0, 0, 0, 0, 0);
	for (int i = 0; i < 8; i++)
		capos_thread_start(&thread, fall_in_thread, NULL, NULL);
	for (;;)
		capos_call(capos_caps.vm, 99, 0, 0, 0, 0, 0);
}

/* Takes all memory, then ends by a fault. */
static int role_eat(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint64_t address;
	while (capos_virtual_memory_map(capos_caps.vm, 0, PAGE, WRITE, &address) == 0)
		;
	fall();
	return 1;
}

static int role_exit(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 3;
}

static const struct role roles[] = { { "kinds", role_kinds }, { "endpoint", role_endpoint },
	{ "server", role_server }, { "few", role_few }, { "threads", role_threads },
	{ "eat", role_eat }, { "exit", role_exit } };

/* ---- tests ---- */

static struct capos_remembered_call calls[LAST + 1];
static struct capos_process_end end;

static capos_cap_t begin(const char *role, uint64_t pages, uint64_t flags)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, NULL);
	capos_cap_t child = 0;
	grant(&grants, "event_factory", capos_caps.event_factory);
	grant(&grants, "endpoint_factory", capos_caps.endpoint_factory);
	OK(capos_process_spawner_spawn(capos_caps.process_spawner, capos_caps.boot, own.offset,
		own.size, args.bytes, args.size, NULL, 0, grants.list,
		grants.count * sizeof grants.list[0], pages,
		flags | (pages ? 0 : CAPOS_SPAWN_SHARED), NULL, 0, &child));
	return child;
}

static capos_cap_t remembering(const char *role)
{
	return begin(role, 0, CAPOS_SPAWN_REMEMBER_CALLS);
}

/* Waits for the child, and reads its calls; the status of that. */
static int64_t read_calls(capos_cap_t child)
{
	memset(calls, 0, sizeof calls);
	CHECK_EQUAL(capos_process_wait(child, CAPOS_WAIT_FOREVER, &end, sizeof end), sizeof end);
	return capos_process_last_calls(child, calls, sizeof calls);
}

static void check_method(const struct capos_remembered_call *call, uint64_t interface,
	uint16_t method, int64_t result)
{
	CHECK_EQUAL(call->interface_id, interface);
	CHECK_EQUAL(call->opcode, CAPOS_OPCODE_COMPACT);
	CHECK_EQUAL(call->method, method);
	CHECK_EQUAL(call->result, result);
}

static void check_operation(
	const struct capos_remembered_call *call, uint16_t opcode, int64_t result)
{
	CHECK_EQUAL(call->interface_id, 0);
	CHECK_EQUAL(call->opcode, opcode);
	CHECK_EQUAL(call->method, 0);
	CHECK_EQUAL(call->result, result);
}

static void every_kind_is_there(void)
{
	struct capos_memory_usage before = program_usage();
	const struct capos_remembered_call *call = &calls[LAST - 10];
	uint64_t began = capos_now_ns();
	capos_cap_t child = remembering("kinds");
	CHECK_EQUAL(read_calls(child), LAST * sizeof calls[0]);
	for (unsigned i = 0; i < LAST - 10; i++)
		check_operation(&calls[i], CAPOS_OPCODE_UNPARK, 0);
	capos_cap_t event = (capos_cap_t)call->result;
	check_method(call++, CAPOS_INTERFACE_EVENT_FACTORY, CAPOS_EVENT_FACTORY_CREATE, event);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQUAL(call[i].cap, event);
	check_method(call++, CAPOS_INTERFACE_EVENT, CAPOS_EVENT_SIGNAL, 0);
	check_method(call++, 0, 99, CAPOS_TRANSPORT_E(INVOKE_FAILED));
	check_method(call++, CAPOS_INTERFACE_EVENT, CAPOS_EVENT_SIGNAL, 0);
	check_method(call++, CAPOS_INTERFACE_EVENT, CAPOS_EVENT_SIGNAL, 0);
	check_operation(call++, CAPOS_OPCODE_UNPARK, 0);
	check_method(call++, CAPOS_INTERFACE_VIRTUAL_MEMORY, CAPOS_VIRTUAL_MEMORY_UNMAP,
		CAPOS_E(MISALIGNED));
	check_method(call++, CAPOS_INTERFACE_VIRTUAL_MEMORY, CAPOS_VIRTUAL_MEMORY_USAGE,
		sizeof(struct capos_memory_usage));
	check_operation(call++, CAPOS_OPCODE_PARK, CAPOS_PARK_RESULT_MISMATCH);
	CHECK_EQUAL(call->cap, event);
	check_operation(call, CAPOS_OPCODE_RELEASE, 0);
	CHECK(calls[0].returned_ns > began && call->returned_ns < capos_now_ns());
	for (unsigned i = 1; i < LAST; i++)
		CHECK(calls[i].returned_ns >= calls[i - 1].returned_ns);
	OK(capos_release(child));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void calls_to_endpoints_are_there(void)
{
	capos_cap_t child = remembering("endpoint");
	CHECK_EQUAL(read_calls(child), LAST * sizeof calls[0]);
	for (unsigned i = 0; i < LAST - 1; i++)
		check_operation(&calls[i], CAPOS_OPCODE_ENDPOINT_CALL, 0);
	check_operation(
		&calls[LAST - 1], CAPOS_OPCODE_ENDPOINT_CALL, CAPOS_TRANSPORT_E(INVOKE_FAILED));
	OK(capos_release(child));
	child = remembering("server");
	int64_t size = read_calls(child);
	const struct capos_remembered_call *last = &calls[(size_t)size / sizeof *last - 1];
	check_operation(last, CAPOS_OPCODE_REPLY_RECEIVE, CAPOS_RECEIVE_RESULT_CALL);
	check_operation(last - 1, CAPOS_OPCODE_RECEIVE, CAPOS_RECEIVE_RESULT_CALL);
	OK(capos_release(child));
}

/* Other threads call meanwhile. */
static void they_are_those_of_the_thread(void)
{
	capos_cap_t child = remembering("threads");
	int64_t size = read_calls(child);
	CHECK(size > 0 && size < (int64_t)(LAST * sizeof calls[0]));
	check_operation(&calls[(size_t)size / sizeof calls[0] - 1], CAPOS_OPCODE_UNPARK, 0);
	for (size_t i = 0; i < (size_t)size / sizeof calls[0]; i++)
		CHECK(calls[i].method != 99);
	OK(capos_release(child));
	child = remembering("few");
	size = read_calls(child);
	CHECK(size >= 0 && size <= (int64_t)(LAST * sizeof calls[0]));
	OK(capos_release(child));
}

static void others_have_none(void)
{
	capos_cap_t child = begin("kinds", 0, 0);
	CHECK_FAILS(PROCESS_LAST_CALLS, NOT_FOUND, read_calls(child));
	CHECK_EQUAL(end.kind, CAPOS_EXIT_KIND_FAULTED);
	CHECK_FAILS(PROCESS_LAST_CALLS, NOT_FOUND,
		capos_process_last_calls_message(child, calls, sizeof calls));
	OK(capos_release(child));
	child = remembering("exit");
	CHECK_FAILS(PROCESS_LAST_CALLS, NOT_FOUND, read_calls(child));
	CHECK_EQUAL(end.kind, CAPOS_EXIT_KIND_EXITED);
	OK(capos_release(child));
}

/* The whole limit comes back, and calls need no memory. */
static void a_full_process_has_them(void)
{
	struct capos_memory_usage before = program_usage();
	for (uint64_t pages = 200; pages < 212; pages++) {
		capos_cap_t child = begin("eat", pages, CAPOS_SPAWN_REMEMBER_CALLS);
		CHECK_EQUAL(read_calls(child), LAST * sizeof calls[0]);
		for (unsigned i = 0; i < LAST; i++)
			CHECK_EQUAL(calls[i].interface_id, CAPOS_INTERFACE_VIRTUAL_MEMORY);
		CHECK_EQUAL(calls[LAST - 1].result, CAPOS_E(NO_MEMORY));
		OK(capos_release(child));
		CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
	}
}

static void bad_pointers_are_named(void)
{
	static const uint64_t bad[] = { 8, KERNEL_HALF, NON_CANONICAL, CAPOS_USER_TOP };
	capos_cap_t child = remembering("kinds");
	CHECK_EQUAL(read_calls(child), LAST * sizeof calls[0]);
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK_FAILS(PROCESS_LAST_CALLS, BAD_ADDRESS,
			capos_process_last_calls(child, (void *)bad[i], sizeof calls));
	CHECK_EQUAL(capos_process_last_calls(child, calls, 16), 16);
	CHECK_EQUAL(capos_process_last_calls(child, calls, 0), 0);
	CHECK_EQUAL(capos_process_last_calls_message(child, calls, sizeof calls),
		LAST * sizeof calls[0]);
	OK(capos_release(child));
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	read_calls(remembering("kinds")); /* the first touches pages of the stack */
	check_why[0] = '\0';
	RUN(every_kind_is_there);
	RUN(calls_to_endpoints_are_there);
	RUN(they_are_those_of_the_thread);
	RUN(others_have_none);
	RUN(a_full_process_has_them);
	RUN(bad_pointers_are_named);
	return check_result();
}
