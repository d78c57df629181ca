/* The capability ring's indices, between a program and the kernel.
 *
 * Models  kernel/call/ring.c: ring_enter, execute_until, execute_next, post, completions_pending
 *         lib/capos/src/ring.c: capos_ring_push, capos_ring_pop
 *
 * Bounds: queues of two entries, indices modulo 8, ENTRIES entries into the kernel, each of which
 * may end early after any submission (an interrupted call). The program is one of two:
 *   honest   pushes five numbered submissions as there is room, while another of its threads pops
 *            completions at any time;
 *   hostile  another of its threads writes anything to all four indices and to the submissions,
 *            SCRIBBLES times, at any time.
 *
 * Claims, for both: an entry takes at most a ring full of submissions, and never more than the tail
 * it read. The kernel executes the copy it checked. Its own count of completions equals the number
 * of submissions it took. For the honest program: every submission is executed once, in order, and
 * every completion is seen once, in order and whole. */

#define SLOTS       2
#define INDEX(i)    ((i) & 7)
#define SUBMISSIONS 5
#ifdef SHORT
#define ENTRIES     3
#define SCRIBBLES   2
#else
#define ENTRIES     3
#define SCRIBBLES   3
#endif

/* The ring page, which program and kernel share. */
byte submission_head, submission_tail, completion_head, completion_tail;
byte submission[SLOTS], completion[SLOTS];

/* The kernel's own copies. */
byte own_submission_head, own_completion_tail;

bool hostile, ended;
byte executed;	/* by an honest program: submissions so far */
byte pushed, popped;

#ifdef BROKEN_1	/* the kernel trusts the page about its own index */
#define SUBMISSION_HEAD submission_head
#else
#define SUBMISSION_HEAD own_submission_head
#endif
#ifdef BROKEN_7	/* the same for the other index */
#define COMPLETION_TAIL completion_tail
#else
#define COMPLETION_TAIL own_completion_tail
#endif

#define PENDING INDEX(COMPLETION_TAIL - completion_head)

inline execute_next()
{
	/* One copy is made; it is checked and used. */
	copy = submission[SUBMISSION_HEAD % SLOTS];
	checked = copy;
	SUBMISSION_HEAD = INDEX(SUBMISSION_HEAD + 1);
	submission_head = SUBMISSION_HEAD;
#ifdef BROKEN_5	/* the entry is read again after the check */
	copy = submission[INDEX(SUBMISSION_HEAD - 1) % SLOTS];
#endif
	assert(copy == checked);
	taken++;
	if
	:: !hostile -> assert(copy == executed + 1); executed++
	:: else
	fi;
#ifdef BROKEN_4	/* the index is published before the entry */
	atomic { slot = COMPLETION_TAIL % SLOTS; COMPLETION_TAIL = INDEX(COMPLETION_TAIL + 1) };
	completion_tail = COMPLETION_TAIL;
	completion[slot] = copy;
#else
	completion[COMPLETION_TAIL % SLOTS] = copy;
	COMPLETION_TAIL = INDEX(COMPLETION_TAIL + 1);
	completion_tail = COMPLETION_TAIL;
#endif
	atomic { copy = 0; checked = 0; slot = 0 }
}

inline ring_enter()
{
	atomic {
		tail = submission_tail; head_before = own_submission_head;
		tail_before = COMPLETION_TAIL
	};
	if
#ifndef BROKEN_6	/* a tail that makes no sense does not fail the entry */
	:: INDEX(tail - SUBMISSION_HEAD) > SLOTS	/* invalidRequest */
	:: PENDING > SLOTS
#endif
#ifdef BROKEN_6
	:: true ->
#else
	:: else ->
#endif
		do
#ifdef BROKEN_2	/* the tail is read again for every entry */
		:: submission_tail == SUBMISSION_HEAD -> break
		:: submission_tail != SUBMISSION_HEAD ->
#else
		:: tail == SUBMISSION_HEAD -> break
		:: tail != SUBMISSION_HEAD ->
#endif
			if
#ifndef BROKEN_3	/* the room for the completion is not checked */
			:: PENDING >= SLOTS -> break
			:: else
#else
			:: true
#endif
			fi;
			execute_next();
			assert(taken <= SLOTS);
			if
			:: true
			:: break	/* interrupted */
			fi
		od
	fi;
	assert(INDEX(COMPLETION_TAIL - tail_before) == taken);
	submission_head = SUBMISSION_HEAD;
	completion_tail = COMPLETION_TAIL;
	assert(INDEX(own_submission_head - head_before) == taken);
	assert(INDEX(tail - head_before) > SLOTS || taken <= INDEX(tail - head_before));
	atomic { tail = 0; taken = 0; head_before = 0; tail_before = 0 }
}

/* The thread that owns the ring. */
active proctype owner()
{
	byte entries, tail, taken, head_before, tail_before, copy, checked, slot;

	if
	:: hostile = true
	:: hostile = false
	fi;
	do
	:: entries < ENTRIES ->
		entries++;
		do
		:: !hostile && pushed < SUBMISSIONS &&
		   INDEX(submission_tail - submission_head) < SLOTS ->
			pushed++;
			submission[submission_tail % SLOTS] = pushed;
			submission_tail = INDEX(submission_tail + 1)
		:: break
		od;
		ring_enter()
	:: else -> break
	od;
	ended = true
}

/* An honest program's other thread. */
active proctype consumer()
{
end:	do
	:: !hostile && completion_head != completion_tail ->
		atomic { popped++; assert(completion[completion_head % SLOTS] == popped) };
		completion_head = INDEX(completion_head + 1)
	od
}

/* A hostile program's other thread. */
active proctype scribbler()
{
	byte value, writes;

end:	do
	:: hostile && !ended && writes < SCRIBBLES ->
		writes++;
		select (value : 0 .. 7);
		if
		:: submission_head = value
		:: submission_tail = value
		:: completion_head = value
		:: completion_tail = value
		:: submission[0] = value
		:: submission[1] = value
		fi;
		value = 0
	od
}

active proctype finish()
{
	timeout;
	assert(hostile || popped == executed)
}
