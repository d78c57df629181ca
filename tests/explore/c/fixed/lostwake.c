/* The word is read before what it stands for, so that a change of it ends the park. */
#include <stdatomic.h>
#include <stdio.h>

#include <capos/thread.h>
#include <capos/time.h>

static _Atomic uint32_t changes; /* of ready */
static _Atomic bool ready;

static int64_t consumer(void *argument)
{
	(void)argument;
	for (;;) {
		uint32_t seen = atomic_load(&changes);

		if (atomic_load(&ready))
			break;
		capos_park((const volatile uint32_t *)&changes, seen, CAPOS_WAIT_FOREVER);
	}
	return 0;
}

int main(void)
{
	struct capos_thread *thread;

	if (capos_thread_start(&thread, consumer, NULL, NULL) < 0)
		return 2;
	atomic_store(&ready, true);
	atomic_fetch_add(&changes, 1);
	capos_unpark((const volatile uint32_t *)&changes, 1);
	if (capos_thread_join(thread, NULL) < 0)
		return 2;
	puts("consumed");
	return 0;
}
