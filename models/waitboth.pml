/* A wait for an event and a word at once, against all that ends it on either side.
 *
 * Models  kernel/object/event.c: event_wait_both, wait_both_once, wait_both_locked,
 *                                end_wait_locked, event_unnamed, signal
 *         kernel/mm/park.c: park_beside_join, park_beside_leave, park_drain, end_wait
 *         kernel/sched/wait.c: wait_block_both, wait_decide
 *
 * Bounds: a thread waits so ROUNDS times, and after each for something else, once. Before that it
 * sets the word back, as a poller does. A run chooses which causes there are, at least one, and
 * each alone is enough for all rounds: a signal and an unpark, each again when the program has
 * taken note of the one before; notifications; the end of the event; unmap. SHORT has up to three
 * of them in a run. A TLB and deadlines are park.pml's.
 *
 * Claims: the thread ends its rounds whatever the causes (no invalid end state), so neither side's
 * wake is lost. A bit that was signalled is set or has been taken, once. park_wake counts the waits
 * that the word has ended. Nothing of a wait that is over ends the next one. A word is not read in
 * a freed frame. */

#define ROUNDS 2
#ifdef SHORT
#define CAUSES_MAX 3
#else
#define CAUSES_MAX 5
#endif

#define NONE        0
#define ACTIVE      1
#define SIGNALLED   2
#define WOKEN       3
#define DRAINED     4
#define CLOSED      5
#define INTERRUPTED 6
#define OTHERWISE   7 /* the other wait, by what that is for */

bit event_lock, park_lock;
byte wait_state = NONE, outcome;
bool blocked;

bool bits, closed, in_event, given;	/* given: in the thread's record */
bool word, mapped = true, pte = true, frame_freed, in_park, waiters;
bool due;				/* a notification is pending */
bool interruptible;			/* the wait is for both */
bool otherwise, done;

byte signals, taken, woken_counted, woken;

#define TAKE(lock) atomic { !lock -> lock = 1 }
#define DECIDE(to, won) \
	won = (wait_state == ACTIVE); \
	if :: won -> wait_state = to :: else fi
#define WAKE if :: blocked && wait_state != ACTIVE -> blocked = false :: else fi

/* One step under the lock of the run queue. */
inline sched_block()
{
	atomic { blocked = (wait_state == ACTIVE) };
	!blocked
}

inline wait_begin()
{
	atomic { wait_state = ACTIVE; interruptible = true };
	atomic { if :: due -> DECIDE(INTERRUPTED, won); won = false :: else fi }
}

proctype waiter()
{
	byte round;
	bool won;

	do
	:: round == ROUNDS -> break
	:: round < ROUNDS ->
		round++;
#ifndef BROKEN_6	/* the thread counts itself when it has read the word */
		waiters = true;
#endif
		do
		:: outcome != NONE -> break
		:: else ->
			TAKE(event_lock);
			if
			:: bits -> atomic { bits = false; taken++; outcome = SIGNALLED }
			:: !bits && closed -> outcome = CLOSED
			:: else ->
				TAKE(park_lock);
				if
				:: !pte -> park_lock = 0
				:: pte && word ->
					assert(!frame_freed);
					atomic { outcome = WOKEN; park_lock = 0 }
				:: else ->
					assert(!frame_freed);
					in_park = true;
					in_event = true;
#ifdef BROKEN_1	/* the lock of the word's queue is left before the wait is active */
					park_lock = 0;
#endif
#ifdef BROKEN_2	/* the event's lock is left before the wait is active */
					event_lock = 0;
#endif
					wait_begin();
#ifdef BROKEN_6
					waiters = true;
#endif
#ifndef BROKEN_1
					park_lock = 0;
#endif
#ifndef BROKEN_2
					event_lock = 0;
#endif
					sched_block();
					TAKE(event_lock);
					atomic {
						outcome = wait_state;
						wait_state = NONE;
						interruptible = false;
						in_event = false;
						if
						:: outcome == SIGNALLED -> assert(given); taken++
						:: outcome == WOKEN -> woken++
						:: else
						fi;
						given = false
					};
#ifndef BROKEN_3	/* the thread stays in the queue of the word */
					TAKE(park_lock);
					in_park = false;
					park_lock = 0
#endif
				fi
			fi;
			event_lock = 0;
			if
			:: outcome == NONE && !mapped -> outcome = DRAINED
			:: outcome == NONE && mapped -> pte = true	/* aspace_fault */
			:: else
			fi
		od;
		waiters = false;
		/* The program looks at what has ended the wait. Its handler has run. */
		atomic { due = false; word = 0; outcome = NONE };
		/* Another wait. */
		atomic { wait_state = ACTIVE; otherwise = true };
		sched_block();
		assert(wait_state == OTHERWISE);
		wait_state = NONE
	od;
	done = true
}

/* Ends the other waits. */
proctype other()
{
	bool won;

end:	do
	:: atomic { otherwise -> otherwise = false };
		atomic { DECIDE(OTHERWISE, won); assert(won) };
		atomic { WAKE }
	od
}

proctype signaller()
{
	byte count;
	bool won;

	do
	:: count == ROUNDS -> break
	:: count < ROUNDS ->
		count++;
end:		atomic { !bits && !event_lock -> event_lock = 1; bits = true; signals++ };
		if
		:: in_event ->
			in_event = false;
			atomic { DECIDE(SIGNALLED, won) };
#ifdef BROKEN_4	/* the bits are taken for a thread whose wait something else has ended */
			atomic { bits = false; given = true };
#else
			atomic { if :: won -> bits = false; given = true :: else fi };
#endif
			atomic { if :: won -> WAKE :: else fi }
		:: else
		fi;
		event_lock = 0
	od
}

proctype unparker()
{
	byte count;
	bool won;

	do
	:: count == ROUNDS -> break
	:: count < ROUNDS ->
		count++;
end:		atomic { !word -> word = 1 };
		TAKE(park_lock);
		if
		:: in_park ->
			in_park = false;
			atomic { DECIDE(WOKEN, won); if :: won -> woken_counted++ :: else fi };
			atomic { if :: won -> WAKE :: else fi }
		:: else
		fi;
		park_lock = 0
	od
}

proctype unmapper()
{
	bool won;

	mapped = false;
	pte = false;	/* and flushed */
	if
	:: waiters ->
		TAKE(park_lock);
		if
		:: in_park ->
			in_park = false;
			atomic { DECIDE(DRAINED, won) };
			atomic { if :: won -> WAKE :: else fi }
		:: else
		fi;
		park_lock = 0
	:: else
	fi;
	frame_freed = true
}

proctype ender()
{
	bool won;

	TAKE(event_lock);
#ifndef BROKEN_5	/* the event is closed when those who wait have been told */
	closed = true;
#endif
	if
	:: in_event ->
		in_event = false;
		atomic { DECIDE(CLOSED, won) };
		atomic { if :: won -> WAKE :: else fi }
	:: else
	fi;
	event_lock = 0;
	closed = true
}

/* Comes for each round. It does not end the other wait. */
proctype notifier()
{
	byte count;
	bool won;

	do
	:: count == ROUNDS -> break
	:: count < ROUNDS ->
		count++;
end:		atomic { !due && !otherwise && wait_state != OTHERWISE -> due = true };
		atomic {
			if
			:: interruptible -> DECIDE(INTERRUPTED, won)
			:: else -> won = false
			fi
		};
		atomic { if :: won -> WAKE :: else fi }
	od
}

#define CAUSE(actor) \
	if \
	:: causes < CAUSES_MAX -> causes++; run actor() \
	:: true \
	fi

init
{
	byte causes;

	atomic {
		CAUSE(signaller);
		CAUSE(unparker);
		CAUSE(unmapper);
		CAUSE(ender);
		CAUSE(notifier);
		if
		:: causes == 0 -> causes++; run signaller()
		:: else
		fi;
		run other();
		run waiter()
	};
	done && !event_lock && !park_lock;
	assert(taken + bits == signals);
	assert(woken == woken_counted)
}
