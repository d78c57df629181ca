/* The calls of raw.c on Linux. System calls that glibc would only wrap are made directly, so that
 * the kernel's share is measured. Threads are pthreads, which programs use. */
#ifndef BENCH_SYSTEM_LINUX_H
#define BENCH_SYSTEM_LINUX_H

#include <asm/prctl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

typedef struct {
	pthread_t id;
	void (*entry)(void);
} system_thread_t;

static inline void system_fail(const char *what)
{
	printf("fail %s\n", what);
	exit(1);
}

static int system_events[2];

static inline void system_start(void)
{
	for (int i = 0; i < 2; i++) {
		system_events[i] = eventfd(0, 0);
		if (system_events[i] < 0)
			system_fail("no eventfd");
	}
}

static inline int64_t system_call(
	uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	register uint64_t r10 __asm__("r10") = a3;

	__asm__ volatile("syscall"
		: "+a"(number)
		: "D"(a0), "S"(a1), "d"(a2), "r"(r10)
		: "rcx", "r11", "memory");
	return (int64_t)number;
}

static inline void system_null(void)
{
	system_call(SYS_getppid, 0, 0, 0, 0);
}

static inline uint64_t system_fs_base(void)
{
	uint64_t base = 0;

	system_call(SYS_arch_prctl, ARCH_GET_FS, (uintptr_t)&base, 0, 0);
	return base;
}

static inline uint64_t system_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void system_park(volatile uint32_t *word, uint32_t expected)
{
	system_call(SYS_futex, (uintptr_t)word, FUTEX_WAIT_PRIVATE, expected, 0);
}

static inline uint64_t system_unpark(volatile uint32_t *word)
{
	return (uint64_t)system_call(SYS_futex, (uintptr_t)word, FUTEX_WAKE_PRIVATE, 1, 0);
}

static inline void system_event_signal(int event)
{
	uint64_t one = 1;

	system_call(SYS_write, (uint64_t)system_events[event], (uintptr_t)&one, sizeof(one), 0);
}

static inline void system_event_wait(int event)
{
	uint64_t count = 0;

	system_call(SYS_read, (uint64_t)system_events[event], (uintptr_t)&count, sizeof(count), 0);
	if (count != 1)
		system_fail("a wait ended without its event");
}

static inline void *system_thread_run(void *argument)
{
	system_thread_t *thread = argument;

	thread->entry();
	return NULL;
}

static inline void system_thread_start(system_thread_t *thread, void (*entry)(void))
{
	thread->entry = entry;
	if (pthread_create(&thread->id, NULL, system_thread_run, thread) != 0)
		system_fail("no thread");
}

static inline void system_thread_join(system_thread_t *thread)
{
	if (pthread_join(thread->id, NULL) != 0)
		system_fail("no join");
}

static inline void *system_map(size_t size_bytes)
{
	void *block =
		mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED)
		system_fail("no memory");
	return block;
}

static inline void system_unmap(void *block, size_t size_bytes)
{
	if (munmap(block, size_bytes) != 0)
		system_fail("cannot unmap");
}

#endif
