/* EventFactory and Event: bits that are set and taken, masks, order, deadlines, notifications, the
 * end of the event under those who wait, ledgers, and every error in both forms.
 *
 * // test: limit 24M
 */
#include "raw_thread.h"

#define BIT(n) (1ull << (n))
#define FOREVER CAPOS_WAIT_FOREVER

static void bits_are_taken_once(void)
{
	capos_cap_t event = 0;
	uint64_t bits = 0;
	OK(capos_event_factory_create_message(capos_caps.event_factory, &event));
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	OK(capos_event_signal(event, 0));
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	OK(capos_event_signal(event, BIT(0) | BIT(40)));
	OK(capos_event_signal_message(event, BIT(40) | BIT(2)));
	CHECK_EQUAL(event_take(event, BIT(1), 0), 0);
	CHECK_EQUAL(event_take(event, BIT(40) | BIT(1), 0), BIT(40));
	OK(capos_event_wait_message(event, BIT(0) | BIT(40), FOREVER, &bits));
	CHECK_EQUAL(bits, BIT(0));
	CHECK_EQUAL(event_take(event, ~0ull, 0), BIT(2));
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	OK(capos_release(event));
}

/* Every set of bits comes through the result word, which is never one of the errors. */
static void no_bits_look_like_an_error(void)
{
	capos_cap_t event = event_create();
	for (uint64_t low = 0; low < 4096; low += low < 2 ? 1 : 511) {
		uint64_t bits = 0, all = ~0xfffull | low;
		OK(capos_event_signal(event, all));
		if (low & 1)
			OK(capos_event_wait(event, ~0ull, FOREVER, &bits));
		else
			OK(capos_event_wait_message(event, ~0ull, FOREVER, &bits));
		CHECK_EQUAL(bits, low ? all & ~BIT(63) : all);
		CHECK_EQUAL(event_take(event, ~0ull, 0), low ? BIT(63) : 0);
	}
	OK(capos_release(event));
}

static void arguments_are_checked(void)
{
	capos_cap_t event = event_create();
	uint64_t bits = 0;
	OK(capos_event_signal(event, ~0ull));
	CHECK_FAILS(EVENT_WAIT, INVALID_ARGUMENT, capos_event_wait(event, 0, FOREVER, &bits));
	CHECK_FAILS(
		EVENT_WAIT, INVALID_ARGUMENT, capos_event_wait_message(event, 0, FOREVER, &bits));
	OK(capos_event_wait(event, BIT(7), 0, &bits));
	CHECK_FAILS(EVENT_WAIT, TIMED_OUT, capos_event_wait(event, BIT(7), 0, &bits));
	CHECK_FAILS(EVENT_WAIT, TIMED_OUT, capos_event_wait_message(event, BIT(7), 1, &bits));
	CHECK_EQUAL(capos_call(event, 3, 0, 0, 0, 0, 0), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	CHECK_EQUAL(capos_call(event, 0xffff, 0, 0, 0, 0, 0), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	OK(capos_release(event));
	CHECK_EQUAL(capos_event_signal(event, 1), CAPOS_TRANSPORT_E(INVOKE_FAILED));
	CHECK_EQUAL(capos_event_wait(event, 1, 0, &bits), CAPOS_TRANSPORT_E(INVOKE_FAILED));
}

/* A wait by message with its parameters and its result at these addresses; the completion's. */
static int32_t wait_at(capos_cap_t event, uint64_t params, uint64_t result)
{
	struct capos_submission submission = {
		.opcode = CAPOS_OPCODE_CALL, .cap = event, .method = CAPOS_EVENT_WAIT
	};
	struct capos_completion completion = { 0 };
	const uint64_t args[4] = { params, 4 * 8, result, 64 };
	memcpy(submission.args, args, sizeof args);
	int64_t status = capos_ring_do(&submission, &completion);
	return status < 0 ? (int32_t)status : completion.result;
}

static void bad_pointers_are_named(void)
{
	/* framing, root pointer to two data words, mask, deadline */
	static const uint64_t message[] = { 3ull << 32, 2ull << 32, 6, 0 };
	static const uint64_t bad[] = { 0, 8, CAPOS_USER_TOP, CAPOS_USER_TOP - 8, NON_CANONICAL,
		KERNEL_HALF, -8ull };
	uint64_t room[8] = { 0 };
	capos_cap_t event = event_create();
	OK(capos_event_signal(event, 6));
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK_EQUAL(wait_at(event, bad[i], (uint64_t)room),
			CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER));
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK_EQUAL(wait_at(event, (uint64_t)message, bad[i]),
			CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
		CHECK_EQUAL(event_take(event, 6, 0), 0); /* it was taken */
		OK(capos_event_signal(event, 6));
	}
	CHECK(wait_at(event, (uint64_t)message, (uint64_t)room) > 0);
	CHECK_EQUAL(event_take(event, 6, 0), 0);
	OK(capos_release(event));
}

/* ---- threads that wait ---- */

/* A thread that makes one register call. */
struct caller {
	uint64_t target, a0, a1;
	volatile int64_t result;
	capos_cap_t handle;
};

void raw_call(void);
__asm__(".text\n.globl raw_call\n"
	"raw_call:\n\t"
	"movq %rdi, %rbx\n\tmovq (%rbx), %rdi\n\tmovq 8(%rbx), %rsi\n\tmovq 16(%rbx), %rdx\n\t"
	"movl $0x801, %eax\n\tsyscall\n\tmovq %rax, 24(%rbx)\n\txorl %edi, %edi\n\t"
	"jmp raw_exit\n");

#define MANY 150u
static struct caller callers[MANY];

static void start_call(
	struct caller *caller, capos_cap_t event, uint64_t mask, uint64_t deadline_ns)
{
	*caller = (struct caller){ .target = event | (uint64_t)CAPOS_EVENT_WAIT << 32,
		.a0 = mask,
		.a1 = deadline_ns,
		.result = -1 };
	caller->handle = raw_spawn(raw_call, (uint64_t)caller, 0);
}

static void start_waiting(struct caller *caller, capos_cap_t event, uint64_t mask)
{
	struct capos_thread_info info;
	start_call(caller, event, mask, FOREVER);
	raw_wait_blocked(caller->handle, &info);
}

static void end_waiting(struct caller *caller, int64_t result)
{
	CHECK_EQUAL(raw_join(caller->handle), 0);
	CHECK_EQUAL(caller->result, result);
}

static void each_bit_ends_one_wait_in_order(void)
{
	capos_cap_t event = event_create();
	start_waiting(&callers[0], event, BIT(1));
	start_waiting(&callers[1], event, BIT(0) | BIT(1));
	start_waiting(&callers[2], event, BIT(0) | BIT(2));
	start_waiting(&callers[3], event, BIT(0));
	OK(capos_event_signal(event, BIT(0))); /* the first that wants it */
	end_waiting(&callers[1], BIT(0));
	OK(capos_event_signal(event, BIT(0) | BIT(2) | BIT(3)));
	end_waiting(&callers[2], BIT(0) | BIT(2));
	CHECK_EQUAL(callers[0].result, -1);
	CHECK_EQUAL(callers[3].result, -1);
	OK(capos_event_signal(event, BIT(0) | BIT(1)));
	end_waiting(&callers[0], BIT(1));
	end_waiting(&callers[3], BIT(0));
	CHECK_EQUAL(event_take(event, ~0ull, 0), BIT(3));
	OK(capos_release(event));
}

/* Most of those who wait come before the one whose bit is set, and wait for another: the signal
 * goes through them in several batches. Then all bits at once end one wait each. */
static void many_wait(void)
{
	capos_cap_t event = event_create();
	for (unsigned i = 0; i < MANY; i++)
		start_waiting(&callers[i], event, i < MANY - 1 ? BIT(i % 63) : BIT(63));
	OK(capos_event_signal(event, BIT(63)));
	end_waiting(&callers[MANY - 1], INT64_MIN);
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	for (unsigned first = 0; first < MANY - 1; first += 63) {
		OK(capos_event_signal(event, ~0ull));
		for (unsigned i = first; i < first + 63 && i < MANY - 1; i++)
			end_waiting(&callers[i], (int64_t)BIT(i % 63));
		if (first + 63 < MANY - 1) {
			CHECK_EQUAL(callers[first + 63].result, -1);
			CHECK_EQUAL(event_take(event, ~0ull, 0), BIT(63));
		}
	}
	OK(capos_release(event));
}

static void deadlines_are_kept(void)
{
	capos_cap_t event = event_create();
	for (uint64_t i = 0; i < 8; i++)
		start_call(&callers[i], event, BIT(i), capos_now_ns() + (30 - 3 * i) * MS_NS);
	for (uint64_t i = 8; i-- > 0;) {
		end_waiting(&callers[i], CAPOS_E(TIMED_OUT));
		CHECK(capos_now_ns() >= callers[i].a1);
	}
	OK(capos_event_signal(event, 0xff)); /* no thread that has gone takes it */
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0xff);
	OK(capos_release(event));
}

/* While the event is released, threads are in their waits; one would find its bits. */
static void the_end_of_the_event_ends_waits(void)
{
	capos_cap_t event = event_create();
	for (unsigned i = 0; i < MANY; i++)
		start_waiting(&callers[i], event, BIT(i % 64));
	OK(capos_release(event));
	for (unsigned i = 0; i < MANY; i++) {
		CHECK_EQUAL(raw_join(callers[i].handle), 0);
		CHECK_FAILS(EVENT_WAIT, DISCONNECTED, callers[i].result);
	}
}

/* ---- notifications ---- */

static volatile uint32_t handled;

static void count_handled(uint32_t kind, struct capos_thread_state *state)
{
	if (kind >= CAPOS_NOTIFY_USER_FIRST)
		__atomic_fetch_add((uint32_t *)&handled, 1, __ATOMIC_SEQ_CST);
	else
		record_fault(kind, state);
}

struct interrupted {
	capos_cap_t event;
	volatile uint32_t stop, count;
	volatile uint64_t bits;
};

static int64_t wait_interrupted(void *argument)
{
	struct interrupted *self = argument;
	uint64_t bits;
	capos_notification_set_handler(count_handled);
	for (;;) {
		int64_t status = capos_event_wait(self->event, 3, FOREVER, &bits);
		if (status == 0)
			self->bits += bits;
		else if (GETS(EVENT_WAIT, INTERRUPTED, status))
			self->count++;
		else
			return -1;
		if (status == 0 && bits & 2)
			return 0;
	}
}

/* Bits come and notifications too: none of either is lost. */
static void notifications_interrupt(void)
{
	struct interrupted self = { .event = event_create() };
	struct capos_thread *thread;
	int64_t result = -1;
	handled = 0;
	OK(capos_thread_start(&thread, wait_interrupted, &self, NULL));
	struct capos_thread_info info;
	raw_wait_blocked(capos_thread_handle(thread), &info);
	for (uint32_t i = 1; i <= 200; i++) {
		if (i % 3 == 0)
			OK(capos_event_signal(self.event, 1));
		OK(capos_thread_handle_notify(
			capos_thread_handle(thread), CAPOS_NOTIFY_USER_FIRST, i));
		while (__atomic_load_n(&handled, __ATOMIC_SEQ_CST) != i)
			capos_thread_yield();
		while (i % 3 == 0 && __atomic_load_n(&self.bits, __ATOMIC_SEQ_CST) != i / 3)
			capos_thread_yield();
	}
	OK(capos_event_signal(self.event, 2));
	OK(capos_thread_join(thread, &result));
	CHECK_EQUAL(result, 0);
	CHECK(self.count > 0); /* the first came while it waited */
	OK(capos_release(self.event));
}

/* ---- several at once ---- */

#define PAIRS 4u
#define ROUNDS 2000u

static capos_cap_t common;

/* Waits end early by their deadlines again and again, while the bit comes. */
static int64_t take_turns(void *argument)
{
	uint64_t me = (uintptr_t)argument, bits, seed = me * 2 + 1;
	for (unsigned i = 0; i < ROUNDS;) {
		uint64_t deadline = i % 4 ? FOREVER : capos_now_ns() + random_next(&seed) % 20000;
		int64_t status = capos_event_wait(common, BIT(me), deadline, &bits);
		if (status == CAPOS_E(TIMED_OUT))
			continue;
		if (status != 0 || bits != BIT(me))
			return -1;
		if (capos_event_signal(common, BIT(me ^ 1)) != 0)
			return -1;
		i++;
	}
	return 0;
}

static void pairs_share_an_event(void)
{
	struct capos_thread *threads[2 * PAIRS];
	common = event_create();
	for (uintptr_t i = 0; i < 2 * PAIRS; i++)
		OK(capos_thread_start(&threads[i], take_turns, (void *)i, NULL));
	for (unsigned i = 0; i < PAIRS; i++)
		OK(capos_event_signal(common, BIT(2 * i)));
	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		int64_t result = -1;
		OK(capos_thread_join(threads[i], &result));
		CHECK_EQUAL(result, 0);
	}
	CHECK_EQUAL(event_take(common, ~0ull, 0), BIT(0) | BIT(2) | BIT(4) | BIT(6));
	OK(capos_release(common));
}

/* ---- ledgers ---- */

static capos_cap_t made[CAPOS_CAP_SLOTS_MAX];

static void events_are_charged(void)
{
	struct capos_memory_usage before = vm_usage();
	unsigned count = 1000;
	for (unsigned i = 0; i < count; i++)
		made[i] = event_create();
	CHECK(vm_usage().kernel_pages >= before.kernel_pages + count * 64 / PAGE);
	while (count)
		OK(capos_release(made[--count]));
	/* One empty slab may be kept, and the capability table keeps its size. */
	CHECK(vm_usage().kernel_pages <= before.kernel_pages + 1 + 1000 * 8 / PAGE + 1);
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages - before.kernel_pages);
}

static void memory_runs_out(void)
{
	struct capos_memory_usage before = program_usage();
	uint64_t size = 1ull << 30, range = commit_all(size);
	unsigned count = 0;
	int64_t status = 0;
	while (count < CAPOS_CAP_SLOTS_MAX &&
		(status = capos_event_factory_create(capos_caps.event_factory, &made[count])) == 0)
		count++;
	CHECK_FAILS(EVENT_FACTORY_CREATE, NO_MEMORY, status);
	CHECK_FAILS(EVENT_FACTORY_CREATE, NO_MEMORY,
		capos_event_factory_create_message(capos_caps.event_factory, &made[count]));
	while (count)
		OK(capos_release(made[--count]));
	OK(vm_unmap(range, size));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void slots_run_out(void)
{
	unsigned count = 0;
	int64_t status = 0;
	while (count < CAPOS_CAP_SLOTS_MAX &&
		(status = capos_event_factory_create(capos_caps.event_factory, &made[count])) == 0)
		count++;
	CHECK_FAILS(EVENT_FACTORY_CREATE, NO_SLOTS, status);
	while (count)
		OK(capos_release(made[--count]));
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	RUN(bits_are_taken_once);
	RUN(no_bits_look_like_an_error);
	RUN(arguments_are_checked);
	RUN(bad_pointers_are_named);
	RUN(each_bit_ends_one_wait_in_order);
	RUN(many_wait);
	RUN(deadlines_are_kept);
	RUN(the_end_of_the_event_ends_waits);
	RUN(notifications_interrupt);
	RUN(pairs_share_an_event);
	RUN(memory_runs_out);
	RUN(events_are_charged);
	RUN(slots_run_out);
	/* The process ends while threads wait. */
	common = event_create();
	for (unsigned i = 0; i < 10; i++)
		start_call(&callers[i], common, BIT(i), i % 2 ? FOREVER : FOREVER - 1);
	capos_sleep_ns(2 * MS_NS);
	return check_result();
}
