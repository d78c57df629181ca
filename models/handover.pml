/* The hand-over of a CPU between a caller and a server, against wakes and other CPUs.
 *
 * Models  kernel/object/endpoint_direct.c: call_direct, answer_direct, take_receiver
 *         kernel/object/endpoint.c: await_answer, wait_for_call_locked, answer_call, settle_locked,
 *                                   deliver_locked, message_resume
 *         kernel/sched/sched.c: sched_block, sched_wake, sched_await_left
 *
 * Bounds: two CPUs, a caller that makes CALLS calls, and a server that answers them. Each may get a
 * notification, by another CPU, at any time and once. A thread that is woken goes to either CPU. A
 * CPU without a thread runs one that is ready. The caller's handler runs while its call goes on.
 * Another caller, on a CPU of its own, makes one call where it finds the server waiting. Of the two
 * notifications and that call, a run has two. Deadlines and the ends of threads are left out: the
 * direct path is not for those (endpoint.pml).
 *
 * A message is two words, each of which is a step where it is read from the server's frame or
 * written there. The caller's frame, which only one CPU uses at a time, has one. The handler of a
 * notification overwrites it.
 *
 * Claims: no thread runs on two CPUs, or while another CPU uses its stack. An answer reaches the
 * call for which it was given. A message arrives whole and as it was sent. Every call is answered:
 * no invalid end state, so no wake is lost. */

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

#define OTHER     9		/* in place of a sequence: the call of the other caller */
#define ANSWER(n) (16 + (n))
#define JUNK      99

byte caller_word;		/* in its frame: what it sends, or has received */
byte word_a, word_b;		/* in the server's frame */
byte saved;			/* the message in the record of the call; 0: it is in the frame */

/* What a word says of which each half is a word. */
#define WHOLE(first, second) (first == second -> first : JUNK)

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

/* The lock is held, and released when the stack has been left and the message is in registers. */
inline leave_to(t, other)
{
	state[t] = BLOCKED;
	plain[t] = true;
	plain[other] = false;
	state[other] = RUNNING;
#ifdef BROKEN_3	/* the lock is released while the stack is in use */
	run_lock[c] = 0;
#endif
	if
	:: t == S -> a = word_a
	:: else -> a = caller_word
	fi;
	atomic {
		if
		:: t == S -> caller_word = WHOLE(a, word_b)
		:: else -> word_a = a; word_b = a
		fi;
		a = 0;
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

/* The wait of the server has been decided by thread t, or by the other caller, and its frame may
 * still be read by the CPU that it has left. */
inline sched_await_left()
{
#ifdef BROKEN_4	/* its frame is written to at once */
	skip
#else
	at = cpu[S];
	TAKE(run_lock[at]);
	atomic { run_lock[at] = 0; at = 0 }
#endif
}

proctype caller()
{
	byte c, at, made, a;
	bool taken, won;

	do
	:: made == CALLS -> break
	:: made < CALLS ->
		made++;
		atomic { work[C] = false; caller_word = sequence + 1 };	/* in user mode */
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
		:: won ->
			if
			:: cpu[S] != cpu[C] -> sched_await_left()
			:: else
			fi;
			word_a = caller_word;
			word_b = caller_word;
			sched_wake(S)
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
				atomic {
					if
					:: serving != sequence && !saved -> saved = sequence
					:: else
					fi;
					wait_state[C] = NONE;
					away = true;
					caller_lock = 0
				};
				atomic { work[C] = false; caller_word = JUNK };	/* the handler */
				TAKE(caller_lock);
				away = false;
				if
				:: open -> goto wait
				:: else
				fi
			:: else -> assert(!open)
			fi;
			atomic {
				if
				:: saved -> caller_word = saved; saved = 0
				:: else
				fi;
				wait_state[C] = NONE;
				caller_lock = 0
			}
		fi;
		assert(answered == sequence && caller_word == ANSWER(sequence))
	od;
	atomic { done = true; on_stack[C] = false; busy[cpu[C]] = false; runs_on[C] = NOWHERE }
}

proctype server()
{
	byte c, at, a;
	bool taken, won;

	do
	:: true ->
		atomic {		/* in user mode */
			work[S] = false;
			if
			:: serving == 0 -> goto receive
			:: serving == OTHER -> serving = 0; goto receive
			:: else -> word_a = ANSWER(serving); word_b = ANSWER(serving)
			fi
		};
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
		:: won ->
			caller_word = word_a;
			atomic { caller_word = WHOLE(caller_word, word_b) };
			sched_wake(C)
		:: else -> saved = WHOLE(word_a, word_b)
		fi;
		caller_lock = 0;
receive:
		TAKE(endpoint_lock);
look:
		if
		:: serving -> skip
		:: !serving && queued ->
			TAKE(caller_lock);
			atomic { queued = false; serving = sequence };
			if
			:: saved -> atomic { word_a = saved; word_b = saved; saved = 0 }
			:: else -> word_a = caller_word; word_b = caller_word
			fi;
			caller_lock = 0
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
		atomic {
			assert(serving && word_a == serving && word_b == serving);
			word_a = 0;
			word_b = 0
		};
		/* It may answer only when the caller's handler has run, or lacks a CPU. */
		if
		:: skip
		:: true -> !work[C] || state[C] == READY || done
		fi
	od
}

/* Another thread that calls the server, once and only if it waits. Its own wait is left out. */
proctype other_caller()
{
	byte at;
	bool won;

	TAKE(endpoint_lock);
	atomic {
		if
		:: receiving ->
			receiving = false;
			DECIDE(S, WOKEN, won)
		:: else
		fi;
		if
		:: won -> serving = OTHER
		:: else
		fi
	};
	if
	:: won ->
		sched_await_left();
		word_a = OTHER;
		word_b = OTHER;
		sched_wake(S)
	:: else
	fi;
	endpoint_lock = 0
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
		if
		:: run notification(C); run notification(S)
		:: run notification(C); run other_caller()
		:: run notification(S); run other_caller()
		fi
	};
	done
}
