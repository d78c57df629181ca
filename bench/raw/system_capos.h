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

static inline void system_start(void)
{
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

#endif
