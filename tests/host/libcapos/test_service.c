/* Clients and servers of a user's interface, with a kernel that is none: a call has the server run
 * until it has answered. Capabilities are numbers that are held or not, so one that is lost or
 * dropped twice is noticed. The argument seeds random messages. */
#include <stdio.h>
#include <stdlib.h>

#include <capos/ring_call.h>
#include <capos/stubs.h>

#include "../../schema/all_values.h"

/* ---- capabilities: those of both sides ---- */

#define CAPS 4096u

static bool held[CAPS];
static unsigned held_count, dropped_twice;
static capos_cap_t last_cap;

static capos_cap_t make_cap(void)
{
	do
		last_cap = last_cap % (CAPS - 1) + 1;
	while (held[last_cap]);
	held[last_cap] = true;
	held_count++;
	return last_cap;
}

int64_t released_here(capos_cap_t cap)
{
	if (cap >= CAPS || !held[cap]) {
		dropped_twice++;
		return CAPOS_TRANSPORT_E(INVOKE_FAILED);
	}
	held[cap] = false;
	held_count--;
	return 0;
}

/* The other side's id: of what is given away, or of a copy. */
static capos_cap_t hand_over(capos_cap_t cap, bool moves)
{
	if (moves)
		released_here(cap);
	return make_cap();
}

/* ---- the kernel ---- */

static struct {
	bool waits; /* a call that no server has received */
	bool in_registers;
	uint8_t message[CAPOS_MESSAGE_BYTES_MAX], answer[CAPOS_MESSAGE_BYTES_MAX];
	size_t size, capacity, answer_size;
	struct capos_carried goes, comes;
	uint32_t takes;
	uint64_t tag;
	int64_t status;
} call;

static struct capos_service *server; /* of the facet that is called */

int64_t capos_endpoint_make_facet(capos_cap_t endpoint, uint64_t tag, capos_cap_t *facet)
{
	(void)endpoint, (void)tag;
	*facet = make_cap();
	return 0;
}

int64_t capos_endpoint_accept(capos_cap_t endpoint, uint32_t capabilities)
{
	(void)endpoint, (void)capabilities;
	return 0;
}

void capos_mutex_lock(struct capos_mutex *mutex)
{
	mutex->state++;
}

void capos_mutex_unlock(struct capos_mutex *mutex)
{
	mutex->state--;
}

int64_t capos_thread_start(struct capos_thread **thread, int64_t (*entry)(void *argument),
	void *argument, const struct capos_thread_options *options)
{
	(void)thread, (void)entry, (void)argument, (void)options;
	return CAPOS_E(NO_THREADS);
}

int64_t capos_thread_join(struct capos_thread *thread, int64_t *result)
{
	(void)thread, (void)result;
	return 0;
}

/* The server gets the call, and then the end of a facet. */
static int64_t receive(size_t *size, struct capos_carried *came, uint64_t *tag)
{
	*tag = call.tag;
	came->count = 0;
	if (!call.waits) {
		*tag = 77;
		return CAPOS_RECEIVE_RESULT_FACET_GONE;
	}
	call.waits = false;
	if (call.size > *size) {
		call.status = CAPOS_E(OUT_OF_RANGE);
		return receive(size, came, tag);
	}
	*size = call.size;
	*came = call.goes;
	call.goes.count = 0;
	return CAPOS_RECEIVE_RESULT_CALL;
}

static int64_t answer_with(const void *answer, size_t size, const struct capos_message_caps *caps)
{
	if (size > call.capacity) {
		call.status = CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER);
		return CAPOS_REPLY_RESULT_GONE;
	}
	if (size)
		memcpy(call.answer, answer, size);
	call.answer_size = size;
	call.comes.count = 0;
	if (caps && caps->count > call.takes)
		return CAPOS_REPLY_RESULT_NOT_TAKEN;
	for (uint32_t i = 0; caps && i < caps->count; i++)
		call.comes.caps[call.comes.count++] =
			hand_over((capos_cap_t)caps->caps[i], caps->moves >> i & 1);
	return CAPOS_REPLY_RESULT_ANSWERED;
}

static void to_words(const struct capos_carried *came, struct capos_message_caps *caps)
{
	caps->count = came->count;
	for (uint32_t i = 0; i < came->count; i++)
		caps->caps[i] = came->caps[i];
}

int64_t capos_ring_receive(capos_cap_t endpoint, void *buffer, size_t *size,
	struct capos_message_caps *caps, uint64_t *tag, uint64_t deadline_ns)
{
	struct capos_carried came;
	(void)endpoint, (void)deadline_ns;
	int64_t got = receive(size, &came, tag);
	if (got == CAPOS_RECEIVE_RESULT_CALL)
		memcpy(buffer, call.message, *size);
	to_words(&came, caps);
	return got;
}

int64_t capos_ring_reply(
	const void *answer, size_t size, const struct capos_message_caps *caps, uint32_t error)
{
	if (call.in_registers && size > 64)
		return CAPOS_E(OUT_OF_RANGE);
	call.status = error ? -(int64_t)(CAPOS_ERROR_BASE + error) : 0;
	return answer_with(answer, size, caps);
}

int64_t capos_endpoint_receive_cap(capos_cap_t endpoint, struct capos_message *message,
	capos_cap_t *cap, uint64_t *tag, uint64_t deadline_ns)
{
	struct capos_carried came = { .count = 0 };
	size_t size = sizeof *message;
	(void)endpoint, (void)deadline_ns;
	int64_t got = receive(&size, &came, tag);
	memset(message, 0, sizeof *message);
	if (got == CAPOS_RECEIVE_RESULT_CALL)
		memcpy(message, call.message, size);
	*cap = came.count ? came.caps[0] : 0;
	return got;
}

int64_t capos_endpoint_reply_receive_cap(capos_cap_t endpoint, struct capos_message *message,
	capos_cap_t *cap, uint32_t flags, uint32_t error, uint64_t *tag, uint64_t deadline_ns)
{
	bool moves = flags & CAPOS_MESSAGE_MOVES;
	call.status = error ? -(int64_t)(CAPOS_ERROR_BASE + error) : 0;
	struct capos_message_caps caps = { .count = *cap != 0, .moves = moves, .caps = { *cap } };
	if (answer_with(message, 64, &caps) != CAPOS_REPLY_RESULT_ANSWERED && moves)
		released_here(*cap); /* the server does not learn of it */
	return capos_endpoint_receive_cap(endpoint, message, cap, tag, deadline_ns);
}

int64_t capos_endpoint_reply(const struct capos_message *answer, uint32_t error)
{
	(void)answer, (void)error;
	return CAPOS_E(WRONG_STATE);
}

/* Runs the server until the call has its answer. What the server did not take comes back. */
static void serve_one(void)
{
	call.waits = true;
	call.status = CAPOS_E(DISCONNECTED);
	call.answer_size = call.comes.count = 0;
	server->stopping = false;
	capos_serve(server);
}

static void goes(const struct capos_message_caps *caps)
{
	call.goes.count = caps ? caps->count : 0;
	for (uint32_t i = 0; i < call.goes.count; i++)
		call.goes.caps[i] = hand_over((capos_cap_t)caps->caps[i], caps->moves >> i & 1);
}

int64_t capos_ring_call(struct capos_ring_call *begun)
{
	struct capos_message_caps *caps = begun->caps;
	call.in_registers = false;
	memcpy(call.message, begun->message, begun->size);
	call.size = begun->size;
	call.capacity = begun->capacity;
	call.takes = caps ? caps->takes : 0;
	goes(caps);
	serve_one();
	memcpy(begun->result, call.answer, call.answer_size);
	begun->answer_size = (uint32_t)call.answer_size;
	begun->status = (int32_t)call.status;
	if (caps)
		to_words(&call.comes, caps);
	begun->ended = true;
	return begun->status;
}

int64_t capos_endpoint_call_cap(capos_cap_t facet, struct capos_message *message, capos_cap_t *cap,
	uint32_t flags, uint64_t deadline_ns)
{
	(void)facet, (void)deadline_ns;
	call.in_registers = true;
	memcpy(call.message, message, 64);
	call.size = call.capacity = 64;
	call.takes = (flags & CAPOS_MESSAGE_TAKES) != 0;
	struct capos_message_caps caps = {
		.count = *cap != 0, .moves = (flags & CAPOS_MESSAGE_MOVES) != 0, .caps = { *cap }
	};
	goes(&caps);
	serve_one();
	memset(message, 0, 64);
	memcpy(message, call.answer, call.answer_size);
	*cap = call.comes.count ? call.comes.caps[0] : 0;
	return call.status;
}

int64_t capos_endpoint_call(capos_cap_t facet, struct capos_message *message, uint64_t deadline_ns)
{
	capos_cap_t none = 0;
	return capos_endpoint_call_cap(facet, message, &none, 0, deadline_ns);
}

/* ---- the server's methods ---- */

static struct {
	int64_t total;
	capos_cap_t event;
	bool copies, too_long;
	unsigned calls;
} state;

static uint32_t adds(struct capos_call *c, const struct counter_add_params *params,
	struct counter_add_results *results)
{
	state.calls += c->tag == 5;
	results->total = state.total = (int64_t)((uint64_t)state.total + (uint64_t)params->number);
	return 0;
}

static uint32_t watches(struct capos_call *c, const struct counter_watch_params *params,
	struct counter_watch_results *results)
{
	if (params->when == 13)
		return CAPOS_ERROR_BUSY; /* what has come is not kept */
	results->former = state.event;
	state.event = capos_call_keep(c, params->event);
	return 0;
}

static uint32_t gives_all(struct capos_call *c, const struct all *params, struct all *results)
{
	(void)c;
	*results = *params;
	return 0;
}

static uint32_t opens(struct capos_call *c, const struct echo_open_params *params,
	struct echo_open_results *results)
{
	results->counter = state.event;
	if (state.copies)
		capos_call_copy(c, state.event);
	else
		state.event = 0;
	results->name = params->name;
	if (state.too_long) {
		char *name = capos_call_take(c, CAPOS_MESSAGE_BYTES_MAX);
		results->name = memset(name, 'x', CAPOS_MESSAGE_BYTES_MAX - 1);
	}
	return 0;
}

static const struct counter_methods counter_methods = { .add = adds, .watch = watches };
static const struct echo_methods echo_methods = { .all = gives_all, .open = opens };
static struct capos_service counters, echoes;
static struct capos_client client;

/* ---- checks ---- */

static int failures;
static const char *why;

#define CHECK(condition)                        \
	do {                                    \
		if (!(condition) && !why)       \
			why = "" #condition ""; \
	} while (0)

static void run(const char *name, void (*test)(void))
{
	why = NULL;
	counters = (struct capos_service){ .object = counter_object(&counter_methods, NULL) };
	echoes = (struct capos_service){ .object = echo_object(&echo_methods, NULL) };
	memset(&state, 0, sizeof state);
	call.tag = 5;
	test();
	capos_client_free(&client);
	if (state.event)
		released_here(state.event);
	CHECK(held_count == 0);
	CHECK(dropped_twice == 0);
	if (why)
		printf("FAIL service %s: %s\n", name, why);
	else
		printf("ok service %s\n", name);
	failures += why != NULL;
	held_count = dropped_twice = 0;
	memset(held, 0, sizeof held);
}

static void in_registers(void)
{
	int64_t total = 0;
	capos_cap_t event = make_cap(), former = 1;
	server = &counters;
	CHECK(counter_add(&client, -5, &total) == 0 && total == -5);
	CHECK(counter_watch(&client, event, 0, &former) == 0 && former == 0);
	CHECK(held[event] && state.event);
	client.moves = true;
	CHECK(counter_watch(&client, event, 0, &former) == 0 && former != 0);
	CHECK(!held[event]);
	client.moves = false;
	CHECK(counter_watch(&client, former, 13, &event) == CAPOS_E(BUSY));
	released_here(former);
	CHECK(state.calls == 1);
	struct counter_add_params params = { 1 };
	struct counter_add_results results;
	CHECK(capos_client_call(&client, COUNTER_ID + 1, &counter_table[0], &params, &results) ==
		CAPOS_E(UNIMPLEMENTED));
}

static void through_the_ring(void)
{
	struct all all = full_all(), back;
	capos_cap_t events[8];
	server = &echoes;
	for (unsigned i = 0; i < 8; i++)
		events[i] = make_cap();
	all.events = (struct capos_cap_list){ events, 7 };
	all.event = events[7];
	CHECK(echo_all(&client, &all, &back) == 0);
	CHECK(same_all(&all, &back) && back.events.count == 7 && held_count == 16);
	for (unsigned i = 0; i < 7; i++)
		released_here(back.events.items[i]);
	released_here(back.event);
	for (unsigned i = 0; i < 8; i++)
		released_here(events[i]);
	CHECK(echo_stop(&client) == CAPOS_E(UNIMPLEMENTED));
	uint64_t length;
	CHECK(echo_length(&client, (struct capos_data){ "", 0 }, &length) ==
		CAPOS_E(UNIMPLEMENTED));
	CHECK(call.capacity == 3 * 8 + CAPOS_ANSWER_SPARE); /* head, root and number */
	client.answer_size = 2 * sizeof call.answer;
	all = full_all();
	CHECK(echo_all(&client, &all, &back) == 0 && call.capacity == sizeof call.answer);
	client.answer_size = 0;
}

/* What a method gives is copied, given away, or dropped with an answer that cannot go. */
static void what_is_given(void)
{
	capos_cap_t counter = 0;
	const char *name = NULL;
	server = &echoes;
	state.event = make_cap();
	state.copies = true;
	CHECK(echo_open(&client, 1, "name", &counter, &name) == 0 && !strcmp(name, "name"));
	CHECK(held_count == 2 && held[state.event]);
	released_here(counter);
	state.copies = false;
	state.too_long = true;
	CHECK(echo_open(&client, 1, "name", &counter, &name) == CAPOS_E(OUT_OF_RANGE));
	CHECK(held_count == 0 && state.event == 0);
	state.event = make_cap();
	state.too_long = false;
	client.answer_size = 16;
	CHECK(echo_open(&client, 1, "name", &counter, &name) ==
		CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	client.answer_size = 0;
}

/* An interface of which a method has grown: the client of the old one calls in registers. */
static void a_longer_answer_than_registers(void)
{
	struct capos_method old = echo_table[1];
	struct echo_open_params params = { 1, NULL };
	struct echo_open_results results;
	server = &echoes;
	state.event = make_cap();
	old.in_registers = true;
	state.copies = true;
	params.name = "";
	CHECK(capos_client_call(&client, ECHO_ID, &old, &params, &results) == 0);
	released_here(results.counter);
	state.too_long = true;
	CHECK(capos_client_call(&client, ECHO_ID, &old, &params, &results) ==
		CAPOS_E(OUT_OF_RANGE));
}

/* ---- an enemy ---- */

static uint64_t random_state;

static uint64_t random_word(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 33 ^ random_state << 17;
}

/* Changes some words of a call to what it may be by chance. */
static void damage(uint64_t *words, size_t count)
{
	for (uint64_t changes = random_word() % 4; changes; changes--) {
		uint64_t *word = &words[random_word() % count];
		switch (random_word() % 3) {
		case 0:
			*word = random_word();
			break;
		case 1:
			*word ^= 1ull << random_word() % 64;
			break;
		default:
			*word = words[random_word() % count];
		}
	}
}

/* Random calls of either server. Whatever comes of them, no capability is lost. */
static void random_calls(void)
{
	static uint64_t words[CAPOS_MESSAGE_BYTES_MAX / 8], result[512];
	unsigned answered = 0;
	for (unsigned round = 0; round < 20000; round++) {
		const struct capos_service *which = round % 2 ? &echoes : &counters;
		const struct capos_interface *interface = which->object.interface;
		const struct capos_method *method =
			&interface->methods[random_word() % interface->method_count];
		struct all all = full_all();
		struct point point = { 1, 2, COLOR_RED };
		struct capos_carried named = { .count = 0 };
		size_t count = COUNT(words) - 2;
		const void *value = method->params == &all_type ? (const void *)&all : &point;
		all.event = 1;
		memset(words, 0, 64);
		CHECK(capos_encode(value == &all ? &all_type : &point_type, value, words + 2,
			      &count, &named) == 0);
		words[0] = interface->id;
		words[1] = method->ordinal | (uint64_t)count << 32;
		damage(words, count + 2);
		server = round % 2 ? &echoes : &counters;
		struct capos_message_caps caps = { .count = random_word() % 3, .moves = 7 };
		if (!(round % 2) && caps.count > 1)
			caps.count = 1;
		for (unsigned i = 0; i < caps.count; i++)
			caps.caps[i] = make_cap();
		struct capos_ring_call begun = { .message = words,
			.size = (count + 2) * 8 - random_word() % 9,
			.result = result,
			.capacity = sizeof result,
			.caps = &caps };
		caps.takes = random_word() % 3;
		capos_ring_call(&begun);
		answered += begun.status == 0;
		for (unsigned i = 0; i < caps.count; i++)
			released_here((capos_cap_t)caps.caps[i]);
	}
	CHECK(answered > 100 && answered < 19900);
}

int main(int argc, char **argv)
{
	random_state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	run("in_registers", in_registers);
	run("through_the_ring", through_the_ring);
	run("what_is_given", what_is_given);
	run("a_longer_answer_than_registers", a_longer_answer_than_registers);
	run("random_calls", random_calls);
	return failures != 0;
}
