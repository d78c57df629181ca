/* The capability table under load: threads that create, share, use and release capabilities at
 * once, and guess stale ids. The process ends while threads are still at it; the machine must get
 * every frame and object back. */
#include <capos/capos.h>

#include "check.h"

#define THREADS 4
#define ROUNDS 3000
#define SHARED 8

static uint32_t shared[SHARED]; /* ids, exchanged atomically; 0: none */
static uint32_t wrong, used, stale, stop;

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Uses an id that another thread may be releasing: the call reaches the object, or the id names
 * nothing. */
static void use(capos_cap_t cap)
{
	uint64_t pages = 0;
	int64_t status = capos_memory_object_info(cap, &pages);
	if (status == 0 && pages >= 1 && pages <= 3)
		__atomic_fetch_add(&used, 1, __ATOMIC_RELAXED);
	else if (status == CAPOS_TRANSPORT_E(INVOKE_FAILED))
		__atomic_fetch_add(&stale, 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

static void exchange_once(uint32_t *state)
{
	capos_cap_t cap = 0;
	uint32_t index = next_random(state) % SHARED;
	if (capos_memory_allocator_create(
		    capos_caps.memory_allocator, 4096 * (1 + next_random(state) % 3), &cap) != 0)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	use(cap);
	capos_cap_t old = __atomic_exchange_n(&shared[index], cap, __ATOMIC_SEQ_CST);
	use(__atomic_load_n(&shared[next_random(state) % SHARED], __ATOMIC_SEQ_CST));
	if (old && capos_release(old) != 0)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	use(old);
}

static int64_t hammer(void *argument)
{
	uint32_t state = (uint32_t)(uintptr_t)argument;
	for (int i = 0; i < ROUNDS; i++)
		exchange_once(&state);
	return 0;
}

static int64_t hammer_for_ever(void *argument)
{
	uint32_t state = (uint32_t)(uintptr_t)argument;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		exchange_once(&state);
	return 0;
}

static void capabilities_under_many_hands(void)
{
	struct capos_process_info before, after;
	struct capos_thread *threads[THREADS];
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &before, sizeof before),
		sizeof before);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQUAL(capos_thread_start(&threads[i], hammer, (void *)(i + 1), NULL), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQUAL(capos_thread_join(threads[i], NULL), 0);
	for (int i = 0; i < SHARED; i++)
		if (shared[i])
			CHECK_EQUAL(capos_release(shared[i]), 0);
	memset(shared, 0, sizeof shared);
	CHECK_EQUAL(wrong, 0);
	CHECK(used >= THREADS * ROUNDS);
	CHECK_EQUAL(
		capos_system_info_process(capos_caps.system, &after, sizeof after), sizeof after);
	CHECK_EQUAL(after.capabilities, before.capabilities);
}

int main(void)
{
	RUN(capabilities_under_many_hands);
	struct capos_thread *threads[THREADS];
	for (uintptr_t i = 0; i < THREADS; i++)
		capos_thread_start(&threads[i], hammer_for_ever, (void *)(i + 100), NULL);
	capos_sleep_ns(20000000);
	return check_result(); /* the others are in the middle of it */
}
