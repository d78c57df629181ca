/* Run queues: waking, blocking, preemption and stealing.
 *
 * Models  kernel/sched/sched.c: sched_block, sched_wake, assign_cpu, make_runnable, choose_cpu,
 *         steal, reschedule, push_balance, schedule_locked, switch_to, sched_switched,
 *         sched_end, sched_idle
 *         kernel/sched/wait.c: wait_decide
 *
 * Bounds: two CPUs with their idle threads, and three threads. One waits WAITS times and ends. One
 * ends as soon as it can. The third, which may be missing, runs in user mode until the first has
 * ended, and is interrupted only for a reason. Either of two wakers on other CPUs may decide a
 * wait; it then wakes the thread, at any later time. Virtual time is left out: the queue has any
 * order, and a thread that wakes may or may not take the CPU at once. Where a slice runs on the
 * CPU, its end suffices, and the waking interrupt may be left out. The waker that chooses an idle
 * CPU claims it.
 *
 * Claims: no thread runs on two CPUs, or while another CPU uses its stack. A wait ends only when it
 * is decided. All threads end (no invalid end state), so no CPU stays halted while a thread waits
 * behind one that does not yield. */

#ifdef SHORT
#define WAITS 2
#else
#define WAITS 3
#endif

#define WAITER  0
#define HOG     1
#define BRIEF   2
#define THREADS 3
#define IDLE(c) (THREADS + (c))

#define RUNNING 0
#define READY   1
#define BLOCKED 2
#define ENDED   3

#define NONE    0
#define ACTIVE  1
#define DECIDED 2

#define NOWHERE 2

/* Per CPU. The queue of a CPU is the set of threads that name it in queued; the threads are
 * counted. */
bit lock[2];
byte count[2];
bool ipi[2], idle[2];
bool slice[2];			/* the running thread's time is bounded: the timer will interrupt */

/* Per thread, the two idle threads last. */
byte state[5], cpu[5], wait_state[5];
byte queued[5] = NOWHERE;
byte runs_on[5] = NOWHERE;	/* the CPU whose program counter is in this thread */
bool on_stack[5];		/* a CPU uses its stack */

#define TAKE(c)    atomic { !lock[c] -> lock[c] = 1 }
#define RELEASE(c) lock[c] = 0

#define CLAIM(t) cpu[t] = CHOOSE_CPU(t); idle[cpu[t]] = false
#define CHOOSE_CPU(t) (idle[cpu[t]] || !idle[1 - cpu[t]] -> cpu[t] : 1 - cpu[t])

inline enqueue(t, c)
{
	state[t] = READY; cpu[t] = c; queued[t] = c; count[c]++
}

inline dequeue(t, c)
{
	assert(state[t] == READY && queued[t] == c); queued[t] = NOWHERE; count[c]--
}

/* Puts a thread, which no CPU runs and no queue holds, on its CPU's queue: one step under that
 * CPU's lock. */
inline make_runnable(t)
{
	to = cpu[t];
	atomic {
		!lock[to] -> enqueue(t, to);
		if
		/* Its slice ends, and it does not take the CPU or must not interrupt it again. */
		:: slice[to] && runs_on[IDLE(to)] != to
		:: ipi[to] = true
		fi;
		to = 0
	}
}

inline sched_wake(t)
{
	do
	:: true ->
		at = cpu[t];
		TAKE(at);
		if
#ifdef BROKEN_6	/* the thread may have moved before the lock was taken */
		:: true -> break
#else
		:: cpu[t] == at -> break
		:: else -> RELEASE(at)
#endif
		fi
	od;
	atomic {
#ifdef BROKEN_5	/* whatever wait the thread is in by now is ended */
		stopped = state[t] == BLOCKED;
#else
		stopped = state[t] == BLOCKED && wait_state[t] != ACTIVE;
#endif
		if
		:: stopped -> state[t] = READY;
#ifndef BROKEN_4	/* the new CPU is named only when the thread is on its queue */
			CLAIM(t)
#endif
		:: else
		fi
	};
	RELEASE(at);
	if
#ifdef BROKEN_4
	:: stopped ->
		to = CHOOSE_CPU(t);
		atomic { !lock[to] -> enqueue(t, to); ipi[to] = true; to = 0 }
#else
	:: stopped -> make_runnable(t)
#endif
	:: else
	fi;
	atomic { at = 0; stopped = false }
}

/* c is the CPU on which the thread me runs. Its lock is held, and released here, perhaps by the
 * thread that runs next. */
inline schedule_locked()
{
	atomic {
		if
		:: queued[WAITER] == c -> next = WAITER
		:: queued[HOG] == c -> next = HOG
		:: queued[BRIEF] == c -> next = BRIEF
		:: count[c] == 0 -> next = IDLE(c)
		fi;
		if
		:: next < THREADS -> dequeue(next, c)
		:: else
		fi;
		if
		:: slice[c] = next < THREADS && count[c] > 0
		/* Other threads waited, and will have been stolen; or the CPU has its quiet. */
		:: next < THREADS -> slice[c] = true
		fi
	};
	if
	:: next == me -> atomic { state[me] = RUNNING; next = 0 }
	:: else ->
		atomic { assert(!on_stack[next]); state[next] = RUNNING; cpu[next] = c };
#ifdef BROKEN_1	/* the lock is dropped before the stack is left */
		RELEASE(c);
#endif
		atomic {
			on_stack[me] = false; runs_on[me] = NOWHERE;
			assert(!on_stack[next]);
			on_stack[next] = true; runs_on[next] = c;
			next = 0; c = 0
		};
		if
		:: atomic { runs_on[me] != NOWHERE -> c = runs_on[me] }
		:: state[me] == ENDED -> goto ended
		fi
	fi;
#ifdef BROKEN_1
	if :: lock[c] -> RELEASE(c) :: else fi
#else
	RELEASE(c)
#endif
}

/* For a CPU that returns because its queue has threads; its lock is held. */
inline compete()
{
	enqueue(me, c);
	schedule_locked();
	/* push_balance */
	if
	:: idle[1 - c] && count[c] > 0 -> ipi[1 - c] = true
	:: else
	fi
}

/* No other thread waits. In the quiet after an interrupt there is a slice all the same. */
inline go_on()
{
	if
	:: slice[c] = false
	:: slice[c] = true
	fi
}

inline reschedule()
{
#ifdef BROKEN_3
	/* Whether a thread waits is decided without the lock: a waker may have seen the slice and
	 * left out the interrupt. */
	if
	:: count[c] == 0 -> go_on()
	:: count[c] > 0 -> TAKE(c); compete()
	fi
#else
	TAKE(c);
	if
	:: count[c] == 0 -> go_on(); RELEASE(c)
	:: else -> compete()
	fi
#endif
}

/* A moment in user mode: an interrupt may come, or the slice may end. */
inline user_mode()
{
	if
	:: atomic { ipi[c] -> ipi[c] = false }; reschedule()
	:: atomic { slice[c] -> slice[c] = false }; reschedule()
	:: slice[c] -> reschedule()	/* interrupted for another reason */
	:: true
	fi
}

proctype waiter(byte me; byte c)
{
	byte waits, next;

	atomic { runs_on[me] != NOWHERE -> c = runs_on[me] };
	RELEASE(c);
	do
	:: waits < WAITS ->
		waits++;
		user_mode();
		wait_state[me] = ACTIVE;
		TAKE(c);
		if
		:: wait_state[me] == ACTIVE -> state[me] = BLOCKED; schedule_locked()
		:: else -> RELEASE(c)
		fi;
		atomic { assert(wait_state[me] == DECIDED); wait_state[me] = NONE }
	:: else -> break
	od;
	TAKE(c);
	state[me] = ENDED;
	schedule_locked();
ended:
	skip
}

proctype hog(byte me; byte c)
{
	byte next;

	do
	:: atomic { state[WAITER] == ENDED -> break }
	:: atomic { ipi[c] -> ipi[c] = false }; reschedule()
	:: atomic { slice[c] -> slice[c] = false }; reschedule()
	:: slice[c] -> reschedule()	/* interrupted for another reason */
	od;
	TAKE(c);
	state[me] = ENDED;
	schedule_locked();
ended:
	skip
}

proctype brief(byte me; byte c)
{
	byte next;

	user_mode();
	TAKE(c);
	state[me] = ENDED;
	schedule_locked();
ended:
	skip
}

proctype idle_thread(byte me; byte c)
{
	byte next, stolen = THREADS, other = 1 - (me - THREADS);

	if
	:: c == NOWHERE -> atomic { runs_on[me] != NOWHERE -> c = runs_on[me] }; RELEASE(c)
	:: c != NOWHERE
	fi;
	do
	:: true ->
		idle[c] = true;
		if
		:: count[c] == 0 && count[other] > 0 ->
#ifndef BROKEN_2	/* another CPU's queue is changed without its lock */
			TAKE(other);
#endif
			if
			:: queued[WAITER] == other -> stolen = WAITER
			:: queued[HOG] == other -> stolen = HOG
			:: queued[BRIEF] == other -> stolen = BRIEF
			:: queued[WAITER] != other && queued[HOG] != other && queued[BRIEF] != other
			fi;
			if
			:: stolen < THREADS ->
#ifdef BROKEN_4
				atomic { dequeue(stolen, other) }
#else
				atomic { dequeue(stolen, other); cpu[stolen] = c }
#endif
			:: else
			fi;
#ifndef BROKEN_2
			RELEASE(other)
#endif
		:: else
		fi;
		if
		:: stolen < THREADS || count[c] > 0 ->
			idle[c] = false;
			TAKE(c);
			atomic {
				if
				:: stolen < THREADS -> enqueue(stolen, c); stolen = THREADS
				:: else
				fi
			};
			schedule_locked()
		:: else ->
#ifdef BROKEN_7
			/* Interrupts are on before the halt: one that comes in between is
			 * taken and forgotten. */
			ipi[c] = false;
#endif
end_halted:		atomic { ipi[c] -> ipi[c] = false }
		fi
	od;
ended:
	assert(false)
}

/* Decides some of the waits and wakes the thread for them. */
active [2] proctype waker()
{
	byte at, to;
	bool stopped;

end:	do
	:: atomic { wait_state[WAITER] == ACTIVE -> wait_state[WAITER] = DECIDED };
		sched_wake(WAITER)
	od
}

#define STARTS_ON(t, c) cpu[t] = c; runs_on[t] = c; on_stack[t] = true

init {
	atomic {
		cpu[IDLE(0)] = 0; cpu[IDLE(1)] = 1;
		enqueue(WAITER, 0);	/* behind a thread that runs already and has been told */
		ipi[0] = true;
		if
		:: STARTS_ON(HOG, 0);
			STARTS_ON(BRIEF, 1);
			run hog(HOG, 0);
			run brief(BRIEF, 1);
			run idle_thread(IDLE(1), NOWHERE)
		:: STARTS_ON(HOG, 0);	/* no other CPU takes it */
			STARTS_ON(BRIEF, 1);
			run hog(HOG, 0);
			run hog(BRIEF, 1);
			run idle_thread(IDLE(1), NOWHERE)
		:: state[HOG] = ENDED;
			STARTS_ON(BRIEF, 0);
			STARTS_ON(IDLE(1), 1);
			run brief(BRIEF, 0);
			run idle_thread(IDLE(1), 1)
		fi;
		run idle_thread(IDLE(0), NOWHERE);
		run waiter(WAITER, NOWHERE)
	}
}

active proctype finish()
{
	timeout;
	assert(state[WAITER] == ENDED && state[HOG] == ENDED && state[BRIEF] == ENDED)
}
