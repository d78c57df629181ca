/* The turns of a pipe's ends and their waits, against deadlines and the end of either end.
 *
 * Models  kernel/object/pipe.c: turn_take_locked, turn_give_locked, wait_ready_locked,
 *         wake_ready_locked, begin_read, end_read, write_next_locked, end_destroy
 *
 * Bounds: WRITERS threads write WHOLE bytes each into a pipe of SIZE; READERS threads read until
 * there are no more. A thread waits for its turn or for the other side, and one of its waits may be
 * ended by a deadline or a notification, which ends the call. Bytes are copied with no lock held. A
 * thread drops its reference to its end when it is done, and the last one ends the end. What one
 * held lock guards is one step. A queue forgets those whose wait has ended otherwise, as
 * wait_queue_wake does by the wait's state (models/park.pml). SHORT has one reader and writes that
 * need several steps; the large bounds have two readers and writes of one byte.
 *
 * Claims: every thread ends. At most one thread of a side has the turn. A byte is copied only where
 * the other side does not copy. The bytes of a write are read together, and if no wait ends early
 * all bytes are read. In the end no thread has a turn. */

#define SIZE 2
#ifdef SHORT
#define WRITERS 2
#define READERS 1
#define WHOLE   3
#else
#define WRITERS 2
#define READERS 2
#define WHOLE   1
#endif
#define THREADS (WRITERS + READERS)
#define NOBODY  9

/* wait_state */
#define NONE   0
#define ACTIVE 1
#define WOKEN  2
#define ENDED  3	/* by a deadline or a notification */

byte wait_state[THREADS + 1];	/* init is process 0 */
byte head, tail;		/* positions, of bytes that were ever read and written */
byte buffer[SIZE];		/* who wrote the byte */
bool taken[2];			/* a side's turn */
byte holder[2] = NOBODY;	/* what the claims see of it */
byte ready[2] = NOBODY;		/* who waits for the other side */
chan turns0 = [THREADS] of { byte };
chan turns1 = [THREADS] of { byte };
byte left[2];			/* references to the end */
bool gone[2];
byte ended;

#define READ  0
#define WRITE 1
#define COUNT (tail - head)
#define AMOUNT(side) (side == READ -> COUNT : SIZE - COUNT)

byte last = NOBODY, together;	/* the writer whose bytes are being read, and how many were */
byte short_write[WRITERS + 1];	/* bytes of a write that ended early */
bool cut[WRITERS + 1];
byte ends;			/* waits that a deadline or a notification ended */

inline wake(id)
{
	if
	:: wait_state[id] == ACTIVE -> wait_state[id] = WOKEN
	:: else
	fi
}

/* The first that still waits, else none. */
inline pop_turn(queue)
{
	next = NOBODY;
	do
	:: next != NOBODY || len(queue) == 0 -> break
	:: next == NOBODY && len(queue) > 0 ->
		queue?next;
		if
		:: wait_state[next] == ACTIVE -> wait_state[next] = WOKEN
		:: else -> next = NOBODY
		fi
	od
}

inline turn_give(side)
{
	assert(taken[side] && holder[side] == _pid);
	if
	:: side == READ -> pop_turn(turns0)
	:: else -> pop_turn(turns1)
	fi;
#ifdef BROKEN_1	/* the turn is free although a thread was woken for it */
	taken[side] = false;
#else
	taken[side] = (next != NOBODY);
#endif
	holder[side] = next;
	next = NOBODY
}

inline wake_ready(side)
{
	if
	:: ready[side] != NOBODY -> wake(ready[side])
	:: else
	fi
}

/* The wait is on; good: it was woken. Its end by another cause is decided by that cause. */
inline wait()
{
	do
	:: atomic { wait_state[_pid] == WOKEN -> wait_state[_pid] = NONE; good = true; break }
	:: atomic { wait_state[_pid] == ACTIVE && may_end -> wait_state[_pid] = ENDED;
		may_end = false; ends++ }
	:: atomic { wait_state[_pid] == ENDED -> wait_state[_pid] = NONE; good = false; break }
	od
}

inline turn_take(side)
{
	good = true;
	atomic {
		if
		:: !taken[side] -> taken[side] = true; holder[side] = _pid; waits = false
		:: else ->
			wait_state[_pid] = ACTIVE;
			if
			:: side == READ -> turns0!_pid
			:: else -> turns1!_pid
			fi;
			waits = true
		fi
	};
	if
	:: waits -> wait()
	:: else
	fi
}

/* Until the side has that much, the other end is gone, or the wait ends. */
inline wait_ready(side, wanted)
{
	good = true;
	do
	:: atomic {
		if
		:: !good || AMOUNT(side) >= wanted || gone[1 - side] -> waits = false
		:: else -> wait_state[_pid] = ACTIVE; ready[side] = _pid; waits = true
		fi };
		if
		:: waits -> wait(); atomic { ready[side] = NOBODY }
		:: else -> break
		fi
	od
}

inline drop_end(side)
{
	atomic {
		left[side]--;
		if
		:: left[side] == 0 ->
			assert(!taken[side]);
			gone[side] = true;
#ifndef BROKEN_2	/* who waits for the other end does not learn that it is gone */
			wake_ready(1 - side)
#endif
		:: else
		fi;
		ended++
	}
}

proctype writer()
{
	byte done, part, i, next = NOBODY;
	bool good, waits, may_end;
	if :: may_end = true :: may_end = false fi;
	turn_take(WRITE);
	if
	:: !good -> goto out
	:: else
	fi;
	do
	:: done < WHOLE ->
		wait_ready(WRITE, (WHOLE - done < 2 -> WHOLE - done : 2));
		if
		:: gone[READ] || !good -> break
		:: else
		fi;
		atomic {
			part = (WHOLE - done < SIZE - COUNT -> WHOLE - done : SIZE - COUNT);
			i = 0
		};
#ifdef BROKEN_3	/* the position moves before the bytes are there */
		atomic { tail = tail + part; wake_ready(READ) };
		do
		:: i < part -> buffer[(tail - part + i) % SIZE] = _pid; i++
		:: else -> break
		od;
#else
		do
		:: i < part -> buffer[(tail + i) % SIZE] = _pid; i++
		:: else -> break
		od;
		atomic { tail = tail + part; wake_ready(READ) };
#endif
		done = done + part
	:: else -> break
	od;
	atomic {
		short_write[_pid] = done;
		cut[_pid] = (done < WHOLE);
		turn_give(WRITE)
	};
out:	drop_end(WRITE)
}

proctype reader()
{
	byte part, i, next = NOBODY;
	byte got[SIZE];
	bool good, waits, may_end;
	if :: may_end = true :: may_end = false fi;
	do
	:: turn_take(READ);
		if
		:: !good -> break
		:: else
		fi;
		wait_ready(READ, 1);
		atomic { part = COUNT; i = 0 };
		if
		:: !good || !part -> atomic { turn_give(READ) }; break
		:: else
		fi;
#ifdef BROKEN_4	/* the turn and the room are given back before the bytes were copied */
		atomic { head = head + part; turn_give(READ); wake_ready(WRITE) };
		do
		:: i < part -> got[i] = buffer[(head - part + i) % SIZE]; i++
		:: else -> break
		od;
#else
		do
		:: i < part -> got[i] = buffer[(head + i) % SIZE]; i++
		:: else -> break
		od;
#endif
		/* The bytes of one write come together, all of them unless it ended early. */
		atomic {
			i = 0;
			do
			:: i < part ->
				if
				:: last == got[i] -> together++
				:: else ->
					assert(last == NOBODY || together == WHOLE ||
						(cut[last] && together == short_write[last]));
					last = got[i];
					together = 1
				fi;
				assert(together <= WHOLE);
				got[i] = NOBODY;
				i++
			:: else -> break
			od;
			i = 0
		};
#ifndef BROKEN_4
		atomic {
			head = head + part;
			turn_give(READ);
#ifndef BROKEN_5	/* who waits for room is not woken */
			wake_ready(WRITE)
#endif
		}
#endif
	od;
	drop_end(READ)
}

init {
	byte i;
	atomic {
		left[READ] = READERS;
		left[WRITE] = WRITERS;
		i = 0;
		do
		:: i < WRITERS -> run writer(); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < READERS -> run reader(); i++
		:: else -> break
		od
	};
	ended == THREADS;
	assert(!taken[READ] && !taken[WRITE] && tail - head <= SIZE);
	assert(ends || (head == tail && tail == WRITERS * WHOLE))
}
