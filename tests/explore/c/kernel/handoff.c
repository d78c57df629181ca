/* Two threads hand a word to each other by park and unpark, which is right. A kernel that loses a
 * wake-up leaves both waiting. */
#include <stdint.h>
#include <stdio.h>

#include <capos/thread.h>

#define ROUNDS 40

static uint32_t turn; /* whose it is: even or odd */

/* Waits for the turn to have the value, and gives it on. */
static void take(uint32_t value)
{
	uint32_t seen;

	while ((seen = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != value)
		capos_park(&turn, seen, CAPOS_WAIT_FOREVER);
	__atomic_store_n(&turn, value + 1, __ATOMIC_RELEASE);
	capos_unpark(&turn, 1);
}

static int64_t other(void *argument)
{
	(void)argument;
	for (uint32_t round = 0; round < ROUNDS; round++)
		take(2 * round + 1);
	return 0;
}

int main(void)
{
	struct capos_thread *thread;

	if (capos_thread_start(&thread, other, NULL, NULL) < 0)
		return 2;
	for (uint32_t round = 0; round < ROUNDS; round++)
		take(2 * round);
	if (capos_thread_join(thread, NULL) < 0)
		return 2;
	printf("%u turns\n", turn);
	return 0;
}
