/* Notifications, suspension and kill, against a thread that runs, enters the kernel, waits, is
 * preempted, moves and ends.
 *
 * Models  kernel/sched/thread.c: thread_notify, thread_kill
 *         kernel/sched/thread.h: notify_due
 *         kernel/proc/thread.c: thread_exit
 *         kernel/proc/notify.c: return_to_user, deliver_pending, stop_here, notify_resume
 *         kernel/sched/sched.c: sched_kick, sched_block, acknowledge_suspension, sched_wake,
 *         switch_to
 *         kernel/object/thread_handle.c: suspend, resume
 *         kernel/proc/suspend.c: is_quiet, thread_await_quiet_locked
 *         kernel/arch/x86_64/entry.S: the looks at resched and exit work before user mode
 *
 * Bounds: one thread on two CPUs, which makes CALLS calls of its choice (yield, or wait until a
 * notification) besides its `resume` calls. The other parties are two notifiers with one
 * notification each, of the same kind or of two; a suspender that suspends and resumes SUSPENSIONS
 * times or stops halfway; and a killer. Every choice of up to PARTIES_MAX of them takes part. An
 * inter-processor interrupt that reaches a CPU while another thread runs there is lost to the
 * thread. Steps that only touch what one held lock guards are one step here.
 *
 * Claims: suspend returns (no invalid end state). Between it and resume the thread runs no user
 * code. In every end state each notification has been delivered with the last value sent, or is
 * masked, and a killed thread has ended. */

#define CALLS 1
#ifdef SHORT
#define PARTIES_MAX 2
#define SUSPENSIONS 2
#else
#define PARTIES_MAX 3
#define SUSPENSIONS 1
#endif

#define DIE     1
#define SUSPEND 2
#define NOTIFY  4

#define RUNNING 0
#define READY   1
#define BLOCKED 2
#define ENDED   3

#define NONE                 0
#define ACTIVE               1
#define ACTIVE_INTERRUPTIBLE 2
#define DECIDED              3

#define NO_THREAD 2

/* The thread. */
byte exit_work, wait_state, state = RUNNING, cpu, current = 0;	/* current: the CPU that runs it */
byte pending, mask;
bool ipi[3], resched;

/* Guarded by lock. */
bit lock;
byte suspend_count;
bool acknowledged, ended, suspender_waits, in_suspended_queue;

/* For the claims. */
bool in_user, in_handler, must_be_quiet, killed;
byte sent[2], seen[2];

#define TAKE          atomic { !lock -> lock = 1 }
#define RELEASE       lock = 0
#define DUE           ((exit_work & DIE) || (pending & ~mask))
#define IS_ACTIVE     (wait_state == ACTIVE || wait_state == ACTIVE_INTERRUPTIBLE)
#define WAKE          if :: state == BLOCKED && !IS_ACTIVE -> state = READY :: else fi
#ifdef BROKEN_4	/* only a thread that has stopped, or has said so, counts as quiet */
#define IS_QUIET      (ended || acknowledged || state == BLOCKED)
#else
#define IS_QUIET      (ended || acknowledged || state == BLOCKED || wait_state != NONE)
#endif

/* Tries to end an interruptible wait; won says whether it did. */
#define INTERRUPT(won) \
	won = (wait_state == ACTIVE_INTERRUPTIBLE); \
	if :: won -> wait_state = DECIDED :: else fi

inline sched_kick()
{
	where = cpu;
	if
	:: current == where -> ipi[where] = true
	:: else
	fi;
	where = 0
}

/* resume, or kill, lets the thread out of stop_here. The lock is held. */
inline wake_suspended()
{
	if
	:: in_suspended_queue ->
		atomic {
			in_suspended_queue = false;
			if :: wait_state == ACTIVE -> wait_state = DECIDED :: else fi
		};
		atomic { WAKE }
	:: else
	fi
}

/* ---- the thread's side ---- */

/* The thread gets a CPU. Interrupts sent there before reached the thread that ran then. */
inline switch_in()
{
	if
	:: atomic { state = RUNNING; cpu = 0; ipi[0] = false }
	:: atomic { state = RUNNING; cpu = 1; ipi[1] = false }
	fi;
	current = cpu
}

/* sched_block up to the point where the thread has stopped, or has not. */
inline stop_unless_decided()
{
#ifndef BROKEN_2
	if
	:: exit_work & SUSPEND -> atomic { !lock -> acknowledged = true; suspender_waits = false }
	:: else
	fi;
#endif
	atomic { if :: IS_ACTIVE -> state = BLOCKED :: else fi };
	if
	:: state != RUNNING -> current = NO_THREAD
	:: else
	fi
}

inline stop_here()
{
	TAKE;
	do
	:: suspend_count > 0 && !(exit_work & DIE) ->
		atomic {
			acknowledged = true; suspender_waits = false; wait_state = ACTIVE;
			in_suspended_queue = true; RELEASE
		};
		stop_unless_decided();
end_suspended:
		if
		:: state == RUNNING
		:: state == READY -> switch_in()
		fi;
		atomic { !lock -> lock = 1; in_suspended_queue = false; wait_state = NONE }
	:: else -> break
	od;
	RELEASE
}

inline deliver_pending()
{
	if
	:: pending & ~mask ->
		kind = ((pending & ~mask) & 1 -> 0 : 1);
#ifdef BROKEN_10	/* the value is read while the kind still counts as pending */
		seen[kind] = sent[kind];
		pending = pending & ~(1 << kind);
#else
		pending = pending & ~(1 << kind);
		seen[kind] = sent[kind];
#endif
		atomic { kind = 0; mask = 3; in_handler = true }
	:: else
	fi
}

active proctype thread()
{
	byte calls, work, kind;

user:
	atomic { in_user = true; assert(!must_be_quiet && !ended) };
end_in_user_mode:
	if
	:: atomic { ipi[cpu] -> ipi[cpu] = false; in_user = false; resched = true }
	/* The handler's last act is resume. */
	:: atomic { in_handler -> in_user = false; in_handler = false; mask = 0 };
#ifndef BROKEN_6	/* notifications that came while all kinds were masked are not looked at */
		if
		:: DUE -> exit_work = exit_work | NOTIFY
		:: else
		fi
#endif
	:: atomic { calls < CALLS -> calls++; in_user = false };	/* yield */
		atomic { state = READY; current = NO_THREAD };
		switch_in()
	:: atomic { calls < CALLS -> calls++; in_user = false };	/* wait until interrupted */
		wait_state = ACTIVE_INTERRUPTIBLE;
#ifndef BROKEN_9	/* notifications due before the wait began are not looked at */
		atomic {
			if :: DUE && wait_state == ACTIVE_INTERRUPTIBLE -> wait_state = DECIDED
			:: else fi
		};
#endif
		stop_unless_decided();
end_in_a_wait:
		if
		:: state == RUNNING
		:: state == READY -> switch_in()
		fi;
		wait_state = NONE
	fi;

	/* return_to_user. entry.S looks first and calls it only when there is work, which makes no
	 * difference. */
	do
	:: true ->
		if
		:: resched ->
			atomic { resched = false; state = READY; current = NO_THREAD };
			switch_in()
		:: !resched
		fi;
#ifdef BROKEN_3	/* the work is cleared after it has been done */
		work = exit_work;
#else
		atomic { work = exit_work; exit_work = 0 };
#endif
		if
		:: work & DIE -> exit_work = exit_work | DIE; goto exit
		:: else
		fi;
		if
		:: work & SUSPEND -> stop_here()
		:: else
		fi;
		if
		:: work & NOTIFY -> deliver_pending()
		:: else
		fi;
#ifdef BROKEN_3
		exit_work = exit_work & ~work;
#endif
		work = 0;
#ifdef BROKEN_5	/* no second look */
		goto user
#else
		if
		:: exit_work == 0 && !resched -> goto user
		:: else
		fi
#endif
	od;
exit:
	atomic { !lock -> ended = true; suspender_waits = false };
	atomic { state = ENDED; current = NO_THREAD }
}

/* ---- the other parties ---- */

proctype notifier(byte kind)
{
	byte where;
	bool won;

	sent[kind]++;
#ifdef BROKEN_1	/* exit work is set before the notification is pending */
	exit_work = exit_work | NOTIFY;
#endif
	if
	/* Another notifier has told the thread, or is about to. */
	:: atomic { pending & (1 << kind) -> goto done }
	:: atomic { else -> pending = pending | (1 << kind) }
	fi;
	if
	:: DUE
	:: else -> goto done	/* masked: the thread looks when it changes its mask */
	fi;
#ifdef BROKEN_8	/* the interrupt is sent before exit work is set */
	sched_kick();
#endif
#ifndef BROKEN_1
	exit_work = exit_work | NOTIFY;
#endif
	atomic { INTERRUPT(won) };
	if
	:: won -> atomic { WAKE; won = false }
#ifdef BROKEN_8
	:: !won
#else
	:: !won -> sched_kick()
#endif
	fi;
done:
	skip
}

proctype suspender()
{
	byte where, rounds;

	do
	:: rounds < SUSPENSIONS ->
		rounds++;
		TAKE;
		if
		:: ended -> RELEASE; break
		:: else -> atomic { suspend_count++; acknowledged = false }
		fi;
		exit_work = exit_work | SUSPEND;
		sched_kick();
		do
		:: IS_QUIET -> break
		:: else ->
			atomic { suspender_waits = true; RELEASE };
			atomic { !suspender_waits && !lock -> lock = 1 }
		od;
		atomic { acknowledged = true; assert(!in_user); must_be_quiet = !ended; RELEASE };
		if
		:: true
		:: break	/* never resumes it */
		fi;
		atomic { !lock -> lock = 1; must_be_quiet = false; suspend_count-- };
		wake_suspended();
		RELEASE
	:: else -> break
	od
}

proctype killer()
{
	byte where;
	bool won;

	atomic { killed = true; exit_work = exit_work | DIE };
	atomic { INTERRUPT(won) };
	if
	:: won -> atomic { WAKE; won = false }
	:: else
	fi;
#ifndef BROKEN_7	/* a suspended thread is not killed */
	TAKE;
	wake_suspended();
	RELEASE;
#endif
	sched_kick()
}

active proctype finish()
{
	timeout;
	if
	:: killed -> assert(ended)
	:: !killed && suspend_count > 0
	:: !killed && suspend_count == 0 ->
		assert(!in_suspended_queue);
		assert(!(pending & ~mask));
		assert(seen[0] == sent[0] || (pending & 1));
		assert(seen[1] == sent[1] || (pending & 2))
	fi
}

init {
	byte parties;

	atomic {
		if :: run notifier(0); parties++ :: skip fi;
		if :: run notifier(0); parties++ :: run notifier(1); parties++ :: skip fi;
		if :: parties < PARTIES_MAX -> run suspender(); parties++ :: skip fi;
		if :: parties < PARTIES_MAX -> run killer() :: skip fi
	}
}
