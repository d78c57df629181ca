/* A program for the checks of ./capos ps and of a child's fault: a parent that serves, and a child
 * that can call it. The child holds 40 events until standard input ends, or with an argument ends
 * by a fault, after two calls that it remembers. */
#include <stdio.h>
#include <string.h>

#include <capos/capos.h>

#define CHILD_EVENTS 40

__attribute__((noinline)) static int fall_over(volatile int *where)
{
	return *where;
}

static int child(void)
{
	capos_cap_t event;
	char byte;
	for (int i = 0; i < CHILD_EVENTS; i++)
		if (capos_event_factory_create(capos_caps.event_factory, &event) < 0)
			return 1;
	puts("ready");
	fflush(stdout);
	return capos_console_read(capos_cap("stdin"), 1, &byte, 1) != 0;
}

int main(int argc, char **argv)
{
	capos_cap_t endpoint, facet, process;
	struct capos_process_end end;
	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child();
	if (argc > 1 && strcmp(argv[1], "fault") == 0) {
		capos_event_signal(capos_caps.park, 1); /* which has no methods */
		capos_event_factory_create(capos_caps.event_factory, &endpoint);
		return fall_over((volatile int *)16) + 1;
	}
	if (capos_endpoint_factory_create(capos_caps.endpoint_factory, 4, &endpoint) < 0 ||
		capos_endpoint_make_facet(endpoint, 77, &facet) < 0)
		return 2;
	const struct capos_grant grants[] = {
		{ "stdin", capos_cap("stdin") },
		{ "stdout", capos_caps.standard_output },
		{ "vm", capos_caps.vm },
		{ "thread_control", capos_caps.thread_control },
		{ "park", capos_caps.park },
		{ "event_factory", capos_caps.event_factory },
		{ "service", facet },
	};
	const struct capos_spawn spawn = {
		.path = argv[0],
		.argv = (const char *const[]){ "child", argc > 1 ? "fault" : "child", NULL },
		.grants = grants,
		.grant_count = sizeof grants / sizeof grants[0],
		.memory_pages = 256,
		.remember_calls = argc > 1,
	};
	if (capos_spawn(&spawn, &process) < 0 || capos_process_finish(process, &end) < 0)
		return 3;
	return end.kind == CAPOS_EXIT_KIND_EXITED ? end.code : 50;
}
