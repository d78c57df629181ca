/* A call to an endpoint in registers, against all that can end it.
 *
 * Models  kernel/object/endpoint.c: endpoint_call, signal_and_await, await_answer, leave_call,
 *         endpoint_receive, deliver_locked, answer_call, endpoint_close, thread_leave_calls
 *
 * Bounds: callers make CALLS calls each; servers receive and answer until the endpoint is closed or
 * they are killed. A deadline may pass, a notification may come, and each thread may be killed, at
 * any time and once each; the endpoint may be closed at any time, and is in the end. SHORT has one
 * caller that calls twice. The large bounds have two callers that call once, of which one gets a
 * notification and the other has a deadline, and the server may be killed. The handler of a
 * notification is code of the program: the call goes on meanwhile, and the thread may end in it.
 * Run queues are left out: a thread that is decided runs (models/sched.pml).
 *
 * Claims: every call ends, and in one way. An answer reaches the call for which it was given.
 * Two servers never have one call. No server waits while a call does. In the end no server
 * holds a reference to a caller, and nothing is in a queue. */

#ifdef SHORT
#define CALLERS 1
#define SERVERS 1
#else
#define CALLERS 2
#define SERVERS 1
#endif
#ifdef SHORT
#define CALLS   2
#else
#define CALLS   1
#endif
#define THREADS (CALLERS + SERVERS)
#define NOBODY  9

/* wait_state */
#define NONE        0
#define ACTIVE      1
#define WOKEN       2
#define TIMED_OUT   3
#define INTERRUPTED 4
#define KILLED      5

/* How a call was answered. */
#define NOT          0
#define ANSWERED     1
#define DISCONNECTED 2

bit endpoint_lock, lock[CALLERS];
bool closed;
chan queue = [CALLERS] of { byte };
chan receivers = [SERVERS] of { byte };
byte wait_state[THREADS];
bool killed[THREADS];

/* A caller's record of its call, guarded by its lock. */
byte sequence[CALLERS], answer[CALLERS], answered_sequence[CALLERS];
byte server[CALLERS] = NOBODY;
bool in_call[CALLERS];

byte references[CALLERS];	/* of servers to a caller's record */
byte serving[SERVERS] = NOBODY, serving_sequence[SERVERS];
byte servers_left = SERVERS, callers_left = CALLERS;

#define TAKE(l) atomic { !l -> l = 1 }
#define DECIDE(id, outcome, won) \
	won = (wait_state[id] == ACTIVE); \
	if :: won -> wait_state[id] = outcome :: else fi

/* The lock of the caller is held. It may be in its handler, or on its way there. */
#define IS_AWAY(c) (wait_state[c] == NONE || wait_state[c] == INTERRUPTED)

inline deliver_locked(c, s)
{
	assert(server[c] == NOBODY && serving[s] == NOBODY && in_call[c]);
	server[c] = s;
	serving[s] = c;
	serving_sequence[s] = sequence[c];
	references[c]++
}

/* answer_call, and the end of a call by the endpoint's: the lock of the caller is held. */
inline settle_locked(c, how)
{
	DECIDE(c, WOKEN, won);
	if
#ifdef BROKEN_3	/* an answer to a thread in its handler is dropped */
	:: won ->
#else
	:: won || IS_AWAY(c) ->
#endif
		assert(answer[c] == NOT);
		answer[c] = how;
		server[c] = NOBODY
	:: else
	fi
}

inline answer_call(s, how)
{
	atomic { c = serving[s] };
#ifdef BROKEN_2	/* whether it is still the same call is looked at without the lock */
	atomic { mine = (server[c] == s && sequence[c] == serving_sequence[s]) };
	TAKE(lock[c]);
#else
	TAKE(lock[c]);
#ifdef BROKEN_1	/* the answer goes to whatever call the thread is in */
	atomic { mine = in_call[c] };
#else
	atomic { mine = (server[c] == s && sequence[c] == serving_sequence[s]) };
#endif
#endif
	atomic {
		if
		:: mine && answer[c] == NOT ->
			settle_locked(c, how);
			answered_sequence[c] = (answer[c] == how -> serving_sequence[s] :
				answered_sequence[c])
		:: else
		fi;
		won = false;
		mine = false
	};
	atomic { references[c]--; serving[s] = NOBODY; lock[c] = 0; c = 0 }
}

proctype caller(byte id)
{
	byte made, r;
	bool won, queued;

	do
	:: made == CALLS || killed[id] -> break
	:: made < CALLS && !killed[id] ->
		made++;
		TAKE(endpoint_lock);
		if
		:: closed -> endpoint_lock = 0; goto next_call
		:: else
		fi;
		TAKE(lock[id]);
		atomic {
			sequence[id]++;
			in_call[id] = true;
			answer[id] = NOT;
			wait_state[id] = ACTIVE;
			do
			:: receivers ? r ->
				DECIDE(CALLERS + r, WOKEN, won);
				if
				:: won -> deliver_locked(id, r); break
				:: else
				fi
			:: empty(receivers) -> queue ! id; queued = true; break
			od;
			r = 0;
			won = false;
			endpoint_lock = 0
		};
		if
		:: queued -> /* an event is bound, and is signalled without locks */
			atomic {
				queued = false;
#ifndef BROKEN_9	/* the thread counts as waiting while it signals */
				wait_state[id] = NONE;
#endif
				lock[id] = 0
			};
			goto back
		:: true -> queued = false
		fi;
wait:
		/* wait_block: the lock of the thread is held */
		atomic {
			if :: killed[id] -> DECIDE(id, KILLED, won); won = false :: else fi;
			lock[id] = 0
		};
		wait_state[id] != ACTIVE;
		TAKE(lock[id]);
		if
		:: wait_state[id] == INTERRUPTED && answer[id] == NOT ->
			atomic { wait_state[id] = NONE; lock[id] = 0 };
			/* the handler; the thread may end there */
			if
			:: killed[id] -> TAKE(lock[id]); goto leave
			:: true
			fi;
back:
#ifdef BROKEN_7	/* the answer is looked for before the lock is taken */
			atomic { won = (answer[id] != NOT) };
			TAKE(lock[id]);
			if
			:: won -> won = false
			:: else -> wait_state[id] = ACTIVE; goto wait
			fi
#else
			TAKE(lock[id]);
			if
			:: answer[id] != NOT
			:: else -> wait_state[id] = ACTIVE; goto wait
			fi
#endif
		:: else
		fi;
leave:
		/* leave_call: the lock is held */
		atomic {
			assert(answer[id] != NOT || wait_state[id] == TIMED_OUT ||
				wait_state[id] == KILLED || killed[id]);
			assert(answer[id] != ANSWERED || answered_sequence[id] == sequence[id]);
			in_call[id] = false;
			server[id] = NOBODY;
			wait_state[id] = NONE;
			lock[id] = 0
		};
		TAKE(endpoint_lock);
		atomic {
#ifndef BROKEN_6	/* the thread stays in the queue */
			if
			:: queue ?? [eval(id)] -> queue ?? eval(id)
			:: else
			fi;
#endif
			endpoint_lock = 0
		};
next_call:
		skip
	od;
	callers_left--
}

proctype serve(byte s)
{
	byte c;
	bool won, mine;

	do
	:: killed[CALLERS + s] -> break
	:: !killed[CALLERS + s] ->
#ifdef BROKEN_8	/* the queue is looked at before the lock is taken */
		atomic { won = empty(queue) };
		TAKE(endpoint_lock);
#else
		TAKE(endpoint_lock);
		atomic { won = empty(queue) };
#endif
again:
		if
		:: closed -> endpoint_lock = 0; break
		:: !closed && !won && nempty(queue) ->
			queue ? c;
			TAKE(lock[c]);
			atomic {
				if
				:: in_call[c] -> deliver_locked(c, s)
				:: else	/* its call has ended, and it is on its way */
				fi;
				lock[c] = 0;
				c = 0
			};
			if
			:: serving[s] == NOBODY -> won = empty(queue); goto again
			:: else
			fi
		:: !closed && (won || empty(queue)) ->
			atomic {
				assert(empty(queue));
				wait_state[CALLERS + s] = ACTIVE;
				won = false;
				if
				:: killed[CALLERS + s] -> DECIDE(CALLERS + s, KILLED, won)
				:: else -> receivers ! s
				fi;
				endpoint_lock = 0
			};
			wait_state[CALLERS + s] != ACTIVE;
			TAKE(endpoint_lock);
			atomic {
				if
				:: receivers ?? [eval(s)] -> receivers ?? eval(s)
				:: else
				fi;
				wait_state[CALLERS + s] = NONE
			}
		fi;
		atomic { won = false; endpoint_lock = 0 };
		if
		:: serving[s] != NOBODY && !killed[CALLERS + s] -> answer_call(s, ANSWERED)
		:: else
		fi
	od;
	/* thread_leave_calls */
#ifndef BROKEN_4	/* the end of a server answers no call */
	if
	:: serving[s] != NOBODY -> answer_call(s, DISCONNECTED)
	:: else
	fi;
#endif
	servers_left--
}

/* endpoint_close: by the owner's process at any time, at the latest when its threads are gone. */
proctype close()
{
	byte c, s;
	bool won;

	TAKE(endpoint_lock);
	closed = true;
#ifndef BROKEN_5	/* those in the queue are forgotten */
	do
	:: queue ? c ->
		TAKE(lock[c]);
		atomic {
			if :: in_call[c] -> settle_locked(c, DISCONNECTED) :: else fi;
			answered_sequence[c] = sequence[c];
			won = false;
			lock[c] = 0;
			c = 0
		}
	:: empty(queue) -> break
	od;
#endif
	do
	:: receivers ? s -> atomic { DECIDE(CALLERS + s, WOKEN, won); won = false; s = 0 }
	:: empty(receivers) -> break
	od;
	endpoint_lock = 0
}

/* Each comes once, or not at all. */
proctype deadline(byte id)
{
	bool won;
	if :: atomic { DECIDE(id, TIMED_OUT, won) } :: true fi
}

proctype notification(byte id)
{
	bool won;
	if :: atomic { DECIDE(id, INTERRUPTED, won) } :: true fi
}

proctype kill(byte id)
{
	bool won;
	if
	:: killed[id] = true;
		atomic { DECIDE(id, KILLED, won) }
	:: true
	fi
}

init
{
	byte i;
	atomic {
		for (i : 0 .. CALLERS - 1) {
			run caller(i);
#ifdef SHORT
			run deadline(i);
			run notification(i);
			run kill(i)
#else
			if :: i == 0 -> run notification(i) :: else -> run deadline(i) fi
#endif
		}
		for (i : 0 .. SERVERS - 1) {
			run serve(i);
			run kill(CALLERS + i)
		}
		run close()
	};
	callers_left == 0 && servers_left == 0;
	for (i : 0 .. CALLERS - 1) {
		assert(references[i] == 0 && server[i] == NOBODY && !in_call[i])
	}
	assert(empty(queue) && empty(receivers))
}
