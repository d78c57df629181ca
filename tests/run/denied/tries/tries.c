/* A program that holds standard error and what malloc needs, and tries the rest: by typed calls, by
 * functions of the library, and by names that its manifest could have given to it. */
#include <stdio.h>

#include <capos/capos.h>

static int64_t nothing(void *unused)
{
	(void)unused;
	return 0;
}

static void try_library(void)
{
	struct capos_thread *thread;
	const uint32_t word = 0;

	puts("no reader");
	fflush(stdout);
	(void)getchar();
	(void)capos_thread_start(&thread, nothing, NULL, NULL);
	(void)capos_now_ns();
	(void)capos_park(&word, 0, 0);
}

static void try_calls(void)
{
	capos_cap_t made;
	uint8_t random[8];

	(void)!capos_entropy_source_fill(capos_caps.entropy, 8, random, sizeof(random));
	(void)!capos_entropy_source_fill(capos_caps.entropy, 8, random, sizeof(random));
	(void)!capos_memory_allocator_create_message(capos_caps.memory_allocator, 4096, &made);
}

static void try_names(void)
{
	struct capos_message message = { { 0 } };
	uint64_t tag;

	(void)!capos_event_signal(capos_cap("ready"), 1);
	(void)!capos_event_signal(capos_cap("heartbeat"), 1);
	(void)!capos_endpoint_call(capos_cap("sum"), &message, 0);
	(void)!capos_endpoint_receive(capos_cap("mine"), &message, &tag, 0);
	(void)!capos_device_reset(capos_cap("virtio-rng"));
	(void)!capos_endpoint_call(capos_cap("init_log"), &message, 0);
	(void)!capos_endpoint_call(capos_cap("init_processes"), &message, 0);
}

static void try_spawn(void)
{
	const struct capos_grant grants[] = { { "devices", capos_caps.devices } };
	const struct capos_spawn passing = {
		.path = "/bin/hello", .grants = grants, .grant_count = 1
	};
	const struct capos_spawn plain = { .path = "/bin/hello" };
	capos_cap_t process;

	(void)!capos_spawn(&passing, &process);
	(void)!capos_spawn(&plain, &process);
}

int main(void)
{
	char text[32];

	try_library();
	try_calls();
	try_names();
	try_spawn();
	fprintf(stderr, "tries: %s\n", capos_manifest_line("pipe_factory", text, sizeof(text)));
	return 0;
}
