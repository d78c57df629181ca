/* Two threads that add to a number, with a call in between in which the other one may run. With
 * --strategy slow a thread pauses in more of the calls than can be told. */
#include <stdint.h>
#include <stdio.h>

#include <capos/thread.h>

#define ROUNDS 1000

static volatile uint32_t sum;
static const volatile uint32_t nobody;

static int64_t add(void *argument)
{
	(void)argument;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t seen = sum;

		capos_unpark(&nobody, 1);
		sum = seen + 1;
	}
	return 0;
}

int main(void)
{
	struct capos_thread *thread;

	if (capos_thread_start(&thread, add, NULL, NULL) < 0)
		return 2;
	add(NULL);
	if (capos_thread_join(thread, NULL) < 0)
		return 2;
	if (sum != 2 * ROUNDS) {
		puts("additions are lost");
		return 1;
	}
	return 0;
}
