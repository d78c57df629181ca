/* LeaseFactory and Lease in one process: copies of every kind of object, leases below leases, calls
 * and waits that the revocation ends, mappings that it takes back, ledgers, and every error in both
 * forms. The kernel compares its counts of objects and frames after the program.
 *
 * // test: limit 24M
 */
#include "raw_thread.h"

#include <capos/ring_call.h>

#define FOREVER CAPOS_WAIT_FOREVER
#define REVOKED CAPOS_E(REVOKED)

static capos_cap_t lease_of(capos_cap_t cap)
{
	capos_cap_t lease = 0;
	OK(capos_lease_factory_create(capos_caps.lease_factory, cap, &lease));
	return lease;
}

static capos_cap_t copy_of(capos_cap_t lease)
{
	capos_cap_t copy = 0;
	OK(capos_lease_copy(lease, &copy));
	return copy;
}

static void release_both(capos_cap_t a, capos_cap_t b)
{
	OK(capos_release(a));
	OK(capos_release(b));
}

static uint32_t slots(void)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	return info.capabilities;
}

/* ---- calls ---- */

static void a_copy_is_used_until_it_is_revoked(void)
{
	capos_cap_t event = event_create(), lease = 0, copy = 0;
	uint64_t bits = 0;
	OK(capos_lease_factory_create_message(capos_caps.lease_factory, event, &lease));
	OK(capos_lease_copy_message(lease, &copy));
	OK(capos_event_signal(copy, 5));
	OK(capos_event_wait_message(copy, 1, 0, &bits));
	CHECK_EQUAL(bits, 1);
	CHECK_EQUAL(event_take(event, ~0ull, 0), 4);
	CHECK_EQUAL(capos_call(copy, 0xffff, 0, 0, 0, 0, 0), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	capos_cap_t other = copy_of(lease);
	OK(capos_lease_revoke_message(lease));
	OK(capos_lease_revoke(lease));
	for (int i = 0; i < 2; i++, copy = other) {
		CHECK_EQUAL(capos_event_signal(copy, 1), REVOKED);
		CHECK_EQUAL(capos_event_signal_message(copy, 1), REVOKED);
		CHECK_EQUAL(capos_event_wait(copy, 1, FOREVER, &bits), REVOKED);
		OK(capos_release(copy));
	}
	CHECK_FAILS(LEASE_COPY, REVOKED, capos_lease_copy(lease, &copy));
	CHECK_FAILS(LEASE_COPY, REVOKED, capos_lease_copy_message(lease, &copy));
	OK(capos_event_signal(event, 8)); /* the object itself goes on */
	CHECK_EQUAL(event_take(event, ~0ull, 0), 8);
	release_both(event, lease);
}

/* With the last capability for the lease, and no sooner. */
static void the_end_of_the_lease_revokes(void)
{
	capos_cap_t event = event_create(), lease = lease_of(event), copy = copy_of(lease);
	OK(capos_release(event));
	OK(capos_event_signal(copy, 1)); /* the lease holds the object */
	OK(capos_release(lease));
	CHECK_EQUAL(capos_event_signal(copy, 1), REVOKED);
	OK(capos_release(copy));
}

static void leases_stand_on_one_another(void)
{
	capos_cap_t event = event_create(), lease[CAPOS_LEASE_DEPTH_MAX + 1],
		    copy[CAPOS_LEASE_DEPTH_MAX], more = 0;
	unsigned depth = 0;
	lease[0] = lease_of(event);
	for (; depth < CAPOS_LEASE_DEPTH_MAX; depth++) {
		copy[depth] = copy_of(lease[depth]);
		OK(capos_event_signal(copy[depth], 1));
		if (depth + 1 < CAPOS_LEASE_DEPTH_MAX)
			lease[depth + 1] = lease_of(copy[depth]);
	}
	CHECK_FAILS(LEASE_FACTORY_CREATE, LIMIT_REACHED,
		capos_lease_factory_create(capos_caps.lease_factory, copy[depth - 1], &more));
	CHECK_FAILS(LEASE_FACTORY_CREATE, LIMIT_REACHED,
		capos_lease_factory_create_message(
			capos_caps.lease_factory, copy[depth - 1], &more));
	OK(capos_lease_revoke(lease[3])); /* those below end, those above do not */
	for (unsigned i = 0; i < depth; i++)
		CHECK_EQUAL(capos_event_signal(copy[i], 1), i < 3 ? 0 : REVOKED);
	CHECK_FAILS(LEASE_FACTORY_CREATE, REVOKED,
		capos_lease_factory_create(capos_caps.lease_factory, copy[5], &more));
	CHECK_FAILS(LEASE_FACTORY_CREATE, REVOKED,
		capos_lease_factory_create_message(capos_caps.lease_factory, copy[5], &more));
	OK(capos_lease_revoke(lease[0]));
	CHECK_EQUAL(capos_event_signal(copy[1], 1), REVOKED);
	for (unsigned i = 0; i < depth; i++) /* in an order that is neither */
		release_both(copy[i ^ 1], lease[i ^ 2]);
	OK(capos_release(event));
}

static void not_all_can_be_leased(void)
{
	capos_cap_t event = event_create(), lease = lease_of(event), handle, made = 0;
	capos_cap_t factory = capos_caps.lease_factory;
	const capos_cap_t refused[] = { lease, capos_caps.thread_control, capos_caps.park,
		capos_caps.shared_park };
	for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		CHECK_FAILS(LEASE_FACTORY_CREATE, NO_RIGHTS,
			capos_lease_factory_create(factory, refused[i], &made));
		CHECK_FAILS(LEASE_FACTORY_CREATE, NO_RIGHTS,
			capos_lease_factory_create_message(factory, refused[i], &made));
	}
	handle = raw_spawn(raw_exit, 0, 0);
	raw_join(handle);
	const capos_cap_t wrong[] = { 0, 7, 0xffffffff, handle };
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		CHECK_FAILS(LEASE_FACTORY_CREATE, NOT_FOUND,
			capos_lease_factory_create(factory, wrong[i], &made));
		CHECK_FAILS(LEASE_FACTORY_CREATE, NOT_FOUND,
			capos_lease_factory_create_message(factory, wrong[i], &made));
	}
	CHECK_EQUAL(
		capos_call(factory, 0, 1ull << 32 | event, 0, 0, 0, 0), CAPOS_E(INVALID_ARGUMENT));
	release_both(event, lease);
}

/* Each kind that programs can have: used, revoked, refused. */
static void copies_of_every_kind(void)
{
	uint64_t now = 0, tick = 0, pages = 0, got = 0;
	char byte = 'x';
	struct capos_pipe_ends ends;
	capos_cap_t made = 0, object = 0, endpoint = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object));
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 2, &endpoint));
	CHECK_EQUAL(capos_pipe_factory_create(capos_caps.pipe_factory, 64, &ends, sizeof ends),
		sizeof ends);
	const capos_cap_t all[] = { capos_caps.timer, object, endpoint, ends.reader, ends.writer,
		capos_caps.standard_output, capos_caps.event_factory, capos_caps.system };
	enum { KINDS = sizeof all / sizeof all[0] };
	capos_cap_t lease[KINDS], copy[KINDS];
	for (unsigned i = 0; i < KINDS; i++) {
		lease[i] = lease_of(all[i]);
		copy[i] = copy_of(lease[i]);
	}
	for (int revoked = 0; revoked < 2; revoked++) {
		int64_t want = revoked ? REVOKED : 0;
		CHECK_EQUAL(capos_timer_now(copy[0], &now, &tick), want);
		CHECK_EQUAL(capos_memory_object_info(copy[1], &pages), want);
		CHECK_EQUAL(capos_endpoint_make_facet(copy[2], 1, &made), want);
		if (!revoked)
			OK(capos_release(made));
		CHECK_EQUAL(capos_pipe_writer_write(copy[4], &byte, 1, 0, &got), want);
		CHECK_EQUAL(capos_pipe_reader_read(copy[3], 1, 0, &byte, 1), revoked ? want : 1);
		CHECK_EQUAL(capos_console_write(copy[5], "", 0), want);
		CHECK_EQUAL(capos_event_factory_create(copy[6], &made), want);
		if (!revoked)
			OK(capos_release(made));
		CHECK_EQUAL(capos_pipe_writer_write(ends.writer, &byte, 1, 0, &got), 0);
		CHECK_EQUAL(capos_pipe_reader_read(ends.reader, 1, 0, &byte, 1), 1);
		for (unsigned i = 0; i < KINDS; i++)
			OK(capos_lease_revoke(lease[i]));
	}
	for (unsigned i = 0; i < KINDS; i++)
		release_both(copy[i], lease[i]);
	release_both(ends.reader, ends.writer);
	release_both(object, endpoint);
}

/* A pipe ends with its last reader that can still be used. */
static void revocation_gives_the_object_up(void)
{
	struct capos_pipe_ends ends;
	uint64_t got = 0;
	char byte = 'x';
	CHECK_EQUAL(capos_pipe_factory_create(capos_caps.pipe_factory, 64, &ends, sizeof ends),
		sizeof ends);
	capos_cap_t lease = lease_of(ends.reader), copy = copy_of(lease);
	OK(capos_release(ends.reader));
	OK(capos_pipe_writer_write(ends.writer, &byte, 1, 0, &got));
	OK(capos_lease_revoke(lease));
	CHECK_EQUAL(capos_pipe_writer_write(ends.writer, &byte, 1, 0, &got), CAPOS_E(DISCONNECTED));
	release_both(copy, lease);
	OK(capos_release(ends.writer));
}

/* ---- waits ---- */

static struct caller {
	capos_cap_t cap, other;
	int64_t result;
	struct capos_thread *thread;
} callers[100];

static int64_t wait_for_event(void *argument)
{
	struct caller *caller = argument;
	uint64_t bits;
	caller->result = capos_event_wait(caller->cap, 1, FOREVER, &bits);
	return 0;
}

static int64_t read_pipe(void *argument)
{
	struct caller *caller = argument;
	char byte;
	caller->result = capos_pipe_reader_read(caller->cap, 1, FOREVER, &byte, 1);
	return 0;
}

static int64_t call_endpoint(void *argument)
{
	struct caller *caller = argument;
	struct capos_message m = { { 1 } };
	caller->result = capos_endpoint_call(caller->cap, &m, FOREVER);
	return 0;
}

static int64_t call_with_event(void *argument)
{
	struct caller *caller = argument;
	struct capos_message m = { { 1 } };
	capos_cap_t cap = caller->other;
	caller->result = capos_endpoint_call_cap(
		caller->cap, &m, &cap, CAPOS_MESSAGE_MOVES | CAPOS_MESSAGE_TAKES, FOREVER);
	return 0;
}

static int64_t receive_call(void *argument)
{
	struct caller *caller = argument;
	struct capos_message m;
	uint64_t tag;
	caller->result = capos_endpoint_receive(caller->cap, &m, &tag, FOREVER);
	return 0;
}

static int64_t sleep_long(void *argument)
{
	struct caller *caller = argument;
	caller->result = capos_timer_sleep_until(caller->cap, FOREVER - 1);
	return 0;
}

static void start(struct caller *caller, int64_t (*run)(void *), capos_cap_t cap)
{
	struct capos_thread_info info;
	caller->cap = cap;
	caller->result = 1;
	OK(capos_thread_start(&caller->thread, run, caller, NULL));
	raw_wait_blocked(capos_thread_handle(caller->thread), &info);
}

static void ends_with(struct caller *caller, int64_t result)
{
	OK(capos_thread_join_timeout(caller->thread, 20000 * MS_NS, NULL));
	CHECK_EQUAL(caller->result, result);
}

static void waits_end_with_the_copy(void)
{
	capos_cap_t endpoint = 0, facet = 0, event = event_create();
	struct capos_pipe_ends ends;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 2, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 1, &facet));
	CHECK_EQUAL(capos_pipe_factory_create(capos_caps.pipe_factory, 64, &ends, sizeof ends),
		sizeof ends);
	const struct {
		int64_t (*run)(void *);
		capos_cap_t cap;
	} waits[] = { { wait_for_event, event }, { read_pipe, ends.reader },
		{ call_endpoint, facet }, { receive_call, endpoint },
		{ sleep_long, capos_caps.timer } };
	for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		for (int nested = 0; nested < 2; nested++) {
			capos_cap_t lease = lease_of(waits[i].cap), copy = copy_of(lease);
			capos_cap_t below = nested ? lease_of(copy) : 0;
			capos_cap_t used = nested ? copy_of(below) : copy;
			start(&callers[0], waits[i].run, used);
			OK(capos_lease_revoke(lease));
			ends_with(&callers[0], REVOKED);
			if (nested)
				release_both(below, used);
			release_both(lease, copy);
		}
	}
	/* The call that nobody received is not in the queue any more. */
	struct capos_message m;
	uint64_t tag;
	CHECK_EQUAL(capos_endpoint_receive(endpoint, &m, &tag, 0), CAPOS_E(TIMED_OUT));
	release_both(endpoint, facet);
	release_both(ends.reader, ends.writer);
	OK(capos_release(event));
}

/* Those who wait by the object itself, or by another lease, go on. */
static void other_waits_go_on(void)
{
	capos_cap_t event = event_create(), lease = lease_of(event), other = lease_of(event);
	capos_cap_t copy = copy_of(lease), fine = copy_of(other), below = lease_of(copy),
		    lowest = copy_of(below);
	start(&callers[0], wait_for_event, event);
	start(&callers[1], wait_for_event, fine);
	start(&callers[2], wait_for_event, copy);
	for (unsigned i = 3; i < 100; i++)
		start(&callers[i], wait_for_event, lowest);
	OK(capos_lease_revoke(below));
	for (unsigned i = 3; i < 100; i++)
		ends_with(&callers[i], REVOKED);
	OK(capos_lease_revoke(lease));
	ends_with(&callers[2], REVOKED);
	OK(capos_event_signal(event, 1));
	ends_with(&callers[0], 0);
	OK(capos_event_signal(event, 1));
	ends_with(&callers[1], 0);
	release_both(lease, other);
	release_both(copy, fine);
	release_both(below, lowest);
	OK(capos_release(event));
}

/* ---- endpoints ---- */

static void calls_go_through_copies(void)
{
	uint32_t before = slots();
	capos_cap_t endpoint = 0, facet = 0;
	struct capos_message m = { { 0 } };
	uint64_t tag = 0;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 2, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 7, &facet));
	capos_cap_t owner = lease_of(endpoint), serves = copy_of(owner);
	capos_cap_t lease = lease_of(facet), calls = copy_of(lease);
	for (int round = 0; round < 100; round++) {
		start(&callers[0], call_endpoint, calls);
		CHECK_EQUAL(capos_endpoint_receive(serves, &m, &tag, FOREVER),
			CAPOS_RECEIVE_RESULT_CALL);
		CHECK_EQUAL(tag, 7);
		CHECK_EQUAL(m.words[0], 1);
		if (round % 2)
			OK(capos_endpoint_reply(&m, 0) != CAPOS_REPLY_RESULT_ANSWERED);
		else
			CHECK_EQUAL(capos_endpoint_reply_receive(serves, &m, 0, &tag, 0),
				CAPOS_E(TIMED_OUT));
		ends_with(&callers[0], 0);
	}
	release_both(lease, calls);
	release_both(owner, serves);
	release_both(facet, endpoint);
	CHECK_EQUAL(slots(), before);
}

static uint64_t ring_answer;

static void begin_ring_call(struct capos_ring_call *call, capos_cap_t facet)
{
	static const uint64_t question = 5;
	*call = (struct capos_ring_call){ .facet = facet,
		.message = &question,
		.size = sizeof question,
		.result = &ring_answer,
		.capacity = sizeof ring_answer,
		.deadline_ns = FOREVER };
	OK(capos_ring_call_begin(call));
}

static int64_t ring_receive(capos_cap_t endpoint, uint64_t *tag)
{
	char buffer[64];
	size_t size = sizeof buffer;
	return capos_ring_receive(endpoint, buffer, &size, NULL, tag, 0);
}

static void ring_calls_go_through_copies(void)
{
	uint32_t before = slots();
	capos_cap_t endpoint = 0, facet = 0;
	struct capos_ring_call call;
	uint64_t tag = 0;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 7, &facet));
	capos_cap_t owner = lease_of(endpoint), serves = copy_of(owner);
	capos_cap_t lease = lease_of(facet), calls = copy_of(lease);
	for (int round = 0; round < 20; round++) {
		begin_ring_call(&call, calls);
		CHECK(!call.ended);
		CHECK_EQUAL(ring_receive(serves, &tag), CAPOS_RECEIVE_RESULT_CALL);
		CHECK_EQUAL(tag, 7);
		CHECK_EQUAL(
			capos_ring_reply(&tag, sizeof tag, NULL, 0), CAPOS_REPLY_RESULT_ANSWERED);
		OK(capos_ring_call_wait(&call, FOREVER));
		CHECK_EQUAL(ring_answer, 7);
	}
	begin_ring_call(&call, serves); /* a copy of another kind of object */
	CHECK_EQUAL(capos_ring_call_wait(&call, 0), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	CHECK_EQUAL(ring_receive(calls, &tag), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	release_both(lease, calls);
	release_both(owner, serves);
	release_both(facet, endpoint);
	CHECK_EQUAL(slots(), before);
}

/* They go on while the thread does other things, and end with the copy too. */
static void ring_calls_end_with_the_copy(void)
{
	uint32_t before = slots();
	capos_cap_t endpoint = 0, facet = 0;
	struct capos_ring_call received, waits, other;
	uint64_t tag = 0;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 7, &facet));
	capos_cap_t owner = lease_of(endpoint), serves = copy_of(owner);
	capos_cap_t lease = lease_of(facet), calls = copy_of(lease);
	begin_ring_call(&received, calls);
	begin_ring_call(&waits, calls);
	begin_ring_call(&other, facet);
	CHECK_EQUAL(ring_receive(serves, &tag), CAPOS_RECEIVE_RESULT_CALL);
	OK(capos_lease_revoke(lease));
	CHECK_EQUAL(capos_ring_call_wait(&received, 0), REVOKED);
	CHECK_EQUAL(capos_ring_call_wait(&waits, 0), REVOKED);
	CHECK_EQUAL(capos_ring_reply(&tag, sizeof tag, NULL, 0), CAPOS_REPLY_RESULT_GONE);
	begin_ring_call(&received, calls);
	CHECK_EQUAL(capos_ring_call_wait(&received, 0), REVOKED);
	CHECK_EQUAL(ring_receive(serves, &tag), CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(capos_ring_reply(&tag, sizeof tag, NULL, 0), CAPOS_REPLY_RESULT_ANSWERED);
	OK(capos_ring_call_wait(&other, FOREVER));
	OK(capos_lease_revoke(owner));
	CHECK_EQUAL(ring_receive(serves, &tag), REVOKED);
	release_both(lease, calls);
	release_both(owner, serves);
	release_both(facet, endpoint);
	CHECK_EQUAL(slots(), before);
}

/* They would outlast its revocation. */
static void bindings_take_no_copy(void)
{
	capos_cap_t event = event_create(), lease = lease_of(event), copy = copy_of(lease);
	capos_cap_t endpoint = 0;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint));
	CHECK_EQUAL(capos_endpoint_bind(endpoint, copy, 1, 0), CAPOS_E(NOT_FOUND));
	OK(capos_endpoint_bind(endpoint, event, 1, 0));
	release_both(lease, copy);
	release_both(event, endpoint);
}

static void calls_end_with_the_copy(void)
{
	uint32_t before = slots();
	capos_cap_t endpoint = 0, facet = 0, event = event_create(), cap = 0;
	struct capos_message m = { { 0 } };
	uint64_t tag = 0;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 2, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 7, &facet));
	OK(capos_endpoint_accept(endpoint, 1));
	capos_cap_t owner = lease_of(endpoint), serves = copy_of(owner);
	capos_cap_t lease = lease_of(facet), calls = copy_of(lease);
	/* What goes with a call comes back. */
	callers[0].other = event;
	start(&callers[0], call_with_event, calls);
	OK(capos_lease_revoke(lease));
	ends_with(&callers[0], REVOKED);
	OK(capos_event_signal(event, 1));
	OK(capos_release(calls));
	/* The server has the call, and its answer comes too late. */
	OK(capos_release(lease));
	lease = lease_of(facet), calls = copy_of(lease);
	start(&callers[0], call_endpoint, calls);
	CHECK_EQUAL(capos_endpoint_receive_cap(serves, &m, &cap, &tag, FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	OK(capos_lease_revoke(lease));
	ends_with(&callers[0], REVOKED);
	CHECK_EQUAL(capos_endpoint_reply(&m, 0), CAPOS_REPLY_RESULT_GONE);
	CHECK_EQUAL(capos_endpoint_call(calls, &m, FOREVER), REVOKED);
	CHECK_EQUAL(capos_endpoint_call_cap(calls, &m, &cap, CAPOS_MESSAGE_TAKES, 0), REVOKED);
	CHECK_EQUAL(capos_endpoint_call(owner, &m, 0), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	OK(capos_lease_revoke(owner));
	CHECK_EQUAL(capos_endpoint_receive(serves, &m, &tag, 0), REVOKED);
	CHECK_EQUAL(capos_endpoint_receive(endpoint, &m, &tag, 0), CAPOS_E(TIMED_OUT));
	release_both(lease, calls);
	release_both(owner, serves);
	release_both(facet, endpoint);
	OK(capos_release(event));
	CHECK_EQUAL(slots(), before);
}

/* The copy that goes with a message is as revocable as the one it is of. */
static void copies_in_messages_are_revocable(void)
{
	capos_cap_t endpoint = 0, facet = 0, event = event_create(), came = 0;
	struct capos_message m;
	uint64_t tag = 0;
	OK(capos_endpoint_factory_create(capos_caps.endpoint_factory, 2, &endpoint));
	OK(capos_endpoint_make_facet(endpoint, 7, &facet));
	OK(capos_endpoint_accept(endpoint, 1));
	capos_cap_t lease = lease_of(event), copy = copy_of(lease);
	callers[0].other = copy;
	start(&callers[0], call_with_event, facet);
	CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &came, &tag, FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(capos_endpoint_reply(&m, 0), CAPOS_REPLY_RESULT_ANSWERED);
	ends_with(&callers[0], 0);
	CHECK_EQUAL(capos_event_signal(copy, 1), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	OK(capos_event_signal(came, 1));
	OK(capos_lease_revoke(lease));
	CHECK_EQUAL(capos_event_signal(came, 1), REVOKED);
	release_both(came, lease);
	release_both(facet, endpoint);
	OK(capos_release(event));
}

/* ---- memory ---- */

static int64_t park_on(void *argument)
{
	struct caller *caller = argument;
	caller->result = capos_park_in(
		caller->other, (const volatile uint32_t *)(uintptr_t)caller->cap, 0, FOREVER);
	return 0;
}

static struct {
	capos_cap_t object, lease, copy, below, lowest;
	uint64_t own, at[3]; /* through the object, the copy twice, the lowest copy */
} memory;

#define SIZE (600 * PAGE)

static void map_memory(void)
{
	uint64_t *at = memory.at;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, SIZE, &memory.object));
	OK(capos_memory_object_map(memory.object, 0, 0, SIZE, WRITE, &memory.own));
	memory.lease = lease_of(memory.object), memory.copy = copy_of(memory.lease);
	memory.below = lease_of(memory.copy), memory.lowest = copy_of(memory.below);
	OK(capos_memory_object_map(memory.copy, 0, 0, SIZE, WRITE, &at[0]));
	OK(capos_memory_object_map(memory.copy, 0, PAGE, 3 * PAGE, READ, &at[1]));
	OK(capos_memory_object_map(memory.lowest, 0, 0, SIZE, WRITE, &at[2]));
	for (uint64_t i = 0; i < SIZE; i += PAGE) {
		*(volatile uint64_t *)(at[0] + i) = i;
		CHECK_EQUAL(*(volatile uint64_t *)(memory.own + i), i);
		CHECK_EQUAL(*(volatile uint64_t *)(at[2] + i), i);
	}
	OK(vm_unmap(at[0] + 5 * PAGE, 3 * PAGE)); /* what is left is in pieces */
	OK(vm_protect(at[0] + 10 * PAGE, PAGE, READ));
	OK(vm_decommit(at[0] + 20 * PAGE, PAGE));
	*(volatile uint32_t *)(memory.own + 64) = 0;
}

static void unmap_memory(void)
{
	uint64_t *at = memory.at;
	OK(vm_unmap(at[0], 5 * PAGE));
	OK(vm_unmap(at[0] + 8 * PAGE, SIZE - 8 * PAGE));
	OK(vm_commit(at[1], PAGE, WRITE)); /* the addresses are the program's */
	CHECK_EQUAL(*(volatile uint64_t *)at[1], 0);
	OK(vm_unmap(at[1], 3 * PAGE));
	OK(vm_unmap(at[2], SIZE));
	OK(vm_unmap(memory.own, SIZE));
	release_both(memory.below, memory.lowest);
	release_both(memory.lease, memory.copy);
	OK(capos_release(memory.object));
}

static void start_park(struct caller *caller, capos_cap_t space, uint64_t word)
{
	caller->other = space;
	CHECK(word <= UINT32_MAX);
	start(caller, park_on, (capos_cap_t)word);
}

static void mappings_are_taken_back(void)
{
	struct capos_memory_usage before = vm_usage();
	uint64_t again = 0, *at = memory.at;
	map_memory();
	start_park(&callers[0], capos_caps.shared_park, at[2] + 64);
	start_park(&callers[1], capos_caps.park, at[2] + 64);
	start_park(&callers[2], capos_caps.shared_park, memory.own + 64);
	OK(capos_lease_revoke(memory.below));
	ends_with(&callers[0], CAPOS_PARK_RESULT_DRAINED);
	ends_with(&callers[1], CAPOS_PARK_RESULT_DRAINED);
	CHECK(try_read(at[2]) == CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(try_read(at[0]), 0);
	OK(capos_lease_revoke(memory.lease));
	const uint32_t *word = (uint32_t *)(memory.own + 64);
	CHECK_EQUAL(capos_unpark_in(capos_caps.shared_park, word, 5), 1);
	ends_with(&callers[2], CAPOS_PARK_RESULT_WOKEN);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(try_read(at[i]) == CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
		CHECK(try_write(at[i] + 2 * PAGE) == CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
		CHECK_EQUAL(vm_query(at[i]).state, CAPOS_REGION_STATE_RESERVED);
	}
	CHECK_EQUAL(capos_memory_object_map(memory.copy, 0, 0, SIZE, WRITE, &again), REVOKED);
	CHECK_EQUAL(capos_memory_object_unmap(memory.object, at[0], PAGE), CAPOS_E(NOT_RESERVED));
	CHECK_EQUAL(
		capos_park_in(capos_caps.shared_park, (void *)at[0], 0, 0), CAPOS_E(BAD_ADDRESS));
	CHECK_EQUAL(*(volatile uint64_t *)(memory.own + 9 * PAGE), 9 * PAGE);
	unmap_memory();
	CHECK_EQUAL(vm_usage().reserved_pages, before.reserved_pages);
	CHECK_EQUAL(vm_usage().resident_pages, before.resident_pages);
}

/* The object goes with the last of its mappings, although copies are still held. */
static void memory_comes_back(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t at = 0;
	capos_cap_t object = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, 64 * PAGE, &object));
	capos_cap_t lease = lease_of(object), copy = copy_of(lease);
	OK(capos_memory_object_map(copy, 0, 0, 64 * PAGE, WRITE, &at));
	*(volatile uint64_t *)at = 1;
	OK(capos_release(object));
	CHECK_EQUAL(program_usage().committed_pages - before.committed_pages, 64);
	OK(capos_lease_revoke(lease));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
	OK(vm_unmap(at, 64 * PAGE));
	release_both(lease, copy);
}

/* ---- against other CPUs ---- */

static uint64_t uses, mapped;

static int64_t use_event(void *argument)
{
	capos_cap_t copy = (capos_cap_t)(uintptr_t)argument;
	int64_t status;
	uint64_t bits;
	while ((status = capos_event_signal(copy, 1)) == 0 &&
		((status = capos_event_wait(copy, 1, 0, &bits)) == 0 ||
			status == CAPOS_E(TIMED_OUT)))
		__atomic_add_fetch(&uses, 1, __ATOMIC_RELAXED);
	return status;
}

/* Maps, writes and unmaps until that is refused; what it had mapped last may stay as it is. */
static int64_t use_memory(void *argument)
{
	capos_cap_t copy = (capos_cap_t)(uintptr_t)argument;
	int64_t status = capos_notification_set_handler(record_fault);
	uint64_t at = 0;
	while ((status = capos_memory_object_map(copy, 0, 0, 4 * PAGE, WRITE, &at)) == 0) {
		__atomic_add_fetch(&mapped, 1, __ATOMIC_RELAXED);
		if (try_write(at) || try_write(at + 3 * PAGE)) {
			OK(vm_unmap(at, 4 * PAGE));
			continue;
		}
		OK(vm_unmap(at + PAGE, PAGE)); /* in the middle */
		OK(vm_unmap(at, PAGE));
		OK(vm_unmap(at + 2 * PAGE, 2 * PAGE));
	}
	return status;
}

/* Writes to pages that are mapped until they are not. */
static int64_t write_memory(void *argument)
{
	int64_t status = capos_notification_set_handler(record_fault);
	while (!try_write((uint64_t)argument))
		;
	return status;
}

static void revocation_races_with_use(void)
{
	for (int round = 0; round < 30; round++) {
		capos_cap_t event = event_create(), object = 0;
		uint64_t at = 0, own = 0;
		struct capos_thread *threads[6];
		int64_t result = 0;
		OK(capos_memory_allocator_create(capos_caps.memory_allocator, 4 * PAGE, &object));
		OK(capos_memory_object_map(object, 0, 0, 4 * PAGE, WRITE, &own));
		capos_cap_t lease = lease_of(event), copy = copy_of(lease);
		capos_cap_t memory = lease_of(object), maps = copy_of(memory);
		OK(capos_memory_object_map(maps, 0, 0, 4 * PAGE, WRITE, &at));
		int64_t (*const run[6])(void *) = { use_event, use_event, use_memory, use_memory,
			write_memory, write_memory };
		uint64_t arguments[6] = { copy, copy, maps, maps, at, at + PAGE };
		for (unsigned i = 0; i < 6; i++)
			OK(capos_thread_start(&threads[i], run[i], (void *)arguments[i], NULL));
		capos_sleep_ns((uint64_t)round % 7 * 2 * MS_NS);
		OK(capos_lease_revoke(memory));
		/* From here on nothing that they do is seen in the object. */
		for (unsigned i = 0; i < 4; i++)
			*(volatile uint64_t *)(own + i * PAGE) = 77;
		capos_sleep_ns(MS_NS / 4);
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQUAL(*(volatile uint64_t *)(own + i * PAGE), 77);
		OK(capos_lease_revoke(lease));
		for (unsigned i = 0; i < 6; i++) {
			OK(capos_thread_join_timeout(threads[i], 20000 * MS_NS, &result));
			CHECK_EQUAL(result, i < 4 ? REVOKED : 0);
		}
		OK(vm_unmap(at, 4 * PAGE));
		OK(vm_unmap(own, 4 * PAGE));
		release_both(memory, maps);
		release_both(lease, copy);
		release_both(event, object);
	}
	CHECK(uses && mapped);
}

/* ---- what runs out ---- */

static capos_cap_t made[CAPOS_CAP_SLOTS_MAX];

static void memory_runs_out(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t event = event_create(), factory = capos_caps.lease_factory, object = 0;
	uint64_t size = 1ull << 30, at = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &object));
	capos_cap_t lease = lease_of(object), copy = copy_of(lease);
	OK(capos_memory_object_map(copy, 0, 0, PAGE, WRITE, &at));
	uint64_t range = commit_all(size);
	unsigned count = 0;
	int64_t status = 0;
	while (count < CAPOS_CAP_SLOTS_MAX &&
		(status = capos_lease_factory_create(factory, event, &made[count])) == 0)
		count++;
	CHECK_FAILS(LEASE_FACTORY_CREATE, NO_MEMORY, status);
	CHECK_FAILS(LEASE_FACTORY_CREATE, NO_MEMORY,
		capos_lease_factory_create_message(factory, event, &made[count]));
	while (count < CAPOS_CAP_SLOTS_MAX && (status = capos_lease_copy(lease, &made[count])) == 0)
		count++;
	CHECK_FAILS(LEASE_COPY, NO_MEMORY, status); /* the table of capabilities cannot grow */
	CHECK_FAILS(LEASE_COPY, NO_MEMORY, capos_lease_copy_message(lease, &made[count]));
	OK(capos_lease_revoke(lease)); /* which never lacks any */
	CHECK(try_read(at) == CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	while (count)
		OK(capos_release(made[--count]));
	OK(vm_unmap(range, size));
	OK(vm_unmap(at, PAGE));
	release_both(lease, copy);
	release_both(event, object);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void slots_run_out(void)
{
	capos_cap_t event = event_create(), lease = lease_of(event), more = 0;
	unsigned count = 0;
	int64_t status = 0;
	while (count < CAPOS_CAP_SLOTS_MAX && (status = capos_lease_copy(lease, &made[count])) == 0)
		count++;
	CHECK(count > 1000);
	CHECK_FAILS(LEASE_COPY, NO_SLOTS, status);
	CHECK_FAILS(LEASE_COPY, NO_SLOTS, capos_lease_copy_message(lease, &more));
	CHECK_FAILS(LEASE_FACTORY_CREATE, NO_SLOTS,
		capos_lease_factory_create(capos_caps.lease_factory, event, &more));
	CHECK_FAILS(LEASE_FACTORY_CREATE, NO_SLOTS,
		capos_lease_factory_create_message(capos_caps.lease_factory, event, &more));
	/* One store, however many there are. */
	uint64_t start = capos_now_ns();
	OK(capos_lease_revoke(lease));
	uint64_t took = capos_now_ns() - start;
	if (time_is_exact())
		CHECK(took < 10000);
	for (unsigned i = 0; i < count; i++)
		CHECK_EQUAL(capos_event_signal(made[i], 1), REVOKED);
	while (count)
		OK(capos_release(made[--count]));
	release_both(lease, event);
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	RUN(a_copy_is_used_until_it_is_revoked);
	RUN(the_end_of_the_lease_revokes);
	RUN(leases_stand_on_one_another);
	RUN(not_all_can_be_leased);
	RUN(copies_of_every_kind);
	RUN(revocation_gives_the_object_up);
	RUN(waits_end_with_the_copy);
	RUN(other_waits_go_on);
	RUN(calls_go_through_copies);
	RUN(ring_calls_go_through_copies);
	RUN(ring_calls_end_with_the_copy);
	RUN(bindings_take_no_copy);
	RUN(calls_end_with_the_copy);
	RUN(copies_in_messages_are_revocable);
	RUN(mappings_are_taken_back);
	RUN(memory_comes_back);
	RUN(revocation_races_with_use);
	RUN(memory_runs_out);
	RUN(slots_run_out);
	return check_result();
}
