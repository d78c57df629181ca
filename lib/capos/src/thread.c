/* Threads: see capos/thread.h for what one consists of.
 *
 *   | guard ... | stack ... | TLS block | thread pointer word | struct capos_thread |
 *                initial RSP ^           ^ FS base
 *
 * One exchange of the word detach_state settles which side frees it: the thread at its end, or its
 * joiner or detacher. The side that comes second frees it. A joiner first waits for the kernel's
 * thread to be gone, because until then its last instructions still run on that stack. */
#include <capos/thread.h>

#include <string.h>

#include <capos/caps.h>
#include <capos/notification.h>
#include <capos/stubs.h>
#include <capos/time.h>

#include "internal.h"

#define STACK_DEFAULT_BYTES (256 * 1024)
#define STACK_MIN_BYTES (16 * 1024)

/* A function's frame is touched page by page (-fstack-clash-protection), so that a page would stop
 * every overflow; code of other compilers is given this much to step over. */
#define GUARD_BYTES (64 * 1024)

enum detach_state {
	DETACH_RUNNING,
	DETACH_ENDED,    /* the thread went first: a joiner or detacher frees */
	DETACH_DETACHED, /* the detacher went first: the thread frees itself */
};

struct capos_thread {
	uint32_t detach_state;
	capos_cap_t handle;
	uint64_t id;
	int64_t (*entry)(void *argument);
	void *argument;
	int64_t result;
	uint64_t map_address;
	uint64_t map_size;
	uint64_t stack_top;
	struct capos_ring_header *ring;
};

static struct capos_thread first_thread;
static _Thread_local struct capos_thread *self;

extern void capos_thread_entry(void);
extern void capos_switch_stack(uint64_t stack_top, void (*function)(struct capos_thread *),
	struct capos_thread *thread) __attribute__((noreturn));
extern void capos_thread_unmap_and_exit(uint64_t address, uint64_t size, uint64_t vm,
	uint64_t thread_control) __attribute__((noreturn));

/* How far the thread pointer lies above the TLS block's start: the variant II rule, as the linker
 * applies it. */
static uint64_t tls_size(const struct capos_cap_set_header *set)
{
	uint64_t align = set->tls_align != 0 ? set->tls_align : 1;

	return set->tls_mem_size + ((0 - set->tls_mem_size - set->tls_image) & (align - 1));
}

/* The layout of the reservation that begins at base. */
struct plan {
	uint64_t stack; /* lowest mapped address */
	uint64_t stack_top;
	uint64_t tls;
	uint64_t thread_pointer;
	uint64_t descriptor;
	uint64_t size; /* of the whole reservation */
};

static struct plan plan_layout(
	const struct capos_cap_set_header *set, uint64_t base, uint64_t stack_size)
{
	uint64_t align = set->tls_align > 64 ? set->tls_align : 64;
	struct plan plan;

	plan.stack = base + GUARD_BYTES;
	plan.stack_top = plan.stack + stack_size;
	plan.thread_pointer = round_up(plan.stack_top + tls_size(set), align);
	plan.tls = plan.thread_pointer - tls_size(set);
	plan.descriptor = plan.thread_pointer + 64;
	plan.size = round_up(plan.descriptor + sizeof(struct capos_thread) - base, CAPOS_PAGE_SIZE);
	return plan;
}

/* Called by capos_thread_entry on the new thread, before anything that could use TLS variables of
 * its own. */
__attribute__((noreturn)) void capos_thread_main(
	struct capos_thread *thread, uint64_t id, struct capos_ring_header *ring)
{
	thread_ring = ring;
	self = thread;
	__atomic_store_n(&thread->id, id, __ATOMIC_RELAXED);
	capos_thread_exit(thread->entry(thread->argument));
}

/* Reserves and prepares the new thread's memory. The stack is demand-zero: pages come as it grows.
 * What lies above it is committed. */
static int64_t create_memory(uint64_t stack_size, struct plan *plan, struct capos_thread **thread)
{
	const struct capos_cap_set_header *set = capos_cap_set();
	uint64_t size = plan_layout(set, 0, stack_size).size +
		(set->tls_align > CAPOS_PAGE_SIZE ? set->tls_align : 0);
	uint64_t base, end;
	int64_t status = capos_virtual_memory_reserve(capos_caps.vm, 0, size, &base);

	if (status < 0)
		return status;
	*plan = plan_layout(set, base, stack_size);
	end = base + size;
	status = capos_virtual_memory_commit(capos_caps.vm, plan->stack, stack_size,
		CAPOS_PROT_READ | CAPOS_PROT_WRITE | CAPOS_COMMIT_DEMAND_ZERO);
	if (status >= 0)
		status = capos_virtual_memory_commit(capos_caps.vm, plan->stack_top,
			end - plan->stack_top, CAPOS_PROT_READ | CAPOS_PROT_WRITE);
	if (status < 0) {
		capos_virtual_memory_unmap(capos_caps.vm, base, size);
		return status;
	}
	memcpy((void *)plan->tls, (const void *)set->tls_image, set->tls_file_size);
	*(uint64_t *)plan->thread_pointer = plan->thread_pointer;
	capos_set_stack_guard(plan->thread_pointer, __stack_chk_guard);
	*thread = (struct capos_thread *)plan->descriptor;
	(*thread)->map_address = base;
	(*thread)->map_size = size;
	(*thread)->stack_top = plan->stack_top;
	return 0;
}

/* Memory that cannot be unmapped, because the kernel has no memory to record the hole, at least
 * loses its frames. */
static void free_memory(struct capos_thread *thread)
{
	uint64_t address = thread->map_address, size = thread->map_size;

	if (capos_virtual_memory_unmap(capos_caps.vm, address, size) < 0)
		capos_virtual_memory_decommit(
			capos_caps.vm, address + GUARD_BYTES, size - GUARD_BYTES);
}

int64_t capos_thread_start(struct capos_thread **thread, int64_t (*entry)(void *argument),
	void *argument, const struct capos_thread_options *options)
{
	static const struct capos_thread_options defaults;
	uint64_t stack_size;
	struct capos_thread *created;
	struct plan plan;
	int64_t status;

	if (options == NULL)
		options = &defaults;
	stack_size =
		options->stack_size_bytes != 0 ? options->stack_size_bytes : STACK_DEFAULT_BYTES;
	if (stack_size > CAPOS_USER_TOP)
		return CAPOS_E(NO_RESERVATION);
	stack_size = round_up(
		stack_size < STACK_MIN_BYTES ? STACK_MIN_BYTES : stack_size, CAPOS_PAGE_SIZE);
	status = create_memory(stack_size, &plan, &created);
	if (status < 0)
		return status;
	created->entry = entry;
	created->argument = argument;
	status =
		capos_thread_spawner_spawn(capos_caps.thread_spawner, (uintptr_t)capos_thread_entry,
			plan.stack_top, (uintptr_t)created, plan.thread_pointer, options->mask,
			options->name != NULL ? options->name : "", &created->handle);
	if (status < 0) {
		free_memory(created);
		return status;
	}
	*thread = created;
	return 0;
}

/* The handle is written by the thread that started this one, after it began to run, so it may not
 * be there yet. */
static capos_cap_t own_handle(struct capos_thread *thread)
{
	capos_cap_t handle;

	while ((handle = __atomic_load_n(
			(volatile capos_cap_t *)&thread->handle, __ATOMIC_RELAXED)) == 0)
		capos_thread_yield();
	return handle;
}

/* The thread's last instructions, on its own stack. From the exchange on this memory may go at any
 * time. The first thread's memory is the kernel's. */
static __attribute__((noreturn)) void finish(struct capos_thread *thread)
{
	int64_t result = thread->result;
	bool first = thread == &first_thread;

	notification_free_stack();
	if (__atomic_exchange_n(&thread->detach_state, DETACH_ENDED, __ATOMIC_ACQ_REL) ==
		DETACH_DETACHED) {
		capos_release(first ? thread->handle : own_handle(thread));
		if (first)
			capos_exit((int)result, CAPOS_EXIT_SCOPE_THREAD);
		capos_thread_unmap_and_exit(thread->map_address, thread->map_size, capos_caps.vm,
			capos_caps.thread_control);
	}
	capos_exit((int)result, CAPOS_EXIT_SCOPE_THREAD);
}

__attribute__((noreturn)) void capos_thread_exit(int64_t result)
{
	struct capos_thread *thread = capos_thread_self();
	uint64_t stack_top = thread == &first_thread ? first_stack_top : thread->stack_top;

	thread->result = result;
	if (capos_caps.thread_control != 0)
		capos_notification_mask(~(uint64_t)0, 0, NULL);
	/* In a handler this is the handler's stack, which finish() gives back. */
	if (notification_on_stack())
		capos_switch_stack(stack_top, finish, thread);
	finish(thread);
}

int64_t capos_thread_join_timeout(struct capos_thread *thread, uint64_t timeout_ns, int64_t *result)
{
	uint64_t deadline = timeout_ns == CAPOS_WAIT_FOREVER ? CAPOS_WAIT_FOREVER
							     : capos_deadline_ns(timeout_ns);
	int64_t exit_code, status;

	for (;;) {
		status = capos_thread_handle_join(thread->handle, timeout_ns, &exit_code);
		if (status != CAPOS_E(INTERRUPTED))
			break;
		if (deadline != CAPOS_WAIT_FOREVER) {
			uint64_t now = capos_now_ns();

			timeout_ns = deadline > now ? deadline - now : 0;
		}
	}
	if (status < 0)
		return status;
	if (result != NULL)
		*result = thread->result;
	capos_release(thread->handle);
	if (thread != &first_thread)
		free_memory(thread);
	return 0;
}

int64_t capos_thread_join(struct capos_thread *thread, int64_t *result)
{
	return capos_thread_join_timeout(thread, CAPOS_WAIT_FOREVER, result);
}

int64_t capos_thread_detach(struct capos_thread *thread)
{
	if (__atomic_exchange_n(&thread->detach_state, DETACH_DETACHED, __ATOMIC_ACQ_REL) ==
		DETACH_ENDED)
		return capos_thread_join(thread, NULL);
	return 0;
}

capos_cap_t capos_thread_handle(const struct capos_thread *thread)
{
	if (thread == self && thread != &first_thread)
		return own_handle(self);
	return thread->handle;
}

struct capos_thread *capos_thread_self(void)
{
	if (self == NULL) {
		/* Only the first thread gets here without a start by capos_thread_start. */
		first_thread.id = capos_ring()->thread_id;
		if (first_thread.handle == 0 && capos_caps.thread_control != 0)
			capos_thread_control_self(capos_caps.thread_control, &first_thread.handle);
		self = &first_thread;
	}
	return self;
}

uint64_t capos_thread_id(void)
{
	return capos_ring()->thread_id;
}

void capos_thread_yield(void)
{
	capos_thread_control_yield(capos_caps.thread_control);
}
