/* Parking on a word of memory, against everything that can end or prevent the wait.
 *
 * Models  kernel/mm/park.c: park_queued, end_waits, park_drain
 *         kernel/sched/wait.c: wait_decide, wait_block
 *         kernel/sched/sched.c: sched_block, sched_wake, timer_arm, timer_cancel, expire_deadlines
 *         kernel/sched/thread.c: thread_notify, thread_kill (the part that ends waits)
 *         kernel/mm/aspace.c: zap (hide, flush, free), drain_waiters
 *         kernel/mm/populate.c: aspace_fault
 *
 * Bounds: a thread parks once on one word and sleeps once afterwards. Four causes may end the park:
 * an unparker that changes the word and wakes one thread for each parker; an unmap; a notification
 * (or kill) for each parker; and a deadline that may pass at any time, or has passed before. Any
 * one of them must be enough, so each run chooses a set freely: two parkers with one or two causes,
 * or (SHORT) one parker with one to four. A parker's TLB is modelled. Its CPU answers a flush only
 * with interrupts on or while it spins. Steps that only touch what one held lock guards are one
 * step here.
 *
 * Claims: every parker reaches its end (no invalid end state). A wait ends only with an outcome
 * that was decided. park_wake returns the number of threads that saw `woken`. No freed frame is
 * read. After unmap no thread is parked in the range. */

#ifdef SHORT
#define PARKERS    1
#define CAUSES_MAX 4
#else
#define PARKERS    2
#define CAUSES_MAX 2
#endif

#define NONE        0
#define ACTIVE      1
#define WOKEN       2
#define TIMED_OUT   3
#define INTERRUPTED 4
#define DRAINED     5

#define RUNNING 0
#define BLOCKED 1
#define READY   2

/* The program and its memory. */
bit word;
bool pte, mapped = true, frame_freed;
bool tlb[PARKERS], flush_request[PARKERS];

/* Kernel state. The run queue lock is held for single steps only. */
bit queue_lock, timer_lock, aspace_lock;
chan queue = [PARKERS] of { byte };
byte waiters;
byte wait_state[PARKERS], state[PARKERS];
bool armed[PARKERS];   /* on the timer queue */
bool due[PARKERS];     /* a notification is pending, or the thread must die */

/* What the claims count. */
bool unmapped;
byte woken_seen, woken_counted;

/* A parker's CPU while it spins, blocks or runs the program answers flushes. */
#define SERVE(id) atomic { flush_request[id] -> tlb[id] = false; flush_request[id] = false }
#define TAKE(lock)             atomic { !lock -> lock = 1 }
#define TAKE_SERVING(id, lock) do :: atomic { !lock -> lock = 1; break } :: SERVE(id) od

/* wait_decide is a compare-and-swap. */
#define DECIDE(id, outcome, won) \
	won = (wait_state[id] == ACTIVE); \
	if :: won -> wait_state[id] = outcome :: else fi

/* sched_wake: one step under the run queue lock. */
#ifdef BROKEN_6	/* the thread is woken whatever wait it is in by now */
#define WAKE(id) if :: state[id] == BLOCKED -> state[id] = READY :: else fi
#else
#define WAKE(id) \
	if :: state[id] == BLOCKED && wait_state[id] != ACTIVE -> state[id] = READY :: else fi
#endif

inline sched_block(id)
{
#ifdef BROKEN_4	/* the wait is checked before the run queue lock is taken */
	if
	:: wait_state[id] == ACTIVE -> state[id] = BLOCKED
	:: else
	fi;
#else
	do
	:: SERVE(id)
	:: atomic {
#ifdef BROKEN_3	/* the waiter counts itself only when it stops */
		waiters++;
#endif
		if
		:: wait_state[id] == ACTIVE -> state[id] = BLOCKED
		:: else
		fi;
		break }
	od;
#endif
	do
	:: SERVE(id)
	:: atomic { state[id] != BLOCKED -> state[id] = RUNNING; break }
	od
}

/* wait_block, between the store of ACTIVE and the release of the queue's lock. */
inline wait_begin(id)
{
#ifdef BROKEN_7	/* notifications are checked before the wait can be decided */
	flag = due[id];
	wait_state[id] = ACTIVE;
	atomic { if :: flag -> DECIDE(id, INTERRUPTED, flag); flag = false :: else fi };
#else
	wait_state[id] = ACTIVE;
	atomic { if :: due[id] -> DECIDE(id, INTERRUPTED, flag); flag = false :: else fi };
#endif
	if
	/* The deadline has passed already. */
	:: timed -> atomic { DECIDE(id, TIMED_OUT, flag); flag = false; timed = false }
	:: timed ->
		do
		:: SERVE(id)
		:: atomic { !timer_lock -> armed[id] = true; break }
		od
	:: !timed
	fi
}

inline wait_cancel_deadline(id)
{
	if
	:: timed ->
		do
		:: SERVE(id)
		:: atomic { !timer_lock -> armed[id] = false; timed = false; break }
		od
	:: else
	fi
}

proctype parker(byte id; bool timed)
{
	bool flag;	/* it is used several times, shortly; false in between */

#ifndef BROKEN_3
	waiters++;
#endif
again:
#ifdef BROKEN_1	/* the word is read before the queue is locked */
	atomic { assert(!tlb[id] || !frame_freed); tlb[id] = tlb[id] || pte; flag = word };
	TAKE_SERVING(id, queue_lock);
#else
	TAKE_SERVING(id, queue_lock);
	atomic { assert(!tlb[id] || !frame_freed); tlb[id] = tlb[id] || pte; flag = word };
#endif
	if
	:: !tlb[id] ->
		atomic { flag = false; queue_lock = 0 };
		do
		:: SERVE(id)
		:: atomic { !aspace_lock && mapped -> pte = true; goto again }
		:: atomic { !aspace_lock && !mapped -> goto parked }	/* badAddress */
		od
	:: tlb[id] && flag ->	/* mismatch */
		atomic { flag = false; queue_lock = 0 };
		goto parked
	:: tlb[id] && !flag
	fi;

	wait_begin(id);
	atomic { queue ! id; queue_lock = 0 };
	sched_block(id);
	wait_cancel_deadline(id);
	TAKE_SERVING(id, queue_lock);
	atomic {
		if
		:: queue ?? eval(id)
		:: !(queue ?? [eval(id)])
		fi;
		assert(wait_state[id] != ACTIVE);
		woken_seen = woken_seen + (wait_state[id] == WOKEN -> 1 : 0)
	};
	atomic { wait_state[id] = NONE; queue_lock = 0 };
#ifdef BROKEN_3
	waiters--;
#endif
parked:
#ifndef BROKEN_3
	waiters--;
#endif
	/* Back in the program, where notifications are delivered. Then the thread sleeps; only the
	 * deadline and notifications end the sleep. */
	atomic { due[id] = false; timed = true };
	wait_begin(id);
	sched_block(id);
	wait_cancel_deadline(id);
	atomic {
		assert(wait_state[id] == TIMED_OUT || wait_state[id] == INTERRUPTED);
		wait_state[id] = NONE
	};
end_in_user_mode:
	do
	:: SERVE(id)
	od
}

proctype unparker()
{
	byte id, calls;
	bool won;

	word = 1;
	do
	:: calls < PARKERS ->
		calls++;
		TAKE(queue_lock);
		do
		:: atomic { queue ? id -> DECIDE(id, WOKEN, won) };
			if
#ifdef BROKEN_8	/* a waiter whose wait had been decided uses up the wake-up */
			:: true ->
#else
			:: won ->
#endif
				atomic { WAKE(id); woken_counted++; id = 0; won = false };
				break
			/* Its deadline or a notification was first: the next one. */
			:: !won -> id = 0
			fi
		:: empty(queue) -> break
		od;
		queue_lock = 0
	:: else -> break
	od
}

proctype notifier()
{
	byte id;
	bool won;

	do
	:: id < PARKERS ->
		due[id] = true;
#ifdef BROKEN_5	/* a check and a plain store instead of a compare-and-swap */
		won = (wait_state[id] == ACTIVE);
		if
		:: won -> wait_state[id] = INTERRUPTED
		:: else
		fi;
#else
		atomic { DECIDE(id, INTERRUPTED, won) };
#endif
		atomic {
			if
			:: won -> WAKE(id)
			:: else
			fi;
			won = false;
			id++
		}
	:: else -> break
	od
}

/* The timer interrupt of the CPU whose queue holds the deadlines. */
#define EXPIRE(id) \
	atomic { !timer_lock && armed[id] -> \
		timer_lock = 1; armed[id] = false; DECIDE(id, TIMED_OUT, won) }; \
	atomic { if :: won -> WAKE(id) :: else fi; won = false; timer_lock = 0 }

active proctype timer()
{
	bool won;

end:	do
	:: EXPIRE(0)
#if PARKERS > 1
	:: EXPIRE(1)
#endif
	od
}

inline flush()
{
	atomic { flush_request[0] = true; flush_request[PARKERS - 1] = true };
	atomic { !flush_request[0] && !flush_request[PARKERS - 1] -> skip }
}

inline drain()
{
	if
	:: waiters > 0 ->
		TAKE(queue_lock);
		do
		:: atomic { queue ? id -> DECIDE(id, DRAINED, won) };
			atomic { if :: won -> WAKE(id) :: else fi; id = 0; won = false }
		:: empty(queue) -> break
		od;
		queue_lock = 0
	:: else
	fi
}

proctype unmapper()
{
	byte id;
	bool won, present;

	TAKE(aspace_lock);
	atomic { present = pte; pte = false };
#ifdef BROKEN_2	/* waiters are drained while TLBs still let other threads read */
	drain();
#endif
	if
	:: present -> flush()
	:: else
	fi;
	/* The lock may be free while waiters are drained, but the range cannot be mapped. */
	atomic { frame_freed = true; mapped = false };
#ifndef BROKEN_2
	drain();
#endif
	atomic { aspace_lock = 0; unmapped = true; assert(empty(queue)) }
}

active proctype finish()
{
	timeout;
	assert(woken_seen == woken_counted)
}

init {
	bool deadline;
	byte causes;

	atomic {
		/* The page may be committed without a frame; if it is there, TLBs may know it. */
		if
		:: pte = true;
			if :: tlb[0] = true :: skip fi;
			if :: tlb[PARKERS - 1] = true :: skip fi
		:: skip
		fi;
		if :: run unparker(); causes++ :: skip fi;
		if :: run unmapper(); causes++ :: skip fi;
		if :: causes < CAUSES_MAX -> run notifier(); causes++ :: skip fi;
		if :: causes < CAUSES_MAX -> deadline = true :: causes > 0 fi;
		run parker(0, deadline);
#if PARKERS > 1
		run parker(1, deadline)
#endif
	}
}
