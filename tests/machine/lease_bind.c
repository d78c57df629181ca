/* Events that are bound through revocable copies: what is bound so signals until the revocation,
 * and nothing after it, for the ends of pipes, endpoints and processes. (Devices: device.c and the
 * trusted drivers of tests/run/trusted.) The kernel compares its counts of objects and frames after
 * the program.
 *
 * // test: limit 32M
 */
#include "spawn.h"

#define REVOKED CAPOS_E(REVOKED)
#define ROUNDS 300u

/* A copy and what takes it back. */
struct lent {
	capos_cap_t lease, copy;
};

static struct lent lend(capos_cap_t cap)
{
	struct lent lent = { 0 };
	OK(capos_lease_factory_create(capos_cap("lease_factory"), cap, &lent.lease));
	OK(capos_lease_copy(lent.lease, &lent.copy));
	return lent;
}

static void release_lent(struct lent lent)
{
	OK(capos_release(lent.copy));
	OK(capos_release(lent.lease));
}

static uint64_t signalled(capos_cap_t event)
{
	return event_take(event, ~0ull, 0);
}

/* ---- pipes ---- */

static struct capos_pipe_ends ends;

static void make_pipe(void)
{
	CHECK_EQUAL(capos_pipe_factory_create(capos_cap("pipe_factory"), PAGE, &ends, sizeof ends),
		sizeof ends);
}

static void release_pipe(void)
{
	OK(capos_release(ends.reader));
	OK(capos_release(ends.writer));
}

/* A byte comes, which is a signal where the reader has found nothing, and goes. */
static void pass_a_byte(void)
{
	uint64_t count = 0;
	char byte = 0;
	CHECK_EQUAL(capos_pipe_reader_read(ends.reader, 1, 0, &byte, 1), CAPOS_E(TIMED_OUT));
	OK(capos_pipe_writer_write(ends.writer, "x", 1, 0, &count));
	CHECK_EQUAL(capos_pipe_reader_read(ends.reader, 1, 0, &byte, 1), 1);
}

/* The pipe is full, and then not. */
static void make_room(void)
{
	static char bytes[PAGE];
	uint64_t count = 0;
	OK(capos_pipe_writer_write(ends.writer, bytes, PAGE, 0, &count));
	CHECK_EQUAL(capos_pipe_writer_write(ends.writer, bytes, 1, 0, &count), CAPOS_E(TIMED_OUT));
	CHECK_EQUAL(capos_pipe_reader_read(ends.reader, PAGE, 0, bytes, PAGE), PAGE);
}

static void pipes_signal_until_then(void)
{
	make_pipe();
	capos_cap_t event = event_create(), own = event_create();
	struct lent reads = lend(ends.reader), writes = lend(ends.writer);
	OK(capos_pipe_reader_bind(reads.copy, event, 1));
	OK(capos_pipe_writer_bind_message(writes.copy, event, 2));
	OK(capos_pipe_reader_bind(ends.reader, own, 4));
	CHECK_EQUAL(signalled(event), 2); /* there is room */
	pass_a_byte();
	CHECK_EQUAL(signalled(event), 1);
	CHECK_EQUAL(signalled(own), 4);
	OK(capos_lease_revoke(reads.lease));
	pass_a_byte();
	CHECK_EQUAL(signalled(event), 0);
	CHECK_EQUAL(signalled(own), 4);
	make_room();
	CHECK_EQUAL(signalled(event), 2); /* of the other lease */
	OK(capos_lease_revoke(writes.lease));
	make_room();
	CHECK_EQUAL(signalled(event), 0);
	CHECK_EQUAL(capos_pipe_reader_bind(reads.copy, event, 0), REVOKED);
	release_lent(reads);
	release_lent(writes);
	release_pipe();
	CHECK_EQUAL(signalled(event), 0);
	OK(capos_release(event));
	OK(capos_release(own));
}

/* The last capability that it was bound by counts. */
static void a_binding_is_of_the_last_bind(void)
{
	make_pipe();
	capos_cap_t event = event_create();
	struct lent lent = lend(ends.reader);
	OK(capos_pipe_reader_bind(lent.copy, event, 1));
	OK(capos_pipe_reader_bind(ends.reader, event, 2));
	OK(capos_lease_revoke(lent.lease));
	pass_a_byte();
	CHECK_EQUAL(signalled(event), 2);
	release_lent(lent);
	lent = lend(ends.reader);
	OK(capos_pipe_reader_bind(lent.copy, event, 4));
	OK(capos_release(lent.lease)); /* which is a revocation */
	pass_a_byte();
	CHECK_EQUAL(signalled(event), 0);
	OK(capos_release(lent.copy));
	release_pipe();
	OK(capos_release(event));
}

/* With a lease above it, and not with one beside or below. */
static void leases_below_leases(void)
{
	make_pipe();
	capos_cap_t events[2] = { event_create(), event_create() };
	struct lent first = lend(ends.reader), second = lend(first.copy), third = lend(second.copy),
		    beside = lend(first.copy);
	OK(capos_pipe_reader_bind(second.copy, events[0], 1));
	OK(capos_pipe_reader_bind(beside.copy, events[1], 1));
	OK(capos_lease_revoke(third.lease));
	pass_a_byte();
	CHECK_EQUAL(signalled(events[0]), 1);
	CHECK_EQUAL(signalled(events[1]), 1);
	OK(capos_lease_revoke(second.lease));
	pass_a_byte();
	CHECK_EQUAL(signalled(events[0]), 0);
	CHECK_EQUAL(signalled(events[1]), 1);
	OK(capos_lease_revoke(first.lease));
	pass_a_byte();
	CHECK_EQUAL(signalled(events[1]), 0);
	release_lent(third);
	release_lent(second);
	release_lent(beside);
	release_lent(first);
	OK(capos_release(events[1])); /* one before its source, and one after */
	release_pipe();
	OK(capos_release(events[0]));
}

/* What a borrower has bound does not keep the lender out. */
static void revoked_bindings_make_room(void)
{
	capos_cap_t events[CAPOS_PIPE_BINDINGS_MAX], own[CAPOS_PIPE_BINDINGS_MAX];
	make_pipe();
	struct lent lent = lend(ends.reader);
	for (unsigned i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++) {
		events[i] = event_create();
		own[i] = event_create();
		OK(capos_pipe_reader_bind(lent.copy, events[i], 1));
	}
	CHECK_EQUAL(capos_pipe_reader_bind(ends.reader, own[0], 1), CAPOS_E(LIMIT_REACHED));
	OK(capos_lease_revoke(lent.lease));
	for (unsigned i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++)
		OK(capos_pipe_reader_bind(ends.reader, own[i], 1));
	CHECK_EQUAL(capos_pipe_reader_bind(ends.reader, events[0], 1), CAPOS_E(LIMIT_REACHED));
	pass_a_byte();
	for (unsigned i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++) {
		CHECK_EQUAL(signalled(own[i]), 1);
		CHECK_EQUAL(signalled(events[i]), 0);
		OK(capos_release(events[i]));
	}
	release_lent(lent);
	release_pipe();
	for (unsigned i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++)
		OK(capos_release(own[i]));
}

static struct {
	capos_cap_t copy, event;
	volatile int64_t result;
} borrower;

static int64_t bind_until_refused(void *argument)
{
	(void)argument;
	do {
		borrower.result = capos_pipe_reader_bind(borrower.copy, borrower.event, 1);
		if (borrower.result == 0)
			borrower.result = capos_pipe_reader_bind(borrower.copy, borrower.event, 0);
	} while (borrower.result == 0);
	return 0;
}

static void revocation_races_with_bind(void)
{
	struct capos_thread *thread;
	make_pipe();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct lent lent = lend(ends.reader);
		borrower.copy = lent.copy;
		borrower.event = event_create();
		OK(capos_thread_start(&thread, bind_until_refused, NULL, NULL));
		pass_a_byte();
		capos_thread_yield();
		OK(capos_lease_revoke(lent.lease));
		OK(capos_thread_join_timeout(thread, 20000 * MS_NS, NULL));
		CHECK_EQUAL(borrower.result, REVOKED);
		signalled(borrower.event);
		pass_a_byte();
		CHECK_EQUAL(signalled(borrower.event), 0);
		release_lent(lent);
		OK(capos_release(borrower.event));
	}
	release_pipe();
}

/* ---- endpoints ---- */

static int64_t call_facet(void *argument)
{
	struct capos_message m = { { 0 } };
	return capos_endpoint_call(*(capos_cap_t *)argument, &m, CAPOS_WAIT_FOREVER);
}

static void answer(capos_cap_t endpoint)
{
	struct capos_message m = { { 0 } };
	uint64_t tag = 0;
	CHECK_EQUAL(capos_endpoint_receive(endpoint, &m, &tag, CAPOS_WAIT_FOREVER),
		CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(capos_endpoint_reply(&m, 0), CAPOS_REPLY_RESULT_ANSWERED);
}

static void takes_gone(capos_cap_t endpoint)
{
	struct capos_message m = { { 0 } };
	uint64_t tag = 0;
	CHECK_EQUAL(capos_endpoint_receive(endpoint, &m, &tag, 0), CAPOS_RECEIVE_RESULT_FACET_GONE);
}

/* A call that waits, and a facet without a holder. */
static void endpoints_signal_until_then(void)
{
	capos_cap_t endpoint = 0, facets[3] = { 0 }, event = event_create(), own = event_create();
	struct capos_thread *threads[2];
	OK(capos_endpoint_factory_create(capos_cap("endpoint_factory"), 4, &endpoint));
	for (unsigned i = 0; i < 3; i++)
		OK(capos_endpoint_make_facet(endpoint, i, &facets[i]));
	struct lent lent = lend(endpoint);
	OK(capos_endpoint_bind(lent.copy, event, 1, 2));
	OK(capos_thread_start(&threads[0], call_facet, &facets[0], NULL));
	CHECK_EQUAL(event_take(event, ~0ull, CAPOS_WAIT_FOREVER), 1);
	answer(endpoint);
	OK(capos_release(facets[1]));
	CHECK_EQUAL(signalled(event), 2);
	takes_gone(endpoint);
	OK(capos_lease_revoke(lent.lease));
	OK(capos_thread_start(&threads[1], call_facet, &facets[0], NULL));
	OK(capos_release(facets[2]));
	capos_sleep_ns(5 * MS_NS);
	CHECK_EQUAL(signalled(event), 0);
	OK(capos_endpoint_bind(endpoint, own, 1, 2));
	CHECK_EQUAL(event_take(own, 1, CAPOS_WAIT_FOREVER), 1); /* the call that waits */
	CHECK_EQUAL(signalled(own), 2);
	takes_gone(endpoint);
	answer(endpoint);
	for (unsigned i = 0; i < 2; i++)
		OK(capos_thread_join_timeout(threads[i], 20000 * MS_NS, NULL));
	CHECK_EQUAL(signalled(event), 0);
	release_lent(lent);
	OK(capos_release(facets[0]));
	OK(capos_release(endpoint));
	OK(capos_release(own));
	OK(capos_release(event));
}

/* ---- processes ---- */

static int role_sleep(int argc, char **argv)
{
	(void)argc, (void)argv;
	capos_sleep_ns(CAPOS_WAIT_FOREVER / 2);
	return 1;
}

static const struct role roles[] = { { "sleep", role_sleep } };

static void kill_and_finish(capos_cap_t child)
{
	OK(capos_process_kill(child));
	finishes(child, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
}

static void ends_are_not_told(void)
{
	capos_cap_t child = spawn("sleep", NULL), events[4], last = event_create();
	struct lent lent = lend(child), kept = lend(child);
	for (unsigned i = 0; i < 4; i++)
		events[i] = event_create();
	OK(capos_process_bind(lent.copy, events[0], 1));
	OK(capos_process_bind(kept.copy, events[1], 1));
	OK(capos_process_bind(lent.copy, events[2], 1));
	OK(capos_process_bind(kept.copy, events[2], 2)); /* in its place */
	OK(capos_process_bind(child, events[3], 1));
	OK(capos_process_bind(lent.copy, events[3], 2)); /* likewise */
	OK(capos_process_bind(child, last, 1));          /* which is told after the others */
	OK(capos_lease_revoke(lent.lease));
	kill_and_finish(child);
	CHECK_EQUAL(event_take(last, 1, CAPOS_WAIT_FOREVER), 1);
	CHECK_EQUAL(signalled(events[1]), 1);
	CHECK_EQUAL(signalled(events[2]), 2);
	CHECK_EQUAL(signalled(events[0]), 0);
	CHECK_EQUAL(signalled(events[3]), 0);
	for (unsigned i = 0; i < 4; i++)
		OK(capos_release(events[i]));
	OK(capos_release(last));
	release_lent(lent);
	release_lent(kept);
}

static void revoked_ends_make_room(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t child = spawn("sleep", NULL), events[CAPOS_PROCESS_BINDINGS_MAX],
		    own = event_create();
	struct lent lent = lend(child);
	for (unsigned i = 0; i < CAPOS_PROCESS_BINDINGS_MAX; i++) {
		events[i] = event_create();
		OK(capos_process_bind(lent.copy, events[i], 1));
	}
	CHECK_EQUAL(capos_process_bind(child, own, 1), CAPOS_E(LIMIT_REACHED));
	OK(capos_lease_revoke(lent.lease));
	OK(capos_process_bind(child, own, 1));
	kill_and_finish(child);
	CHECK_EQUAL(event_take(own, 1, CAPOS_WAIT_FOREVER), 1);
	for (unsigned i = 0; i < CAPOS_PROCESS_BINDINGS_MAX; i++) {
		CHECK_EQUAL(signalled(events[i]), 0);
		OK(capos_release(events[i]));
	}
	OK(capos_release(own));
	release_lent(lent);
	CHECK_USAGE_IS(before);
}

int main(int argc, char **argv)
{
	int result = PLAY_ROLE(argc, argv);
	if (result >= 0)
		return result;
	RUN(pipes_signal_until_then);
	RUN(a_binding_is_of_the_last_bind);
	RUN(leases_below_leases);
	RUN(revoked_bindings_make_room);
	RUN(revocation_races_with_bind);
	RUN(endpoints_signal_until_then);
	RUN(ends_are_not_told);
	RUN(revoked_ends_make_room);
	return check_result();
}
