/* PipeFactory, PipeReader, PipeWriter: bytes in order, room, ends, turns, time-outs, notifications,
 * ledgers, and every error in both forms; ends in other processes, and the death of either.
 *
 * // test: limit 24M
 */
#include "raw_thread.h"
#include "spawn.h"

#define FOREVER CAPOS_WAIT_FOREVER
#define WHOLE CAPOS_PIPE_WRITE_WHOLE

static capos_cap_t reader, writer;
static uint8_t bytes[1 << 20], back[1 << 20];

static void make(uint64_t size)
{
	struct capos_pipe_ends ends = { 0 };
	CHECK_EQUAL(capos_pipe_factory_create(capos_caps.pipe_factory, size, &ends, sizeof ends),
		sizeof ends);
	reader = ends.reader;
	writer = ends.writer;
}

static void release_both(void)
{
	OK(capos_release(reader));
	OK(capos_release(writer));
}

static void fill(uint64_t seed)
{
	for (size_t i = 0; i < sizeof bytes; i += 8) {
		uint64_t word = random_next(&seed);
		memcpy(bytes + i, &word, 8);
	}
}

static int64_t put(const void *data, size_t length, uint64_t timeout_ns)
{
	uint64_t count = 0;
	int64_t status = capos_pipe_writer_write(writer, data, length, timeout_ns, &count);
	return status < 0 ? status : (int64_t)count;
}

static int64_t get(void *data, size_t capacity, uint64_t timeout_ns)
{
	return capos_pipe_reader_read(reader, (uint32_t)capacity, timeout_ns, data, capacity);
}

static uint32_t program_caps(void)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	return info.capabilities;
}

/* A call by a message of three or four words, whose result has no place; the completion's. */
static int32_t message_at(
	capos_cap_t cap, uint16_t method, const uint64_t *message, uint64_t result)
{
	struct capos_submission submission = {
		.opcode = CAPOS_OPCODE_CALL, .cap = cap, .method = method
	};
	struct capos_completion completion = { 0 };
	const uint64_t args[4] = { (uint64_t)message, (1 + (message[0] >> 32)) * 8, result, 64 };
	memcpy(submission.args, args, sizeof args);
	int64_t status = capos_ring_do(&submission, &completion);
	return status < 0 ? (int32_t)status : completion.result;
}

/* ---- one thread ---- */

static void bytes_come_in_order(void)
{
	uint64_t seed = 1, wrote = 0, read = 0, count;
	fill(7);
	make(3 * PAGE);
	while (read < sizeof bytes) {
		uint64_t part = random_next(&seed) % (2 * PAGE) + 1;
		if (part > sizeof bytes - wrote)
			part = sizeof bytes - wrote;
		int64_t got = part ? put(bytes + wrote, part, 0) : 0;
		if (got > 0)
			wrote += (uint64_t)got;
		else if (part)
			CHECK_EQUAL(got, CAPOS_E(TIMED_OUT));
		got = get(back + read, random_next(&seed) % (2 * PAGE) + 1, 0);
		CHECK(got > 0);
		if (got <= 0)
			return;
		read += (uint64_t)got;
	}
	CHECK(memcmp(bytes, back, sizeof bytes) == 0);
	OK(capos_pipe_writer_write_message(writer, "message", 7, 0, &count));
	CHECK_EQUAL(count, 7);
	CHECK_EQUAL(capos_pipe_reader_read_message(reader, 4, 0, back, 4), 4);
	CHECK_EQUAL(capos_pipe_reader_read_message(reader, 100, FOREVER, back + 4, 100), 3);
	CHECK(memcmp(back, "message", 7) == 0);
	release_both();
}

/* What fits and what is written whole. */
static void room_is_counted(void)
{
	for (uint64_t pages = 1; pages <= 3; pages++) {
		uint64_t size = pages * PAGE;
		make(size - PAGE + 1); /* rounded up */
		CHECK_EQUAL(put(bytes, size + 1, 0), size);
		CHECK_EQUAL(put(bytes, 1, 0), CAPOS_E(TIMED_OUT));
		CHECK_EQUAL(get(back, 100, 0), 100);
		CHECK_EQUAL(put(bytes, 101, 0), CAPOS_E(TIMED_OUT)); /* whole or not at all */
		CHECK_EQUAL(put(bytes, WHOLE + 1, 0), CAPOS_E(TIMED_OUT));
		CHECK_EQUAL(put(bytes, 100, 0), 100);
		CHECK_EQUAL(get(back, sizeof back, 0), size);
		CHECK_EQUAL(put(bytes, 0, 0), 0);
		CHECK_EQUAL(get(back, 1, 0), CAPOS_E(TIMED_OUT));
		release_both();
	}
	make(CAPOS_PIPE_BYTES_MAX);
	CHECK_EQUAL(put(bytes, sizeof bytes, 0), CAPOS_PIPE_BYTES_MAX);
	CHECK_EQUAL(get(back, sizeof back, 0), CAPOS_PIPE_BYTES_MAX);
	CHECK(memcmp(bytes, back, sizeof bytes) == 0);
	release_both();
}

static void an_end_that_is_gone_is_told(void)
{
	uint64_t count;
	make(1);
	CHECK_EQUAL(put("last", 4, 0), 4);
	OK(capos_release(writer));
	CHECK_EQUAL(get(back, 3, FOREVER), 3);
	CHECK_EQUAL(get(back, 3, FOREVER), 1);
	CHECK_EQUAL(get(back, 3, FOREVER), 0);
	CHECK_EQUAL(capos_pipe_reader_read_message(reader, 3, FOREVER, back, 3), 0);
	OK(capos_release(reader));
	make(1);
	CHECK_EQUAL(put("lost", 4, 0), 4);
	OK(capos_release(reader));
	CHECK_FAILS(PIPE_WRITER_WRITE, DISCONNECTED, put("x", 1, FOREVER));
	CHECK_FAILS(PIPE_WRITER_WRITE, DISCONNECTED, put("x", 0, 0));
	CHECK_FAILS(PIPE_WRITER_WRITE, DISCONNECTED,
		capos_pipe_writer_write_message(writer, "x", 1, 0, &count));
	OK(capos_release(writer));
}

static void arguments_are_checked(void)
{
	struct capos_pipe_ends ends = { 0 };
	uint64_t count;
	capos_cap_t factory = capos_caps.pipe_factory;
	CHECK_FAILS(PIPE_FACTORY_CREATE, INVALID_ARGUMENT,
		capos_pipe_factory_create(factory, 0, &ends, sizeof ends));
	CHECK_FAILS(PIPE_FACTORY_CREATE, INVALID_ARGUMENT,
		capos_pipe_factory_create(
			factory, CAPOS_PIPE_BYTES_MAX + 1ull, &ends, sizeof ends));
	CHECK_FAILS(PIPE_FACTORY_CREATE, INVALID_ARGUMENT,
		capos_pipe_factory_create(factory, 1, &ends, sizeof ends - 1));
	CHECK_FAILS(PIPE_FACTORY_CREATE, INVALID_ARGUMENT,
		capos_pipe_factory_create_message(factory, 0, &ends, sizeof ends));
	CHECK_EQUAL(capos_pipe_factory_create_message(factory, 1, &ends, sizeof ends), sizeof ends);
	reader = ends.reader;
	writer = ends.writer;
	CHECK_FAILS(PIPE_READER_READ, INVALID_ARGUMENT, get(back, 0, 0));
	CHECK_FAILS(
		PIPE_READER_READ, INVALID_ARGUMENT, capos_pipe_reader_read(reader, 0, 0, back, 1));
	CHECK_FAILS(PIPE_READER_READ, TIMED_OUT, get(back, 1, 0));
	CHECK_FAILS(PIPE_READER_READ, TIMED_OUT, get(back, 1, MS_NS));
	CHECK_FAILS(PIPE_READER_READ, TIMED_OUT,
		capos_pipe_reader_read_message(reader, 1, MS_NS, back, 1));
	CHECK_EQUAL(put(bytes, PAGE, 0), PAGE);
	CHECK_FAILS(PIPE_WRITER_WRITE, TIMED_OUT, put(bytes, 1, 0));
	CHECK_FAILS(PIPE_WRITER_WRITE, TIMED_OUT, put(bytes, 1, MS_NS));
	CHECK_FAILS(PIPE_WRITER_WRITE, TIMED_OUT,
		capos_pipe_writer_write_message(writer, bytes, 1, MS_NS, &count));
	CHECK_EQUAL(capos_call(reader, 7, 0, 0, 0, 0, 0), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	release_both();
	CHECK_EQUAL(get(back, 1, 0), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	CHECK_EQUAL(put(back, 1, 0), CAPOS_TRANSPORT_E(INVOKE_FAILED));
}

/* Addresses that are bad from the beginning, and those that become so behind a page. Nothing is
 * made, written or taken. */
static void bad_pointers_are_named(void)
{
	uint64_t edge = vm_map(2 * PAGE, WRITE);
	OK(vm_unmap(edge + PAGE, PAGE));
	const uint64_t bad[] = { 0, 8, edge + PAGE - 4, edge + PAGE, CAPOS_USER_TOP,
		CAPOS_USER_TOP - 4, NON_CANONICAL, KERNEL_HALF, -8ull };
	make(4 * PAGE);
	uint32_t caps = program_caps();
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		void *at = (void *)bad[i];
		CHECK_FAILS(PIPE_FACTORY_CREATE, BAD_ADDRESS,
			capos_pipe_factory_create(capos_caps.pipe_factory, 1, at, 8));
		CHECK_FAILS(PIPE_WRITER_WRITE, BAD_ADDRESS, put(at, 2 * PAGE, FOREVER));
		CHECK_EQUAL(put("12345678", 8, 0), 8);
		CHECK_FAILS(PIPE_READER_READ, BAD_ADDRESS, get(at, 8, 0));
		CHECK_FAILS(PIPE_READER_READ, BAD_ADDRESS, get(at, PAGE, FOREVER));
		CHECK_EQUAL(get(back, PAGE, 0), 8);
		CHECK(memcmp(back, "12345678", 8) == 0);
	}
	CHECK_EQUAL(program_caps(), caps);
	release_both();
	OK(vm_unmap(edge, PAGE));
}

/* Messages whose result cannot be delivered: the bytes wait, and no capability is left. */
static void results_that_do_not_arrive(void)
{
	static const uint64_t read_message[] = { 3ull << 32, 2ull << 32, 8, 0 };
	static const uint64_t create_message[] = { 2ull << 32, 1ull << 32, 1, 0 };
	make(1);
	uint32_t caps = program_caps();
	CHECK_EQUAL(put("abc", 3, 0), 3);
	CHECK_EQUAL(message_at(reader, CAPOS_PIPE_READER_READ, read_message, 8),
		CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	CHECK_EQUAL(get(back, 8, 0), 3);
	CHECK_EQUAL(
		message_at(capos_caps.pipe_factory, CAPOS_PIPE_FACTORY_CREATE, create_message, 8),
		CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	CHECK_EQUAL(program_caps(), caps);
	release_both();
}

/* ---- threads ---- */

struct job {
	bool writes;
	uint8_t value;
	size_t length;
	uint64_t timeout_ns;
	struct capos_thread *thread;
	volatile int64_t result;
	uint8_t data[WHOLE + 64];
};

static void ignore(uint32_t kind, struct capos_thread_state *state)
{
	if (kind < CAPOS_NOTIFY_USER_FIRST)
		record_fault(kind, state);
}

static int64_t do_job(void *argument)
{
	struct job *job = argument;
	capos_notification_set_handler(ignore);
	if (job->writes)
		memset(job->data, job->value, sizeof job->data);
	job->result = job->writes ? put(job->data, job->length, job->timeout_ns)
				  : get(job->data, job->length, job->timeout_ns);
	return 0;
}

#define MANY 40u
static struct job jobs[MANY];

static void start(struct job *job, bool writes, size_t length, uint64_t timeout_ns)
{
	job->writes = writes;
	job->value = (uint8_t)(job - jobs + 1);
	job->length = length;
	job->timeout_ns = timeout_ns;
	job->result = INT64_MIN;
	OK(capos_thread_start(&job->thread, do_job, job, NULL));
}

static void start_waiting(struct job *job, bool writes, size_t length, uint64_t timeout_ns)
{
	struct capos_thread_info info;
	start(job, writes, length, timeout_ns);
	raw_wait_blocked(capos_thread_handle(job->thread), &info);
}

static int64_t result_of(struct job *job)
{
	OK(capos_thread_join(job->thread, NULL));
	return job->result;
}

static void readers_take_turns(void)
{
	make(1);
	for (unsigned i = 0; i < MANY; i++)
		start_waiting(&jobs[i], false, 2, FOREVER);
	for (unsigned i = 0; i < MANY - 2; i++) {
		uint8_t two[2] = { (uint8_t)i, 99 };
		CHECK_EQUAL(put(two, 2, 0), 2);
		CHECK_EQUAL(result_of(&jobs[i]), 2);
		CHECK_EQUAL(jobs[i].data[0], i);
		CHECK_EQUAL(jobs[i + 1].result, INT64_MIN);
	}
	OK(capos_release(writer)); /* the end reaches all */
	for (unsigned i = MANY - 2; i < MANY; i++)
		CHECK_EQUAL(result_of(&jobs[i]), 0);
	OK(capos_release(reader));
}

/* The first needs more room than the second, which waits all the same; and bytes of one write stay
 * together, also where it is larger than the pipe. */
static void writers_take_turns(void)
{
	make(1);
	CHECK_EQUAL(put(bytes, 10, 0), 10);
	for (unsigned i = 0; i < MANY; i++)
		start_waiting(&jobs[i], true, i % 2 ? 1 : WHOLE + 1 - i, FOREVER);
	CHECK_EQUAL(put(bytes, 1, 0), CAPOS_E(TIMED_OUT));
	CHECK_EQUAL(get(back, 10, 0), 10);
	for (unsigned i = 0; i < MANY; i++) {
		size_t length = jobs[i].length;
		for (size_t got = 0; got < length;) {
			int64_t part = get(back + got, length - got, FOREVER);
			CHECK(part > 0);
			got += part > 0 ? (size_t)part : length;
		}
		for (size_t k = 0; k < length; k++)
			CHECK_EQUAL(back[k], i + 1);
		CHECK_EQUAL(result_of(&jobs[i]), length);
	}
	CHECK_EQUAL(get(back, 1, 0), CAPOS_E(TIMED_OUT));
	CHECK_EQUAL(put(bytes, PAGE, 0), PAGE);
	for (unsigned i = 0; i < MANY; i++)
		start_waiting(&jobs[i], true, 5, FOREVER);
	OK(capos_release(reader));
	for (unsigned i = 0; i < MANY; i++)
		CHECK_FAILS(PIPE_WRITER_WRITE, DISCONNECTED, result_of(&jobs[i]));
	OK(capos_release(writer));
}

/* In the turn, and waiting for it. */
static void timeouts_end_waits(void)
{
	make(1);
	start_waiting(&jobs[0], false, 1, 200 * MS_NS);
	start(&jobs[1], false, 1, 10 * MS_NS);
	start_waiting(&jobs[2], false, 1, FOREVER);
	CHECK_EQUAL(get(back, 1, 0), CAPOS_E(TIMED_OUT));
	CHECK_FAILS(PIPE_READER_READ, TIMED_OUT, result_of(&jobs[1]));
	CHECK_FAILS(PIPE_READER_READ, TIMED_OUT, result_of(&jobs[0]));
	CHECK_EQUAL(put("x", 1, 0), 1);
	CHECK_EQUAL(result_of(&jobs[2]), 1);
	/* A large write that ends early has written a part. */
	start_waiting(&jobs[0], true, PAGE + 9, 200 * MS_NS);
	start_waiting(&jobs[1], true, 3, FOREVER);
	CHECK_EQUAL(result_of(&jobs[0]), PAGE);
	CHECK_EQUAL(get(back, sizeof back, FOREVER), PAGE);
	CHECK_EQUAL(result_of(&jobs[1]), 3);
	CHECK_EQUAL(get(back, sizeof back, FOREVER), 3);
	release_both();
}

static void notify(struct job *job)
{
	OK(capos_thread_handle_notify(
		capos_thread_handle(job->thread), CAPOS_NOTIFY_USER_FIRST, 0));
}

static void notifications_interrupt(void)
{
	make(1);
	start_waiting(&jobs[0], false, 1, FOREVER);
	start_waiting(&jobs[1], false, 1, FOREVER);
	start_waiting(&jobs[2], false, 1, FOREVER);
	notify(&jobs[1]); /* waits for its turn */
	CHECK_FAILS(PIPE_READER_READ, INTERRUPTED, result_of(&jobs[1]));
	notify(&jobs[0]); /* has it */
	CHECK_FAILS(PIPE_READER_READ, INTERRUPTED, result_of(&jobs[0]));
	CHECK_EQUAL(put("x", 1, 0), 1);
	CHECK_EQUAL(result_of(&jobs[2]), 1);
	CHECK_EQUAL(put(bytes, PAGE, 0), PAGE);
	start_waiting(&jobs[0], true, 1, FOREVER);
	notify(&jobs[0]);
	CHECK_FAILS(PIPE_WRITER_WRITE, INTERRUPTED, result_of(&jobs[0]));
	CHECK_EQUAL(get(back, PAGE, 0), PAGE);
	start_waiting(&jobs[0], true, PAGE + 1, FOREVER);
	notify(&jobs[0]); /* a part has been written */
	CHECK_EQUAL(result_of(&jobs[0]), PAGE);
	release_both();
}

/* Writers of records and readers of any number of bytes, with waits that end early. Each record is
 * a byte, repeated; no two records get mixed. */
#define FLOOD_RECORDS 150u
#define FLOODERS 4u
static uint64_t flood_sums[FLOODERS + 1];

static int64_t flood_write(void *argument)
{
	uint64_t me = (uintptr_t)argument, seed = me * 77 + 1;
	uint8_t *record = malloc(WHOLE);
	int64_t failed = record == NULL;
	memset(record, (int)me, WHOLE);
	for (unsigned i = 0; i < FLOOD_RECORDS && !failed;) {
		uint64_t length = random_next(&seed) % (i % 8 ? 100 : WHOLE) + 1;
		uint64_t timeout = i % 3 ? FOREVER : random_next(&seed) % 30000;
		record[0] = (uint8_t)(length >> 8 | 0x80);
		if (length < 3)
			continue;
		record[1] = (uint8_t)length;
		int64_t wrote = put(record, length, timeout);
		failed = wrote != (int64_t)length && wrote != CAPOS_E(TIMED_OUT);
		i += wrote == (int64_t)length;
	}
	free(record);
	return failed;
}

/* Records from all writers, whole and one after the other. */
static int64_t flood_check(size_t end)
{
	for (size_t at = 0; at < end;) {
		size_t length = (size_t)(back[at] & 0x7f) << 8 | back[at + 1];
		if (!(back[at] & 0x80) || length < 3 || length > end - at)
			return -1;
		uint8_t value = back[at + 2];
		for (size_t k = 2; k < length; k++)
			if (back[at + k] != value)
				return -2;
		if (!value || value > FLOODERS)
			return -3;
		flood_sums[value]++;
		at += length;
	}
	return 0;
}

static void floods_are_not_mixed(void)
{
	struct capos_thread *threads[FLOODERS];
	uint64_t seed = 5, read = 0;
	int64_t got, result;
	make(2 * PAGE);
	for (uintptr_t i = 0; i < FLOODERS; i++)
		OK(capos_thread_start(&threads[i], flood_write, (void *)(i + 1), NULL));
	for (uint32_t left = FLOODERS;;) {
		got = get(back + read, random_next(&seed) % 3000 + 1, MS_NS);
		if (got > 0) {
			read += (uint64_t)got;
			continue;
		}
		CHECK_EQUAL(got, CAPOS_E(TIMED_OUT));
		if (!left)
			break;
		if (capos_thread_join_timeout(threads[left - 1], 0, &result) == 0) {
			CHECK_EQUAL(result, 0);
			left--;
		}
	}
	CHECK_EQUAL(flood_check(read), 0);
	for (unsigned i = 1; i <= FLOODERS; i++)
		CHECK_EQUAL(flood_sums[i], FLOOD_RECORDS);
	release_both();
}

/* Several of each; each byte reaches one reader. */
static int64_t sum_read(void *argument)
{
	uint8_t few[700];
	uint64_t sum = 0, me = (uintptr_t)argument;
	int64_t got;
	while ((got = get(few, sizeof few / (me + 1), FOREVER)) > 0)
		for (int64_t i = 0; i < got; i++)
			sum += few[i];
	return got < 0 ? got : (int64_t)sum;
}

static int64_t sum_write(void *argument)
{
	uint64_t me = (uintptr_t)argument, part = 64 << 10;
	return put(bytes + me * part, part, FOREVER);
}

static void each_byte_has_one_reader(void)
{
	struct capos_thread *readers[3], *writers[3];
	int64_t result, sum = 0;
	fill(3);
	make(PAGE);
	for (uintptr_t i = 0; i < 3; i++) {
		OK(capos_thread_start(&readers[i], sum_read, (void *)i, NULL));
		OK(capos_thread_start(&writers[i], sum_write, (void *)i, NULL));
	}
	for (unsigned i = 0; i < 3; i++) {
		OK(capos_thread_join(writers[i], &result));
		CHECK_EQUAL(result, 64 << 10);
	}
	OK(capos_release(writer));
	for (unsigned i = 0; i < 3; i++) {
		OK(capos_thread_join(readers[i], &result));
		sum += result;
	}
	for (size_t i = 0; i < 3 * 64 << 10; i++)
		sum -= bytes[i];
	CHECK_EQUAL(sum, 0);
	OK(capos_release(reader));
}

/* ---- events ---- */

static capos_cap_t event;

static uint64_t signalled(void)
{
	return event_take(event, ~0ull, 0);
}

static void bind_both(void)
{
	make(2 * PAGE);
	event = event_create();
	OK(capos_pipe_reader_bind(reader, event, 1));
	OK(capos_pipe_writer_bind_message(writer, event, 2));
}

/* One signal for each time that a call came too early. */
static void events_tell_of_bytes_and_room(void)
{
	bind_both();
	CHECK_EQUAL(signalled(), 2); /* there is room */
	CHECK_EQUAL(put("ab", 2, 0), 2);
	CHECK_EQUAL(signalled(), 1);
	CHECK_EQUAL(put("cd", 2, 0), 2);
	CHECK_EQUAL(signalled(), 0); /* no read has found nothing since */
	CHECK_EQUAL(get(back, 3, 0), 3);
	CHECK_EQUAL(get(back, 3, 0), 1);
	CHECK_EQUAL(put("e", 1, 0), 1);
	CHECK_EQUAL(signalled(), 0);
	CHECK_EQUAL(get(back, 3, 0), 1);
	CHECK_EQUAL(get(back, 3, 0), CAPOS_E(TIMED_OUT));
	CHECK_EQUAL(signalled(), 0);
	CHECK_EQUAL(put("f", 1, 0), 1);
	CHECK_EQUAL(signalled(), 1);
	CHECK_EQUAL(put(bytes, 2 * PAGE - 1, 0), 2 * PAGE - 1);
	CHECK_EQUAL(put("x", 1, 0), CAPOS_E(TIMED_OUT));
	CHECK_EQUAL(get(back, WHOLE - 1, 0), WHOLE - 1);
	CHECK_EQUAL(signalled(), 0);
	CHECK_EQUAL(get(back, 1, 0), 1);
	CHECK_EQUAL(signalled(), 2);
	CHECK_EQUAL(get(back, 1, 0), 1);
	CHECK_EQUAL(signalled(), 0);
	release_both();
	OK(capos_release(event));
}

static void events_tell_of_ends(void)
{
	bind_both();
	CHECK_EQUAL(signalled(), 2);
	OK(capos_release(writer));
	CHECK_EQUAL(signalled(), 1);
	CHECK_EQUAL(get(back, 1, 0), 0);
	OK(capos_release(reader));
	OK(capos_release(event));
	bind_both();
	CHECK_EQUAL(put(bytes, 2 * PAGE, 0), 2 * PAGE);
	CHECK_EQUAL(put(bytes, 1, 0), CAPOS_E(TIMED_OUT));
	CHECK_EQUAL(signalled(), 3);
	OK(capos_release(reader));
	CHECK_EQUAL(signalled(), 2);
	OK(capos_release(writer));
	OK(capos_release(event));
}

static void bindings_change(void)
{
	capos_cap_t others[CAPOS_PIPE_BINDINGS_MAX];
	bind_both();
	CHECK_FAILS(PIPE_READER_BIND, NOT_FOUND, capos_pipe_reader_bind(reader, writer, 1));
	CHECK_FAILS(PIPE_WRITER_BIND, NOT_FOUND, capos_pipe_writer_bind(writer, 0, 1));
	CHECK_EQUAL(signalled(), 2);
	OK(capos_pipe_reader_bind(reader, event, 4)); /* in the place of 1 */
	OK(capos_pipe_writer_bind(writer, event, 0));
	OK(capos_pipe_writer_bind(writer, event, 0));
	CHECK_EQUAL(put(bytes, 2 * PAGE, 0), 2 * PAGE);
	CHECK_EQUAL(put(bytes, 1, 0), CAPOS_E(TIMED_OUT));
	CHECK_EQUAL(signalled(), 4);
	CHECK_EQUAL(get(back, 2 * PAGE, 0), 2 * PAGE);
	CHECK_EQUAL(signalled(), 0);
	for (unsigned i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++) {
		OK(capos_event_factory_create(capos_caps.event_factory, &others[i]));
		OK(capos_pipe_writer_bind(writer, others[i], 1));
	}
	CHECK_FAILS(PIPE_WRITER_BIND, LIMIT_REACHED, capos_pipe_writer_bind(writer, event, 1));
	OK(capos_pipe_writer_bind(writer, event, 0));
	OK(capos_release(others[0])); /* no program can wait for it */
	OK(capos_pipe_writer_bind(writer, event, 1));
	CHECK_EQUAL(signalled(), 1);
	for (unsigned i = 1; i < CAPOS_PIPE_BINDINGS_MAX; i++) {
		OK(capos_pipe_reader_bind(reader, others[i], 1));
		OK(capos_release(others[i]));
		OK(capos_event_factory_create(capos_caps.event_factory, &others[i]));
		OK(capos_pipe_reader_bind(reader, others[i], 1));
	}
	OK(capos_event_factory_create(capos_caps.event_factory, &others[0]));
	CHECK_FAILS(PIPE_READER_BIND, LIMIT_REACHED, capos_pipe_reader_bind(reader, others[0], 1));
	release_both(); /* before the events */
	for (unsigned i = 0; i < CAPOS_PIPE_BINDINGS_MAX; i++)
		OK(capos_release(others[i]));
	OK(capos_release(event));
}

/* Without a thread that waits in a call: until timedOut, and then for the event. */
static int64_t write_by_event(void *argument)
{
	uint64_t sent = 0, bits = 0, seed = 9;
	capos_cap_t room = (capos_cap_t)(uintptr_t)argument;
	while (sent < sizeof bytes) {
		uint64_t part = random_next(&seed) % 9000 + 1;
		if (part > sizeof bytes - sent)
			part = sizeof bytes - sent;
		int64_t got = put(bytes + sent, part, 0);
		if (got == CAPOS_E(TIMED_OUT))
			got = capos_event_wait(room, 2, FOREVER, &bits);
		else if (got > 0)
			sent += (uint64_t)got;
		if (got < 0)
			return got;
	}
	return capos_release(writer);
}

static void no_signal_is_lost(void)
{
	struct capos_thread *thread;
	uint64_t read = 0, bits, seed = 4;
	int64_t got = 1, result = -1;
	fill(11);
	bind_both();
	OK(capos_thread_start(&thread, write_by_event, (void *)(uintptr_t)event, NULL));
	while (got > 0) {
		got = get(back + read, random_next(&seed) % 9000 + 1, 0);
		if (got > 0)
			read += (uint64_t)got;
		else if (got == CAPOS_E(TIMED_OUT))
			got = capos_event_wait(event, 1, FOREVER, &bits) == 0;
	}
	CHECK_EQUAL(got, 0);
	CHECK_EQUAL(read, sizeof bytes);
	CHECK(memcmp(bytes, back, sizeof bytes) == 0);
	OK(capos_thread_join(thread, &result));
	CHECK_EQUAL(result, 0);
	OK(capos_release(reader));
	OK(capos_release(event));
}

/* ---- processes: what the child got is in its CapSet by name ---- */

#define SENT (300u << 10)

/* Reads all and writes it back. */
static int role_echo(int argc, char **argv)
{
	(void)argc, (void)argv;
	reader = capos_cap("in");
	writer = capos_cap("out");
	int64_t got;
	while ((got = get(back, 5000, FOREVER)) > 0)
		if (put(back, (size_t)got, FOREVER) != got)
			return 1;
	return got == 0 ? 0 : 2;
}

static int role_write(int argc, char **argv)
{
	(void)argc, (void)argv;
	writer = capos_cap("out");
	while (put(bytes, PAGE, FOREVER) == PAGE)
		;
	return 3;
}

static int role_read(int argc, char **argv)
{
	(void)argc, (void)argv;
	reader = capos_cap("in");
	while (get(back, 100, FOREVER) > 0)
		;
	return 4;
}

static const struct role roles[] = { { "echo", role_echo }, { "write", role_write },
	{ "read", role_read } };

static capos_cap_t spawn_piped(const char *role, capos_cap_t in, capos_cap_t out)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, NULL);
	capos_cap_t process = 0;
	if (in)
		grant(&grants, "in", in);
	if (out)
		grant(&grants, "out", out);
	OK(spawn_with(&grants, &args, 0, &process));
	return process;
}

static int64_t send_all(void *argument)
{
	capos_cap_t to = (capos_cap_t)(uintptr_t)argument;
	uint64_t count = 0;
	int64_t status = capos_pipe_writer_write(to, bytes, SENT, FOREVER, &count);
	if (status == 0)
		status = capos_release(to);
	return status < 0 ? status : (int64_t)count;
}

static void a_child_echoes(void)
{
	struct capos_thread *thread;
	int64_t result, got;
	uint64_t read = 0;
	make(PAGE);
	capos_cap_t child_in = reader, to_child = writer;
	make(3 * PAGE);
	capos_cap_t child = spawn_piped("echo", child_in, writer);
	OK(capos_release(child_in)); /* the child's copies keep their ends */
	OK(capos_release(writer));
	OK(capos_thread_start(&thread, send_all, (void *)(uintptr_t)to_child, NULL));
	while ((got = get(back + read, sizeof back - read, FOREVER)) > 0)
		read += (uint64_t)got;
	CHECK_EQUAL(got, 0);
	CHECK_EQUAL(read, SENT);
	CHECK(memcmp(bytes, back, SENT) == 0);
	OK(capos_thread_join(thread, &result));
	CHECK_EQUAL(result, SENT);
	finishes(child, CAPOS_EXIT_KIND_EXITED, 0);
	OK(capos_release(reader));
}

/* In a write that waits, and in a read. */
static void a_peer_is_killed(void)
{
	for (int writes = 0; writes < 2; writes++) {
		make(PAGE);
		capos_cap_t child =
			writes ? spawn_piped("write", 0, writer) : spawn_piped("read", reader, 0);
		OK(capos_release(writes ? writer : reader));
		if (writes)
			CHECK_EQUAL(get(back, 10, FOREVER), 10);
		else
			CHECK_EQUAL(put(bytes, 10 * PAGE, FOREVER), 10 * PAGE);
		capos_sleep_ns(5 * MS_NS);
		OK(capos_process_kill(child));
		finishes(child, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
		int64_t got = 1;
		while (writes && got > 0)
			got = get(back, sizeof back, FOREVER);
		CHECK_EQUAL(got, writes ? 0 : 1);
		if (!writes)
			CHECK_FAILS(PIPE_WRITER_WRITE, DISCONNECTED, put(bytes, 1, FOREVER));
		OK(capos_release(writes ? reader : writer));
	}
}

/* The maker has no end any more; two children have one each. */
static void a_pipe_outlives_its_maker(void)
{
	make(PAGE);
	capos_cap_t from = spawn_piped("write", 0, writer);
	capos_cap_t to = spawn_piped("read", reader, 0);
	release_both();
	capos_sleep_ns(5 * MS_NS);
	OK(capos_process_kill(to));
	finishes(to, CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
	finishes(from, CAPOS_EXIT_KIND_EXITED, 3);
}

/* ---- ledgers ---- */

static struct capos_pipe_ends made[CAPOS_CAP_SLOTS_MAX / 2];

static int64_t create(unsigned i, uint64_t size)
{
	return capos_pipe_factory_create(capos_caps.pipe_factory, size, &made[i], sizeof made[i]);
}

static void release_made(unsigned count)
{
	while (count--) {
		OK(capos_release(made[count].writer));
		OK(capos_release(made[count].reader));
	}
}

/* Pages are charged when the pipe is made, whether they are used or not. */
static void pipes_are_charged(void)
{
	struct capos_memory_usage before = program_usage();
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQUAL(create(i, 16 * PAGE), sizeof made[i]);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages + 20 * 16);
	for (unsigned i = 0; i < 20; i++)
		OK(capos_release(made[i].writer));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages + 20 * 16);
	for (unsigned i = 0; i < 20; i++)
		OK(capos_release(made[i].reader));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void memory_runs_out(void)
{
	struct capos_memory_usage before = program_usage();
	unsigned count = 0;
	int64_t status = 0;
	while (count < 100 && (status = create(count, CAPOS_PIPE_BYTES_MAX)) > 0)
		count++;
	CHECK_FAILS(PIPE_FACTORY_CREATE, NO_MEMORY, status);
	release_made(count);
	uint64_t size = 1ull << 30, range = commit_all(size);
	count = 0;
	while (count < 2000 && (status = create(count, 1)) > 0)
		count++;
	CHECK_FAILS(PIPE_FACTORY_CREATE, NO_MEMORY, status);
	CHECK_FAILS(PIPE_FACTORY_CREATE, NO_MEMORY,
		capos_pipe_factory_create_message(
			capos_caps.pipe_factory, 1, &made[count], sizeof made[count]));
	release_made(count);
	OK(vm_unmap(range, size));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

/* Of the last two slots only one is left. */
static void slots_run_out(void)
{
	static capos_cap_t events[CAPOS_CAP_SLOTS_MAX];
	unsigned count = 0;
	while (capos_event_factory_create(capos_caps.event_factory, &events[count]) == 0)
		count++;
	CHECK_FAILS(PIPE_FACTORY_CREATE, NO_SLOTS, create(0, 1));
	OK(capos_release(events[--count]));
	CHECK_FAILS(PIPE_FACTORY_CREATE, NO_SLOTS, create(0, 1));
	OK(capos_release(events[--count]));
	CHECK_EQUAL(create(0, 1), sizeof made[0]);
	release_made(1);
	while (count)
		OK(capos_release(events[--count]));
}

int main(int argc, char **argv)
{
	int result = PLAY_ROLE(argc, argv);
	if (result >= 0)
		return result;
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	RUN(bytes_come_in_order);
	RUN(room_is_counted);
	RUN(an_end_that_is_gone_is_told);
	RUN(arguments_are_checked);
	RUN(bad_pointers_are_named);
	RUN(results_that_do_not_arrive);
	RUN(readers_take_turns);
	RUN(writers_take_turns);
	RUN(timeouts_end_waits);
	RUN(notifications_interrupt);
	RUN(floods_are_not_mixed);
	RUN(each_byte_has_one_reader);
	RUN(events_tell_of_bytes_and_room);
	RUN(events_tell_of_ends);
	RUN(bindings_change);
	RUN(no_signal_is_lost);
	RUN(a_child_echoes);
	RUN(a_peer_is_killed);
	RUN(a_pipe_outlives_its_maker);
	RUN(memory_runs_out);
	RUN(pipes_are_charged);
	RUN(slots_run_out);
	/* The process ends while threads wait, one of each side with the turn. */
	make(1);
	for (unsigned i = 0; i < 6; i++)
		start(&jobs[i], false, 1, i % 2 ? FOREVER : FOREVER - 1);
	capos_sleep_ns(2 * MS_NS);
	return check_result();
}
