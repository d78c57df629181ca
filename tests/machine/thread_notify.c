/* Notifications between threads: to running, runnable and blocked ones; masked, coalesced, never
 * lost; profile ticks. */
#include "raw_thread.h"

struct receiver {
	struct capos_thread *thread;
	volatile uint32_t ready, stop;
	volatile uint64_t handled[64]; /* how often, per kind */
	volatile uint64_t value[64];   /* the last value */
};

static _Thread_local struct receiver *self;

static void count_notification(uint32_t kind, struct capos_thread_state *state)
{
	if (!self || kind >= 64)
		return;
	self->value[kind] = state->value;
	__atomic_fetch_add((uint64_t *)&self->handled[kind], 1, __ATOMIC_SEQ_CST);
}

static void receive(struct receiver *receiver)
{
	self = receiver;
	capos_notification_set_handler(count_notification);
	__atomic_store_n(&receiver->ready, 1, __ATOMIC_SEQ_CST);
}

static int64_t spin_body(void *argument)
{
	struct receiver *receiver = argument;
	uint64_t sum = 0;
	receive(receiver);
	while (!__atomic_load_n(&receiver->stop, __ATOMIC_RELAXED))
		sum++;
	return (int64_t)(sum & 1);
}

/* Parked nearly all the time, and otherwise on the way in or out. */
static int64_t park_body(void *argument)
{
	struct receiver *receiver = argument;
	int64_t interrupted = 0;
	uint32_t word = 0;
	receive(receiver);
	while (!__atomic_load_n(&receiver->stop, __ATOMIC_SEQ_CST))
		interrupted +=
			capos_park(&word, 0, CAPOS_WAIT_FOREVER) == CAPOS_PARK_RESULT_INTERRUPTED;
	return interrupted;
}

static int64_t sleep_body(void *argument)
{
	struct receiver *receiver = argument;
	int64_t interrupted = 0;
	receive(receiver);
	while (!__atomic_load_n(&receiver->stop, __ATOMIC_SEQ_CST))
		interrupted += GETS(TIMER_SLEEP, INTERRUPTED,
			capos_timer_sleep(capos_caps.timer, 3600000 * MS_NS));
	return interrupted;
}

static int64_t sleep_until_body(void *argument)
{
	struct receiver *receiver = argument;
	int64_t interrupted = 0;
	receive(receiver);
	while (!__atomic_load_n(&receiver->stop, __ATOMIC_SEQ_CST))
		interrupted += GETS(TIMER_SLEEP_UNTIL, INTERRUPTED,
			capos_timer_sleep_until(
				capos_caps.timer, capos_now_ns() + 3600000 * MS_NS));
	return interrupted;
}

static capos_cap_t endless; /* a thread that ends only when it is told to */

static int64_t join_body(void *argument)
{
	struct receiver *receiver = argument;
	int64_t interrupted = 0, code = 0;
	receive(receiver);
	while (!__atomic_load_n(&receiver->stop, __ATOMIC_SEQ_CST))
		interrupted += GETS(THREAD_HANDLE_JOIN, INTERRUPTED,
			capos_thread_handle_join(endless, 3600000 * MS_NS, &code));
	return interrupted;
}

/* Suspends a thread that waits for its turn on a busy CPU, so that suspend has to wait for it and
 * fails. Afterwards no trace of the attempt is left. */
static int64_t suspend_body(void *argument)
{
	struct receiver *receiver = argument;
	int64_t interrupted = 0;
	receive(receiver);
	while (!__atomic_load_n(&receiver->stop, __ATOMIC_SEQ_CST)) {
		int64_t status = capos_thread_handle_suspend(endless);
		int64_t resumed = capos_thread_handle_resume(endless);
		if (status == CAPOS_E(INTERRUPTED) && resumed == CAPOS_E(WRONG_STATE))
			__atomic_fetch_add((uint64_t *)&receiver->handled[0], 1, __ATOMIC_SEQ_CST);
		else if (status != 0 || resumed != 0)
			return -1;
		interrupted += GETS(THREAD_HANDLE_SUSPEND, INTERRUPTED, status);
	}
	return interrupted;
}

static struct receiver receivers[4];

static struct receiver *start(unsigned i, int64_t (*body)(void *))
{
	struct receiver *receiver = &receivers[i];
	memset(receiver, 0, sizeof *receiver);
	OK(capos_thread_start(&receiver->thread, body, receiver, NULL));
	while (!__atomic_load_n(&receiver->ready, __ATOMIC_SEQ_CST))
		capos_thread_yield();
	return receiver;
}

static int64_t notify(struct receiver *receiver, uint32_t kind, uint64_t value)
{
	return capos_thread_handle_notify(capos_thread_handle(receiver->thread), kind, value);
}

static bool wait_handled(struct receiver *receiver, uint32_t kind, uint64_t count)
{
	uint64_t start = capos_now_ns();
	while (receiver->handled[kind] < count && capos_now_ns() - start < 10000 * MS_NS)
		capos_thread_yield();
	return receiver->handled[kind] >= count;
}

/* A notification may come between the thread's check of stop and its wait, and then does not end
 * the wait. So it is sent until the thread has ended. */
static void finish(struct receiver *receiver, int64_t *result)
{
	int64_t status;
	__atomic_store_n(&receiver->stop, 1, __ATOMIC_SEQ_CST);
	do {
		status = notify(receiver, CAPOS_NOTIFY_USER_LAST, 0);
		CHECK(status == 0 || status == CAPOS_E(NOT_FOUND));
		status = capos_thread_join_timeout(receiver->thread, 100 * MS_NS, result);
	} while (status == CAPOS_E(TIMED_OUT));
	OK(status);
}

/* The notifications come one after the other: each must arrive, with its value, before the next is
 * sent. */
static void each_arrives(int64_t (*body)(void *))
{
	struct receiver *receiver = start(0, body);
	for (uint64_t i = 1; i <= 200; i++) {
		uint32_t kind = CAPOS_NOTIFY_USER_FIRST +
			i % (CAPOS_NOTIFY_USER_LAST - CAPOS_NOTIFY_USER_FIRST + 1);
		uint64_t before = receiver->handled[kind];
		OK(notify(receiver, kind, i * 1000003));
		CHECK(wait_handled(receiver, kind, before + 1));
		CHECK_EQUAL(receiver->value[kind], i * 1000003);
		CHECK_EQUAL(receiver->handled[kind], before + 1);
		if (check_why[0])
			break;
	}
	int64_t result = 0;
	finish(receiver, &result);
	if (body != spin_body)
		CHECK(result > 0);
}

static void running_threads_are_notified(void)
{
	each_arrives(spin_body);
}

static void parked_threads_are_notified(void)
{
	each_arrives(park_body);
}

static void sleeping_threads_are_notified(void)
{
	each_arrives(sleep_body);
}

static void threads_that_sleep_until_are_notified(void)
{
	each_arrives(sleep_until_body);
}

static void joining_threads_are_notified(void)
{
	uint32_t word = 0;
	endless = raw_spawn(raw_park, (uint64_t)&word, 0);
	each_arrives(join_body);
	raw_wake(&word);
	CHECK_EQUAL(raw_join(endless), 0);
}

static void suspending_threads_are_notified(void)
{
	uint64_t flag = 0, started = capos_now_ns();
	capos_cap_t hogs[4];
	for (unsigned i = 0; i < 4; i++) {
		hogs[i] = raw_spawn(raw_spin, (uint64_t)&flag, 0);
		OK(capos_thread_handle_set_affinity(hogs[i], 1));
	}
	endless = hogs[0];
	struct receiver *receiver = start(0, suspend_body);
	for (uint64_t n = 0; receiver->handled[0] < 3 && capos_now_ns() - started < 20000 * MS_NS;
		n++) {
		OK(notify(receiver, CAPOS_NOTIFY_USER_FIRST + n % 8, n));
		capos_sleep_ns(MS_NS / 2 + n % 7 * MS_NS);
	}
	int64_t interrupted = 0;
	CHECK(receiver->handled[0] >= 3);
	finish(receiver, &interrupted);
	CHECK(interrupted >= 3);
	CHECK_FAILS(THREAD_HANDLE_RESUME, WRONG_STATE, capos_thread_handle_resume(endless));
	__atomic_store_n(&flag, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQUAL(raw_join(hogs[i]), 0);
	CHECK_EQUAL(thread_count(), 1);
}

/* Several notifications at once to a thread that has one pending or handles one: there is at least
 * one delivery, the last value is delivered, and none is lost. */
static void kinds_coalesce_and_are_never_lost(void)
{
	struct receiver *targets[3] = { start(0, spin_body), start(1, park_body),
		start(2, sleep_body) };
	for (uint64_t round = 1; round <= 100; round++) {
		for (unsigned i = 0; i < 3; i++) {
			uint64_t before = targets[i]->handled[40];
			for (int n = 0; n < 10; n++)
				OK(notify(targets[i], 40, round));
			CHECK(wait_handled(targets[i], 40, before + 1));
			uint64_t start_ns = capos_now_ns();
			while (targets[i]->value[40] != round &&
				capos_now_ns() - start_ns < 5000 * MS_NS)
				capos_thread_yield();
			CHECK_EQUAL(targets[i]->value[40], round);
			CHECK(targets[i]->handled[40] <= before + 20);
		}
		if (check_why[0])
			break;
	}
	for (unsigned i = 0; i < 3; i++)
		finish(targets[i], NULL);
}

static void masked_kinds_wait(void)
{
	struct receiver own = { 0 };
	capos_cap_t handle = 0;
	uint64_t previous;
	self = &own;
	OK(capos_notification_set_handler(count_notification));
	OK(capos_thread_control_self(capos_caps.thread_control, &handle));
	OK(capos_notification_mask(1ull << 33 | 1ull << 34, 0, NULL));
	OK(capos_thread_handle_notify(handle, 33, 1));
	OK(capos_thread_handle_notify(handle, 33, 2));
	OK(capos_thread_handle_notify(handle, 34, 3));
	OK(capos_thread_handle_notify(
		handle, 35, 4)); /* not masked: at once, when the call returns */
	CHECK_EQUAL(own.handled[35], 1);
	CHECK_EQUAL(own.value[35], 4);
	CHECK_EQUAL(own.handled[33] + own.handled[34], 0);
	CHECK_EQUAL(capos_park(&(uint32_t){ 0 }, 0, capos_deadline_ns(MS_NS)),
		CAPOS_PARK_RESULT_TIMED_OUT); /* masked ones end no wait */
	OK(capos_notification_mask(0, 1ull << 33, NULL));
	CHECK_EQUAL(own.handled[33], 1);
	CHECK_EQUAL(own.value[33], 2);
	CHECK_EQUAL(own.handled[34], 0);
	OK(capos_notification_mask(0, 1ull << 34, &previous));
	CHECK_EQUAL(own.handled[34], 1);
	CHECK_EQUAL(previous, 1ull << 34); /* the handlers put the mask back */
	OK(capos_notification_set_handler(NULL));
	OK(capos_thread_handle_notify(handle, 36, 0)); /* without a handler it stays pending */
	OK(capos_notification_set_handler(count_notification));
	CHECK_EQUAL(own.handled[36], 1);
	OK(capos_notification_set_handler(NULL));
	OK(capos_release(handle));
	self = NULL;
}

/* A call that a notification ends fails with interrupted, and the same call works afterwards. */
static void waits_end_interrupted(void)
{
	struct receiver *receiver = start(0, park_body);
	uint32_t word = 0;
	CHECK_EQUAL(capos_park(&word, 0, capos_deadline_ns(2 * MS_NS)),
		CAPOS_PARK_RESULT_TIMED_OUT); /* others' notifications do not reach us */
	OK(notify(receiver, 50, 0));
	CHECK(wait_handled(receiver, 50, 1));
	int64_t interrupted = 0;
	finish(receiver, &interrupted);
	CHECK(interrupted >= 1 && interrupted <= 3);
}

static void threads_end_while_being_notified(void)
{
	for (int i = 0; i < 100; i++) {
		uint32_t word = 0;
		capos_cap_t handle = raw_spawn(raw_park, (uint64_t)&word, 0);
		raw_wake(&word);
		int64_t status = 0;
		for (int n = 0; n < 1000000 && status == 0; n++)
			status = capos_thread_handle_notify(
				handle, 40, 0); /* it has no handler: pending until it ends */
		CHECK_EQUAL(status, CAPOS_E(NOT_FOUND));
		CHECK_EQUAL(raw_join(handle), 0);
	}
}

static void profile_ticks_follow_cpu_time(void)
{
	struct receiver own = { 0 };
	capos_cap_t handle = 0;
	uint64_t before = 0, after = 0;
	self = &own;
	OK(capos_notification_set_handler(count_notification));
	OK(capos_thread_control_self(capos_caps.thread_control, &handle));
	OK(capos_thread_control_set_profile(capos_caps.thread_control, 5 * MS_NS));
	OK(capos_thread_handle_cpu_time(handle, &before));
	do {
		for (volatile int i = 0; i < 10000; i++)
			;
		OK(capos_thread_handle_cpu_time(handle, &after));
	} while (after - before < 100 * MS_NS && !check_why[0]);
	uint64_t ticks = own.handled[CAPOS_NOTIFICATION_KIND_PROFILE_TICK];
	CHECK(ticks >= 2 &&
		ticks <= (after - before) / (5 * MS_NS) +
				1); /* an emulator that is not run may miss some */
	capos_sleep_ns(20 * MS_NS);
	CHECK(own.handled[CAPOS_NOTIFICATION_KIND_PROFILE_TICK] <=
		ticks + 2); /* sleeping uses no CPU time */
	OK(capos_thread_control_set_profile(capos_caps.thread_control, 0));
	ticks = own.handled[CAPOS_NOTIFICATION_KIND_PROFILE_TICK];
	for (volatile int i = 0; i < 5000000; i++)
		;
	CHECK(own.handled[CAPOS_NOTIFICATION_KIND_PROFILE_TICK] <= ticks + 1);
	OK(capos_notification_set_handler(NULL));
	OK(capos_release(handle));
	self = NULL;
}

static void process_ticks_follow_cpu_time(void)
{
	struct receiver own = { 0 };
	capos_cap_t handle = 0;
	uint64_t before = 0, after = 0;
	self = &own;
	OK(capos_notification_set_handler(count_notification));
	OK(capos_thread_control_self(capos_caps.thread_control, &handle));
	CHECK_FAILS(THREAD_CONTROL_SET_PROCESS_PROFILE, INVALID_ARGUMENT,
		capos_thread_control_set_process_profile(capos_caps.thread_control, 99999));
	CHECK_FAILS(THREAD_CONTROL_SET_PROCESS_PROFILE, INVALID_ARGUMENT,
		capos_thread_control_set_process_profile(capos_caps.thread_control, 1ull << 63));
	OK(capos_thread_control_set_process_profile(capos_caps.thread_control, 5 * MS_NS));
	OK(capos_thread_handle_cpu_time(handle, &before));
	do {
		for (volatile int i = 0; i < 10000; i++)
			;
		OK(capos_thread_handle_cpu_time(handle, &after));
	} while (after - before < 100 * MS_NS && !check_why[0]);
	OK(capos_thread_control_set_process_profile(capos_caps.thread_control, 0));
	uint64_t ticks = own.handled[CAPOS_NOTIFICATION_KIND_PROFILE_TICK];
	CHECK(ticks >= 2 && ticks <= (after - before) / (5 * MS_NS) + 1);
	for (volatile int i = 0; i < 5000000; i++)
		;
	CHECK(own.handled[CAPOS_NOTIFICATION_KIND_PROFILE_TICK] <= ticks + 1);
	OK(capos_notification_set_handler(NULL));
	OK(capos_release(handle));
	self = NULL;
}

int main(void)
{
	RUN(running_threads_are_notified);
	RUN(parked_threads_are_notified);
	RUN(sleeping_threads_are_notified);
	RUN(threads_that_sleep_until_are_notified);
	RUN(joining_threads_are_notified);
	RUN(suspending_threads_are_notified);
	RUN(kinds_coalesce_and_are_never_lost);
	RUN(masked_kinds_wait);
	RUN(waits_end_interrupted);
	RUN(threads_end_while_being_notified);
	RUN(profile_ticks_follow_cpu_time);
	RUN(process_ticks_follow_cpu_time);
	return check_result();
}
