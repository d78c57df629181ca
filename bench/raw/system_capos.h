/* The calls of raw.c on capOS: register calls through libcapos, and its threads. */
#ifndef BENCH_SYSTEM_CAPOS_H
#define BENCH_SYSTEM_CAPOS_H

#include <capos/capos.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
	struct capos_thread *thread;
	void (*entry)(void);
} system_thread_t;

static inline void system_fail(const char *what)
{
	printf("fail %s\n", what);
	exit(1);
}

static capos_cap_t system_events[2];
static const char *system_program;

static inline void system_start(const char *program)
{
	system_program = program;
	if (!capos_caps.vm || !capos_caps.park || !capos_caps.timer || !capos_caps.thread_spawner ||
		!capos_caps.thread_control)
		system_fail("a capability is missing");
	for (int i = 0; i < 2; i++)
		if (capos_event_factory_create(capos_caps.event_factory, &system_events[i]) != 0)
			system_fail("no event");
}

static inline void system_null(void)
{
	capos_register_call(CAPOS_OPCODE_NOP, 0, 0, 0, 0, 0, 0);
}

static inline uint64_t system_fs_base(void)
{
	uint64_t base = 0;

	capos_thread_control_get_fs_base(capos_caps.thread_control, &base);
	return base;
}

static inline uint64_t system_now_ns(void)
{
	return capos_now_ns();
}

static inline void system_park(volatile uint32_t *word, uint32_t expected)
{
	capos_park_in(capos_caps.park, word, expected, CAPOS_WAIT_FOREVER);
}

static inline uint64_t system_unpark(volatile uint32_t *word)
{
	return (uint64_t)capos_unpark_in(capos_caps.park, word, 1);
}

static inline void system_event_signal(int event)
{
	capos_event_signal(system_events[event], 1);
}

static inline void system_event_wait(int event)
{
	uint64_t bits;

	if (capos_event_wait(system_events[event], 1, CAPOS_WAIT_FOREVER, &bits) != 0)
		system_fail("a wait ended without its bit");
}

static inline int64_t system_thread_run(void *argument)
{
	system_thread_t *thread = argument;

	thread->entry();
	return 0;
}

static inline void system_thread_start(system_thread_t *thread, void (*entry)(void))
{
	thread->entry = entry;
	if (capos_thread_start(&thread->thread, system_thread_run, thread, NULL) != 0)
		system_fail("no thread");
}

static inline void system_thread_join(system_thread_t *thread)
{
	if (capos_thread_join(thread->thread, NULL) != 0)
		system_fail("no join");
}

static inline void *system_map(size_t size_bytes)
{
	uint64_t address = 0;

	if (capos_virtual_memory_map(capos_caps.vm, 0, size_bytes,
		    CAPOS_PROT_READ | CAPOS_PROT_WRITE, &address) != 0)
		system_fail("no memory");
	return (void *)address;
}

static inline void system_unmap(void *block, size_t size_bytes)
{
	if (capos_virtual_memory_unmap(capos_caps.vm, (uintptr_t)block, size_bytes) != 0)
		system_fail("cannot unmap");
}

/* ---- other processes ---- */

typedef struct {
	capos_cap_t process;
} system_process_t;

/* one, other: what a server has besides; a cap of 0 is none. */
static inline void system_process_start_with(system_process_t *process, const char *role,
	struct capos_grant one, struct capos_grant other)
{
	const struct capos_grant grants[] = { { "vm", capos_caps.vm },
		{ "thread_control", capos_caps.thread_control }, one, other };
	const char *const arguments[] = { system_program, "-role", role, NULL };
	const struct capos_spawn request = { .path = system_program,
		.argv = arguments,
		.grants = grants,
		.grant_count = 2 + (one.cap != 0) + (other.cap != 0) };

	if (capos_spawn(&request, &process->process) != 0)
		system_fail("no process");
}

static inline void system_process_start(system_process_t *process, const char *role)
{
	const struct capos_grant none = { .cap = 0 };

	system_process_start_with(process, role, none, none);
}

/* The process has both events. It takes them by system_take_events. */
static inline void system_process_start_with_events(system_process_t *process, const char *role)
{
	system_process_start_with(process, role,
		(struct capos_grant){ "event 0", system_events[0] },
		(struct capos_grant){ "event 1", system_events[1] });
}

static inline int system_take_events(void)
{
	system_events[0] = capos_cap("event 0");
	system_events[1] = capos_cap("event 1");
	return system_events[0] != 0 && system_events[1] != 0;
}

static inline void system_process_wait(system_process_t *process)
{
	struct capos_process_end end;

	if (capos_process_finish(process->process, &end) != 0 ||
		end.kind != CAPOS_EXIT_KIND_EXITED || end.code != 0)
		system_fail("a process ended otherwise");
}

static inline void system_process_kill(system_process_t *process)
{
	struct capos_process_end end;

	capos_process_kill(process->process);
	if (capos_process_finish(process->process, &end) != 0)
		system_fail("a process did not end");
}

static capos_cap_t system_facet;
static system_process_t system_server;

static inline void system_server_start_as(const char *role)
{
	capos_cap_t endpoint;

	if (capos_endpoint_factory_create(capos_caps.endpoint_factory, 16, &endpoint) != 0 ||
		capos_endpoint_make_facet(endpoint, 0, &system_facet) != 0 ||
		capos_endpoint_accept(endpoint, 1) != 0)
		system_fail("no endpoint");
	system_process_start_with(&system_server, role,
		(struct capos_grant){ "endpoint", endpoint }, (struct capos_grant){ .cap = 0 });
	capos_release(endpoint);
}

static inline void system_server_start(void)
{
	system_server_start_as("serve");
}

static inline uint64_t system_server_call(uint64_t number)
{
	struct capos_message message = { .words = { number } };

	if (capos_endpoint_call(system_facet, &message, CAPOS_WAIT_FOREVER) != 0)
		system_fail("a call failed");
	return message.words[0];
}

/* Through the ring, where several calls may be outstanding. */
static struct {
	struct capos_ring_call call;
	uint64_t message[8], answer[8];
} system_calls[16];

static inline void system_call_begin(unsigned slot, uint64_t number)
{
	system_calls[slot].message[0] = number;
	system_calls[slot].call = (struct capos_ring_call){ .facet = system_facet,
		.message = system_calls[slot].message,
		.size = sizeof(system_calls[slot].message),
		.result = system_calls[slot].answer,
		.capacity = sizeof(system_calls[slot].answer),
		.deadline_ns = CAPOS_WAIT_FOREVER };
	if (capos_ring_call_put(&system_calls[slot].call) != 0)
		system_fail("a call did not begin");
}

static inline uint64_t system_call_end(unsigned slot)
{
	if (capos_ring_call_wait(&system_calls[slot].call, CAPOS_WAIT_FOREVER) != 0)
		system_fail("a call failed");
	return system_calls[slot].answer[0];
}

static inline void system_server_end(void)
{
	capos_release(system_facet);
	system_process_wait(&system_server);
}

static inline uint32_t system_handle(void *context, uint64_t tag, struct capos_message *message)
{
	(void)context, (void)tag;
	message->words[0]++;
	return 0;
}

static inline void system_serve(void)
{
	uint64_t tag;

	capos_endpoint_serve(capos_cap("endpoint"), system_handle, NULL, &tag);
}

/* ---- a server that is given capabilities ---- */

static inline void system_taker_start(void)
{
	system_server_start_as("take");
}

static inline uint64_t system_taker_call(uint64_t number)
{
	struct capos_message message = { .words = { number } };
	capos_cap_t cap = system_facet;

	if (capos_endpoint_call_cap(system_facet, &message, &cap, 0, CAPOS_WAIT_FOREVER) != 0)
		system_fail("a call failed");
	return message.words[0];
}

static inline void system_taker_end(void)
{
	system_server_end();
}

static inline uint32_t system_handle_cap(
	void *context, uint64_t tag, struct capos_message *message, capos_cap_t *cap)
{
	(void)context, (void)tag;
	if (capos_release(*cap) != 0)
		system_fail("no capability came");
	*cap = 0;
	message->words[0]++;
	return 0;
}

static inline void system_take(void)
{
	uint64_t tag;

	capos_endpoint_serve_cap(capos_cap("endpoint"), system_handle_cap, NULL, &tag);
}

/* A server by two pipes. */
static capos_cap_t system_pipe_out, system_pipe_in;

static inline void system_pipe_server_start(void)
{
	struct capos_pipe_ends calls, answers;
	capos_cap_t factory = capos_caps.pipe_factory;

	if (capos_pipe_factory_create(factory, 65536, &calls, sizeof(calls)) < 0 ||
		capos_pipe_factory_create(factory, 65536, &answers, sizeof(answers)) < 0)
		system_fail("no pipes");
	system_pipe_out = calls.writer;
	system_pipe_in = answers.reader;
	system_process_start_with(&system_server, "serve-pipe",
		(struct capos_grant){ "in", calls.reader },
		(struct capos_grant){ "out", answers.writer });
	capos_release(calls.reader);
	capos_release(answers.writer);
}

static inline int system_pipe_read(capos_cap_t in, uint64_t *words)
{
	return capos_pipe_reader_read(in, 64, CAPOS_WAIT_FOREVER, words, 64) == 64;
}

static inline int system_pipe_write(capos_cap_t out, const uint64_t *words)
{
	uint64_t count;

	return capos_pipe_writer_write(out, words, 64, CAPOS_WAIT_FOREVER, &count) == 0 &&
		count == 64;
}

static inline uint64_t system_pipe_server_call(uint64_t number)
{
	uint64_t words[8] = { number };

	if (!system_pipe_write(system_pipe_out, words) || !system_pipe_read(system_pipe_in, words))
		system_fail("a call failed");
	return words[0];
}

static inline void system_pipe_server_end(void)
{
	capos_release(system_pipe_out);
	capos_release(system_pipe_in);
	system_process_wait(&system_server);
}

static inline void system_pipe_serve(void)
{
	capos_cap_t in = capos_cap("in"), out = capos_cap("out");
	uint64_t words[8];

	while (system_pipe_read(in, words)) {
		words[0]++;
		if (!system_pipe_write(out, words))
			system_fail("an answer was not taken");
	}
}

static inline void system_sleep_until(uint64_t deadline_ns)
{
	capos_sleep_until_ns(deadline_ns);
}

#endif
