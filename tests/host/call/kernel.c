/* The few kernel services that the tested parts use, as host functions: memory that is counted and
 * can be made to fail, panics that abort, and user memory that is one array. */
#include "kernel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call/call.h"
#include "core/log.h"
#include "core/object.h"
#include "mm/kmem.h"
#include "mm/user.h"
#include "sched/sched.h"
#include "sched/wait_state.h"

long kmem_live;
long kmem_fail_after = -1;
unsigned later_calls;
uint8_t user_memory[USER_BYTES];

void object_destroy_later(void)
{
	later_calls++;
}

void sched_preemption_point(void)
{
}

/* No thread waits here. */
bool wait_decide(struct thread *thread, enum wait_state outcome)
{
	(void)thread, (void)outcome;
	return false;
}

void sched_wake(struct thread *thread)
{
	(void)thread;
	abort();
}

void *kmem_alloc(struct ledger *payer, size_t size)
{
	(void)payer;
	if (kmem_fail_after == 0)
		return NULL;
	if (kmem_fail_after > 0)
		kmem_fail_after--;
	kmem_live++;
	size = (size + 63) & ~63ul;
	void *memory = aligned_alloc(64, size);
	memset(memory, 0, size);
	return memory;
}

void kmem_free(struct ledger *payer, void *memory)
{
	(void)payer;
	if (memory)
		kmem_live--;
	free(memory);
}

_Noreturn void panic(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	abort();
}

static bool user_range(uint64_t address, size_t size)
{
	return address >= USER_BASE && address <= USER_BASE + USER_BYTES &&
		size <= USER_BASE + USER_BYTES - address;
}

status_t copy_from_user(void *to, struct user_ptr from, size_t size)
{
	if (!user_range(from.address, size))
		return STATUS(BAD_ADDRESS);
	memcpy(to, user_memory + (from.address - USER_BASE), size);
	return STATUS_OK;
}

status_t copy_to_user(struct user_ptr to, const void *from, size_t size)
{
	if (!user_range(to.address, size))
		return STATUS(BAD_ADDRESS);
	memcpy(user_memory + (to.address - USER_BASE), from, size);
	return STATUS_OK;
}

/* Endpoints need threads, and so do waits. */
int64_t endpoint_enter(struct trap_frame *frame)
{
	(void)frame;
	return STATUS_TRANSPORT(UNSUPPORTED_OPCODE);
}

bool ring_call_execute(const struct capos_submission *submission,
	struct capos_completion *completion, uint32_t awaited)
{
	(void)submission, (void)awaited;
	completion->result = STATUS_TRANSPORT(UNSUPPORTED_OPCODE);
	return true;
}

bool ring_call_collect(struct thread *thread, struct capos_completion *completion)
{
	(void)thread, (void)completion;
	return false;
}

void ring_call_wake(struct thread *thread, uint32_t awaited)
{
	(void)thread, (void)awaited;
}

status_t ring_call_waited(struct thread *thread)
{
	(void)thread;
	return STATUS_OK;
}

uint64_t deadline_after(uint64_t timeout_ns)
{
	return timeout_ns;
}

status_t ring_call_wait(struct thread *thread, uint32_t count, uint64_t deadline_ns)
{
	(void)thread, (void)count, (void)deadline_ns;
	return STATUS_OK;
}
