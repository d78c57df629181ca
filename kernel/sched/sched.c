/* Fair scheduling by virtual run time, between processes and then between the threads of each.
 *
 * Each CPU serves the process that has had least of it, and runs the thread of that process that
 * has had least, for a slice at a time while others wait. share.h has the order of processes. The
 * same rules hold for threads inside: one that wakes is placed at most WAKE_CREDIT before the least
 * advanced, so a sleeper runs soon and cannot save up time, and takes the CPU at once from a thread
 * of its process that it is behind by more than WAKE_MARGIN.
 *
 * What a process makes a CPU do while that runs another one is charged to it: the interrupt and the
 * switches when its thread wakes there, the end of its deadlines, what its ended threads leave
 * behind. Such interrupts come once in QUIET_NS at most: in the quiet after one, the slice that
 * runs ends with the quiet, and so a waking thread need not interrupt it; deadlines wait for that
 * too.
 *
 * A waking thread goes to its last CPU when that is idle or when none is; otherwise to an idle one.
 * A CPU with nothing to do takes the least advanced waiting thread of another, and so does one with
 * an empty queue when it is told, at the end of a slice, that more wait elsewhere. An idle CPU
 * halts; its timer is programmed for the next deadline only. models/sched.pml models stealing and
 * waking, models/park.pml deadlines, models/notify.pml suspension, models/tlb.pml address spaces,
 * models/handover.pml a CPU that goes straight to a thread that waited. */
#include "sched/sched.h"

#include "arch/context.h"
#include "arch/cpu.h"
#include "arch/handlers.h"
#include "core/percpu.h"
#include "machine/cpus.h"
#include "machine/interrupts.h"
#include "arch/tlb.h"
#include "arch/trap_frame.h"
#include "core/log.h"
#include "core/mistake.h"
#include "core/panic.h"
#include "machine/clock.h"
#include "sched/explore.h"
#include "sched/quota.h"
#include "sched/share.h"
#include "sched/thread.h"
#include "sched/wait_state.h"

/* What a process loses at most by an interrupt for another one, beside what is measured: the way in
 * and out, the end of the switch back to it, and an interrupt by a timer that was programmed for
 * the other one meanwhile. */
#ifdef CAPOS_DEBUG
#define DISTURBANCE_NS 40000ul
#else
#define DISTURBANCE_NS 2000ul
#endif

/* So many waiting threads of each process are looked at for one that another CPU may take: a search
 * is bounded, whatever CPUs the threads of others are kept to. */
#define SEARCH_MAX 8

/* A CPU that runs one process is interrupted for threads of others no more often than this, and a
 * process's other CPUs are told of a new profile interval no more often. */
#define QUIET_NS 100000ul

static uint64_t idle_cpus; /* bit per CPU that halts or is about to; atomic */
static struct thread idle_threads[CAPOS_CPUS_MAX];
static struct share idle_shares[CAPOS_CPUS_MAX]; /* never on a queue */
struct share kernel_shares[CAPOS_CPUS_MAX];
struct shared_profile kernel_profile;

static bool runs_before(const struct rbnode *a, const struct rbnode *b)
{
	const struct thread *x = container_of(a, const struct thread, run_node);
	const struct thread *y = container_of(b, const struct thread, run_node);
	return is_behind(x->vruntime_ns, y->vruntime_ns);
}

static bool expires_before(const struct rbnode *a, const struct rbnode *b)
{
	const struct thread *x = container_of(a, const struct thread, timer_node);
	const struct thread *y = container_of(b, const struct thread, timer_node);
	return x->timer_deadline_ns < y->timer_deadline_ns;
}

void sched_init_cpu(struct percpu *cpu)
{
	spin_init(&cpu->run.lock, LOCK_RANK_RUN_QUEUE);
	spin_init(&cpu->timers.lock, LOCK_RANK_TIMER);
	rbtree_init(&cpu->run.shares);
	cpu->run.served = &idle_shares[cpu->id];
	rbtree_init(&cpu->timers.threads);
	cpu->timers.first_ns = UINT64_MAX;
	cpu->timer_programmed_ns = cpu->timer_due_ns = UINT64_MAX;
	cpu->slice_end_ns = UINT64_MAX;
	struct thread *idle = &idle_threads[cpu->id];
	text_format(idle->name, sizeof idle->name, "idle/%u", cpu->id);
	idle->state = THREAD_RUNNING;
	idle->cpu = cpu->id;
	idle->shares = idle_shares;
	idle->profile = &kernel_profile;
	list_node_init(&idle->wait_node);
	cpu->idle = cpu->current = idle;
}

/* ---- what processes are charged ---- */

static bool is_busy(const struct percpu *cpu)
{
	return cpu->current != cpu->idle;
}

static void charge_served(struct percpu *cpu, uint64_t now)
{
	if (!is_busy(cpu))
		return;
	spin_lock(&cpu->run.lock);
	share_charge(&cpu->run, now);
	spin_unlock(&cpu->run.lock);
}

/* A deadline of the thread makes the CPU's timer interrupt another process, which then has its
 * quiet up to the time. */
static void compensate(struct percpu *cpu, const struct thread *thread, uint64_t quiet_ns)
{
	struct share *share = &thread->shares[cpu->id];
	if (share == __atomic_load_n(&cpu->run.served, __ATOMIC_RELAXED))
		return;
	spin_lock(&cpu->run.lock);
	if (share != cpu->run.served && is_busy(cpu)) {
		share_compensate(&cpu->run, share, DISTURBANCE_NS);
		if (cpu->run.quiet_ns < quiet_ns)
			__atomic_store_n(&cpu->run.quiet_ns, quiet_ns, __ATOMIC_RELAXED);
	}
	spin_unlock(&cpu->run.lock);
}

void sched_bill(struct share *shares)
{
	struct percpu *cpu = percpu();
	struct share *share = &shares[cpu->id];
	if (share == __atomic_load_n(&cpu->run.served, __ATOMIC_RELAXED) || !is_busy(cpu))
		return;
	spin_lock(&cpu->run.lock);
	share_bill(&cpu->run, share, clock_now_ns());
	spin_unlock(&cpu->run.lock);
}

void sched_forget(struct share *shares)
{
	for (unsigned id = 0; id < cpus_possible(); id++) {
		struct run_queue *run = &percpus[id].run;
		if (__atomic_load_n(&run->served, __ATOMIC_RELAXED) != &shares[id])
			continue;
		spin_lock(&run->lock);
		if (run->served == &shares[id]) {
			idle_shares[id].had_ns = shares[id].had_ns;
			run->served = &idle_shares[id];
		}
		spin_unlock(&run->lock);
	}
}

/* ---- the timer ---- */

static inline __attribute__((always_inline)) uint64_t next_event(const struct percpu *cpu)
{
	uint64_t next = __atomic_load_n(&cpu->timers.first_ns, __ATOMIC_RELAXED);
	uint64_t quiet = __atomic_load_n(&cpu->run.quiet_ns, __ATOMIC_RELAXED);
	if (next < quiet)
		next = quiet;
	if (cpu->slice_end_ns < next)
		next = cpu->slice_end_ns;
	if (explore_next() < next)
		next = explore_next();
	const struct thread *current = cpu->current;
	if (current->profile_interval_ns) {
		uint64_t tick =
			current->run_started_ns + (current->profile_next_ns - current->cpu_time_ns);
		if (tick < next)
			next = tick;
	}
	uint64_t check = __atomic_load_n(&current->profile->check_ns, __ATOMIC_RELAXED);
	if (check && current->run_started_ns + check < next)
		next = current->run_started_ns + check;
	return next;
}

/* Reprograms the timer only when it would fire too late, because an interrupt without work costs
 * less than two programmings a switch. */
static __attribute__((noinline)) void timer_advance(struct percpu *cpu, uint64_t event_ns)
{
	cpu->timer_programmed_ns = event_ns;
	uint64_t due = timer_program(event_ns);
	/* One that is due already and waits for interrupts to be on stays due. */
	if (due < cpu->timer_due_ns)
		cpu->timer_due_ns = due;
}

static inline void timer_bring_forward(struct percpu *cpu, uint64_t event_ns)
{
	if (event_ns < cpu->timer_programmed_ns)
		timer_advance(cpu, event_ns);
}

static void timer_update(struct percpu *cpu)
{
	timer_bring_forward(cpu, next_event(cpu));
}

/* Before halting: no interrupt without work. */
static void timer_update_exactly(struct percpu *cpu)
{
	uint64_t next = next_event(cpu);
	if (next == cpu->timer_programmed_ns)
		return;
	cpu->timer_programmed_ns = next;
	cpu->timer_due_ns = timer_program(next);
}

/* The queue's lock is held. */
static void note_first_deadline(struct timer_queue *timers)
{
	assert_held(&timers->lock);
	struct rbnode *node = rbtree_first(&timers->threads);
	uint64_t first = node ? container_of(node, struct thread, timer_node)->timer_deadline_ns
			      : UINT64_MAX;
	__atomic_store_n(&timers->first_ns, first, __ATOMIC_RELAXED);
}

void timer_arm(struct thread *thread, uint64_t deadline_ns)
{
	struct percpu *cpu = percpu();
	spin_lock(&cpu->timers.lock);
	thread->timer_deadline_ns = explore_timer(thread, deadline_ns);
	thread->timer_cpu = cpu->id;
	rbtree_insert(&cpu->timers.threads, &thread->timer_node, expires_before);
	note_first_deadline(&cpu->timers);
	spin_unlock(&cpu->timers.lock);
	timer_update(cpu);
}

void timer_cancel(struct thread *thread)
{
	struct timer_queue *timers = &percpus[thread->timer_cpu].timers;
	spin_lock(&timers->lock);
	if (rbnode_linked(&thread->timer_node)) {
		bool first = rbtree_first(&timers->threads) == &thread->timer_node;
		rbtree_remove(&timers->threads, &thread->timer_node);
		note_first_deadline(timers);
		if (first) /* the timer may be programmed for it */
			compensate(&percpus[thread->timer_cpu], thread, 0);
	}
	spin_unlock(&timers->lock);
}

/* A batch of those that have passed; the timer is then due at once for the rest. The thread cannot
 * be freed meanwhile: it leaves its wait only through timer_cancel, which takes this lock. */
static void expire_deadlines(struct percpu *cpu, uint64_t now)
{
	if (__atomic_load_n(&cpu->timers.first_ns, __ATOMIC_RELAXED) > now)
		return;
	charge_served(cpu, now);
	spin_lock(&cpu->timers.lock);
	for (uint32_t ended = 0;; ended++) {
		struct rbnode *node = rbtree_first(&cpu->timers.threads);
		if (!node)
			break;
		struct thread *thread = container_of(node, struct thread, timer_node);
		if (thread->timer_deadline_ns > now)
			break;
		if (ended == WAKE_BATCH) {
			timer_bring_forward(cpu, now);
			break;
		}
		if (!ended)
			compensate(cpu, thread, now + QUIET_NS);
		rbtree_remove(&cpu->timers.threads, node);
		if (wait_decide(thread, WAIT_TIMED_OUT))
			sched_wake(thread);
		sched_bill(thread->shares);
	}
	note_first_deadline(&cpu->timers);
	spin_unlock(&cpu->timers.lock);
}

/* Shared ticks: the thread whose charge fills the interval gets the tick. */
static void account_shared(struct thread *thread, uint64_t ran_ns)
{
	struct shared_profile *profile = thread->profile;
	uint64_t interval = __atomic_load_n(&profile->interval_ns, __ATOMIC_RELAXED);
	uint64_t used = __atomic_add_fetch(&profile->used_ns, ran_ns, __ATOMIC_RELAXED);
	while (interval && used >= interval) {
		if (!__atomic_compare_exchange_n(&profile->used_ns, &used, used % interval, false,
			    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		thread_notify(thread, CAPOS_NOTIFICATION_KIND_PROFILE_TICK, 0);
		return;
	}
}

/* Of a process that has one. Where nothing is left of it, the thread stops before it enters user
 * mode, and any other of the process is charged soon after it runs. */
static void account_quota(struct thread *thread, uint64_t ran_ns, uint64_t now)
{
	struct shared_profile *profile = thread->profile;
	uint64_t left = quota_charge(profile->quota, now, ran_ns);
	uint64_t interval = __atomic_load_n(&profile->interval_ns, __ATOMIC_RELAXED);
	if (!left)
		__atomic_or_fetch(&thread->exit_work, EXIT_WORK_QUOTA, __ATOMIC_SEQ_CST);
	if (left < QUOTA_STEP_NS)
		left = QUOTA_STEP_NS;
	__atomic_store_n(&profile->check_ns, interval && interval < left ? interval : left,
		__ATOMIC_RELAXED);
}

/* Whether the call for which the payer pays goes on. Where its caller has given it up, the server
 * pays for what it does with it itself. models/payer.pml models this. */
static bool is_paid(const struct thread *thread)
{
	const struct thread *caller = thread->service.caller;
	return thread->payer && caller && __atomic_load_n(&caller->call.open, __ATOMIC_RELAXED) &&
		__atomic_load_n(&caller->call.server, __ATOMIC_RELAXED) == thread &&
		__atomic_load_n(&caller->call.sequence, __ATOMIC_RELAXED) ==
		thread->service.sequence;
}

/* The thread, or its process, is profiled or has a quota, or that of another process pays. That
 * never stops the thread, because others wait for it: the threads of that process stop. */
static __attribute__((noinline)) void account_ticks(
	struct thread *thread, uint64_t ran, uint64_t now)
{
	if (is_paid(thread))
		quota_charge(thread->payer, now, ran);
	else if (thread->profile->quota)
		account_quota(thread, ran, now);
	if (__atomic_load_n(&thread->profile->interval_ns, __ATOMIC_RELAXED))
		account_shared(thread, ran);
	if (thread->profile_interval_ns && thread->cpu_time_ns >= thread->profile_next_ns) {
		thread->profile_next_ns = thread->cpu_time_ns + thread->profile_interval_ns;
		thread_notify(thread, CAPOS_NOTIFICATION_KIND_PROFILE_TICK, 0);
	}
}

/* Charges the running thread for the time since it was last charged. */
static inline __attribute__((always_inline)) void account(struct percpu *cpu, uint64_t now)
{
	struct thread *thread = cpu->current;
	uint64_t ran = now - thread->run_started_ns;
	thread->run_started_ns = now;
	thread->cpu_time_ns += ran;
	thread->vruntime_ns += ran;
	uint64_t check = __atomic_load_n(&thread->profile->check_ns, __ATOMIC_RELAXED);
	if (__builtin_expect(check | thread->watched, 0))
		account_ticks(thread, ran, now);
}

/* The kernel had interrupts off for at least so long. */
static __attribute__((noinline)) void note_late(struct percpu *cpu, uint64_t now)
{
	struct late_interrupt *late = &cpu->late;
	const struct thread *thread = cpu->current;
	const struct trap_frame *frame =
		(const struct trap_frame *)((uint64_t)thread->stack + KERNEL_STACK_SIZE) - 1;
	__atomic_store_n(&late->ns, now - cpu->timer_due_ns, __ATOMIC_RELAXED);
	late->came_ns = now;
	late->thread_id = thread->id;
	late->instruction = thread->process ? trap_frame_instruction(frame) : 0;
	backtrace_take(late->calls, LATE_CALLS);
}

void sched_timer(void)
{
	struct percpu *cpu = percpu();
	uint64_t now = clock_now_ns();
	if (now > cpu->timer_due_ns && now - cpu->timer_due_ns > cpu->late.ns)
		note_late(cpu, now);
	cpu->timer_programmed_ns = cpu->timer_due_ns = UINT64_MAX;
	expire_deadlines(cpu, now);
	explore_tick(now);
	account(cpu, now);
	if (now >= cpu->slice_end_ns) {
		cpu->slice_end_ns = UINT64_MAX;
		cpu->resched |= RESCHED_TURN_OVER;
		explore_turn(cpu->current);
	}
	timer_update(cpu);
}

uint64_t sched_timer_late_ns(void)
{
	uint64_t worst = 0;
	for (unsigned id = 0; id < CAPOS_CPUS_MAX; id++) {
		uint64_t late = __atomic_load_n(&percpus[id].late.ns, __ATOMIC_RELAXED);
		worst = late > worst ? late : worst;
	}
	return worst;
}

/* ---- queues ---- */

static void kick_cpu(unsigned id)
{
	if (id == percpu()->id)
		percpu()->resched |= RESCHED_LOOK;
	else
		cpu_interrupt(id, CPU_INTERRUPT_RESCHEDULE);
}

void sched_kick(struct thread *thread)
{
	unsigned id = __atomic_load_n(&thread->cpu, __ATOMIC_SEQ_CST);
	if (thread == thread_current())
		return; /* it checks its exit work anyway before it leaves the kernel */
	if (__atomic_load_n(&percpus[id].current, __ATOMIC_SEQ_CST) == thread)
		cpu_interrupt(id, CPU_INTERRUPT_RESCHEDULE);
}

/* A CPU names another thread as its current one after it has saved the registers of the one before.
 */
bool sched_is_off_cpu(const struct thread *thread)
{
	unsigned id = __atomic_load_n(&thread->cpu, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&percpus[id].current, __ATOMIC_SEQ_CST) != thread;
}

static __attribute__((noinline)) void begin_share(struct percpu *cpu, struct share *share)
{
	assert_held(&cpu->run.lock);
	bool busy = is_busy(cpu);
	if (busy)
		share_charge(&cpu->run, clock_now_ns());
	share_begin(&cpu->run, share, busy);
}

/* The queue's lock is held. */
static __attribute__((always_inline)) inline void enqueue(
	struct percpu *cpu, struct share *share, struct thread *thread)
{
	assert_held(&cpu->run.lock);
	thread->state = THREAD_READY;
	__atomic_store_n(&thread->cpu, cpu->id, __ATOMIC_SEQ_CST);
	rbtree_insert_few(&share->threads, &thread->run_node, runs_before);
	cpu->run.count++;
	if (!share->count++ && share != cpu->run.served)
		begin_share(cpu, share);
}

/* Whether threads wait on a CPU, any one. Without its lock this may change at once. */
static inline bool has_waiting(const struct percpu *cpu)
{
	return __atomic_load_n(&cpu->run.count, __ATOMIC_RELAXED) != 0;
}

static void dequeue(struct percpu *cpu, struct share *share, struct thread *thread)
{
	assert_held(&cpu->run.lock);
	rbtree_remove_few(&share->threads, &thread->run_node);
	cpu->run.count--;
	share->count--;
}

static struct thread *first_thread(const struct share *share)
{
	struct rbnode *node = rbtree_first(&share->threads);
	return node ? container_of(node, struct thread, run_node) : NULL;
}

/* Another thread may change it at any time. */
static uint64_t affinity_of(const struct thread *thread)
{
	return __atomic_load_n(&thread->affinity, __ATOMIC_SEQ_CST);
}

static bool may_run_on(const struct thread *thread, unsigned id)
{
	return affinity_of(thread) & cpu_bit(id);
}

/* An idle CPU is claimed for one thread only, and says again that it is idle when it is. So several
 * threads woken in a row wake several CPUs. */
static bool claim_idle(unsigned id)
{
	return __atomic_fetch_and(&idle_cpus, ~cpu_bit(id), __ATOMIC_SEQ_CST) & cpu_bit(id);
}

/* The CPU itself if it is one of the set, else the first of the set. */
static unsigned cpu_preferred(uint64_t cpus, unsigned id)
{
	return cpus & cpu_bit(id) ? id : (unsigned)__builtin_ctzl(cpus);
}

/* While a CPU idles, or if the thread may not run where it was. */
static __attribute__((noinline)) unsigned choose_other_cpu(const struct thread *thread)
{
	uint64_t idle;
	while ((idle = __atomic_load_n(&idle_cpus, __ATOMIC_SEQ_CST) & affinity_of(thread)) != 0) {
		unsigned choice = cpu_preferred(idle, thread->cpu);
		if (claim_idle(choice))
			return choice;
	}
	uint64_t allowed = affinity_of(thread) & cpus_online();
	return allowed ? cpu_preferred(allowed, thread->cpu) : thread->cpu;
}

static inline unsigned choose_cpu(const struct thread *thread)
{
	uint64_t affinity = affinity_of(thread);
	bool idle = __atomic_load_n(&idle_cpus, __ATOMIC_SEQ_CST) & affinity;
	if (__builtin_expect(!idle && affinity & cpu_bit(thread->cpu), 1))
		return thread->cpu;
	return choose_other_cpu(thread);
}

/* Run times compare only within a share: a thread that changes CPUs keeps its distance from the
 * least advanced of its process, within bounds. */
static void place(struct thread *thread, const struct share *old, const struct share *share)
{
	int64_t ahead = (int64_t)(thread->vruntime_ns - old->least_vruntime_ns);
	if (ahead > (int64_t)SLICE_NS)
		ahead = SLICE_NS;
	if (ahead < -(int64_t)WAKE_CREDIT_NS)
		ahead = -(int64_t)WAKE_CREDIT_NS;
	thread->vruntime_ns = share->least_vruntime_ns + (uint64_t)ahead;
}

/* With the lock of thread->cpu held and the thread READY on no queue: sets the CPU to which it
 * goes. The field changes only under the lock of the CPU that it leaves, so a CPU that holds the
 * lock of a thread's CPU may rely on the field. */
static void assign_cpu(struct thread *thread)
{
	assert_held(&percpus[thread->cpu].run.lock);
	__atomic_store_n(&thread->cpu, choose_cpu(thread), __ATOMIC_SEQ_CST);
}

/* Whether the slice of a CPU, any one, ends by itself. A CPU whose slice has just ended looks at
 * its queue anyway before it goes on. */
static bool slice_ends(const struct percpu *cpu)
{
	return __atomic_load_n(&cpu->slice_end_ns, __ATOMIC_RELAXED) != UINT64_MAX;
}

/* A CPU that idles forgets it without the lock. */
static uint64_t quiet_until(const struct percpu *cpu)
{
	return __atomic_load_n(&cpu->run.quiet_ns, __ATOMIC_RELAXED);
}

/* A thread of the share has come to the queue of another CPU, which runs another process, and takes
 * it or needs an end of the slice. Whether the CPU is told; the share's process pays for that. In
 * its quiet the CPU is not told if its slice has an end, which comes before that of the quiet. */
static __attribute__((noinline)) bool disturb(struct percpu *cpu, struct share *share)
{
	uint64_t now = clock_now_ns();
	if (slice_ends(cpu) && now < quiet_until(cpu))
		return false;
	__atomic_store_n(&cpu->run.quiet_ns, now + QUIET_NS, __ATOMIC_RELAXED);
	share_compensate(&cpu->run, share, DISTURBANCE_NS);
	return true;
}

/* A slice that ends with the quiet, if that is earlier, because threads that come meanwhile wait
 * for it. A quiet that is over is forgotten. */
static __attribute__((noinline)) uint64_t end_with_quiet(
	struct percpu *cpu, uint64_t now, uint64_t end)
{
	uint64_t quiet = quiet_until(cpu);
	if (now < quiet)
		return quiet < end ? quiet : end;
	__atomic_store_n(&cpu->run.quiet_ns, 0, __ATOMIC_RELAXED);
	return end;
}

/* When the slice that begins now ends. competing: threads wait. */
static inline uint64_t slice_end(struct percpu *cpu, uint64_t now, bool competing)
{
	uint64_t end = competing ? now + SLICE_NS : UINT64_MAX;
	return __builtin_expect(quiet_until(cpu) == 0, 1) ? end : end_with_quiet(cpu, now, end);
}

/* Whether a thread takes the CPU at once from one of the same share, whose CPU charges it without
 * the lock: a little less or more. */
static inline bool takes_turn(const struct thread *thread, const struct thread *running)
{
	uint64_t had_ns = __atomic_load_n(&running->vruntime_ns, __ATOMIC_RELAXED);
	return (int64_t)(had_ns - thread->vruntime_ns) > (int64_t)WAKE_MARGIN_NS;
}

/* A thread in state READY that is on no queue becomes runnable on its assigned CPU, whose queue
 * lock is held; old: the share it was of before. */
static void make_runnable_locked(struct thread *thread, const struct share *old, struct percpu *cpu)
{
	assert_held(&cpu->run.lock);
	struct share *share = &thread->shares[cpu->id];
	place(thread, old, share);
	enqueue(cpu, share, thread);
	const struct thread *running = cpu->current;
	bool take = running == cpu->idle, same = share == cpu->run.served;
	if (!take) {
		take = same ? takes_turn(thread, running) : share_takes(&cpu->run, share);
		if (!take && slice_ends(cpu))
			return;
		if (!same && cpu != percpu() && !disturb(cpu, share))
			return;
	}
	if (!take && cpu == percpu()) {
		uint64_t now = clock_now_ns();
		cpu->slice_end_ns = explore_slice(cpu->current, now, slice_end(cpu, now, true));
		timer_bring_forward(cpu, cpu->slice_end_ns);
	} else {
		kick_cpu(cpu->id);
	}
}

static void make_runnable(struct thread *thread, const struct share *old)
{
	struct percpu *cpu = &percpus[thread->cpu];
	spin_lock(&cpu->run.lock);
	make_runnable_locked(thread, old, cpu);
	spin_unlock(&cpu->run.lock);
}

/* The caller has decided a wait, but the thread may never have stopped for it and may be in its
 * next wait by now. Only a wait that is decided is ended here. */
void sched_wake(struct thread *thread)
{
	for (;;) {
		unsigned id = __atomic_load_n(&thread->cpu, __ATOMIC_SEQ_CST);
		struct percpu *cpu = &percpus[id];
		spin_lock(&cpu->run.lock);
		if (__atomic_load_n(&thread->cpu, __ATOMIC_RELAXED) != id) {
			spin_unlock(&cpu->run.lock);
			continue;
		}
		bool stopped = thread->state == THREAD_BLOCKED && !wait_is_active(thread);
		bool moves = false;
		if (stopped) {
			thread->state = THREAD_READY;
			assign_cpu(thread);
			moves = thread->cpu != id;
		}
		if (stopped && !moves)
			make_runnable_locked(thread, &thread->shares[id], cpu);
		spin_unlock(&cpu->run.lock);
		if (moves)
			make_runnable(thread, &thread->shares[id]);
		return;
	}
}

void sched_start(struct thread *thread)
{
	struct percpu *cpu = percpu();
	const struct share *share = &thread->shares[cpu->id];
	thread->cpu = cpu->id;
	thread->vruntime_ns = share->least_vruntime_ns;
	thread->state = THREAD_READY;
	/* No other CPU changes the field: the thread is on no queue and in no wait. */
	__atomic_store_n(&thread->cpu, choose_cpu(thread), __ATOMIC_SEQ_CST);
	make_runnable(thread, share);
}

/* ---- switching ---- */

/* The next thread of the share to serve, off the queue; NULL: none waits. Queue lock held. */
static struct thread *take_next(struct percpu *cpu, uint64_t now, bool turn_over)
{
	assert_held(&cpu->run.lock);
	struct run_queue *run = &cpu->run;
	if (!rbtree_empty(&run->shares))
		share_choose(run, now, turn_over);
	struct share *share = run->served;
	struct thread *next = explore_pick(share, first_thread(share));
	if (!next) {
		share_charge(run, now);
		return NULL;
	}
	dequeue(cpu, share, next);
	if (is_behind(share->least_vruntime_ns, next->vruntime_ns))
		share->least_vruntime_ns = next->vruntime_ns;
	return next;
}

/* Of the share's first waiting threads, one that may run on one of the CPUs. */
static struct thread *find_in_share(const struct share *share, uint64_t cpus)
{
	struct rbnode *node = rbtree_first(&share->threads);
	for (unsigned i = 0; node && i < SEARCH_MAX; i++, node = rbtree_next(node)) {
		struct thread *thread = container_of(node, struct thread, run_node);
		if (affinity_of(thread) & cpus)
			return thread;
	}
	return NULL;
}

/* A waiting thread that may run on one of the CPUs; queue lock held. */
static struct thread *find_thread(const struct run_queue *run, uint64_t cpus)
{
	assert_held(&run->lock);
	for (struct rbnode *node = rbtree_first(&run->shares); node; node = rbtree_next(node)) {
		struct thread *thread = find_in_share(container_of(node, struct share, node), cpus);
		if (thread)
			return thread;
	}
	return find_in_share(run->served, cpus);
}

static __attribute__((noinline)) void enqueue_stolen(struct percpu *cpu, struct thread *thread)
{
	enqueue(cpu, &thread->shares[cpu->id], thread);
}

static struct thread *steal_from(struct percpu *victim, const struct percpu *cpu)
{
	bool mistaken = explore_mistake(EXPLORE_LOCK_ORDER);
	if (!mistaken && !has_waiting(victim))
		return NULL;
	if (mistaken)
		spin_lock(&percpus[cpu->id].run.lock);
	spin_lock(&victim->run.lock);
	struct thread *thread = find_thread(&victim->run, cpu_bit(cpu->id));
	if (thread) {
		struct share *share = &thread->shares[victim->id];
		dequeue(victim, share, thread);
		if (!share->count && share != victim->run.served)
			share_withdraw(&victim->run, share);
		__atomic_store_n(&thread->cpu, cpu->id, __ATOMIC_SEQ_CST);
		place(thread, share, &thread->shares[cpu->id]);
	}
	spin_unlock(&victim->run.lock);
	if (mistaken)
		spin_unlock(&percpus[cpu->id].run.lock);
	return thread;
}

/* Takes a thread from another CPU's queue: READY, on no queue, assigned to this CPU before the
 * victim's queue is unlocked. A late waker finds it READY and does nothing. */
static struct thread *steal(struct percpu *cpu)
{
	uint64_t online = cpus_online();
	for (unsigned id = cpu_next(online, cpu->id); id != cpu->id; id = cpu_next(online, id)) {
		struct thread *thread = steal_from(&percpus[id], cpu);
		if (thread)
			return thread;
	}
	return NULL;
}

/* From one process to another: one that leaves the CPU of its own accord pays for the switch, else
 * the one that comes. */
static inline void bill_switch(struct percpu *cpu, const struct thread *previous)
{
	struct share *share = &previous->shares[cpu->id];
	if (share != cpu->run.served && (previous->state != THREAD_READY || cpu->moving))
		share_bill(&cpu->run, share, clock_now_ns());
}

static inline __attribute__((always_inline)) void load_thread(struct percpu *cpu,
	const struct thread *previous, const struct thread *next, bool hands_over)
{
	if (next->space) {
		cpu_set_kernel_stack(&cpu->arch, (uint64_t)next->stack + KERNEL_STACK_SIZE);
		if (cpu->space != next->space) {
			aspace_activate(next->space);
			if (!hands_over)
				bill_switch(cpu, previous);
		}
		user_context_load(&next->context);
	}
}

static void save_thread(struct thread *thread)
{
	if (thread->space)
		user_context_save(&thread->context);
}

/* With the queue lock held and next off the queue. The lock stays held until sched_switched has
 * left the old stack, so a CPU that sees the previous thread in its new state under that lock may
 * run it at once. hands_over: the share served goes on paying, for the switch too. */
static inline __attribute__((always_inline)) void switch_to(
	struct percpu *cpu, struct thread *next, uint64_t now, bool hands_over)
{
	assert_held(&cpu->run.lock);
	struct thread *previous = cpu->current;
	next->state = THREAD_RUNNING;
	next->run_started_ns = now;
	__atomic_store_n(&next->run_origin_ns, now - next->cpu_time_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&next->cpu, cpu->id, __ATOMIC_SEQ_CST);
	save_thread(previous);
	cpu->previous = previous;
	__atomic_store_n(&cpu->current, next, __ATOMIC_SEQ_CST);
	load_thread(cpu, previous, next, hands_over);
	switch_context(&previous->stack_pointer, next->stack_pointer);
	sched_switched();
}

/* A thread whose affinity changed while it waited goes on to its CPU before it enters user mode. A
 * later change finds it current. */
static void check_affinity(struct percpu *cpu)
{
	const struct thread *current = cpu->current;
	if (current != cpu->idle && !may_run_on(current, cpu->id))
		cpu->resched |= RESCHED_LOOK;
}

/* The thread that was left has ended, or goes to another CPU. The queue's lock is held, and
 * released. */
static __attribute__((noinline)) void send_off(struct percpu *cpu)
{
	assert_held(&cpu->run.lock);
	struct thread *previous = cpu->previous;
	struct thread *moving = cpu->moving;
	bool ended = previous->state == THREAD_ENDED;
	if (moving) {
		cpu->moving = NULL;
		assign_cpu(moving);
	}
	spin_unlock(&cpu->run.lock);
	timer_update(cpu);
	if (moving)
		make_runnable(moving, &moving->shares[cpu->id]);
	if (ended)
		thread_reclaim(previous);
}

void sched_switched(void)
{
	assert_held(&percpu()->run.lock);
	struct percpu *cpu = percpu();
	check_affinity(cpu);
	if (__builtin_expect(cpu->moving || cpu->previous->state == THREAD_ENDED, 0)) {
		send_off(cpu);
	} else {
		spin_unlock(&cpu->run.lock);
		timer_update(cpu);
	}
	/* Threads that all wait again, or end, without having been in user mode may be many. */
	cpu_take_interrupts();
}

#ifdef CAPOS_DEBUG
void sched_left(void)
{
	struct percpu *cpu = percpu();
	assert_held(&cpu->run.lock);
	spin_unlock(&cpu->run.lock);
}
#endif

/* Chooses and runs the next thread; the run queue lock is held and released. The current thread's
 * state and queueing are settled. */
static void schedule_locked(struct percpu *cpu, uint64_t now, bool turn_over)
{
	assert_held(&cpu->run.lock);
	struct thread *next = take_next(cpu, now, turn_over);
	if (!next)
		next = cpu->idle;
	cpu->resched = 0;
	cpu->slice_end_ns =
		explore_slice(next, now, slice_end(cpu, now, cpu->run.count && next != cpu->idle));
	if (next != cpu->current) {
		switch_to(cpu, next, now, false);
		return;
	}
	next->state = THREAD_RUNNING;
	check_affinity(cpu);
	spin_unlock(&cpu->run.lock);
	timer_update(cpu);
}

void sched_set_profile(struct thread *thread, uint64_t interval_ns)
{
	struct percpu *cpu = percpu();
	account(cpu, clock_now_ns());
	thread->profile_interval_ns = interval_ns;
	thread->profile_next_ns = thread->cpu_time_ns + interval_ns;
	thread->watched &= ~(uint64_t)WATCH_TICKS;
	thread->watched |= interval_ns ? WATCH_TICKS : 0;
	timer_update(cpu);
}

void sched_set_payer(struct thread *thread, struct quota *payer)
{
	if (thread == thread_current())
		account(percpu(), clock_now_ns());
	thread->payer = payer;
	if (payer)
		thread->watched |= WATCH_PAYER;
	else
		thread->watched &= ~(uint64_t)WATCH_PAYER;
}

/* Of the other CPUs, those that run a thread of the process with these shares. One that begins to
 * do so has not been seen, or sees what was written before this: it names the thread current by an
 * exchange, and then reads. */
static uint64_t serving_cpus(const struct share *shares)
{
	unsigned self = percpu()->id;
	uint64_t online = cpus_online(), serving = 0;
	for (unsigned id = cpu_next(online, self); id != self; id = cpu_next(online, id)) {
		const struct percpu *cpu = &percpus[id];
		if (__atomic_load_n(&cpu->run.served, __ATOMIC_SEQ_CST) == &shares[id] &&
			__atomic_load_n(&cpu->current, __ATOMIC_SEQ_CST) != cpu->idle)
			serving |= cpu_bit(id);
	}
	return serving;
}

/* Whether QUIET_NS have passed since other CPUs were last told; if so, they are told now. */
static bool may_tell(struct shared_profile *profile)
{
	uint64_t now = clock_now_ns(), told = __atomic_load_n(&profile->told_ns, __ATOMIC_RELAXED);
	return now >= told + QUIET_NS &&
		__atomic_compare_exchange_n(
			&profile->told_ns, &told, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* A CPU that runs one of the threads has to program its timer again if that comes too late now. */
void sched_set_shared_profile(uint64_t interval_ns)
{
	struct thread *thread = thread_current();
	struct shared_profile *profile = thread->profile;
	account(percpu(), clock_now_ns());
	__atomic_store_n(&profile->used_ns, 0, __ATOMIC_RELAXED);
	uint64_t before = __atomic_exchange_n(&profile->interval_ns, interval_ns, __ATOMIC_SEQ_CST);
	__atomic_store_n(
		&profile->check_ns, profile->quota ? QUOTA_STEP_NS : interval_ns, __ATOMIC_SEQ_CST);
	timer_update(percpu());
	if (!interval_ns || (before && before <= interval_ns))
		return;
	uint64_t serving;
	while ((serving = serving_cpus(thread->shares)) != 0 && !may_tell(profile))
		sched_preemption_point();
	for (; serving; serving &= serving - 1)
		kick_cpu((unsigned)__builtin_ctzl(serving));
}

/* A suspender may wait for this thread to leave user mode, and it is about to wait for something
 * else in the kernel. */
static inline __attribute__((always_inline)) void acknowledge_suspension(struct thread *thread)
{
	if (!(__atomic_load_n(&thread->exit_work, __ATOMIC_SEQ_CST) & EXIT_WORK_SUSPEND))
		return;
	spin_lock(&thread->lock);
	thread->acknowledged = true;
	wait_queue_wake(&thread->suspenders, 1);
	spin_unlock(&thread->lock);
}

void sched_block(void)
{
	acknowledge_suspension(thread_current());
	struct percpu *cpu = percpu();
	uint64_t now = clock_now_ns();
	account(cpu, now);
	spin_lock(&cpu->run.lock);
	if (!wait_is_active(cpu->current)) {
		spin_unlock(&cpu->run.lock);
		return;
	}
	cpu->current->state = THREAD_BLOCKED;
	schedule_locked(cpu, now, false);
}

/* Both processes of the switch have had their time charged to threads; the share served stays. */
void sched_block_to(struct thread *next)
{
	acknowledge_suspension(thread_current());
	struct percpu *cpu = percpu();
	uint64_t now = clock_now_ns();
	account(cpu, now);
	spin_lock(&cpu->run.lock);
	if (__builtin_expect(!wait_is_active(cpu->current), 0)) {
		spin_unlock(&cpu->run.lock);
		sched_give(next);
		return;
	}
	cpu->current->state = THREAD_BLOCKED;
	switch_to(cpu, next, now, true);
}

bool sched_take(struct thread *thread, const struct share *shares)
{
	struct percpu *cpu = percpu();
	unsigned id = cpu->id;
	if (__atomic_load_n(&thread->cpu, __ATOMIC_RELAXED) != id)
		return false;
	spin_lock(&cpu->run.lock);
	bool taken = __atomic_load_n(&thread->cpu, __ATOMIC_RELAXED) == id &&
		thread->state == THREAD_BLOCKED && !wait_is_active(thread) &&
		may_run_on(thread, id) && (!shares || cpu->run.served == &shares[id]);
	if (taken)
		thread->state = THREAD_READY;
	spin_unlock(&cpu->run.lock);
	return taken;
}

/* That CPU has its run queue to itself from before others could find the thread until it has read.
 */
void sched_await_left(const struct thread *thread)
{
	uint32_t id = __atomic_load_n(&thread->cpu, __ATOMIC_RELAXED);
	if (id == percpu()->id)
		return;
	spin_lock(&percpus[id].run.lock);
	spin_unlock(&percpus[id].run.lock);
}

void sched_give(struct thread *thread)
{
	make_runnable(thread, &thread->shares[thread->cpu]);
}

/* When more threads wait here than elsewhere: tells an idle CPU, or else, once a slice, one on
 * which none waits, which then takes one over (reschedule). So threads that compute go round among
 * the CPUs a slice at a time. The current thread is on the queue already. */
static void push_balance(struct percpu *cpu, uint64_t now)
{
	uint64_t online = cpus_online();
	uint64_t takers = __atomic_load_n(&idle_cpus, __ATOMIC_SEQ_CST) & ~cpu_bit(cpu->id);
	if (!takers && cpu->run.count > 1 && now >= cpu->push_ns) {
		for (unsigned id = cpu_next(online, cpu->id); id != cpu->id;
			id = cpu_next(online, id))
			if (!has_waiting(&percpus[id]))
				takers |= cpu_bit(id);
		cpu->push_ns = now + SLICE_NS;
	}
	if (!takers)
		return;
	const struct thread *thread = find_thread(&cpu->run, takers);
	if (thread)
		takers &= affinity_of(thread); /* which may have changed since */
	if (thread && takers)
		kick_cpu((unsigned)__builtin_ctzl(takers));
}

/* The current thread stays runnable and competes with the queue; yields: it lets others go first,
 * those of its process or, without such, those of others. A CPU with an empty queue looks for
 * threads that wait elsewhere. */
static void reschedule(bool yields)
{
	struct percpu *cpu = percpu();
	struct thread *current = cpu->current;
	struct share *share = &current->shares[cpu->id];
	uint32_t why = cpu->resched;
	bool allowed = may_run_on(current, cpu->id);
	struct thread *stolen = has_waiting(cpu) ? NULL : steal(cpu);
	uint64_t now = clock_now_ns();
	account(cpu, now);
	spin_lock(&cpu->run.lock);
	if (stolen)
		enqueue_stolen(cpu, stolen);
	/* Decided under the lock: a CPU that queues a thread here sends no interrupt when it finds
	 * a slice running, so that slice must have an end. */
	if (!cpu->run.count && allowed) {
		cpu->resched = 0;
		cpu->slice_end_ns = slice_end(cpu, now, false);
		spin_unlock(&cpu->run.lock);
		timer_update(cpu);
		return;
	}
	/* The time it ran while no other thread waited is not held against it. */
	place(current, share, share);
	const struct thread *first = first_thread(share);
	if (yields && !first)
		share_yield(&cpu->run, now);
	else if (yields && is_behind(current->vruntime_ns, first->vruntime_ns))
		current->vruntime_ns = first->vruntime_ns;
	if (allowed) {
		enqueue(cpu, share, current);
	} else {
		current->state = THREAD_READY;
		cpu->moving = current;
	}
	/* A CPU that takes a thread waits for the lock until this CPU has left the thread. */
	push_balance(cpu, now);
	schedule_locked(cpu, now, why & RESCHED_TURN_OVER || (yields && !first));
}

void sched_preempt(void)
{
	reschedule(false);
}

void sched_yield(void)
{
	reschedule(true);
}

void sched_preemption_point(void)
{
	assert_none_held();
	cpu_take_interrupts();
	if (percpu()->resched)
		sched_preempt();
}

#ifdef CAPOS_EXPLORE
/* A machine that counts instructions is idle while its CPU is halted, and QEMU's main loop makes
 * what devices have to answer before it lets an idle machine's time jump. So one halt is enough,
 * and its length is nothing if the device interrupts, or else until the timer. It has to be the
 * only interrupt: those that wait come in before. The timer's handler programs another time, so
 * none has come in while that is the one asked for. */
#define ANSWER_NS 1000000ul

void explore_ask_begin(void)
{
	uint64_t until_ns;
	assert_none_held();
	do {
		struct percpu *cpu = percpu();
		until_ns = clock_now_ns() + ANSWER_NS;
		cpu->timer_programmed_ns = until_ns;
		cpu->timer_due_ns = timer_program(until_ns);
		sched_preemption_point();
	} while (percpu()->timer_programmed_ns != until_ns);
}

void explore_ask_end(void)
{
	assert_none_held();
	cpu_wait_for_interrupt();
	timer_update(percpu());
}
#endif

void sched_affinity_changed(struct thread *thread)
{
	if (thread == thread_current())
		percpu()->resched |= RESCHED_LOOK;
	else
		sched_kick(thread);
}

void sched_end(void)
{
	struct percpu *cpu = percpu();
	uint64_t now = clock_now_ns();
	account(cpu, now);
	spin_lock(&cpu->run.lock);
	cpu->current->state = THREAD_ENDED;
	schedule_locked(cpu, now, false);
	panic("an ended thread ran");
}

void sched_idle(void)
{
	struct percpu *cpu = percpu();
	for (;;) {
		__atomic_or_fetch(&idle_cpus, cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
		struct thread *stolen = has_waiting(cpu) ? NULL : steal(cpu);
		if (stolen || has_waiting(cpu)) {
			__atomic_and_fetch(&idle_cpus, ~cpu_bit(cpu->id), __ATOMIC_SEQ_CST);
			spin_lock(&cpu->run.lock);
			if (stolen)
				enqueue_stolen(cpu, stolen);
			uint64_t now = clock_now_ns();
			cpu->run.charged_ns = now;
			schedule_locked(cpu, now, false);
			continue;
		}
		__atomic_store_n(&cpu->run.quiet_ns, 0, __ATOMIC_RELAXED);
		cpu->slice_end_ns = UINT64_MAX;
		explore_idles();
		timer_update_exactly(cpu);
		/* Other CPUs need not interrupt this one for changes of a space that it has left.
		 * With one CPU the next thread often finds its space still loaded. */
		if (cpu->space && cpus_online_count() > 1)
			aspace_activate(NULL);
		cpu_wait_for_interrupt();
	}
}
