/* Servers of a user's interface: see capos/service.h. An interface of which every method fits is
 * received in registers, the shortest way between two processes, and others through the ring. */
#include <stdlib.h>
#include <string.h>

#include <capos/ring_call.h>
#include <capos/service.h>
#include <capos/stubs.h>

#include "service.h"

#define FIRST_WORDS 96 /* of memory that a call has without malloc */

/* A thread that receives. */
struct worker {
	struct capos_service *service;
	struct capos_call call;
	struct capos_carried goes;
	uint32_t moves; /* bit i: goes.caps[i] is given away */
	uint64_t first[FIRST_WORDS];
	uint64_t *message, *answer; /* through the ring */
};

/* ---- capabilities ---- */

static bool is_one_of(const capos_cap_t *caps, uint32_t count, capos_cap_t cap)
{
	for (uint32_t i = 0; i < count; i++)
		if (caps[i] == cap)
			return true;
	return false;
}

capos_cap_t capos_call_keep(struct capos_call *call, capos_cap_t cap)
{
	for (uint32_t i = 0; i < call->came.count; i++)
		if (call->came.caps[i] == cap)
			call->kept |= 1u << i;
	return cap;
}

capos_cap_t capos_call_copy(struct capos_call *call, capos_cap_t cap)
{
	if (call->copy_count < CAPOS_MESSAGE_CAPS_MAX)
		call->copies[call->copy_count++] = cap;
	return cap;
}

/* What has come and neither stays nor goes on. */
static void release_rest(const struct worker *w)
{
	const struct capos_carried *came = &w->call.came;

	for (uint32_t i = 0; i < came->count; i++)
		if (!(w->call.kept >> i & 1) &&
			!is_one_of(w->goes.caps, w->goes.count, came->caps[i]))
			capos_release(came->caps[i]);
}

/* Which go for good: all but copies of what is the server's. */
static void find_moves(struct worker *w)
{
	const struct capos_call *call = &w->call;

	for (uint32_t i = 0; i < w->goes.count; i++) {
		capos_cap_t cap = w->goes.caps[i];
		bool stays = is_one_of(call->copies, call->copy_count, cap);

		for (uint32_t j = 0; j < call->came.count; j++)
			if (call->came.caps[j] == cap && !(call->kept >> j & 1))
				stays = false;
		if (!stays)
			w->moves |= 1u << i;
	}
}

/* What was to be given away, and was not. */
static void release_moving(const struct worker *w)
{
	for (uint32_t i = 0; i < w->goes.count; i++)
		if (w->moves >> i & 1)
			capos_release(w->goes.caps[i]);
}

/* ---- one call ---- */

static uint32_t error_of(int64_t status)
{
	return (uint32_t)(-status - CAPOS_ERROR_BASE);
}

static const struct capos_object *object_of(const struct capos_service *service, uint64_t tag)
{
	return service->find ? service->find(service->context, tag) : &service->object;
}

static uint32_t run(struct worker *w, const struct capos_object *object,
	const struct capos_method *method, const uint64_t *message, uint64_t *answer, size_t *words)
{
	struct capos_call *call = &w->call;
	void *params = capos_call_take(call, method->params->size);
	void *results = capos_call_take(call, method->results->size);
	if (!params || !results)
		return CAPOS_ERROR_NO_MEMORY;
	int64_t status = capos_decode(method->params, params, message + CALL_HEAD, message[1] >> 32,
		&call->came, &call->memory);
	if (status < 0)
		return error_of(status);
	call->context = object->context;
	uint32_t error = object->interface->dispatch(
		object->methods, call, method->ordinal, params, results);
	if (error)
		return error;
	status = capos_encode(method->results, results, answer + ANSWER_HEAD, words, &w->goes);
	answer[0] = (uint64_t)*words << 32;
	find_moves(w);
	if (status < 0) {
		release_moving(w);
		return error_of(status);
	}
	return 0;
}

/* Has a message answered. *words: room; then: of the answer, 0 with an error. */
static uint32_t answer_to(struct worker *w, uint64_t tag, const uint64_t *message,
	size_t message_words, uint64_t *answer, size_t *words)
{
	const struct capos_object *object = object_of(w->service, tag);
	uint32_t error = CAPOS_ERROR_MALFORMED_MESSAGE;

	w->call.tag = tag;
	w->call.kept = w->call.copy_count = w->moves = w->goes.count = 0;
	if (w->call.memory.blocks || w->call.memory.next != w->call.memory.first)
		capos_memory_reset(&w->call.memory);
	*words -= ANSWER_HEAD;
	if (!object)
		error = CAPOS_ERROR_NOT_FOUND;
	else if (message_words >= CALL_HEAD && (uint32_t)message[1] <= UINT16_MAX &&
		message[1] >> 32 <= message_words - CALL_HEAD) {
		uint32_t ordinal = (uint32_t)message[1];

		error = CAPOS_ERROR_UNIMPLEMENTED;
		if (message[0] == object->interface->id &&
			ordinal < object->interface->method_count)
			error = run(w, object, &object->interface->methods[ordinal], message,
				answer, words);
	}
	if (error) /* nothing goes, and what the method had for the results is its own still */
		w->goes.count = w->moves = 0;
	*words = error ? 0 : *words + ANSWER_HEAD;
	release_rest(w);
	return error;
}

/* ---- ending ---- */

/* Makes one more thread end. */
static void wake_next(struct capos_service *service)
{
	capos_cap_t wake = 0;

	capos_mutex_lock(&service->lock);
	if (service->wake_count)
		wake = service->wakes[--service->wake_count];
	capos_mutex_unlock(&service->lock);
	if (wake)
		capos_release(wake);
}

/* The first status counts. */
static void stop_with(struct capos_service *service, int64_t status)
{
	capos_mutex_lock(&service->lock);
	service->stopping = true;
	if (!service->status)
		service->status = status;
	capos_mutex_unlock(&service->lock);
	wake_next(service);
}

void capos_service_stop(struct capos_service *service)
{
	stop_with(service, 0);
}

static bool is_stopping(struct capos_service *service)
{
	capos_mutex_lock(&service->lock);
	bool stopping = service->stopping;
	capos_mutex_unlock(&service->lock);
	return stopping;
}

/* After a receive that has brought no call. True: the thread ends. */
static bool ends(struct capos_service *service, int64_t got, uint64_t tag)
{
	if (got == CAPOS_E(INTERRUPTED))
		return false;
	if (got < 0) {
		stop_with(service, got);
		return true;
	}
	if (tag == CAPOS_SERVE_TAG) {
		if (!is_stopping(service))
			return false;
		wake_next(service);
		return true;
	}
	if (service->facet_gone && service->facet_gone(service->context, tag))
		return false;
	stop_with(service, 0);
	return true;
}

/* ---- the two loops ---- */

/* The answer, and the next call. What cannot go is refused, and the caller gets the reason. */
static int64_t reply_in_registers(struct worker *w, struct capos_message *message, uint32_t error,
	capos_cap_t *cap, uint64_t *tag)
{
	capos_cap_t endpoint = w->service->endpoint, given = w->goes.count ? w->goes.caps[0] : 0;

	*cap = given;
	int64_t got = capos_endpoint_reply_receive_cap(endpoint, message, cap,
		w->moves ? CAPOS_MESSAGE_MOVES : 0, error, tag, CAPOS_WAIT_FOREVER);
	if (given && (got == CAPOS_E(NOT_FOUND) || got == CAPOS_E(NO_MEMORY))) {
		release_moving(w);
		*cap = 0;
		got = capos_endpoint_reply_receive_cap(
			endpoint, message, cap, 0, error_of(got), tag, CAPOS_WAIT_FOREVER);
	}
	if (got == CAPOS_TRANSPORT_E(INVOKE_FAILED)) /* a method has released the endpoint */
		capos_endpoint_reply(message, error);
	return got;
}

static void serve_in_registers(struct worker *w)
{
	struct capos_message message = { { 0 } }, answer;
	capos_cap_t endpoint = w->service->endpoint, cap = 0;
	uint64_t tag = 0;
	int64_t got =
		capos_endpoint_receive_cap(endpoint, &message, &cap, &tag, CAPOS_WAIT_FOREVER);

	for (;;) {
		if (got == CAPOS_RECEIVE_RESULT_CALL) {
			size_t words = REGISTER_WORDS;

			answer = (struct capos_message){ { 0 } };
			w->call.came = (struct capos_carried){ .caps = { cap }, .count = cap != 0 };
			uint32_t error = answer_to(
				w, tag, message.words, REGISTER_WORDS, answer.words, &words);
			message = answer;
			got = reply_in_registers(w, &message, error, &cap, &tag);
		} else if (!ends(w->service, got, tag)) {
			got = capos_endpoint_receive_cap(
				endpoint, &message, &cap, &tag, CAPOS_WAIT_FOREVER);
		} else {
			return;
		}
	}
}

static void reply_through_ring(struct worker *w, size_t words, uint32_t error)
{
	struct capos_message_caps caps = { .moves = w->moves };

	carried_to_kernel(&w->goes, &caps);
	int64_t became = capos_ring_reply(w->answer, words * 8, caps.count ? &caps : NULL, error);
	if (became != CAPOS_REPLY_RESULT_ANSWERED)
		release_moving(w);
	if (became < 0)
		capos_ring_reply(NULL, 0, NULL, error_of(became));
}

static void serve_through_ring(struct worker *w)
{
	struct capos_message_caps caps;
	uint64_t tag = 0;

	for (;;) {
		size_t size = MESSAGE_WORDS * 8;
		int64_t got = capos_ring_receive(
			w->service->endpoint, w->message, &size, &caps, &tag, CAPOS_WAIT_FOREVER);

		if (got == CAPOS_RECEIVE_RESULT_CALL) {
			size_t words = MESSAGE_WORDS;

			carried_from_kernel(&caps, &w->call.came);
			uint32_t error = answer_to(w, tag, w->message, size / 8, w->answer, &words);
			reply_through_ring(w, words, error);
		} else if (ends(w->service, got, tag)) {
			return;
		}
	}
}

/* ---- threads ---- */

static int64_t work(void *argument)
{
	struct worker w;

	memset(&w, 0, sizeof(w));
	w.service = argument;
	capos_memory_init(&w.call.memory, w.first, sizeof(w.first), DECODED_MAX);
	if (!w.service->find && w.service->object.interface->in_registers) {
		serve_in_registers(&w);
	} else {
		w.message = malloc(2 * MESSAGE_WORDS * 8);
		w.answer = w.message + MESSAGE_WORDS;
		if (w.message)
			serve_through_ring(&w);
		else
			stop_with(w.service, CAPOS_E(NO_MEMORY));
		free(w.message);
	}
	capos_memory_reset(&w.call.memory);
	return 0;
}

/* A facet for each thread: its end is what wakes one. */
static int64_t make_wakes(struct capos_service *service, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		capos_cap_t wake = 0;
		int64_t status =
			capos_endpoint_make_facet(service->endpoint, CAPOS_SERVE_TAG, &wake);

		if (status < 0)
			return status;
		capos_mutex_lock(&service->lock);
		service->wakes[service->wake_count++] = wake;
		capos_mutex_unlock(&service->lock);
	}
	return 0;
}

static void run_threads(struct capos_service *service, unsigned threads)
{
	struct capos_thread *others[CAPOS_SERVE_THREADS_MAX];
	unsigned started = 0;
	int64_t status = 0;

	while (started + 1 < threads && status == 0) {
		status = capos_thread_start(&others[started], work, service, NULL);
		started += status == 0;
	}
	if (status < 0)
		stop_with(service, status);
	work(service);
	while (started)
		capos_thread_join(others[--started], NULL);
}

int64_t capos_serve(struct capos_service *service)
{
	unsigned threads = service->threads ? service->threads : 1;
	int64_t status = 0;

	if (threads > CAPOS_SERVE_THREADS_MAX)
		return CAPOS_E(INVALID_ARGUMENT);
	if (service->find || service->object.interface->carries)
		status = capos_endpoint_accept(service->endpoint, 1);
	if (status == 0)
		status = make_wakes(service, threads);
	if (status < 0)
		stop_with(service, status);
	else if (!is_stopping(service))
		run_threads(service, threads);
	while (service->wake_count)
		wake_next(service);
	return service->status;
}
