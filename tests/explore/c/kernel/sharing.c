/* Two threads call the same event while one of them gives it back, which is right: the other one's
 * calls then find nothing. A kernel that counts references wrongly keeps the event, or frees it
 * twice. */
#include <stdint.h>
#include <stdio.h>

#include <capos/capos.h>
#include <capos/thread.h>

#define ROUNDS 20
#define SIGNALS 6

static uint32_t round; /* that the other thread takes part in */
static capos_cap_t event;

/* Both come here; the second one lets both go on. */
static void meet(uint32_t *met, uint32_t count)
{
	uint32_t seen = __atomic_add_fetch(met, 1, __ATOMIC_ACQ_REL);
	if (seen == count)
		capos_unpark(met, 1);
	for (; seen < count; seen = __atomic_load_n(met, __ATOMIC_ACQUIRE))
		capos_park(met, seen, CAPOS_WAIT_FOREVER);
}

static int64_t other(void *argument)
{
	(void)argument;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		meet(&round, 4 * i - 2);
		for (uint32_t n = 0; n < SIGNALS; n++)
			capos_event_signal(event, 1);
		meet(&round, 4 * i);
	}
	return 0;
}

int main(void)
{
	struct capos_thread *thread;

	if (capos_thread_start(&thread, other, NULL, NULL) < 0)
		return 2;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		if (capos_event_factory_create(capos_caps.event_factory, &event) < 0)
			return 3;
		meet(&round, 4 * i - 2);
		for (uint32_t n = 0; n < SIGNALS / 2; n++)
			capos_event_signal(event, 2);
		if (capos_release(event) < 0)
			return 4;
		meet(&round, 4 * i);
	}
	if (capos_thread_join(thread, NULL) < 0)
		return 2;
	printf("%u rounds\n", ROUNDS);
	return 0;
}
