/* A service that fails because it gets no more threads. */
#include <capos/capos.h>

static int64_t sleep_on(void *unused)
{
	(void)unused;
	for (;;)
		capos_sleep_ns(1000000000);
	return 0;
}

int main(void)
{
	struct capos_thread *thread;

	for (int i = 0; i < 4; i++)
		if (capos_thread_start(&thread, sleep_on, NULL, NULL) < 0)
			return 1;
	return 0;
}
