/* The reaper: waits for processes whose last thread has gone, and for objects that hold others, and
 * takes them apart in a kernel thread's context. */
#include "proc/reaper.h"

#include "core/list.h"
#include "core/log.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/sched.h"
#include "sched/wait.h"

static struct spinlock reaper_lock = SPINLOCK_INIT(WAIT);
static struct wait_queue reaper_queue = { .threads = LIST_INIT(reaper_queue.threads) };
static struct list ended = LIST_INIT(ended);
static struct list deferrals = LIST_INIT(deferrals); /* guarded by reaper_lock */
static bool objects_wait; /* since the reaper looked; guarded by reaper_lock */

void reaper_add(struct process *process)
{
	spin_lock(&reaper_lock);
	list_push_back(&ended, &process->reap_node);
	wait_queue_wake(&reaper_queue, 1);
	spin_unlock(&reaper_lock);
}

void reaper_defer(struct deferred *deferred)
{
	spin_lock(&reaper_lock);
	list_push_back(&deferrals, &deferred->node);
	wait_queue_wake(&reaper_queue, 1);
	spin_unlock(&reaper_lock);
}

void object_destroy_later(void)
{
	spin_lock(&reaper_lock);
	objects_wait = true;
	wait_queue_wake(&reaper_queue, 1);
	spin_unlock(&reaper_lock);
}

/* The next process whose threads are gone; NULL: there may be objects to destroy, and deferrals. */
static struct process *await_work(void)
{
	spin_lock(&reaper_lock);
	while (list_empty(&ended) && list_empty(&deferrals) && !objects_wait) {
		status_t status =
			wait_queue_wait(&reaper_queue, &reaper_lock, DEADLINE_NONE, false);
		VERIFY(status == STATUS_OK);
	}
	struct list_node *node = objects_wait ? NULL : list_pop_front(&ended);
	objects_wait = false;
	spin_unlock(&reaper_lock);
	return node ? container_of(node, struct process, reap_node) : NULL;
}

static void run_deferrals(void)
{
	struct list_node *node;
	do {
		spin_lock(&reaper_lock);
		node = list_pop_front(&deferrals);
		spin_unlock(&reaper_lock);
		if (node) {
			struct deferred *deferred = container_of(node, struct deferred, node);
			deferred->run(deferred);
		}
	} while (node);
}

static void reaper_run(void *unused)
{
	(void)unused;
	for (;;) {
		struct process *process = await_work();
		run_deferrals();
		if (process)
			process_threads_gone(process);
		object_destroy_waiting(sched_preemption_point);
	}
}

void reaper_init(void)
{
	struct thread *thread;
	if (thread_create(NULL, "reaper", reaper_run, NULL, &thread) != STATUS_OK)
		panic("no memory for the reaper");
	thread_start(thread);
}
