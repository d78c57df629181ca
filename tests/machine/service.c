/* Services of a user's schema (tests/schema/all.capnp): a child serves with one thread or several,
 * and the parent calls by generated functions, and by messages that make no sense.
 */
#include "../schema/all_values.h"

#include "spawn.h"

#define ECHO_TAG 1u
#define COUNTER_TAG 100u
#define COUNTERS 8u
#define CAPS 200u

/* ---- the server ---- */

struct sum {
	bool used;
	int64_t total, when;
	capos_cap_t event;
	struct capos_object object;
};

static struct sum sums[COUNTERS];
static struct capos_mutex lock;
static struct capos_service service;
static volatile uint32_t arrived;

static uint32_t counter_adds(struct capos_call *call, const struct counter_add_params *params,
	struct counter_add_results *results)
{
	struct sum *sum = call->context;
	capos_mutex_lock(&lock);
	results->total = sum->total += params->number;
	if (sum->event && sum->total >= sum->when)
		capos_event_signal(sum->event, 1);
	capos_mutex_unlock(&lock);
	return 0;
}

static uint32_t counter_watches(struct capos_call *call, const struct counter_watch_params *params,
	struct counter_watch_results *results)
{
	struct sum *sum = call->context;
	results->former = sum->event;
	sum->event = capos_call_keep(call, params->event);
	sum->when = params->when;
	return 0;
}

static uint32_t counter_points(
	struct capos_call *call, const struct point *params, struct point *results)
{
	(void)call;
	*results = (struct point){ params->y, params->x, params->color };
	return 0;
}

static const struct counter_methods counter_methods = { counter_adds, counter_watches,
	counter_points };

static uint32_t echo_alls(struct capos_call *call, const struct all *params, struct all *results)
{
	(void)call;
	*results = *params;
	return 0;
}

static uint32_t waits_for_arrivals(uint32_t wanted)
{
	uint64_t end = capos_now_ns() + 20000 * MS_NS;
	while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < wanted) {
		if (capos_now_ns() >= end)
			return CAPOS_ERROR_TIMED_OUT;
		capos_sleep_ns(MS_NS / 4);
	}
	return 0;
}

/* Each call of an odd number waits for the next one; whoever comes later does not change that. */
static uint32_t meets_another(void)
{
	uint32_t number = __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	return waits_for_arrivals(number + number % 2);
}

/* "meet": returns when two such calls are there. "slow": takes its time. */
static uint32_t special(const char *name)
{
	if (strcmp(name, "slow") == 0)
		capos_sleep_ns(100 * MS_NS);
	return strcmp(name, "meet") == 0 ? meets_another() : 0;
}

static uint32_t echo_opens(struct capos_call *call, const struct echo_open_params *params,
	struct echo_open_results *results)
{
	uint32_t error = special(params->name);
	if (error)
		return error;
	char *name = capos_call_take(call, strlen(params->name) + 2);
	if (!name)
		return CAPOS_ERROR_NO_MEMORY;
	strcpy(name, params->name);
	results->name = strcat(name, "!");
	error = CAPOS_ERROR_LIMIT_REACHED;
	capos_mutex_lock(&lock);
	for (unsigned i = 0; i < COUNTERS && error; i++)
		if (!sums[i].used &&
			capos_endpoint_make_facet(
				service.endpoint, COUNTER_TAG + i, &results->counter) == 0) {
			sums[i] = (struct sum){ .used = true, .total = params->start };
			sums[i].object = counter_object(&counter_methods, &sums[i]);
			error = 0;
		}
	capos_mutex_unlock(&lock);
	return error;
}

static uint32_t echo_lengths(struct capos_call *call, const struct echo_length_params *params,
	struct echo_length_results *results)
{
	(void)call;
	results->length = params->bytes.size;
	return 0;
}

static uint32_t echo_stops(struct capos_call *call)
{
	(void)call;
	capos_service_stop(&service);
	return 0;
}

static uint32_t echo_dies(struct capos_call *call)
{
	(void)call;
	exit(7);
}

static const struct echo_methods echo_methods = {
	.all = echo_alls,
	.open = echo_opens,
	.length = echo_lengths,
	.stop = echo_stops,
	.die = echo_dies,
};

static struct capos_object echo_itself;

static const struct capos_object *find(void *context, uint64_t tag)
{
	(void)context;
	if (tag == ECHO_TAG)
		return &echo_itself;
	return tag - COUNTER_TAG < COUNTERS ? &sums[tag - COUNTER_TAG].object : NULL;
}

static bool facet_gone(void *context, uint64_t tag)
{
	(void)context;
	if (tag - COUNTER_TAG >= COUNTERS)
		return false;
	struct sum *sum = &sums[tag - COUNTER_TAG];
	if (sum->event)
		capos_release(sum->event);
	capos_mutex_lock(&lock);
	sum->used = false;
	capos_mutex_unlock(&lock);
	return true;
}

/* Serves objects with two interfaces. The second argument: how many threads. */
static int role_serve(int argc, char **argv)
{
	echo_itself = echo_object(&echo_methods, NULL);
	service = (struct capos_service){
		.endpoint = capos_cap("endpoint"),
		.threads = argc > 2 ? (unsigned)atoi(argv[2]) : 1,
		.find = find,
		.facet_gone = facet_gone,
	};
	return capos_serve(&service) == 0 ? 0 : 1;
}

/* Serves one object, in registers. */
static int role_count(int argc, char **argv)
{
	struct sum sum = { .used = true };
	return counter_serve(capos_cap("endpoint"), &counter_methods, &sum,
		       argc > 2 ? (unsigned)atoi(argv[2]) : 1) == 0
		? 0
		: 1;
}

static const struct role roles[] = { { "serve", role_serve }, { "count", role_count } };

/* ---- the client ---- */

static capos_cap_t facet, server;
static struct capos_client client;

static void start(const char *role, const char *threads, uint64_t tag)
{
	const struct capos_spawn_limits limits = { .capabilities = CAPS };
	struct grants grants = usual_grants();
	struct strings args = arguments(role, threads);
	capos_cap_t endpoint = 0;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 16, &endpoint));
	OK(capos_endpoint_accept(endpoint, 1)); /* before anyone can call */
	OK(capos_endpoint_make_facet(endpoint, tag, &facet));
	grant(&grants, "endpoint", endpoint);
	OK(spawn_limited(&grants, &args, &limits, &server));
	OK(capos_release(endpoint));
	client = (struct capos_client){ .facet = facet };
}

static void end(int32_t code)
{
	capos_client_free(&client);
	OK(capos_release(facet));
	finishes(server, CAPOS_EXIT_KIND_EXITED, code);
}

static capos_cap_t make_event(void)
{
	capos_cap_t event = 0;
	OK(capos_event_factory_create(capos_caps.event_factory, &event));
	return event;
}

static bool is_signalled(capos_cap_t event)
{
	uint64_t bits = 0;
	return capos_event_wait(event, 1, capos_now_ns(), &bits) == 0 && bits == 1;
}

static void counts(struct capos_client *counter, int64_t first)
{
	int64_t total = 0;
	capos_cap_t event = make_event(), other = make_event(), former = 99;
	OK(counter_add(counter, 5, &total));
	CHECK_EQUAL(total, first + 5);
	OK(counter_watch(counter, event, first + 10, &former));
	CHECK_EQUAL(former, 0);
	OK(counter_add(counter, 4, &total));
	CHECK(!is_signalled(event));
	OK(counter_add(counter, 1, &total));
	CHECK(is_signalled(event));
	OK(counter_watch(counter, other, INT64_MAX, &former));
	OK(capos_event_signal(former, 1)); /* another capability for the same event */
	CHECK(is_signalled(event));
	OK(capos_release(former));
	OK(counter_watch(counter, 0, 0, &former));
	OK(capos_release(former));
	OK(capos_release(event));
	OK(capos_release(other));
	struct point point = { 1, -2, COLOR_BLUE }, turned = { 0 };
	OK(counter_point(counter, &point, &turned));
	CHECK(turned.x == -2 && turned.y == 1 && turned.color == COLOR_BLUE);
}

static void in_registers(void)
{
	start("count", NULL, 5);
	counts(&client, 0);
	client.moves = true;
	capos_cap_t event = make_event(), former;
	OK(counter_watch(&client, event, 0, &former));
	CHECK_EQUAL(capos_release(event), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	end(0);
}

/* A file's facet is no directory: the tag says what is called, and not the caller. */
static void an_object_for_a_facet(void)
{
	struct capos_client counter = { 0 };
	const char *name = NULL;
	uint64_t length;
	int64_t total;
	start("serve", NULL, ECHO_TAG);
	for (unsigned round = 0; round < 3 * COUNTERS; round++) {
		OK(echo_open(&client, round, "a name", &counter.facet, &name));
		CHECK(name && strcmp(name, "a name!") == 0);
		counts(&counter, round);
		CHECK_EQUAL(echo_length(&counter, (struct capos_data){ "", 0 }, &length),
			CAPOS_E(UNIMPLEMENTED));
		CHECK_EQUAL(counter_add(&client, 1, &total), CAPOS_E(UNIMPLEMENTED));
		OK(capos_release(counter.facet));
		capos_client_free(&counter);
	}
	end(0);
}

static void every_type(void)
{
	struct all all = full_all(), back;
	capos_cap_t events[8];
	start("serve", NULL, ECHO_TAG);
	for (unsigned i = 0; i < 8; i++)
		events[i] = make_event();
	all.events = (struct capos_cap_list){ events, 7 };
	all.event = events[7];
	for (unsigned round = 0; round < 50; round++) {
		client.moves = round % 2;
		int64_t status = echo_all(&client, &all, &back);
		OK(status);
		if (status < 0)
			break;
		CHECK(same_all(&all, &back));
		CHECK_EQUAL(back.events.count, 7);
		for (unsigned i = 0; i < 8; i++) {
			capos_cap_t event = i < 7 ? back.events.items[i] : back.event;
			if (!client.moves) {
				OK(capos_event_signal(event, 1));
				CHECK(is_signalled(events[i]));
				OK(capos_release(events[i]));
			}
			events[i] = event;
		}
		all.event = events[7];
	}
	for (unsigned i = 0; i < 8; i++)
		OK(capos_release(events[i]));
	end(0);
}

static void lengths(void)
{
	static uint8_t bytes[CAPOS_MESSAGE_BYTES_MAX];
	uint64_t length = 0;
	start("serve", NULL, ECHO_TAG);
	/* words of the call, the root pointer and one pointer */
	for (size_t size = 0; size <= sizeof bytes - 32; size = size * 3 + 1) {
		OK(echo_length(&client, (struct capos_data){ bytes, size }, &length));
		CHECK_EQUAL(length, size);
	}
	OK(echo_length(&client, (struct capos_data){ bytes, sizeof bytes - 32 }, &length));
	CHECK_EQUAL(echo_length(&client, (struct capos_data){ bytes, sizeof bytes - 31 }, &length),
		CAPOS_E(OUT_OF_RANGE));
	end(0);
}

/* ---- messages that make no sense ---- */

static int64_t send(const void *message, size_t size, struct capos_message_caps *caps)
{
	static uint64_t result[64];
	struct capos_ring_call call = { .facet = facet,
		.message = message,
		.size = size,
		.result = result,
		.capacity = sizeof result,
		.deadline_ns = CAPOS_WAIT_FOREVER,
		.caps = caps };
	OK(capos_ring_call_begin(&call));
	return capos_ring_call_wait(&call, CAPOS_WAIT_FOREVER);
}

static void wrong_messages(const char *role, uint64_t id, uint64_t method, uint64_t methods)
{
	static uint64_t words[40];
	const uint64_t root = (uint64_t)1 << 48;
	start(role, NULL, ECHO_TAG);
	for (size_t size = 0; size < 16; size++)
		CHECK_EQUAL(send(words, size, NULL) == 0, false);
	words[0] = id;
	words[1] = methods; /* none */
	CHECK_EQUAL(send(words, 64, NULL), CAPOS_E(UNIMPLEMENTED));
	words[1] = UINT16_MAX + 1 + method;
	CHECK_EQUAL(send(words, 64, NULL), CAPOS_E(MALFORMED_MESSAGE));
	words[0] = id + 1;
	words[1] = method;
	CHECK_EQUAL(send(words, 64, NULL), CAPOS_E(UNIMPLEMENTED));
	words[0] = id;
	words[1] = method | (uint64_t)40 << 32; /* longer than it is */
	CHECK_EQUAL(send(words, 64, NULL), CAPOS_E(MALFORMED_MESSAGE));
	words[1] = method | (uint64_t)2 << 32;
	words[2] = root;
	words[3] = 2; /* far */
	CHECK_EQUAL(send(words, 64, NULL), CAPOS_E(MALFORMED_MESSAGE));
	/* capabilities that nothing names: all are given back, or the server's table is full soon
	 */
	capos_cap_t event = make_event();
	for (unsigned i = 0; i < 2 * CAPS; i++) {
		struct capos_message_caps caps = { .count = 1, .caps = { event } };
		words[3] = i % 2 ? 2 : 0;
		int64_t status = send(words, 64, &caps);
		CHECK_EQUAL(status, i % 2 ? CAPOS_E(MALFORMED_MESSAGE) : 0);
	}
	OK(capos_release(event));
}

static void wrong_messages_through_the_ring(void)
{
	uint64_t length = 0;
	uint32_t number;
	wrong_messages("serve", ECHO_ID, 2, 7);
	CHECK_EQUAL(echo_missing(&client, &number), CAPOS_E(UNIMPLEMENTED));
	OK(echo_length(&client, (struct capos_data){ "123", 3 }, &length));
	CHECK_EQUAL(length, 3);
	end(0);
}

static void wrong_messages_in_registers(void)
{
	int64_t total = 0;
	wrong_messages("count", COUNTER_ID, 1, 3);
	CHECK_EQUAL(send(&total, 72, NULL), CAPOS_E(OUT_OF_RANGE));
	OK(counter_add(&client, 3, &total));
	CHECK_EQUAL(total, 3);
	end(0);
}

/* A server that answers what the client does not expect. */
static int64_t lie(void *argument)
{
	capos_cap_t endpoint = *(capos_cap_t *)argument;
	uint64_t buffer[16], tag = 0;
	static const uint64_t answers[][4] = { { 1 }, { (uint64_t)9 << 32 },
		{ (uint64_t)2 << 32, (uint64_t)2 << 48 }, { (uint64_t)2 << 32, 2 },
		{ (uint64_t)3 << 32, (uint64_t)2 << 48, (uint64_t)9 << 32 | 3, 0 } };
	for (unsigned i = 0;; i++) {
		size_t size = sizeof buffer;
		int64_t got =
			capos_ring_receive(endpoint, buffer, &size, NULL, &tag, CAPOS_WAIT_FOREVER);
		if (got != CAPOS_RECEIVE_RESULT_CALL)
			return got;
		capos_cap_t event = make_event();
		struct capos_message_caps caps = { .count = 1, .moves = 1, .caps = { event } };
		capos_ring_reply(answers[i % COUNT(answers)], i < 5 ? 32 : 0, &caps, 0);
	}
}

static void wrong_answers(void)
{
	capos_cap_t endpoint = 0, counter = 0;
	struct capos_thread *thread = NULL;
	const char *name;
	int64_t result = 0;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 8, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	OK(capos_thread_start(&thread, lie, &endpoint, NULL));
	client = (struct capos_client){ .facet = facet };
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQUAL(
			echo_open(&client, 1, "name", &counter, &name), CAPOS_E(MALFORMED_MESSAGE));
	capos_client_free(&client);
	OK(capos_release(facet));
	OK(capos_thread_join(thread, &result));
	CHECK_EQUAL(result, CAPOS_RECEIVE_RESULT_FACET_GONE);
	OK(capos_release(endpoint));
}

/* ---- threads, time and ends ---- */

static int64_t meet(void *unused)
{
	struct capos_client mine = { .facet = facet };
	capos_cap_t counter = 0;
	const char *name;
	(void)unused;
	int64_t status = echo_open(&mine, 0, "meet", &counter, &name);
	capos_release(counter);
	capos_client_free(&mine);
	return status;
}

static void in_parallel(void)
{
	struct capos_thread *threads[4];
	int64_t result;
	start("serve", "4", ECHO_TAG);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < COUNT(threads); i++)
			OK(capos_thread_start(&threads[i], meet, NULL, NULL));
		for (unsigned i = 0; i < COUNT(threads); i++) {
			OK(capos_thread_join(threads[i], &result));
			OK(result);
		}
	}
	OK(echo_stop(&client));
	capos_client_free(&client);
	finishes(server, CAPOS_EXIT_KIND_EXITED, 0);
	OK(capos_release(facet));
}

static int64_t add_often(void *unused)
{
	struct capos_client mine = { .facet = facet };
	int64_t total;
	(void)unused;
	for (unsigned i = 0; i < 200; i++)
		if (counter_add(&mine, 1, &total) < 0)
			return 1;
	return 0;
}

static void in_parallel_in_registers(void)
{
	struct capos_thread *threads[3];
	int64_t result, total = 0;
	start("count", "3", 1);
	for (unsigned i = 0; i < COUNT(threads); i++)
		OK(capos_thread_start(&threads[i], add_often, NULL, NULL));
	for (unsigned i = 0; i < COUNT(threads); i++) {
		OK(capos_thread_join(threads[i], &result));
		OK(result);
	}
	OK(counter_add(&client, 0, &total));
	CHECK_EQUAL(total, 600);
	end(0);
}

static void deadlines(void)
{
	capos_cap_t counter = 0;
	const char *name;
	start("serve", NULL, ECHO_TAG);
	client.deadline_ns = capos_now_ns() + 20 * MS_NS;
	CHECK_EQUAL(echo_open(&client, 1, "slow", &counter, &name), CAPOS_E(TIMED_OUT));
	client.deadline_ns = 0;
	OK(echo_open(&client, 1, "quick", &counter, &name));
	OK(capos_release(counter));
	end(0);
}

static void the_server_ends(void)
{
	uint64_t length;
	start("serve", "2", ECHO_TAG);
	CHECK_EQUAL(echo_die(&client), CAPOS_E(DISCONNECTED));
	CHECK_EQUAL(
		echo_length(&client, (struct capos_data){ "", 0 }, &length), CAPOS_E(DISCONNECTED));
	end(7);
}

static int64_t serve_here(void *argument)
{
	return capos_serve(argument);
}

#define SERVERS 3u

static uint32_t adds_with_others(struct capos_call *call, const struct counter_add_params *params,
	struct counter_add_results *results)
{
	(void)call;
	results->total = params->number;
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	return waits_for_arrivals(SERVERS);
}

static int64_t add_once(void *unused)
{
	struct capos_client mine = { .facet = facet };
	int64_t total;
	(void)unused;
	return counter_add(&mine, 1, &total);
}

/* Returns when each thread of the service has answered a call. Each then waits for the next one,
 * because an answer and the wait behind it are one call of the kernel. */
static void all_serve(const struct capos_service *here)
{
	struct capos_thread *threads[SERVERS];
	int64_t result;
	arrived = 0;
	OK(capos_endpoint_make_facet(here->endpoint, 1, &facet));
	for (unsigned i = 0; i < SERVERS; i++)
		OK(capos_thread_start(&threads[i], add_once, NULL, NULL));
	for (unsigned i = 0; i < SERVERS; i++) {
		OK(capos_thread_join(threads[i], &result));
		OK(result);
	}
}

/* A service is stopped before it begins, or while its threads wait, or loses its endpoint. */
static void a_service_is_stopped(void)
{
	static const struct counter_methods methods = { .add = adds_with_others };
	static struct capos_service here;
	enum { BEFORE, MEANWHILE, CLOSED };
	for (int when = BEFORE; when <= CLOSED; when++) {
		struct capos_thread *thread = NULL;
		int64_t result = 1;
		here = (struct capos_service){ .threads = SERVERS,
			.object = counter_object(&methods, NULL) };
		OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 8, &here.endpoint));
		if (when == BEFORE)
			capos_service_stop(&here);
		OK(capos_thread_start(&thread, serve_here, &here, NULL));
		if (when != BEFORE)
			all_serve(&here);
		if (when == MEANWHILE)
			capos_service_stop(&here);
		if (when == CLOSED)
			OK(capos_release(here.endpoint));
		OK(capos_thread_join_timeout(thread, 20000 * MS_NS, &result));
		CHECK_EQUAL(result, when == CLOSED ? CAPOS_E(DISCONNECTED) : 0);
		CHECK_EQUAL(here.wake_count, 0);
		if (when != BEFORE)
			OK(capos_release(facet));
		if (when != CLOSED)
			OK(capos_release(here.endpoint));
	}
}

static void nothing_is_left(void)
{
	struct capos_memory_usage before = program_usage();
	every_type();
	an_object_for_a_facet();
	wrong_answers();
	the_server_ends();
	a_service_is_stopped();
	CHECK_USAGE_IS(before);
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0)
		return code;
	RUN(in_registers);
	RUN(an_object_for_a_facet);
	RUN(every_type);
	RUN(lengths);
	RUN(wrong_messages_through_the_ring);
	RUN(wrong_messages_in_registers);
	RUN(wrong_answers);
	RUN(in_parallel);
	RUN(in_parallel_in_registers);
	RUN(deadlines);
	RUN(the_server_ends);
	RUN(a_service_is_stopped);
	RUN(nothing_is_left);
	return check_result();
}
