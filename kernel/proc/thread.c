/* Threads: creation and end. models/notify.pml models thread_exit. */
#include "proc/thread.h"

#include "arch/context.h"
#include "arch/trap_frame.h"
#include "core/log.h"
#include "core/string.h"
#include "mm/aspace.h"
#include "mm/frame.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "proc/process.h"
#include "sched/sched.h"
#include "sched/thread.h"

#define LAST_CALLS_BYTES (CAPOS_LAST_CALLS_MAX * sizeof(struct capos_remembered_call))

bool threads_watched;
static uint64_t last_id;

/* The charge for a thread, in pages: kernel stack, ring, message buffer and vector state until it
 * has ended, and the record as long as it is referenced. Frames that hold several small things are
 * charged whole. */
#define PARTS_PAGES ((1ul << KERNEL_STACK_ORDER) + 3)
#define RECORD_PAGES 1ul

static void thread_destroy(struct object *object)
{
	struct thread *thread = container_of(object, struct thread, object);
	if (thread->ledger) {
		ledger_uncharge(thread->ledger, RECORD_PAGES, 0);
		ledger_release(thread->ledger);
	}
	if (thread->process)
		object_release(&thread->process->object);
	kmem_free(PREPAID, thread);
}

static const struct object_ops thread_ops = { .destroy = thread_destroy };

static bool charge(struct thread *thread)
{
	if (!ledger_charge(thread->space->ledger, PARTS_PAGES + RECORD_PAGES, 0))
		return false;
	thread->ledger = ledger_retain(thread->space->ledger);
	return true;
}

static void init_record(struct thread *thread, struct process *process, const char *name)
{
	object_init(&thread->object, NULL, &thread_ops);
	thread->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	thread->process = process;
	thread->space = process ? process->space : NULL;
	thread->profile = process ? &process->profile : &kernel_profile;
	thread->shares = process ? process->shares : kernel_shares;
	text_copy(thread->name, name, sizeof thread->name);
	spin_init(&thread->lock, LOCK_RANK_THREAD);
	wait_queue_init(&thread->joiners);
	wait_queue_init(&thread->suspenders);
	wait_queue_init(&thread->suspended);
	list_node_init(&thread->wait_node);
	list_node_init(&thread->process_node);
	list_node_init(&thread->call.queued.node);
	list_init(&thread->ring_calls.all);
	list_init(&thread->ring_calls.ended);
	thread->state = THREAD_BLOCKED;
	thread->affinity = UINT64_MAX;
	if (!process)
		return;
	object_retain(&process->object);
	if (threads_watched || process->remembers)
		thread->watched = WATCH_CALLS;
	explore_created(thread);
}

static status_t make_user_parts(struct thread *thread)
{
	if (!charge(thread))
		return STATUS(NO_MEMORY);
	thread->context.vectors = kmem_alloc(PREPAID, vector_size());
	if (!thread->context.vectors)
		return STATUS(NO_MEMORY);
	vector_init_area(thread->context.vectors);
	if (thread->process->remembers) {
		thread->last_calls = kmem_alloc(thread->ledger, LAST_CALLS_BYTES);
		if (!thread->last_calls)
			return STATUS(NO_MEMORY);
	}
	paddr_t ring = frame_alloc(PREPAID, 0, FRAME_ZERO);
	if (!ring)
		return STATUS(NO_MEMORY);
	status_t status = aspace_map_frames(thread->space, 0, false, ring, PAGE_SIZE,
		CAPOS_PROT_READ | CAPOS_PROT_WRITE, true, &thread->ring_address);
	if (status != STATUS_OK) {
		frame_free(PREPAID, ring, 0);
		return status;
	}
	thread->ring = phys_to_virt(ring);
	thread->ring->thread_id = thread->id;
	return STATUS_OK;
}

static void free_ring(struct thread *thread)
{
	if (!thread->ring)
		return;
	status_t status = aspace_unmap_kernel(thread->space, thread->ring_address, PAGE_SIZE);
	VERIFY(status == STATUS_OK);
	frame_free(PREPAID, virt_to_phys(thread->ring), 0);
	thread->ring = NULL;
}

/* For a thread that ended with its process: ring and vector state stay until the address space
 * goes. Returns how many pages that are charged for the thread they take. */
static uint64_t leave_ring(struct thread *thread)
{
	const uint64_t pages = 2;

	process_leave_ring(
		thread->process, virt_to_phys(thread->ring), thread->context.vectors, pages);
	thread->ring = NULL;
	thread->context.vectors = NULL;
	return pages;
}

/* Everything but the record itself, after the thread has ended or before it has begun. */
static void free_parts(struct thread *thread)
{
	uint64_t charged = PARTS_PAGES;

	if (thread->ring)
		charged -= leave_ring(thread);
	if (thread->stack)
		frame_free(PREPAID, virt_to_phys(thread->stack), KERNEL_STACK_ORDER);
	if (thread->context.vectors)
		kmem_free(PREPAID, thread->context.vectors);
	if (thread->scratch)
		kmem_free(thread->scratch_payer, thread->scratch);
	if (thread->last_calls)
		kmem_free(thread->ledger, thread->last_calls);
	if (thread->ledger)
		ledger_uncharge(thread->ledger, charged, 0);
}

status_t thread_create(struct process *process, const char *name, void (*function)(void *),
	void *argument, struct thread **result)
{
	struct thread *thread = kmem_alloc(PREPAID, sizeof *thread);
	if (!thread)
		return STATUS(NO_MEMORY);
	init_record(thread, process, name);
	status_t status = STATUS(NO_MEMORY);
	paddr_t stack = frame_alloc(PREPAID, KERNEL_STACK_ORDER, 0);
	if (!stack)
		goto fail;
	thread->stack = phys_to_virt(stack);
	thread->stack_pointer = context_prepare(thread_frame(thread), function, argument);
	if (process) {
		status = make_user_parts(thread);
		if (status == STATUS_OK)
			status = process_add_thread(process, thread);
		if (status != STATUS_OK)
			goto fail;
		object_retain(&process->object);
	}
	object_retain(&thread->object); /* for running */
	*result = thread;
	return STATUS_OK;
fail:
	free_ring(thread);
	free_parts(thread);
	object_release(&thread->object);
	return status;
}

void thread_start(struct thread *thread)
{
	sched_start(thread);
}

void thread_exit(int32_t code)
{
	struct thread *thread = thread_current();
	struct process *process = thread->process;
	thread_leave_calls(thread);
	if (process && !process_is_exiting(process))
		free_ring(thread);
	spin_lock(&thread->lock);
	thread->exit_code = code;
	thread->ended = true;
	wait_queue_wake(&thread->suspenders, 1); /* which wakes the next */
	spin_unlock(&thread->lock);
	sched_end();
}

/* The process remembers the thread until the end of this, so that nothing of the threads is left
 * when it is taken apart. */
void thread_reclaim(struct thread *thread)
{
	struct process *process = thread->process;
	free_parts(thread);
	thread->space = NULL;
	if (process)
		process_remove_thread(process, thread);
	spin_lock(&thread->lock);
	thread->gone = true;
	wait_queue_wake(&thread->joiners, 1); /* which wakes the next */
	spin_unlock(&thread->lock);
	object_release(&thread->object);
	if (!process)
		return;
	sched_bill(process->shares);
	process_leave(process);
}
