/* The kernel around kernel/call for the ring's test and fuzzer: one process with one thread, a ring
 * page, the real table, codec and dispatch, and methods that return what the test wants. */
#ifndef TEST_CALL_RING_KERNEL_H
#define TEST_CALL_RING_KERNEL_H

#include <stdint.h>
#include <string.h>

#include "call/call.h"
#include "call/trace.h"
#include "arch/handlers.h"
#include "arch/trap_frame.h"
#include "check.h"
#include "kernel.h"
#include "kernel/grants.h"
#include "kernel/methods.h"
#include "mm/budget.h"
#include "mm/kmem.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "mm/park.h"
#include "sched/thread.h"

static struct process process;
static struct thread thread;
static struct budget budget = { .limit = BUDGET_UNLIMITED };
static union {
	struct capos_ring_header header;
	uint8_t bytes[4096];
} ring __attribute__((aligned(4096)));

bool trace_enabled;

struct thread *thread_current(void)
{
	return &thread;
}

void trace_method(const struct call *call, const struct method_desc *method, const void *params,
	const void *results, status_t status, cap_id_t cap)
{
	(void)call, (void)method, (void)params, (void)results, (void)status, (void)cap;
}

void trace_miss(cap_id_t cap, uint32_t ordinal)
{
	(void)cap, (void)ordinal;
}

void trace_operation(uint32_t opcode, cap_id_t cap, uint64_t a, uint64_t b, int64_t result)
{
	(void)opcode, (void)cap, (void)a, (void)b, (void)result;
}

void trace_exit(int32_t code, uint64_t scope)
{
	(void)code, (void)scope;
}

int64_t park_wait(bool shared, struct user_ptr word, uint32_t expected, uint64_t deadline_ns)
{
	(void)shared, (void)expected, (void)deadline_ns;
	return word.address % 4 ? STATUS(MISALIGNED) : CAPOS_PARK_RESULT_MISMATCH;
}

int64_t park_wake(bool shared, struct user_ptr word, uint32_t count)
{
	(void)shared, (void)word;
	return count;
}

void process_exit(struct process *ended, uint32_t kind, int32_t code)
{
	(void)ended, (void)kind, (void)code;
}

_Noreturn void thread_exit(int32_t code)
{
	exit(code);
}

static int calls;

static void object_gone(struct object *object)
{
	kmem_free(KERNEL_PAYS, object);
}

static const struct object_ops memory_ops = { .destroy = object_gone };

status_t method_memory_allocator_create(struct call *call,
	const struct memory_allocator_create_params *in,
	struct memory_allocator_create_results *out)
{
	(void)call;
	calls++;
	if (!in->size)
		return STATUS(INVALID_ARGUMENT);
	struct object *object = kmem_alloc(KERNEL_PAYS, sizeof *object);
	if (!object)
		return STATUS(NO_MEMORY);
	object_init(object, &interface_descs[INTERFACE_MEMORY_OBJECT], &memory_ops);
	out->object = object;
	return STATUS_OK;
}

status_t method_timer_now(
	struct call *call, const struct timer_now_params *in, struct timer_now_results *out)
{
	(void)call, (void)in;
	calls++;
	out->monotonic_ns = 111;
	out->tick = 222;
	return STATUS_OK;
}

static int64_t wall_ns;

status_t method_timer_wall(
	struct call *call, const struct timer_wall_params *in, struct timer_wall_results *out)
{
	(void)call, (void)in;
	calls++;
	out->unix_ns = wall_ns;
	return STATUS_OK;
}

status_t method_virtual_memory_map(struct call *call, const struct virtual_memory_map_params *in,
	struct virtual_memory_map_results *out)
{
	calls++;
	call->detail = in->size;
	out->addr = (in->hint + in->size + in->prot) &
		INT64_MAX; /* an address of the user half is no error */
	return in->size ? STATUS_OK : STATUS(INVALID_ARGUMENT);
}

status_t method_entropy_source_fill(struct call *call, const struct entropy_source_fill_params *in,
	struct entropy_source_fill_results *out)
{
	(void)call;
	calls++;
	if (in->length > out->data.capacity)
		return STATUS(INVALID_ARGUMENT);
	for (uint64_t i = 0; i < in->length; i++) {
		uint8_t byte = (uint8_t)i;
		status_t status = buffer_write(&out->data, &byte, 1);
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

/* ---- helpers ---- */

static cap_id_t timer, vm, allocator, entropy, park;

static void setup(void)
{
	memset(&ring, 0, sizeof ring);
	memset(&thread, 0, sizeof thread);
	thread.process = &process;
	thread.ring = &ring.header;
	cap_table_init(&process.caps, KERNEL_PAYS, &budget);
	bool ok = cap_table_insert(&process.caps, &object_timer, &timer) == STATUS_OK &&
		cap_table_insert(&process.caps, &object_vm, &vm) == STATUS_OK &&
		cap_table_insert(&process.caps, &object_memory_allocator, &allocator) ==
			STATUS_OK &&
		cap_table_insert(&process.caps, &object_entropy, &entropy) == STATUS_OK &&
		cap_table_insert(&process.caps, &object_park, &park) == STATUS_OK;
	CHECK(ok);
}

static void teardown(void)
{
	kmem_free(KERNEL_PAYS, thread.scratch);
	cap_table_destroy(&process.caps);
	CHECK(kmem_live == 0);
	CHECK(object_count() == 0);
}

static struct capos_submission *submissions(void)
{
	return (struct capos_submission *)(ring.bytes + CAPOS_RING_SUBMISSION_OFFSET);
}

static struct capos_completion *completions(void)
{
	return (struct capos_completion *)(ring.bytes + CAPOS_RING_COMPLETION_OFFSET);
}

/* Whether a completion may have this result. */
static inline bool result_known(int32_t result)
{
	return result >= -(int32_t)CAPOS_TRANSPORT_ERROR_EXCEPTION_TRUNCATED ||
		(result < -(int32_t)CAPOS_ERROR_BASE &&
			(size_t)(-result - (int32_t)CAPOS_ERROR_BASE) < error_text_count);
}

#endif
