/* The hand-over of a CPU between a caller and a server, against wakes and other CPUs.
 *
 * Models  kernel/object/endpoint_direct.c: call_direct, answer_direct, take_receiver
 *         kernel/object/endpoint.c: await_answer, wait_for_call_locked, answer_call, message_resume
 *         kernel/sched/sched.c: sched_block, sched_wake
 *
 * Bounds: two CPUs, a caller that makes CALLS calls, and a server that answers them. Each may get a
 * notification, by another CPU, at any time and once. A thread that is woken goes to either CPU. A
 * CPU without a thread runs one that is ready. The caller's handler runs while its call goes on.
 * Deadlines and the ends of threads are left out: the direct path is not for those (endpoint.pml).
 *
 * Claims: no thread runs on two CPUs, or while another CPU uses its stack. An answer reaches the
 * call for which it was given. Every call is answered: no invalid end state, so no wake is lost. */

#ifdef SHORT
#define CALLS 2
#else
#define CALLS 4
#endif

#define C 0
#define S 1

#define RUNNING 0
#define READY   1
#define BLOCKED 2

#define NONE        0
#define ACTIVE      1
#define WOKEN       2
#define INTERRUPTED 3

#define NOWHERE 2

bit run_lock[2], endpoint_lock, caller_lock;
bool busy[2] = true;		/* the CPU runs a thread */

byte state[2], cpu[2], wait_state[2], runs_on[2];
bool on_stack[2];		/* a CPU uses the thread's kernel stack */
bool plain[2];			/* the wait needs nothing of the stack */
bool direct[2];			/* it went to user mode without its stack */
bool work[2];			/* exit_work */

bool receiving, queued;		/* in the endpoint's lists */
byte sequence, serving;		/* of the caller's calls; of the one the server has, 0: none */
bool open, away;
byte answered;			/* the call that has been answered last */
bool done;

#define TAKE(l) atomic { !l -> l = 1 }
#define DECIDE(t, outcome, won) \
	won = (wait_state[t] == ACTIVE); \
	if :: won -> wait_state[t] = outcome :: else fi

inline sched_wake(t)
{
	do
	:: true ->
		at = cpu[t];
		TAKE(run_lock[at]);
		if
		:: cpu[t] == at -> break
		:: else -> run_lock[at] = 0
		fi
	od;
	atomic {
		if
		:: state[t] == BLOCKED && wait_state[t] != ACTIVE ->
			state[t] = READY;
			if :: cpu[t] = 0 :: cpu[t] = 1 fi
		:: else
		fi;
		run_lock[at] = 0;
		at = 0
	}
}

/* The CPU leaves the stack of the thread, which runs again when another step says so. */
inline sched_block(t)
{
	c = cpu[t];
	TAKE(run_lock[c]);
	if
	:: wait_state[t] != ACTIVE -> run_lock[c] = 0
	:: else ->
		state[t] = BLOCKED;
		atomic {
			on_stack[t] = false;
			runs_on[t] = NOWHERE;
			busy[c] = false;
			run_lock[c] = 0
		};
		runs_on[t] != NOWHERE || done
	fi
}

/* Whether thread t, which runs on c, lets the other have the CPU. The lock of the run queue is then
 * held. */
inline take_turn(t, other)
{
	taken = false;
#ifndef BROKEN_2	/* the other is looked at without the lock */
	TAKE(run_lock[c]);
#endif
	if
	:: state[other] == BLOCKED && cpu[other] == c && plain[other] ->
#ifdef BROKEN_1	/* what else the thread has to do is looked at before its wait begins */
		taken = !work[t];
		wait_state[t] = ACTIVE;
#else
		wait_state[t] = ACTIVE;
		taken = !work[t];
#endif
		if
		:: taken -> atomic { DECIDE(other, NONE, taken) }
		:: else
		fi;
		if
		:: !taken -> wait_state[t] = NONE
		:: else
		fi
	:: else
	fi;
#ifdef BROKEN_2
	TAKE(run_lock[c]);
#endif
	if
	:: !taken -> run_lock[c] = 0
	:: else
	fi
}

/* The lock is held, and released when the stack has been left. */
inline leave_to(t, other)
{
	state[t] = BLOCKED;
	plain[t] = true;
	plain[other] = false;
	state[other] = RUNNING;
#ifdef BROKEN_3	/* the lock is released while the stack is in use */
	run_lock[c] = 0;
#endif
	atomic {
		assert(!on_stack[other] && runs_on[other] == NOWHERE);
		on_stack[t] = false;
		runs_on[t] = NOWHERE;
		on_stack[other] = true;
		direct[other] = true;
		runs_on[other] = c;
#ifndef BROKEN_3
		run_lock[c] = 0
#endif
	};
	runs_on[t] != NOWHERE || done
}

proctype caller()
{
	byte c, at, made;
	bool taken, won;

	do
	:: made == CALLS -> break
	:: made < CALLS ->
		made++;
		work[C] = false;	/* in user mode */
		TAKE(endpoint_lock);
		c = cpu[C];
		if
		:: receiving ->
			take_turn(C, S);
			if
			:: taken ->
				atomic {
					receiving = false;
					sequence++;
					serving = sequence;
					open = true;
					endpoint_lock = 0
				};
				leave_to(C, S);
				goto awake
			:: else
			fi
		:: else
		fi;
		TAKE(caller_lock);
		atomic {
			sequence++;
			open = true;
			won = false;
			if
			:: receiving ->
				receiving = false;
				DECIDE(S, WOKEN, won)
			:: else
			fi;
			if
			:: won -> serving = sequence
			:: else -> queued = true
			fi
		};
		if
		:: won -> sched_wake(S)
		:: else
		fi;
		endpoint_lock = 0;
wait:
		atomic { wait_state[C] = ACTIVE; plain[C] = true };
		if
		:: work[C] -> atomic { DECIDE(C, INTERRUPTED, won); won = false }
		:: else
		fi;
		caller_lock = 0;
		sched_block(C);
awake:
		if
		:: direct[C] -> atomic { direct[C] = false; assert(!open) }
		:: else ->
			TAKE(caller_lock);
			plain[C] = false;
			if
			:: open && wait_state[C] == INTERRUPTED ->
				atomic { wait_state[C] = NONE; away = true; caller_lock = 0 };
				work[C] = false;	/* the handler, and await */
				TAKE(caller_lock);
				away = false;
				if
				:: open -> goto wait
				:: else
				fi
			:: else -> assert(!open)
			fi;
			atomic { wait_state[C] = NONE; caller_lock = 0 }
		fi;
		assert(answered == sequence)
	od;
	atomic { done = true; on_stack[C] = false; busy[cpu[C]] = false; runs_on[C] = NOWHERE }
}

proctype server()
{
	byte c, at;
	bool taken, won;

	do
	:: true ->
		work[S] = false;	/* in user mode */
		if
		:: serving == 0 -> goto receive
		:: else
		fi;
		TAKE(endpoint_lock);
		c = cpu[S];
		if
		:: !queued ->
			take_turn(S, C);
			if
			:: taken ->
				atomic {
					assert(open && sequence == serving);
					open = false;
					answered = serving;
					serving = 0;
					receiving = true;
					endpoint_lock = 0
				};
				leave_to(S, C);
				goto awake
			:: else
			fi
		:: else
		fi;
		endpoint_lock = 0;
		TAKE(caller_lock);
		atomic {
			assert(open && sequence == serving);
			DECIDE(C, WOKEN, won);
			assert(won || away || wait_state[C] == INTERRUPTED);
			open = false;
			answered = serving;
			serving = 0
		};
		if
		:: won -> sched_wake(C)
		:: else
		fi;
		caller_lock = 0;
receive:
		TAKE(endpoint_lock);
look:
		if
		:: serving -> skip
		:: !serving && queued -> atomic { queued = false; serving = sequence }
		:: !serving && !queued ->
			atomic { receiving = true; wait_state[S] = ACTIVE; plain[S] = true };
			if
			:: work[S] -> atomic { DECIDE(S, INTERRUPTED, won); won = false }
			:: else
			fi;
			endpoint_lock = 0;
			sched_block(S);
awake:
			if
			:: done -> break
			:: !done && direct[S] -> direct[S] = false; goto called
			:: else
			fi;
			TAKE(endpoint_lock);
			atomic { plain[S] = false; receiving = false; wait_state[S] = NONE };
			work[S] = false;
			goto look
		fi;
		endpoint_lock = 0;
called:
		assert(serving);
		/* It may answer only when the caller's handler has run, or lacks a CPU. */
		if
		:: skip
		:: true -> !work[C] || state[C] == READY
		fi
	od
}

/* A CPU that has no thread. */
proctype idle(byte c)
{
	byte t;

end:	do
	:: atomic {
		!run_lock[c] && !busy[c] && ((state[C] == READY && cpu[C] == c) ||
			(state[S] == READY && cpu[S] == c)) ->
		if
		:: state[C] == READY && cpu[C] == c -> t = C
		:: state[S] == READY && cpu[S] == c -> t = S
		fi;
		assert(!on_stack[t] && runs_on[t] == NOWHERE);
		state[t] = RUNNING;
		on_stack[t] = true;
		busy[c] = true;
		runs_on[t] = c;
		t = 0
	}
	od
}

/* Comes once, or not at all. */
proctype notification(byte t)
{
	byte at;
	bool won;

	if
	:: work[t] = true;
		atomic { DECIDE(t, INTERRUPTED, won) };
		if
		:: won -> sched_wake(t)
		:: else
		fi
	:: true
	fi
}

init
{
	atomic {
		cpu[S] = 1;
		runs_on[S] = 1;
		on_stack[C] = true;
		on_stack[S] = true;
		run caller();
		run server();
		run idle(0);
		run idle(1);
		run notification(C);
		run notification(S)
	};
	done
}
