/* Calls to an endpoint through the ring, of which a thread has several outstanding.
 *
 * Models  kernel/object/ring_call.c: queue, ring_call_wake, begin_direct, ring_call_receive,
 *         ring_call_answer, ring_call_disconnect, ring_call_wait, ring_call_collect, leave,
 *         leave_to_server, give_up, ring_calls_leave;
 *         kernel/object/endpoint.c: receive_next, disconnect_all;
 *         kernel/object/endpoint_direct.c: answer_ring_direct
 *
 * Bounds: a caller makes CALLS calls and looks after them until all have ended; servers receive and
 * answer until the endpoint is closed or they are killed. The deadline of the first call may come,
 * and the caller may give up the last, at any time. The caller and one server may be killed; the
 * endpoint may be closed at any time, and is in the end. SHORT has one call, else there are two.
 * What is done under one lock in one go is one step. Calls in registers are models/endpoint.pml.
 * How a CPU goes from one thread to another is models/handover.pml; here a call that goes straight
 * to a server, and an end that goes straight to the caller, are what else they do: a step under all
 * the locks.
 *
 * Claims: every call ends, in one way, and is completed once, unless its caller ends first. Nobody
 * reads or writes a record that has been freed, or that its caller has for its next call. The
 * caller reads an answer that is whole. Nobody waits while there is something to do. In the end no
 * record and no queued call is left. */

#ifdef SHORT
#define CALLS   1
#else
#define CALLS   2
#endif
#define SERVERS 1
#define NOTHING 9

/* How a call has ended. */
#define NOT          0
#define ANSWERED     1
#define DISCONNECTED 2
#define TIMED_OUT    3
#define CANCELLED    4

bit endpoint_lock;
bool closed;
chan queue = [CALLS] of { byte };
chan receivers = [SERVERS] of { byte };
chan ended = [CALLS] of { byte };	/* guarded by the caller's lock */

bool open[CALLS], late[CALLS], whole[CALLS], completed[CALLS];
byte how[CALLS];
bool kept[CALLS], held[CALLS];	/* the caller has the record; a server has */
bool received[CALLS], reused[CALLS];
byte given[SERVERS] = NOTHING;	/* the call that has come straight to the server */
bool caller_waits, caller_killed, caller_left;
bool due;			/* the caller is to wake receivers */
bool server_waits[SERVERS], server_killed[SERVERS];
byte servers_left = SERVERS;

/* Who uses the record has it. */
#define CALLER_USES(i)  assert(kept[i])
#define SERVER_USES(i)  assert(held[i] && !reused[i])

/* A step under the caller's lock. */
inline settle_locked(i, end)
{
	assert(open[i] && how[i] == NOT);
	CALLER_USES(i);
	open[i] = false;
	how[i] = end;
	ended ! i;
#ifndef BROKEN_2	/* a caller that waits is not woken */
	caller_waits = false
#endif
}

/* The call is not open. One that has been received is in no queue, which the caller has seen with
 * its end. A server that still has the record frees it. */
inline leave(i)
{
	if
	:: received[i] -> skip
	:: else ->
		atomic {
			!endpoint_lock;
#ifndef BROKEN_3	/* the call stays in the queue */
			if
			:: queue ?? [eval(i)] -> queue ?? eval(i)
			:: else
			fi
#endif
		}
	fi;
	CALLER_USES(i);
#ifdef BROKEN_7	/* the caller uses the record again that a server has */
	reused[i] = true;
#else
	reused[i] = !held[i];
#endif
	kept[i] = false
}

inline expire_locked()
{
	for (i : 0 .. CALLS - 1) {
		if
		:: open[i] && late[i] -> settle_locked(i, TIMED_OUT)
		:: else
		fi
	}
}

proctype caller()
{
	byte i, s, left;
	bool gave_up;

	for (i : 0 .. CALLS - 1) {
		atomic {
			!endpoint_lock;
			if
			:: closed -> completed[i] = true; how[i] = DISCONNECTED
			:: else ->
				left++;
				kept[i] = true;
				open[i] = true;
				if
				:: empty(queue) && nempty(receivers) && i == CALLS - 1 ->
					/* begin_direct */
					receivers ? s;
					received[i] = true;
					held[i] = true;
					given[s] = i;
					server_waits[s] = false
				:: true -> queue ! i; due = due || nempty(receivers)
				fi
			fi;
			s = 0
		}
	}
#ifndef BROKEN_10	/* nobody is told of calls that were queued */
	atomic {		/* ring_call_wake */
		!endpoint_lock;
		for (i : 0 .. CALLS - 1) {
			if
			:: due && nempty(receivers) -> receivers ? s; server_waits[s] = false
			:: !due || empty(receivers)
			fi
		}
		s = 0;
		due = false
	};
#else
	due = false;
#endif
	do
	:: left == 0 || caller_killed -> break
	:: left != 0 && !caller_killed -> /* ring_call_wait */
#ifdef BROKEN_4	/* whether a call has ended is looked at without the lock */
		s = empty(ended);
		atomic {
			expire_locked();
			caller_waits = s && !caller_killed;
#else
		atomic {
			expire_locked();
			caller_waits = empty(ended) && !caller_killed;
#endif
			s = 0;
			i = 0
		};
		!caller_waits;
		if
		:: nempty(ended) && !caller_killed -> /* ring_call_collect */
			ended ? i;
			CALLER_USES(i);
			assert(!completed[i]);
			assert(how[i] != ANSWERED || whole[i]);
			completed[i] = true;
			how[i] = NOT;
			left--;
			leave(i);
			i = 0
		:: else
		fi
	:: left != 0 && !caller_killed && !gave_up -> /* give_up */
		atomic {
			gave_up = true;
			if
			:: open[CALLS - 1] -> settle_locked(CALLS - 1, CANCELLED)
			:: else
			fi
		}
	od;
	/* ring_calls_leave */
	for (i : 0 .. CALLS - 1) {
		if
		:: !completed[i] ->
#ifndef BROKEN_5	/* a call stays open when its caller ends */
			open[i] = false;
#endif
			leave(i)
		:: else
		fi
	}
	caller_left = true
}

inline answer(end)
{
#ifdef BROKEN_1	/* whether the call is open is looked at without the lock */
	was_open = open[mine];
	atomic {
		SERVER_USES(mine);
		if
		:: was_open -> settle_locked(mine, (late[mine] -> TIMED_OUT : end))
#else
	atomic {
		SERVER_USES(mine);
		if
		:: open[mine] -> settle_locked(mine, (late[mine] -> TIMED_OUT : end))
#endif
		:: else
		fi;
#ifndef BROKEN_6
		held[mine] = false
#endif
	};
#ifdef BROKEN_6	/* the bytes are written after the answer */
	SERVER_USES(mine);
	whole[mine] = true;
#endif
	mine = NOTHING
}

/* Under the endpoint's lock: the call has been taken out of the queue. */
inline receive(i)
{
	atomic {
		CALLER_USES(i);
		if
		:: open[i] && !late[i] ->
			received[i] = true;
			held[i] = true;
			mine = i
		:: open[i] && late[i] -> settle_locked(i, TIMED_OUT)
		:: else
		fi;
		i = 0
	}
}

proctype serve(byte s)
{
	byte i, mine = NOTHING;
	bool was_open;

	do
	:: server_killed[s] -> break
	:: !server_killed[s] ->
		atomic { !endpoint_lock -> endpoint_lock = 1 };
again:
		if
		:: nempty(queue) ->
			queue ? i;
			receive(i);
			if
			:: mine == NOTHING -> goto again
			:: else -> endpoint_lock = 0
			fi
		:: empty(queue) && closed -> endpoint_lock = 0; break
		:: empty(queue) && !closed ->
			atomic {
				server_waits[s] = !server_killed[s];
				receivers ! s;
				endpoint_lock = 0
			};
			!server_waits[s];
			atomic {
				!endpoint_lock;
				if
				:: receivers ?? [eval(s)] -> receivers ?? eval(s)
				:: else
				fi;
				mine = given[s];
				given[s] = NOTHING
			}
		fi;
		if
		:: mine != NOTHING && !server_killed[s] ->
#ifndef BROKEN_6
			atomic { SERVER_USES(mine); whole[mine] = true };
#endif
			answer(ANSWERED)
		:: else
		fi
	od;
	/* thread_leave_calls */
#ifndef BROKEN_8	/* the end of a server answers no call */
	if
	:: mine != NOTHING -> answer(DISCONNECTED)
	:: else
	fi;
#endif
	servers_left--
}

proctype close()
{
	byte i, s;

	atomic {
		!endpoint_lock -> endpoint_lock = 1;
		assert(empty(queue) || due || !server_waits[0]);
		closed = true
	};
#ifndef BROKEN_9	/* those in the queue are forgotten */
	do
	:: queue ? i ->
		atomic {
			CALLER_USES(i);
			if :: open[i] -> settle_locked(i, DISCONNECTED) :: else fi;
			i = 0
		}
	:: empty(queue) -> break
	od;
#endif
	do
	:: receivers ? s -> atomic { server_waits[s] = false; s = 0 }
	:: empty(receivers) -> break
	od;
	endpoint_lock = 0
}

/* The wait of a caller ends with its earliest deadline. */
proctype deadline(byte i)
{
	if :: atomic { late[i] = true; caller_waits = false } :: true fi
}

proctype kill_caller()
{
	if :: atomic { caller_killed = true; caller_waits = false } :: true fi
}

proctype kill_server(byte s)
{
	if :: atomic { server_killed[s] = true; server_waits[s] = false } :: true fi
}

init
{
	byte i;
	atomic {
		run caller();
		run kill_caller();
		run deadline(0);
		for (i : 0 .. SERVERS - 1) {
			run serve(i)
		}
		run kill_server(0);
		run close()
	};
	caller_left && servers_left == 0 && closed && endpoint_lock == 0;
	for (i : 0 .. CALLS - 1) {
		assert(!kept[i] && !held[i] && !open[i]);
		assert(completed[i] || caller_killed)
	}
	assert(empty(queue) && empty(receivers))
}
