/* Event.waitOrPark: a wait for bits and a word at once, ended from either side, by neither, and by
 * both at the same moment; and every error in both forms.
 *
 * // test: limit 24M
 */
#include "raw_thread.h"

#define BIT(n) (1ull << (n))
#define FOREVER CAPOS_WAIT_FOREVER

static uint32_t word;

/* What it took; an error as it is. */
static int64_t wait_both(capos_cap_t event, uint64_t mask, void *at, uint64_t deadline_ns)
{
	uint64_t bits = ~0ull;
	int64_t status = capos_event_wait_or_park(
		event, mask, capos_caps.park, (uint64_t)at, 0, deadline_ns, &bits);
	return status < 0 ? status : (int64_t)bits;
}

static void what_is_there_ends_it_at_once(void)
{
	capos_cap_t event = event_create();
	uint64_t bits = ~0ull;
	CHECK_EQUAL(wait_both(event, 1, &word, 0), CAPOS_E(TIMED_OUT));
	word = 1;
	CHECK_EQUAL(wait_both(event, 1, &word, FOREVER), 0);
	OK(capos_event_signal(event, BIT(0) | BIT(1)));
	CHECK_EQUAL(wait_both(event, BIT(1) | BIT(2), &word, FOREVER), BIT(1));
	CHECK_EQUAL(wait_both(event, BIT(1) | BIT(2), &word, FOREVER), 0);
	word = 0;
	OK(capos_event_wait_or_park_message(
		event, BIT(0), capos_caps.park, (uint64_t)&word, 0, FOREVER, &bits));
	CHECK_EQUAL(bits, BIT(0));
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	OK(capos_release(event));
}

/* In both forms. */
#define FAILS(error, event, mask, park, at)                                                     \
	do {                                                                                    \
		uint64_t taken;                                                                 \
		CHECK_FAILS(EVENT_WAIT_OR_PARK, error,                                          \
			capos_event_wait_or_park(event, mask, park, at, 0, 0, &taken));         \
		CHECK_FAILS(EVENT_WAIT_OR_PARK, error,                                          \
			capos_event_wait_or_park_message(event, mask, park, at, 0, 0, &taken)); \
	} while (0)

static void arguments_are_checked(void)
{
	const uint64_t bad[] = { 0, 8, CAPOS_USER_TOP, CAPOS_USER_TOP - 4, NON_CANONICAL,
		KERNEL_HALF, -4ull };
	capos_cap_t event = event_create(), park = capos_caps.park;
	uint64_t at = (uint64_t)&word;
	FAILS(INVALID_ARGUMENT, event, 0, park, at);
	FAILS(NOT_FOUND, event, 1, event, at);
	FAILS(NOT_FOUND, event, 1, 0, at);
	FAILS(NOT_FOUND, event, 1, capos_caps.shared_park, at);
	for (unsigned offset = 1; offset < 4; offset++)
		FAILS(MISALIGNED, event, 1, park, at + offset);
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		FAILS(BAD_ADDRESS, event, 1, park, bad[i]);
	FAILS(TIMED_OUT, event, 1, park, at);
	uint64_t page = vm_map(PAGE, READ); /* not there yet, and reading is enough */
	FAILS(TIMED_OUT, event, 1, park, page);
	OK(vm_unmap(page, PAGE));
	OK(capos_release(event));
}

/* ---- a thread that waits ---- */

struct waiter {
	capos_cap_t event;
	void *at;
	uint64_t mask, deadline_ns;
	struct capos_thread *thread;
};

static int64_t wait_once(void *argument)
{
	const struct waiter *self = argument;
	return wait_both(self->event, self->mask, self->at, self->deadline_ns);
}

static void start(struct waiter *waiter, capos_cap_t event, uint64_t mask, void *at)
{
	struct capos_thread_info info;
	*waiter = (struct waiter){ .event = event, .at = at, .mask = mask, .deadline_ns = FOREVER };
	OK(capos_thread_start(&waiter->thread, wait_once, waiter, NULL));
	raw_wait_blocked(capos_thread_handle(waiter->thread), &info);
}

static int64_t result_of(struct waiter *waiter)
{
	int64_t result = INT64_MIN;
	OK(capos_thread_join(waiter->thread, &result));
	return result;
}

static void either_side_ends_it(void)
{
	struct waiter waiter;
	capos_cap_t event = event_create();
	word = 0;
	start(&waiter, event, BIT(5) | BIT(6), &word);
	OK(capos_event_signal(event, BIT(4)));
	OK(capos_event_signal(event, BIT(6)));
	CHECK_EQUAL(result_of(&waiter), BIT(6));
	CHECK_EQUAL(capos_unpark(&word, ~0ull), 0); /* it has left the queue */
	CHECK_EQUAL(event_take(event, ~0ull, 0), BIT(4));

	start(&waiter, event, BIT(5), &word);
	CHECK_EQUAL(capos_unpark(&word, ~0ull), 1);
	CHECK_EQUAL(result_of(&waiter), 0);
	OK(capos_event_signal(event, BIT(5)));
	CHECK_EQUAL(event_take(event, ~0ull, 0), BIT(5));
	OK(capos_release(event));
}

/* Those who wait for one side only have their turns as before. */
static void order_is_kept_on_each_side(void)
{
	struct waiter both[3];
	capos_cap_t event = event_create();
	word = 0;
	for (unsigned i = 0; i < 3; i++)
		start(&both[i], event, BIT(0), &word);
	CHECK_EQUAL(capos_unpark(&word, 1), 1);
	CHECK_EQUAL(result_of(&both[0]), 0);
	OK(capos_event_signal(event, BIT(0)));
	CHECK_EQUAL(result_of(&both[1]), BIT(0));
	CHECK_EQUAL(capos_unpark(&word, 2), 1);
	CHECK_EQUAL(result_of(&both[2]), 0);
	CHECK_EQUAL(event_take(event, ~0ull, 0), 0);
	OK(capos_release(event));
}

static void the_end_of_either_ends_it(void)
{
	struct waiter waiter;
	capos_cap_t event = event_create();
	uint64_t pages = vm_map(2 * PAGE, WRITE);
	*(volatile uint32_t *)pages = *(volatile uint32_t *)(pages + PAGE) = 0;
	start(&waiter, event, 1, (void *)pages);
	OK(vm_decommit(pages, PAGE));
	CHECK_FAILS(EVENT_WAIT_OR_PARK, BAD_ADDRESS, result_of(&waiter));
	start(&waiter, event, 1, (void *)(pages + PAGE));
	OK(vm_unmap(pages, 2 * PAGE));
	CHECK_FAILS(EVENT_WAIT_OR_PARK, BAD_ADDRESS, result_of(&waiter));
	OK(capos_event_signal(event, 1));
	CHECK_EQUAL(event_take(event, 1, 0), 1);
	start(&waiter, event, 1, &word);
	OK(capos_release(event));
	CHECK_FAILS(EVENT_WAIT_OR_PARK, DISCONNECTED, result_of(&waiter));
	CHECK_EQUAL(capos_unpark(&word, ~0ull), 0);
}

/* ---- deadlines and notifications ---- */

static volatile uint32_t handled;

static void count_handled(uint32_t kind, struct capos_thread_state *state)
{
	if (kind >= CAPOS_NOTIFY_USER_FIRST)
		__atomic_fetch_add((uint32_t *)&handled, 1, __ATOMIC_SEQ_CST);
	else
		record_fault(kind, state);
}

static int64_t wait_notified(void *argument)
{
	capos_notification_set_handler(count_handled);
	return wait_once(argument);
}

static void neither_side_may_end_it(void)
{
	struct capos_thread_info info;
	struct waiter waiter = { .event = event_create(), .at = &word, .mask = 1 };
	word = 0;
	uint64_t deadline_ns = capos_now_ns() + 3 * MS_NS;
	CHECK_EQUAL(wait_both(waiter.event, 1, &word, deadline_ns), CAPOS_E(TIMED_OUT));
	CHECK(capos_now_ns() >= deadline_ns);
	waiter.deadline_ns = FOREVER;
	OK(capos_thread_start(&waiter.thread, wait_notified, &waiter, NULL));
	raw_wait_blocked(capos_thread_handle(waiter.thread), &info);
	OK(capos_thread_handle_notify(
		capos_thread_handle(waiter.thread), CAPOS_NOTIFY_USER_FIRST, 0));
	CHECK_FAILS(EVENT_WAIT_OR_PARK, INTERRUPTED, result_of(&waiter));
	CHECK_EQUAL(handled, 1);
	CHECK_EQUAL(capos_unpark(&word, ~0ull), 0);
	OK(capos_event_signal(waiter.event, 1));
	CHECK_EQUAL(event_take(waiter.event, 1, 0), 1);
	OK(capos_release(waiter.event));
}

/* ---- all at once ---- */

#define ROUNDS 2000u

static struct {
	capos_cap_t event;
	uint32_t word;
	uint32_t signals, words; /* of which the poller has taken note */
	int64_t unparked, late;
} all;

/* Each side comes again when the poller has taken note, so nothing goes on where a wake is lost. */
static int64_t signal_again(void *argument)
{
	(void)argument;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		if (capos_event_signal(all.event, 1) != 0)
			return -1;
		while (__atomic_load_n(&all.signals, __ATOMIC_SEQ_CST) != i)
			capos_thread_yield();
	}
	return 0;
}

static int64_t unpark_again(void *argument)
{
	(void)argument;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		__atomic_store_n(&all.word, 1, __ATOMIC_SEQ_CST);
		int64_t woken = capos_unpark(&all.word, 1);
		if (woken < 0)
			return -1;
		all.unparked += woken;
		while (__atomic_load_n(&all.words, __ATOMIC_SEQ_CST) != i)
			capos_thread_yield();
	}
	return 0;
}

/* Some of the waits have deadlines that pass, and between two of them it sleeps at times: no wake
 * of a wait that is over ends the sleep. */
static bool poll_once(uint64_t *seed)
{
	uint64_t chance = random_next(seed) % 4;
	uint64_t deadline_ns = chance ? FOREVER : capos_now_ns() + random_next(seed) % 20000;
	int64_t got = wait_both(all.event, 1, &all.word, deadline_ns);
	if (chance == 1) {
		uint64_t until_ns = capos_now_ns() + 1000;
		capos_sleep_until_ns(until_ns);
		if (capos_now_ns() < until_ns)
			return false;
	}
	if (got == 1) {
		__atomic_fetch_add(&all.signals, 1, __ATOMIC_SEQ_CST);
	} else if (got == 0) { /* maybe by an unpark that comes late, for a word it has seen */
		if (__atomic_exchange_n(&all.word, 0, __ATOMIC_SEQ_CST))
			__atomic_fetch_add(&all.words, 1, __ATOMIC_SEQ_CST);
		else
			all.late++;
	} else if (got != CAPOS_E(TIMED_OUT)) {
		return false;
	}
	return true;
}

static void both_sides_at_once(void)
{
	struct capos_thread *signaller, *unparker;
	int64_t result = -1;
	uint64_t seed = 12345;
	all.event = event_create();
	OK(capos_thread_start(&signaller, signal_again, NULL, NULL));
	OK(capos_thread_start(&unparker, unpark_again, NULL, NULL));
	while ((all.signals < ROUNDS || all.words < ROUNDS) && poll_once(&seed))
		;
	CHECK_EQUAL(all.signals, ROUNDS);
	CHECK_EQUAL(all.words, ROUNDS);
	OK(capos_thread_join(signaller, &result));
	CHECK_EQUAL(result, 0);
	OK(capos_thread_join(unparker, &result));
	CHECK_EQUAL(result, 0);
	CHECK(all.unparked <= ROUNDS && all.late <= all.unparked);
	CHECK_EQUAL(event_take(all.event, ~0ull, 0), 0);
	OK(capos_release(all.event));
}

int main(void)
{
	if (capos_notification_set_handler(record_fault) < 0)
		return 1;
	RUN(what_is_there_ends_it_at_once);
	RUN(arguments_are_checked);
	RUN(either_side_ends_it);
	RUN(order_is_kept_on_each_side);
	RUN(the_end_of_either_ends_it);
	RUN(neither_side_may_end_it);
	RUN(both_sides_at_once);
	/* The process ends while a thread waits. */
	struct waiter last;
	start(&last, event_create(), 1, &word);
	return check_result();
}
