/* The reaper: waits for processes whose last thread has gone and takes them apart in a kernel
 * thread's context. */
#include "proc/reaper.h"

#include "core/list.h"
#include "core/log.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "sched/wait.h"

static struct spinlock reaper_lock = SPINLOCK_INIT(WAIT);
static struct wait_queue reaper_queue = { .threads = LIST_INIT(reaper_queue.threads) };
static struct list ended = LIST_INIT(ended);

void reaper_add(struct process *process)
{
	spin_lock(&reaper_lock);
	list_push_back(&ended, &process->reap_node);
	wait_queue_wake(&reaper_queue, 1);
	spin_unlock(&reaper_lock);
}

static void reaper_run(void *unused)
{
	(void)unused;
	for (;;) {
		spin_lock(&reaper_lock);
		while (list_empty(&ended)) {
			status_t status =
				wait_queue_wait(&reaper_queue, &reaper_lock, DEADLINE_NONE, false);
			VERIFY(status == STATUS_OK);
		}
		struct list_node *node = list_pop_front(&ended);
		spin_unlock(&reaper_lock);
		struct process *process = container_of(node, struct process, reap_node);
		process_threads_gone(process);
		object_release(&process->object);
	}
}

void reaper_init(void)
{
	struct thread *thread;
	if (thread_create(NULL, "reaper", reaper_run, NULL, &thread) != STATUS_OK)
		panic("no memory for the reaper");
	thread_start(thread);
}
