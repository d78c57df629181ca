/* Capabilities in calls through the ring: several each way, by copy and by move, and what becomes
 * of them at each point at which a call can fail. A thread that has calls outstanding is itself the
 * server, so most tests need one thread only. Every test ends with as many capabilities as it began
 * with, and the kernel compares its counts of objects and frames after the program.
 *
 * // test: limit 24M
 */
#include "ring_message.h"
#include "spawn.h"

#define TAG 70u
#define MANY CAPOS_MESSAGE_CAPS_MAX
#define ALL ((1u << MANY) - 1)

typedef struct capos_message_caps caps_t;

static uint8_t bytes[100], result[100], buffer[100];
static caps_t sent_caps, received_caps;
static capos_cap_t events[MANY];

static uint32_t slots(void)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	return info.capabilities;
}

static bool is_held(capos_cap_t event)
{
	uint64_t bits = 0;
	return capos_event_signal(event, 1) == 0 && capos_event_wait(event, 1, 0, &bits) == 0;
}

/* Whether both name one event. */
static bool is_same(capos_cap_t a, capos_cap_t b)
{
	uint64_t bits = 0;
	return capos_event_signal(a, 2) == 0 && capos_event_wait(b, 2, 0, &bits) == 0;
}

static void begin_test(void)
{
	make(4, TAG);
	OK(capos_endpoint_accept(endpoint, 1));
	for (unsigned i = 0; i < MANY; i++)
		events[i] = event_create();
}

static void end_test(void)
{
	for (unsigned i = 0; i < MANY; i++)
		OK(capos_release(events[i]));
	OK(capos_release(facet));
	OK(capos_release(endpoint));
}

static caps_t named(uint32_t count, uint32_t moves, uint32_t takes)
{
	caps_t caps = { .count = count, .moves = moves, .takes = takes };
	for (unsigned i = 0; i < count && i < MANY; i++)
		caps.caps[i] = events[i];
	return caps;
}

static void push_with(uint64_t user_data, caps_t *caps)
{
	CHECK(capos_ring_push(&(struct capos_submission){
		.opcode = CAPOS_OPCODE_ENDPOINT_CALL,
		.cap = facet,
		.user_data = user_data,
		.args = { (uint64_t)bytes, sizeof bytes, (uint64_t)result, sizeof result, FOREVER,
			(uint64_t)caps },
	}));
	capos_ring_enter(0, 0);
}

static void begin(uint64_t user_data, uint32_t count, uint32_t moves, uint32_t takes)
{
	sent_caps = named(count, moves, takes);
	push_with(user_data, &sent_caps);
	nothing_completes();
}

static int64_t refused(caps_t *caps)
{
	push_with(1, caps);
	return next_completion().result;
}

static struct capos_completion operation(
	uint8_t opcode, capos_cap_t cap, void *memory, uint64_t size, uint64_t third, void *caps)
{
	CHECK(capos_ring_push(&(struct capos_submission){
		.opcode = opcode,
		.cap = cap,
		.user_data = AT_ONCE,
		.args = { (uint64_t)memory, size, third, (uint64_t)caps },
	}));
	capos_ring_enter(0, 0);
	return next_completion();
}

static struct capos_completion receive_with(void *caps)
{
	return operation(CAPOS_OPCODE_RECV, endpoint, buffer, sizeof buffer, 0, caps);
}

static void receive(uint32_t count)
{
	memset(&received_caps, 0xee, sizeof received_caps);
	CHECK_EQUAL(receive_with(&received_caps).result, CAPOS_RECEIVE_RESULT_CALL);
	CHECK_EQUAL(received_caps.count, count);
	CHECK_EQUAL(received_caps.moves | received_caps.takes, 0);
}

static int64_t reply_with(caps_t *caps)
{
	struct capos_completion got =
		operation(CAPOS_OPCODE_RETURN, 0, bytes, sizeof bytes, 0, caps);
	return got.result ? got.result : (int64_t)got.value;
}

static void ends_with(int64_t status, uint32_t came)
{
	CHECK_EQUAL(next_completion().result, status);
	CHECK_EQUAL(sent_caps.count, came);
}

/* ---- there and back ---- */

static void several_go_each_way(void)
{
	begin_test();
	for (uint32_t moves = 0; moves <= ALL; moves += 0x55) {
		capos_cap_t before[MANY];
		memcpy(before, events, sizeof before);
		begin(1, MANY, moves, MANY);
		receive(MANY);
		for (unsigned i = 0; i < MANY; i++) {
			bool moved = moves >> i & 1;
			CHECK_EQUAL(is_held(before[i]), !moved);
			if (!moved)
				CHECK(is_same((capos_cap_t)received_caps.caps[i], before[i]));
		}
		received_caps.moves = ALL;
		CHECK_EQUAL(reply_with(&received_caps), CAPOS_REPLY_RESULT_ANSWERED);
		ends_with(0, MANY);
		for (unsigned i = 0; i < MANY; i++) {
			if (!(moves >> i & 1))
				OK(capos_release(before[i]));
			events[i] = (capos_cap_t)sent_caps.caps[i];
			CHECK(is_held(events[i]));
		}
	}
	end_test();
}

static int64_t call_in_registers(void *unused)
{
	struct registers r = { .r15 = CAPOS_MESSAGE_TAKES | (uint64_t)events[0] << 32 };
	(void)unused;
	return ENTER(&r, ENDPOINT_CALL, facet, FOREVER);
}

/* Calls and answers in registers have one. What came to the caller there is in R14, and is left to
 * the end of the process, as it is not told here. */
static void registers_have_one(void)
{
	struct capos_message m = { { 0 } };
	capos_cap_t cap = 0;
	uint64_t tag;
	int64_t status = -1;
	struct capos_thread *thread;
	begin_test();
	begin(1, 1, 1, 1);
	CHECK_EQUAL(capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, 0),
		CAPOS_E(TIMED_OUT)); /* the message is too long */
	ends_with(CAPOS_E(OUT_OF_RANGE), 0);
	sent_caps = named(1, 1, 1);
	CHECK(capos_ring_push(&(struct capos_submission){
		.opcode = CAPOS_OPCODE_ENDPOINT_CALL,
		.cap = facet,
		.args = { (uint64_t)bytes, 8, (uint64_t)result, 8, FOREVER, (uint64_t)&sent_caps },
	}));
	capos_ring_enter(0, 0);
	CHECK_EQUAL(
		capos_endpoint_receive_cap(endpoint, &m, &cap, &tag, 0), CAPOS_RECEIVE_RESULT_CALL);
	CHECK(is_held(cap) && !is_held(events[0]));
	CHECK_EQUAL(capos_endpoint_reply_cap(&m, cap, CAPOS_MESSAGE_MOVES, 0),
		CAPOS_REPLY_RESULT_ANSWERED);
	ends_with(0, 1);
	events[0] = (capos_cap_t)sent_caps.caps[0];
	CHECK(is_held(events[0]));
	for (uint32_t count = 1; count <= 2; count++) {
		OK(capos_thread_start(&thread, call_in_registers, NULL, NULL));
		received_caps.count = 0;
		CHECK_EQUAL(
			operation(CAPOS_OPCODE_RECV, endpoint, buffer, 64, FOREVER, &received_caps)
				.result,
			CAPOS_RECEIVE_RESULT_CALL);
		CHECK_EQUAL(received_caps.count, 1);
		CHECK(is_same((capos_cap_t)received_caps.caps[0], events[0]));
		OK(capos_release((capos_cap_t)received_caps.caps[0]));
		caps_t answer = named(count, 0, 0);
		CHECK_EQUAL(operation(CAPOS_OPCODE_RETURN, 0, bytes, 64, 0, &answer).value,
			count == 1 ? CAPOS_REPLY_RESULT_ANSWERED : CAPOS_REPLY_RESULT_NOT_TAKEN);
		OK(capos_thread_join_timeout(thread, 20000 * MS_NS, &status));
		CHECK_EQUAL(status, 0);
	}
	end_test();
}

/* ---- what was not taken goes back ---- */

static void all_are_held(void)
{
	for (unsigned i = 0; i < MANY; i++)
		CHECK(is_held(events[i]));
}

static void calls_that_fail_give_back(void)
{
	begin_test();
	uint32_t before = slots();
	begin(1, MANY, ALL, 3);
	CHECK_EQUAL(slots(), before + 3);
	CHECK(!is_held(events[0]));
	CHECK_EQUAL(finish_call(1), 0);
	ends_with(CAPOS_E(CANCELLED), 0);
	all_are_held();
	begin(1, MANY, ALL, 3);
	CHECK_FAILS(OPCODE_RECV, TIMED_OUT, receive_with(NULL).result);
	ends_with(CAPOS_E(LIMIT_REACHED), 0);
	all_are_held();
	begin(1, MANY, ALL, 3);
	OK(capos_endpoint_revoke(endpoint, facet));
	ends_with(CAPOS_E(DISCONNECTED), 0);
	all_are_held();
	CHECK_EQUAL(slots(), before);
	end_test();
}

static void refusals_give_back(void)
{
	begin_test();
	uint32_t before = slots();
	caps_t caps = named(MANY, ALL, MANY);
	caps.caps[MANY - 1] = 0;
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, NOT_FOUND, refused(&caps));
	caps.caps[MANY - 1] = caps.caps[0]; /* moved twice */
	CHECK_EQUAL(refused(&caps), CAPOS_E(NOT_FOUND));
	caps.caps[MANY - 1] = 1ull << 32 | events[MANY - 1];
	CHECK_EQUAL(refused(&caps), CAPOS_E(NOT_FOUND));
	for (unsigned wrong = 0; wrong < 4; wrong++) {
		caps = named(2, 3, 0);
		caps.count = wrong == 0 ? MANY + 1 : 2;
		caps.moves = wrong == 1 ? 4 : 3;
		caps.takes = wrong == 2 ? MANY + 1 : 0;
		caps.reserved = wrong == 3;
		CHECK_FAILS(OPCODE_ENDPOINT_CALL, INVALID_ARGUMENT, refused(&caps));
	}
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, INVALID_PARAMS_BUFFER, refused((caps_t *)KERNEL_HALF));
	OK(capos_endpoint_accept(endpoint, 0));
	caps = named(MANY, ALL, MANY);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, NO_RIGHTS, refused(&caps));
	all_are_held();
	CHECK_EQUAL(slots(), before);
	end_test();
}

static void answers_that_fail_give_back(void)
{
	begin_test();
	uint32_t before = slots();
	caps_t caps = named(3, 7, 0);
	begin(1, 0, 0, 2);
	receive(0);
	caps.caps[2] = 0;
	CHECK_FAILS(OPCODE_RETURN, NOT_FOUND, reply_with(&caps));
	caps.takes = 1;
	CHECK_EQUAL(reply_with(&caps), CAPOS_E(INVALID_ARGUMENT));
	CHECK_EQUAL(reply_with((caps_t *)KERNEL_HALF), CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER));
	all_are_held();
	caps = named(3, 7, 0); /* more than the call takes */
	CHECK_EQUAL(reply_with(&caps), CAPOS_REPLY_RESULT_NOT_TAKEN);
	ends_with(0, 0);
	all_are_held();
	begin(1, 0, 0, 3);
	receive(0);
	CHECK_EQUAL(finish_call(1), 0);
	ends_with(CAPOS_E(CANCELLED), 0);
	CHECK_EQUAL(reply_with(&caps), CAPOS_REPLY_RESULT_GONE);
	all_are_held();
	CHECK_EQUAL(slots(), before);
	end_test();
}

/* Ids that the program does not learn are released. */
static void what_cannot_be_told_is_gone(void)
{
	begin_test();
	uint32_t before = slots();
	uint64_t page = vm_map(PAGE, WRITE);
	caps_t *there = (caps_t *)page, caps = named(2, 0, 0);
	*there = named(2, 0, 2);
	push_with(1, there);
	receive(2);
	CHECK_EQUAL(slots(), before + 4);
	OK(vm_unmap(page, PAGE));
	CHECK_EQUAL(reply_with(&caps), CAPOS_REPLY_RESULT_ANSWERED);
	CHECK_EQUAL(next_completion().result, CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	for (unsigned i = 0; i < 2; i++)
		OK(capos_release((capos_cap_t)received_caps.caps[i]));
	CHECK_EQUAL(slots(), before);
	begin(1, 3, 0, 0);
	CHECK_FAILS(OPCODE_RECV, INVALID_RESULT_BUFFER, receive_with((void *)KERNEL_HALF).result);
	ends_with(CAPOS_E(DISCONNECTED), 0);
	CHECK_EQUAL(slots(), before);
	all_are_held();
	end_test();
}

/* ---- full tables ---- */

static void full_tables_refuse(void)
{
	static capos_cap_t filling[CAPOS_CAP_SLOTS_MAX];
	unsigned count = 0;
	begin_test();
	begin(1, MANY, 0, 0);
	while (capos_event_factory_create(capos_caps.event_factory, &filling[count]) == 0)
		count++;
	for (unsigned i = 0; i < MANY - 1; i++) /* one too few */
		OK(capos_release(filling[--count]));
	uint32_t before = slots();
	CHECK_EQUAL(receive_with(&received_caps).result, CAPOS_E(TIMED_OUT));
	ends_with(CAPOS_E(LIMIT_REACHED), 0);
	caps_t caps = named(1, 1, MANY);
	CHECK_FAILS(OPCODE_ENDPOINT_CALL, NO_SLOTS, refused(&caps));
	all_are_held();
	CHECK_EQUAL(slots(), before);
	while (count)
		OK(capos_release(filling[--count]));
	end_test();
}

/* ---- processes ---- */

/* Begins a call that moves an event, and waits. */
static int role_send(int argc, char **argv)
{
	(void)argc, (void)argv;
	facet = capos_cap("facet");
	for (unsigned i = 0; i < MANY; i++)
		if (capos_event_factory_create(capos_cap("event_factory"), &events[i]) != 0)
			return 1;
	sent_caps = named(MANY, 0x0f, MANY);
	push_with(1, &sent_caps);
	capos_ring_enter(1, FOREVER);
	return 0;
}

static const struct role roles[] = { { "send", role_send } };

/* The sender is killed while the call waits, after it has been received, and after its answer. */
static void a_sender_is_killed(void)
{
	for (unsigned point = 0; point < 3; point++) {
		struct grants grants = usual_grants();
		struct strings args = arguments("send", NULL);
		capos_cap_t process = 0;
		begin_test();
		uint32_t before = slots();
		grant(&grants, "event_factory", capos_caps.event_factory);
		grant(&grants, "facet", facet);
		OK(spawn_with(&grants, &args, 0, &process));
		if (point == 0)
			capos_sleep_ns(20 * MS_NS);
		else
			CHECK_EQUAL(operation(CAPOS_OPCODE_RECV, endpoint, buffer, sizeof buffer,
					    FOREVER, &received_caps)
					    .result,
				CAPOS_RECEIVE_RESULT_CALL);
		caps_t caps = named(MANY, 0xf0, 0);
		if (point < 2)
			OK(capos_process_kill(process));
		else
			CHECK_EQUAL(reply_with(&caps), CAPOS_REPLY_RESULT_ANSWERED);
		finish(process);
		if (point == 1)
			CHECK_EQUAL(reply_with(&caps), CAPOS_REPLY_RESULT_GONE);
		for (unsigned i = 0; point && i < MANY; i++)
			OK(capos_release((capos_cap_t)received_caps.caps[i]));
		for (unsigned i = 4; point == 2 && i < MANY; i++)
			events[i] = event_create();
		CHECK_EQUAL(slots(), before);
		end_test();
	}
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0)
		return code;
	RUN(several_go_each_way);
	RUN(registers_have_one);
	RUN(calls_that_fail_give_back);
	RUN(refusals_give_back);
	RUN(answers_that_fail_give_back);
	RUN(what_cannot_be_told_is_gone);
	RUN(full_tables_refuse);
	RUN(a_sender_is_killed);
	/* The process ends with capabilities in calls that it has received and not. */
	begin_test();
	begin(1, MANY, ALL, MANY);
	begin(2, MANY, 0, MANY);
	return check_result();
}
