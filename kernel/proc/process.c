/* Processes: creation, the list of threads, the ways to end.
 *
 *     process_create           empty     or process_discard
 *     process_add_thread       running   the first thread
 *     process_exit             exiting   no new threads; all threads are told to die
 *     process_remove_thread    exiting   the last thread
 *     process_threads_gone     emptied   called by the reaper; children are told to end
 *                              ended     when there are none; waiters are woken
 *
 * The process is referenced by its creator, by each of its threads, by their records and by
 * capabilities. Threads and visitors are insiders: the reference of the last one passes to the
 * reaper. There is no new one once the process is exiting. models/visit.pml models this. */
#include "proc/process.h"

#include "core/log.h"
#include "core/string.h"
#include "machine/cpus.h"
#include "mm/ledger.h"
#include "machine/clock.h"
#include "proc/reaper.h"
#include "sched/thread.h"
#include "sched/wait_state.h"

static uint64_t next_id = 1; /* atomic */

static struct spinlock foreground_lock = SPINLOCK_INIT(PROCESS);
static struct process *foreground; /* guarded by foreground_lock */

/* When all threads end, unmapping the ring of each would interrupt the CPUs that run the others.
 * These rings go with the address space. */
struct left_ring {
	struct left_ring *next;
	paddr_t ring;
};

bool process_is_exiting(struct process *process)
{
	spin_lock(&process->lock);
	bool exiting = process->exiting;
	spin_unlock(&process->lock);
	return exiting;
}

void process_leave_ring(struct process *process, paddr_t ring, void *block, uint64_t pages)
{
	struct left_ring *left = block;

	spin_lock(&process->lock);
	*left = (struct left_ring){ .next = process->left_rings, .ring = ring };
	process->left_rings = left;
	process->left_pages += pages;
	spin_unlock(&process->lock);
}

static void free_left_rings(struct process *process)
{
	struct left_ring *left;

	while ((left = process->left_rings) != NULL) {
		process->left_rings = left->next;
		frame_free(PREPAID, left->ring, 0);
		kmem_free(PREPAID, left);
		sched_preemption_point();
	}
}

/* Gives back what the process owns. */
static void release_resources(struct process *process)
{
	cap_table_destroy(&process->caps);
	if (process->space) {
		struct capos_memory_usage usage;
		aspace_usage(process->space, &usage);
		process->peak_pages = usage.peak_committed;
		process->interrupts = process->space->interrupts;
		ledger_uncharge(process->ledger, process->left_pages, 0);
		aspace_destroy(process->space);
		process->space = NULL;
	}
	free_left_rings(process);
	if (process->capset_frame) {
		frame_free(ledger_of_records(process->ledger), process->capset_frame, 0);
		process->capset_frame = 0;
	}
}

/* The record is all that is left when the last reference goes. */
static void process_destroy(struct object *object)
{
	struct process *process = container_of(object, struct process, object);
	struct ledger *ledger = process->ledger;
	/* The thread that dropped the reference before this may not have left the lock. */
	spin_lock(&process->lock);
	VERIFY(!process->thread_count && !process->space && !process->parent &&
		!process->binding_count);
	spin_unlock(&process->lock);
	kmem_free(ledger_of_records(ledger), process->fault.crash);
	kmem_free(ledger, process->fault.last_calls);
	kmem_free(ledger_of_records(ledger), process);
	ledger_release(ledger);
}

static const struct object_ops process_ops = { .destroy = process_destroy };

static void init_record(struct process *process, const char *name, uint32_t program)
{
	object_init(&process->object, NULL, &process_ops);
	process->id = __atomic_fetch_add(&next_id, 1, __ATOMIC_RELAXED);
	process->program = program;
	process->started_ns = clock_now_ns();
	text_copy(process->name, name, sizeof process->name);
	cap_table_init(&process->caps, process->ledger,
		ledger_budget(process->ledger, CAPOS_BUDGET_CAPABILITIES));
	spin_init(&process->lock, LOCK_RANK_PROCESS);
	list_init(&process->threads);
	list_init(&process->children);
	list_init(&process->dying);
	list_init(&process->bindings);
	list_node_init(&process->reap_node);
	list_node_init(&process->sibling_node);
	wait_queue_init(&process->exit_waiters);
	wait_queue_init(&process->holders);
}

status_t process_create(const char *name, uint32_t program, struct ledger *ledger,
	struct process *parent, struct process **result)
{
	if (!ledger)
		return STATUS(NO_MEMORY);
	struct ledger *payer = ledger_of_records(ledger);
	struct process *process =
		kmem_alloc(payer, sizeof *process + cpus_possible() * sizeof process->shares[0]);
	struct aspace *space = process ? aspace_create(ledger_retain(ledger)) : NULL;
	if (!space) {
		kmem_free(payer, process);
		ledger_release(ledger);
		return STATUS(NO_MEMORY);
	}
	process->ledger = ledger;
	process->space = space;
	if (quota_limited(&ledger->quota)) {
		process->profile.quota = &ledger->quota;
		/* What is left is known after the first charge. */
		process->profile.check_ns = QUOTA_STEP_NS;
	}
	init_record(process, name, program);
	if (parent) {
		process->parent = parent;
		spin_lock(&parent->lock);
		list_push_back(&parent->children, &process->sibling_node);
		spin_unlock(&parent->lock);
	}
	*result = process;
	return STATUS_OK;
}

/* Returns the parent when it has waited for its last child. */
static struct process *leave_parent(struct process *process)
{
	struct process *parent = process->parent;
	if (!parent)
		return NULL;
	spin_lock(&parent->lock);
	list_remove(&process->sibling_node);
	bool last = list_empty(&parent->children) && list_empty(&parent->dying);
	spin_unlock(&parent->lock);
	process->parent = NULL;
	return last && parent->emptied ? parent : NULL;
}

/* The parent is alive, because its thread does this. */
void process_discard(struct process *process)
{
	struct process *parent = leave_parent(process);
	VERIFY(!parent);
	release_resources(process);
	ledger_end(process->ledger);
	object_release(&process->object);
}

status_t process_add_thread(struct process *process, struct thread *thread)
{
	status_t status = STATUS_OK;
	spin_lock(&process->lock);
	if (process->exiting) {
		status = STATUS(WRONG_STATE);
	} else if (process->thread_count >= CAPOS_THREADS_MAX) {
		status = STATUS(LIMIT_REACHED);
	} else if (!budget_take(ledger_budget(process->ledger, CAPOS_BUDGET_THREADS), 1)) {
		status = STATUS(NO_THREADS);
	} else {
		process->thread_count++;
		thread->held = process->held;
		if (thread->held)
			thread->exit_work = EXIT_WORK_SUSPEND;
		__atomic_fetch_add(&process->insiders, 1, __ATOMIC_RELAXED);
		list_push_back(&process->threads, &thread->process_node);
	}
	spin_unlock(&process->lock);
	return status;
}

/* A thread in a wait that no notification ends, such as for a host that takes no output. The wait
 * may be long. */
static bool is_out_of_reach(const struct thread *thread)
{
	return __atomic_load_n(&thread->wait_state, __ATOMIC_RELAXED) == WAIT_ACTIVE;
}

/* Chooses the thread for the kind: the first with a handler that does not mask it and that can be
 * reached; else the first that does not mask it; else the first that has a handler at all, where it
 * stays pending; else, when handlers have come and gone, the first thread. */
static struct thread *notification_target_locked(struct process *process, uint32_t kind)
{
	assert_held(&process->lock);
	struct thread *busy = NULL, *masked = NULL;
	list_for_each (node, &process->threads) {
		struct thread *thread = container_of(node, struct thread, process_node);
		if (!__atomic_load_n(&thread->notify_handler, __ATOMIC_RELAXED))
			continue;
		if (__atomic_load_n(&thread->notify_mask, __ATOMIC_RELAXED) & notify_bit(kind))
			masked = masked ? masked : thread;
		else if (is_out_of_reach(thread))
			busy = busy ? busy : thread;
		else
			return thread;
	}
	struct list_node *first = list_first(&process->threads);
	if (busy || masked)
		return busy ? busy : masked;
	return first ? container_of(first, struct thread, process_node) : NULL;
}

/* Sends a kind that is meant for the process. */
static void notify_locked(struct thread *target, uint32_t kind)
{
	assert_held(&target->process->lock);
	if (kind >= CAPOS_NOTIFY_USER_FIRST)
		target->notify_shared |= notify_bit(kind);
	thread_notify(target, kind, 0);
}

/* A kind meant for the process that found this thread at its end goes on to another thread. */
static void pass_on_notifications_locked(struct process *process, const struct thread *ended)
{
	uint64_t shared = ended->notify_shared | notify_bit(CAPOS_NOTIFICATION_KIND_INTERRUPT) |
		notify_bit(CAPOS_NOTIFICATION_KIND_QUIT) |
		notify_bit(CAPOS_NOTIFICATION_KIND_TERMINATE);
	uint64_t left = __atomic_load_n(&ended->notify_pending, __ATOMIC_RELAXED) & shared;

	assert_held(&process->lock);
	for (; left; left &= left - 1) {
		uint32_t kind = (uint32_t)__builtin_ctzll(left);
		struct thread *target = notification_target_locked(process, kind);
		if (target)
			notify_locked(target, kind);
	}
}

/* Tells a batch of the threads to die. Each of them tells another when it is gone. */
static void kill_batch_locked(struct process *process)
{
	assert_held(&process->lock);
	for (uint32_t i = 0; i < WAKE_BATCH && process->threads_untold; i++) {
		struct list_node *node = list_pop_front(&process->threads);
		process->threads_untold--;
		if (!node)
			continue;
		list_push_back(&process->threads, node);
		thread_kill(container_of(node, struct thread, process_node));
	}
}

void process_remove_thread(struct process *process, struct thread *thread)
{
	spin_lock(&process->lock);
	list_remove(&thread->process_node);
	kill_batch_locked(process);
	pass_on_notifications_locked(process, thread);
	__atomic_fetch_add(&process->cpu_time_ns, thread_cpu_time_ns(thread), __ATOMIC_RELAXED);
	bool last = --process->thread_count == 0;
	budget_give(ledger_budget(process->ledger, CAPOS_BUDGET_THREADS), 1);
	if (last && !process->exiting) {
		process->exiting = true;
		process->exit_kind = CAPOS_EXIT_KIND_EXITED;
		process->exit_code = thread->exit_code;
	}
	spin_unlock(&process->lock);
}

/* There is a thread, which cannot leave before this one has left the lock. */
bool process_visit(struct process *process)
{
	spin_lock(&process->lock);
	bool open = !process->exiting;
	if (open) {
		__atomic_fetch_add(&process->insiders, 1, __ATOMIC_RELAXED);
		object_retain(&process->object);
	}
	spin_unlock(&process->lock);
	return open;
}

void process_leave(struct process *process)
{
	if (__atomic_sub_fetch(&process->insiders, 1, __ATOMIC_ACQ_REL) == 0)
		reaper_add(process);
	else
		object_release(&process->object);
}

/* Whether it was this that ended the process. */
static bool end_threads(
	struct process *process, uint32_t kind, int32_t code, const struct process_fault *fault)
{
	spin_lock(&process->lock);
	bool first = !process->exiting;
	if (first) {
		process->exiting = true;
		process->exit_kind = kind;
		process->exit_code = code;
		if (fault)
			process->fault = *fault;
		process->threads_untold = process->thread_count;
		kill_batch_locked(process);
	}
	spin_unlock(&process->lock);
	return first;
}

void process_exit(struct process *process, uint32_t kind, int32_t code)
{
	end_threads(process, kind, code, NULL);
}

void process_exit_faulted(struct process *process, uint32_t kind, const struct process_fault *fault)
{
	if (end_threads(process, CAPOS_EXIT_KIND_FAULTED, (int32_t)kind, fault))
		return;
	kmem_free(ledger_of_records(process->ledger), fault->crash);
	kmem_free(process->ledger, fault->last_calls);
}

/* A child stays on one of the lists until the reaper, which this is, takes note of its end. */
static void end_children(struct process *process)
{
	for (;;) {
		spin_lock(&process->lock);
		struct list_node *node = list_pop_front(&process->children);
		if (node)
			list_push_back(&process->dying, node);
		spin_unlock(&process->lock);
		if (!node)
			return;
		process_exit(container_of(node, struct process, sibling_node),
			CAPOS_EXIT_KIND_KILLED, CAPOS_NOTIFICATION_KIND_TERMINATE);
		sched_preemption_point();
	}
}

/* Of a process without threads and resources. Returns its parent when that has now ended too. No
 * reference is left when a waiter runs, so that what a process was charged for this one has come
 * back when it has waited and released the capability. */
static struct process *try_end(struct process *process)
{
	struct list bindings = LIST_INIT(bindings);
	spin_lock(&process->lock);
	bool childless = list_empty(&process->children) && list_empty(&process->dying);
	spin_unlock(&process->lock);
	if (!childless)
		return NULL;
	ledger_end(process->ledger);
	struct process *parent = leave_parent(process);
	spin_lock(&process->lock);
	process->ended = true;
	wait_queue_wake(&process->exit_waiters, 1); /* which wakes the next */
	process_take_bindings_locked(process, &bindings);
	bool dropped = object_release_unless_last(&process->object);
	spin_unlock(&process->lock);
	if (!dropped)
		object_release(&process->object);
	process_signal_end(&bindings);
	return parent;
}

void process_threads_gone(struct process *process)
{
	sched_forget(process->shares);
	end_children(process);
	release_resources(process);
	process->emptied = true;
	while (process)
		process = try_end(process);
}

status_t process_wait(struct process *process, uint64_t deadline_ns)
{
	status_t status = STATUS_OK;
	spin_lock(&process->lock);
	while (!process->ended && status == STATUS_OK)
		status = wait_queue_wait(&process->exit_waiters, &process->lock, deadline_ns, true);
	if (process->ended) {
		status = STATUS_OK;
		wait_queue_wake(&process->exit_waiters, 1);
	}
	spin_unlock(&process->lock);
	return status;
}

bool process_wait_unless(struct process *process, const bool *flag)
{
	spin_lock(&process->lock);
	while (!process->ended && !__atomic_load_n(flag, __ATOMIC_ACQUIRE)) {
		status_t status = wait_queue_wait(
			&process->exit_waiters, &process->lock, DEADLINE_NONE, false);
		VERIFY(status == STATUS_OK); /* no one ends the kernel's own threads */
	}
	bool ended = process->ended;
	wait_queue_wake(&process->exit_waiters, 1);
	spin_unlock(&process->lock);
	return ended;
}

/* A child leaves its list before its reference goes, so those that are found are alive. */
struct process *process_next_child(struct process *process, uint64_t last)
{
	struct process *next = NULL;
	struct list *lists[] = { &process->children, &process->dying };
	spin_lock(&process->lock);
	for (unsigned i = 0; i < 2; i++)
		list_for_each (node, lists[i]) {
			struct process *child = container_of(node, struct process, sibling_node);
			if (child->id > last && (!next || child->id < next->id))
				next = child;
		}
	if (next)
		object_retain(&next->object);
	spin_unlock(&process->lock);
	return next;
}

const char *process_granted_name(const struct process *process, cap_id_t cap)
{
	const struct capos_cap_set_header *header = phys_to_virt(process->capset_frame);
	const struct capos_cap_set_entry *entries = (const void *)(header + 1);
	for (uint32_t i = 0; i < process->capset_count; i++)
		if (entries[i].cap == cap)
			return (const char *)entries[i].name;
	return NULL;
}

bool process_charge_call(struct process *process)
{
	return budget_take(ledger_budget(process->ledger, CAPOS_BUDGET_CALLS), 1);
}

void process_uncharge_call(struct process *process)
{
	budget_give(ledger_budget(process->ledger, CAPOS_BUDGET_CALLS), 1);
}

void process_end(struct process *process, struct capos_process_end *end)
{
	memset(end, 0, sizeof *end);
	spin_lock(&process->lock);
	end->process_id = process->id;
	end->kind = process->exit_kind;
	end->code = process->exit_code;
	end->fault_code = process->fault.code;
	end->fault_address = process->fault.address;
	end->fault_place = process->fault.place;
	end->fault_thread = process->fault.thread_id;
	spin_unlock(&process->lock);
}

const struct capos_crash_record *process_crash(struct process *process)
{
	spin_lock(&process->lock);
	const struct capos_crash_record *crash = process->fault.crash;
	spin_unlock(&process->lock);
	return crash;
}

const struct capos_remembered_call *process_last_calls(struct process *process, uint64_t *made)
{
	spin_lock(&process->lock);
	const struct capos_remembered_call *calls = process->fault.last_calls;
	*made = process->fault.calls_made;
	spin_unlock(&process->lock);
	return calls;
}

void process_usage(struct process *process, struct capos_process_resources *usage)
{
	const struct ledger *ledger = process->ledger;
	memset(usage, 0, sizeof *usage);
	usage->process_id = process->id;
	usage->cpu_time_ns = process_cpu_time_ns(process);
	usage->committed_pages = __atomic_load_n(&ledger->charged_pages, __ATOMIC_RELAXED);
	usage->peak_pages = __atomic_load_n(&ledger->peak_pages, __ATOMIC_RELAXED);
	usage->limit_pages = ledger->limit_pages;
	usage->started_ns = process->started_ns;
	usage->threads = __atomic_load_n(&process->thread_count, __ATOMIC_RELAXED);
	usage->capabilities = cap_table_count(&process->caps);
}

uint64_t process_cpu_time_ns(struct process *process)
{
	spin_lock(&process->lock);
	uint64_t total = process->cpu_time_ns;
	list_for_each (node, &process->threads)
		total += thread_cpu_time_ns(container_of(node, struct thread, process_node));
	spin_unlock(&process->lock);
	return total;
}

status_t process_notify(struct process *process, uint32_t kind)
{
	spin_lock(&process->lock);
	bool handled = process->handler_registered;
	struct thread *target = handled ? notification_target_locked(process, kind) : NULL;
	if (target)
		notify_locked(target, kind);
	spin_unlock(&process->lock);
	if (handled)
		return STATUS_OK;
	if (kind >= CAPOS_NOTIFY_USER_FIRST)
		return STATUS(WRONG_STATE);
	process_exit(process, CAPOS_EXIT_KIND_KILLED, (int32_t)kind);
	return STATUS_OK;
}

static struct process *foreground_retained(void)
{
	spin_lock(&foreground_lock);
	struct process *process = foreground;
	if (process)
		object_retain(&process->object);
	spin_unlock(&foreground_lock);
	return process;
}

void process_key(uint32_t kind)
{
	struct process *process = foreground_retained();
	if (!process)
		return;
	(void)process_notify(process, kind); /* a key's kind does not fail */
	object_release(&process->object);
}

void process_nudge_foreground(void)
{
	struct process *process = foreground_retained();
	if (!process)
		return;
	spin_lock(&process->lock);
	wait_queue_wake(&process->exit_waiters, 1);
	spin_unlock(&process->lock);
	object_release(&process->object);
}

/* The caller's reference outlives the setting, so none is taken here. */
void process_set_foreground(struct process *process)
{
	spin_lock(&foreground_lock);
	foreground = process;
	spin_unlock(&foreground_lock);
}
