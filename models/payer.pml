/* Who pays for a server's work: the quota of a caller, through two servers, against the end of each
 * of the three threads at any time.
 *
 * Models  kernel/object/endpoint.c: begin_payment, end_payment, attach_locked, answer_call,
 *         thread_leave_calls
 *         kernel/sched/sched.c: is_paid, sched_set_payer
 *
 * Bounds: a caller with a quota calls a first server, which calls a second one for it, ROUNDS
 * times. The caller or the first server gives its call up, or ends, at any time. The servers are
 * charged at any time.
 *
 * Claims: no quota is charged after its ledger is freed, and no thread's record is used after its
 * last reference is gone. A server that finds the call given up charges nothing. In the end the
 * ledger has no reference, and no server has a payer. */

#ifdef SHORT
#define ROUNDS 1
#else
#define ROUNDS 2
#endif

#define CALLER 0
#define FIRST  1
#define SECOND 2

byte ledger = 1;	/* references: that of the caller's record */
byte record[3] = 1;	/* references: each thread's own */
bool open[3];		/* of the call that the thread has made */
bool serving[3];	/* it has received one, from the thread before it */
bool payer[3];
bit lock[3];		/* of a thread */

#define TAKE(l) atomic { !l -> l = 1 }
#define USE(t) assert(record[t] > 0)

inline drop_record(t)
{
	atomic {
		USE(t);
		record[t]--;
		if
		:: t == CALLER && !record[t] -> assert(ledger > 0); ledger--
		:: else
		fi
	}
}

/* attach_locked: t calls the next thread, which waits for a call. */
inline call(t)
{
	TAKE(lock[t]);
	atomic { open[t] = true; record[t]++ };
	if
	:: t == CALLER || payer[t] ->
#ifndef BROKEN_1	/* the first server's reference is thought to be enough */
		atomic { assert(ledger > 0); ledger++ };
#else
		atomic { if :: t == CALLER -> ledger++ :: else fi };
#endif
		payer[t + 1] = true
	:: else
	fi;
	serving[t + 1] = true;
	lock[t] = 0
}

/* The call that t has made is over, by an answer or because t gives it up. */
inline wait_or_leave(t)
{
	if
	:: !open[t]
	:: true -> TAKE(lock[t]); open[t] = false; lock[t] = 0
	fi
}

inline end_payment(t)
{
	if
	:: payer[t] ->
		payer[t] = false;
		assert(ledger > 0);	/* it is asked what is left */
#ifdef BROKEN_2	/* the caller's record is given back before it is told */
		skip;
#else
		USE(t - 1);
#endif
#ifdef BROKEN_1
		atomic { if :: t == FIRST -> assert(ledger > 0); ledger-- :: else fi }
#else
		atomic { assert(ledger > 0); ledger-- }
#endif
	:: else
	fi
}

/* answer_call, also where the server ends with the call. */
inline answer(t)
{
#ifdef BROKEN_2
	drop_record(t - 1);
	end_payment(t);
	USE(t - 1);
#else
#ifndef BROKEN_3	/* the payer stays until another call comes */
	end_payment(t);
#endif
#endif
	TAKE(lock[t - 1]);
	open[t - 1] = false;
	lock[t - 1] = 0;
#ifndef BROKEN_2
	drop_record(t - 1);
#endif
	serving[t] = false
}

/* account_ticks: a charge that the server's CPU makes, after it has looked at the call. */
inline charge(t)
{
#ifdef BROKEN_4	/* whether the call goes on is not looked at */
	atomic { if :: payer[t] -> assert(open[t - 1]) :: else fi };
#endif
	if
	:: atomic { payer[t] && open[t - 1] -> USE(t - 1) };
		assert(ledger > 0)
	:: else
	fi
}

proctype caller()
{
	byte round;

	do
	:: round == ROUNDS -> break
	:: round < ROUNDS ->
		round++;
		!serving[FIRST];
		call(CALLER);
		wait_or_leave(CALLER)
	od;
	drop_record(CALLER)
}

proctype first()
{
end:	do
	:: serving[FIRST] ->
		charge(FIRST);
		if
		:: !serving[SECOND] ->
			call(FIRST);
			wait_or_leave(FIRST)
		:: true
		fi;
		charge(FIRST);
		answer(FIRST)
	od
}

proctype second()
{
end:	do
	:: serving[SECOND] ->
		charge(SECOND);
		charge(SECOND);
		answer(SECOND)
	od
}

init
{
	atomic {
		run caller();
		run first();
		run second()
	};
	!record[CALLER] && !serving[FIRST] && !serving[SECOND];
	assert(!ledger && !payer[FIRST] && !payer[SECOND] && record[FIRST] == 1)
}
