/* A service that takes all threads and capabilities that it gets. */
#include <stdio.h>

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
	capos_cap_t event;
	int64_t no_thread, no_event;
	unsigned threads = 1, events = 0;

	while ((no_thread = capos_thread_start(&thread, sleep_on, NULL, NULL)) == 0)
		threads++;
	while ((no_event = capos_event_factory_create(capos_caps.event_factory, &event)) == 0)
		events++;
	printf("greedy: %u threads, then %s; %s events, then %s\n", threads,
		capos_error_name(no_thread), events > 10 && events < 30 ? "some" : "too many",
		capos_error_name(no_event));
	return 0;
}
