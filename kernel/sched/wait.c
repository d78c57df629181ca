/* Wait queues.
 *
 *     waiter                                      waker, deadline, notification, kill
 *     1  on the queue, lock held                  a  notification: pending bit; kill: DIE;
 *     2  wait_state = ACTIVE                         revocation: REVOKED
 *     3  notification due, DIE or REVOKED:        b  compare-and-swap ACTIVE -> outcome
 *        decide                                   c  sched_wake
 *     4  deadline armed, lock released
 *     5  sched_block: under the run queue's
 *        lock, stop only if still ACTIVE
 *
 * b before 5: the waiter does not stop. b after 5: c finds it stopped and queues it. a before 3:
 * seen in 3. a after 3: b succeeds. A notification and a revocation are no end for a wait that is
 * not interruptible. models/park.pml, models/sched.pml and models/revoke.pml model this, and
 * models/waitboth.pml a thread in two queues. */
#include "sched/wait.h"

#include "machine/clock.h"
#include "sched/sched.h"
#include "sched/wait_state.h"

bool wait_decide(struct thread *thread, enum wait_state outcome)
{
	uint32_t state = __atomic_load_n(&thread->wait_state, __ATOMIC_SEQ_CST);
	while (state == WAIT_ACTIVE_INTERRUPTIBLE ||
		(state == WAIT_ACTIVE && outcome < WAIT_INTERRUPTED))
		if (__atomic_compare_exchange_n(&thread->wait_state, &state, outcome, false,
			    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

/* inner: the lock of another queue that the thread is in, or NULL. next: the thread that gets the
 * CPU; NULL: the scheduler chooses. */
static inline __attribute__((always_inline)) enum wait_state block(struct spinlock *lock,
	struct spinlock *inner, uint64_t deadline_ns, bool interruptible, struct thread *next)
{
	assert_held(lock);
	struct thread *thread = thread_current();
	__atomic_store_n(&thread->wait_state,
		interruptible ? WAIT_ACTIVE_INTERRUPTIBLE : WAIT_ACTIVE, __ATOMIC_SEQ_CST);
	uint32_t work = __atomic_load_n(&thread->exit_work, __ATOMIC_SEQ_CST);
	if (work & (EXIT_WORK_DIE | EXIT_WORK_REVOKED))
		wait_decide(thread, work & EXIT_WORK_DIE ? WAIT_KILLED : WAIT_REVOKED);
	else if (interruptible && notify_due(thread))
		wait_decide(thread, WAIT_INTERRUPTED);
	bool timed = deadline_ns != DEADLINE_NONE;
	if (timed && deadline_ns <= clock_now_ns()) {
		wait_decide(thread, WAIT_TIMED_OUT);
		timed = false;
	}
	if (timed)
		timer_arm(thread, deadline_ns);
	if (inner)
		spin_unlock(inner);
	spin_unlock(lock);
	assert_none_held();
	if (next)
		sched_block_to(next);
	else
		sched_block();
	if (timed)
		timer_cancel(thread);
	spin_lock(lock);
	return wait_end(thread);
}

enum wait_state wait_block(struct spinlock *lock, uint64_t deadline_ns, bool interruptible)
{
	assert_held(lock);
	return block(lock, NULL, deadline_ns, interruptible, NULL);
}

enum wait_state wait_block_both(struct spinlock *lock, struct spinlock *inner, uint64_t deadline_ns)
{
	assert_held(inner);
	return block(lock, inner, deadline_ns, true, NULL);
}

enum wait_state wait_block_to(struct spinlock *lock, uint64_t deadline_ns, struct thread *next)
{
	assert_held(lock);
	return block(lock, NULL, deadline_ns, true, next);
}

/* The queue's lock is held: that with which threads wait, or any lock as long as none has. */
#ifdef CAPOS_DEBUG
static void assert_queue_held(const struct wait_queue *queue)
{
	if (queue->lock)
		assert_held(queue->lock);
}

static void assert_queue_lock(struct wait_queue *queue, const struct spinlock *lock)
{
	assert_held(lock);
	ASSERT(!queue->lock || queue->lock == lock);
	queue->lock = lock;
}
#else
static void assert_queue_held(const struct wait_queue *queue)
{
	(void)queue;
}

static void assert_queue_lock(struct wait_queue *queue, const struct spinlock *lock)
{
	(void)queue, (void)lock;
}
#endif

enum wait_state wait_on(
	struct wait_queue *queue, struct spinlock *lock, uint64_t deadline_ns, bool interruptible)
{
	struct thread *thread = thread_current();
	assert_queue_lock(queue, lock);
	list_push_back(&queue->threads, &thread->wait_node);
	enum wait_state outcome = wait_block(lock, deadline_ns, interruptible);
	if (list_linked(&thread->wait_node))
		list_remove(&thread->wait_node);
	return outcome;
}

status_t wait_queue_wait(
	struct wait_queue *queue, struct spinlock *lock, uint64_t deadline_ns, bool interruptible)
{
	assert_held(lock);
	return wait_status(wait_on(queue, lock, deadline_ns, interruptible));
}

uint32_t wait_queue_wake(struct wait_queue *queue, uint32_t count)
{
	assert_queue_held(queue);
	uint32_t woken = 0;
	while (woken < count) {
		struct list_node *node = list_pop_front(&queue->threads);
		if (!node)
			break;
		struct thread *thread = container_of(node, struct thread, wait_node);
		if (!wait_decide(thread, WAIT_WOKEN))
			continue; /* its deadline or a notification was first */
		sched_wake(thread);
		woken++;
	}
	return woken;
}

void wait_queue_wake_all(struct wait_queue *queue, struct spinlock *lock)
{
	struct wait_queue waiting = { .threads = LIST_INIT(waiting.threads) };
	assert_queue_held(queue);
	list_move_all(&waiting.threads, &queue->threads);
	while (wait_queue_wake(&waiting, WAKE_BATCH) == WAKE_BATCH)
		sched_pause_locked(lock);
}

uint64_t deadline_after(uint64_t timeout_ns)
{
	uint64_t deadline_ns;
	if (timeout_ns == CAPOS_WAIT_FOREVER ||
		__builtin_add_overflow(clock_now_ns(), timeout_ns, &deadline_ns))
		return DEADLINE_NONE;
	return deadline_ns;
}

status_t thread_sleep_until(uint64_t deadline_ns, bool interruptible)
{
	struct spinlock lock;
	struct wait_queue queue;
	spin_init(&lock, LOCK_RANK_WAIT);
	wait_queue_init(&queue);
	spin_lock(&lock);
	status_t status = wait_queue_wait(&queue, &lock, deadline_ns, interruptible);
	spin_unlock(&lock);
	return status == STATUS(TIMED_OUT) ? STATUS_OK : status;
}
