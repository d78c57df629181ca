/* The hand-over of a CPU between a caller and a server, against wakes and other CPUs.
 *
 * Models  kernel/object/endpoint_direct.c: call_direct, answer_direct, answer_ring_direct
 *         kernel/object/endpoint_direct.h: endpoint_take_standing
 *         kernel/object/endpoint.c: await_answer, wait_for_call_locked, answer_call, settle_locked,
 *                                   deliver_locked, message_resume
 *         kernel/object/ring_call.c: begin_direct, queue, ring_call_wake, go_to_receiver_locked,
 *                                    ring_call_answer, ring_call_wait, ring_call_waited
 *         kernel/sched/sched.c: sched_block, sched_wake, sched_await_left
 *
 * Bounds: two CPUs, a caller that makes CALLS calls, each in registers or through its ring (SHORT:
 * the last one only), and a server that answers them. Each may get a notification, by another CPU,
 * at any time and once. A thread that is woken goes to either CPU. A CPU without a thread runs one
 * that is ready. The caller's handler runs while its call goes on. Another caller, on a CPU of its
 * own, makes one call where it finds the server waiting. Of the two notifications and that call, a
 * run has two. Deadlines and the ends of threads are left out: the direct path is not for those
 * (endpoint.pml). So are several calls through the ring at a time (ringcall.pml).
 *
 * A message is two words, each of which is a step where it is read from the server's frame or
 * written there. The caller's frame, which only one CPU uses at a time, has one. The handler of a
 * notification overwrites it. A call through the ring has its message in a record.
 *
 * Claims: no thread runs on two CPUs, or while another CPU uses its stack. An answer reaches the
 * call for which it was given. A message arrives whole and as it was sent. Every call is answered:
 * no invalid end state, so no wake is lost. */

#ifdef SHORT
#define CALLS 2
#define IN_REGISTERS (made == 1)
#define THROUGH_RING (made == 2)
#else
#define CALLS 3
#define IN_REGISTERS true
#define THROUGH_RING true
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

/* Kinds of plain waits: for a call, for an answer in registers, for the end of a call through the
 * ring. */
#define OTHERWISE 0
#define FOR_CALL  1
#define FOR_ANSWER 2
#define FOR_END   3

bit run_lock[2], endpoint_lock, caller_lock;
bool busy[2] = true;		/* the CPU runs a thread */

byte state[2], cpu[2], wait_state[2], runs_on[2];
bool on_stack[2];		/* a CPU uses the thread's kernel stack */
byte plain[2];			/* the kind of a wait that needs nothing of the stack */
bool direct[2];			/* it went to user mode without its stack */
bool work[2];			/* exit_work */

bool receiving, queued;		/* in the endpoint's lists */
byte sequence, serving;		/* of the caller's calls; of the one the server has, 0: none */
bool open, away;
byte answered;			/* the call that has been answered last */
bool done;

/* Of the caller's call: it is through the ring, and its message is in the record; as the server has
 * it; the caller waits for its end. */
bool through_ring, by_ring, wanted;
byte record;

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
inline take_turn(t, other, kind)
{
	taken = false;
#ifndef BROKEN_2	/* the other is looked at without the lock */
	TAKE(run_lock[c]);
#endif
	if
	:: state[other] == BLOCKED && cpu[other] == c && plain[other] == kind ->
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

/* The lock is held, and released when the stack has been left and the message is in registers.
 * inside: the other goes on in the kernel, where it gets its message. */
inline leave_to(t, other, kind, inside)
{
	state[t] = BLOCKED;
	plain[t] = kind;
	plain[other] = OTHERWISE;
	state[other] = RUNNING;
#ifdef BROKEN_3	/* the lock is released while the stack is in use */
	run_lock[c] = 0;
#endif
	if
	:: inside -> skip
	:: !inside && t == S -> a = word_a
	:: !inside && t == C -> a = (kind == FOR_END -> record : caller_word)
	fi;
	atomic {
		if
		:: inside -> skip
		:: !inside && t == S -> caller_word = WHOLE(a, word_b)
		:: !inside && t == C -> word_a = a; word_b = a
		fi;
		a = 0;
		assert(!on_stack[other] && runs_on[other] == NOWHERE);
		on_stack[t] = false;
		runs_on[t] = NOWHERE;
		on_stack[other] = true;
		direct[other] = !inside;
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
	bool taken, won, due;

	do
	:: made == CALLS -> break
	:: made < CALLS ->
		made++;
		if		/* in user mode */
		:: atomic { IN_REGISTERS ->
			work[C] = false; caller_word = sequence + 1; through_ring = false }
		:: atomic { THROUGH_RING ->
			work[C] = false; record = sequence + 1; through_ring = true };
			goto ring
		fi;
		TAKE(endpoint_lock);
		c = cpu[C];
		if
		:: receiving ->
			take_turn(C, S, FOR_CALL);
			if
			:: taken ->
				atomic {
					receiving = false;
					sequence++;
					serving = sequence;
					open = true;
					endpoint_lock = 0
				};
				leave_to(C, S, FOR_ANSWER, false);
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
		atomic { wait_state[C] = ACTIVE; plain[C] = FOR_ANSWER };
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
			plain[C] = OTHERWISE;
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
		assert(answered == sequence && caller_word == ANSWER(sequence));
		goto next;
ring:
		TAKE(endpoint_lock);	/* begin_direct */
		c = cpu[C];
		if
		:: receiving && !queued ->
			TAKE(caller_lock);
			take_turn(C, S, FOR_CALL);
			if
			:: taken ->
				atomic {
					receiving = false;
					sequence++;
					serving = sequence;
					by_ring = true;
					open = true;
					wanted = true;
					caller_lock = 0;
					endpoint_lock = 0
				};
				leave_to(C, S, FOR_END, false);
				goto ring_awake
			:: else -> caller_lock = 0
			fi
		:: else
		fi;
		endpoint_lock = 0;
		TAKE(endpoint_lock);	/* queue */
		TAKE(caller_lock);
		atomic {
			sequence++;
			open = true;
			queued = true;
			due = receiving;
			caller_lock = 0;
			endpoint_lock = 0
		};
		if
		:: due ->		/* ring_call_wake */
			TAKE(endpoint_lock);
			if
			:: receiving && queued ->
				TAKE(caller_lock);
				take_turn(C, S, FOR_CALL);
				if
				:: taken ->
					atomic {
						receiving = false;
						wait_state[S] = WOKEN;
						wanted = true;
						due = false;
						caller_lock = 0;
						endpoint_lock = 0
					};
					leave_to(C, S, FOR_END, true);
					goto ring_awake
				:: else -> caller_lock = 0
				fi
			:: else
			fi;
#ifndef BROKEN_6	/* nobody is woken where the CPU could not go along */
			atomic {
				won = false;
				if
				:: receiving -> receiving = false; DECIDE(S, WOKEN, won)
				:: else
				fi
			};
			if
			:: won -> sched_wake(S)
			:: else
			fi;
#endif
			atomic { due = false; endpoint_lock = 0 }
		:: else
		fi;
ring_wait:
		TAKE(caller_lock);
		if
		:: !open -> caller_lock = 0; goto ended
		:: open -> atomic { wait_state[C] = ACTIVE; plain[C] = FOR_END; wanted = true }
		fi;
		if
		:: work[C] -> atomic { DECIDE(C, INTERRUPTED, won); won = false }
		:: else
		fi;
		caller_lock = 0;
		sched_block(C);
ring_awake:	/* ring_call_waited */
#ifdef BROKEN_5	/* how the wait has ended is not looked at */
		assert(!open);
#else
		if
		:: wait_state[C] == NONE -> assert(!open)
		:: else ->
			TAKE(caller_lock);
			atomic {
				plain[C] = OTHERWISE;
				wanted = false;
				wait_state[C] = NONE;
				caller_lock = 0
			};
			if
			:: open -> atomic { work[C] = false; caller_word = JUNK }; goto ring_wait
			:: else
			fi
		fi;
#endif
ended:
		assert(answered == sequence && record == ANSWER(sequence));
next:		skip
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
		:: !queued && by_ring ->
			TAKE(caller_lock);
			take_turn(S, C, FOR_END);
			if
			:: taken ->
				atomic {
					assert(open && sequence == serving && wanted);
					record = WHOLE(word_a, word_b);
					open = false;
					answered = serving;
					serving = 0;
					by_ring = false;
					wanted = false;
					receiving = true;
					caller_lock = 0;
					endpoint_lock = 0
				};
				leave_to(S, C, FOR_CALL, true);
				goto awake
			:: else -> caller_lock = 0
			fi
		:: !queued && !by_ring ->
			take_turn(S, C, FOR_ANSWER);
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
				leave_to(S, C, FOR_CALL, false);
				goto awake
			:: else
			fi
		:: else
		fi;
		endpoint_lock = 0;
		if
		:: by_ring ->		/* ring_call_answer */
			record = WHOLE(word_a, word_b);
			TAKE(caller_lock);
			atomic {
				assert(open && sequence == serving);
				won = false;
				if
				:: wanted -> wanted = false; DECIDE(C, WOKEN, won)
				:: else
				fi;
				open = false;
				answered = serving;
				serving = 0;
				by_ring = false
			};
			if
			:: won -> sched_wake(C)
			:: else
			fi;
			caller_lock = 0;
			goto receive
		:: else
		fi;
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
			atomic { queued = false; serving = sequence; by_ring = through_ring };
			if
			:: by_ring -> word_a = record; word_b = record
			:: !by_ring && saved -> atomic { word_a = saved; word_b = saved; saved = 0 }
			:: !by_ring && !saved -> word_a = caller_word; word_b = caller_word
			fi;
			caller_lock = 0
		:: !serving && !queued ->
			atomic { receiving = true; wait_state[S] = ACTIVE; plain[S] = FOR_CALL };
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
			atomic { plain[S] = OTHERWISE; receiving = false; wait_state[S] = NONE };
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
