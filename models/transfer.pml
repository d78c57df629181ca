/* Capabilities that move with a call, from the table of the caller's process to the server's,
 * against all that can end the call.
 *
 * Models  kernel/object/transfer.c: transfer_begin, transfer_end, transfer_take;
 *         kernel/object/cap_set.c: cap_set_take_out, cap_set_end, cap_slots_reserve, cap_slots_end;
 *         kernel/object/ring_call.c: make_transfer, end_transfer, ring_call_take;
 *         kernel/cap/table.c: cap_table_lift, cap_table_fill, cap_table_abandon
 *
 * Bounds: a caller that makes CALLS calls, each with the first one to CAPS of its capabilities,
 * SERVERS that each receive calls until there are none. The server's table may be full at any time.
 * Each call may pass its deadline or be cancelled at any time, which is the same here. Another
 * thread of the caller's process releases one of the capabilities at any time, once. How calls are
 * queued and answered is endpoint.pml's. SHORT has one server and two capabilities, the large
 * bounds two and eight, which is as many as a message may have. A call in registers has one.
 *
 * Claims: each capability is in one place at any time. The server gets all that are in a call or
 * none. A call that fails before that leaves them with the caller, under their ids, unless they are
 * released there. No slot stays set aside. */

#ifdef SHORT
#define SERVERS 1
#define CAPS 2
#else
#define SERVERS 2
#define CAPS 8
#endif
#define CALLS 2
#define NONE 9

#define BIT(i) (1 << (i))
#define FIRST(n) (BIT(n) - 1)
#define ALL FIRST(CAPS)

/* Sets of capabilities, a bit for each. Each table has a lock: its steps are atomic. */
byte giver = ALL, aside;		/* in the caller's table, and slots set aside there */
byte carried;				/* in the call */
byte in_hand[SERVERS];			/* taken out of the call, on the way to the slots */
byte taker[SERVERS];			/* in the server's table */
byte released;
byte slots[SERVERS];			/* how many are set aside in the server's table */

bit lock;				/* of the caller's thread */
bool queued, open;
byte count;				/* of capabilities in the call */
byte server = NONE, sequence;
bool refused;				/* by the server, for want of room */
bool caller_done;

#define TAKE(l) atomic { !l -> l = 1 }
#ifdef SHORT
#define TOGETHER (giver | carried | in_hand[0] | taker[0])
#define SUM (giver + carried + in_hand[0] + taker[0])
#else
#define TOGETHER (giver | carried | in_hand[0] | taker[0] | in_hand[1] | taker[1])
#define SUM (giver + carried + in_hand[0] + taker[0] + in_hand[1] + taker[1])
#endif
/* None is missing, and none is in two places. */
#define ONE_PLACE assert(TOGETHER == ALL - released && SUM == ALL - released)

proctype caller()
{
	byte made, i;
	bool given_up, missing;

	do
	:: made == CALLS || missing -> break
	:: made < CALLS && !missing ->
		made++;
		select(count : 1 .. CAPS);
		/* cap_set_take_out */
		i = 0;
		do
		:: i == count || missing -> break
		:: i < count && !missing ->
			atomic {
				if
				:: giver & BIT(i) ->
					giver = giver & ~BIT(i);
#ifndef BROKEN_4	/* the slot is emptied first, and may be another's when it is needed */
					aside = aside | BIT(i);
#endif
					carried = carried | BIT(i);
					i++
				:: else -> missing = true	/* notFound */
				fi;
				ONE_PLACE
			}
		od;
		if
		:: missing ->
#ifdef BROKEN_5	/* those that were lifted before one was missing are forgotten */
			break
#else
			count = i;
			goto back
#endif
		:: else
		fi;
		TAKE(lock);
		atomic { sequence++; open = true; refused = false; queued = true; lock = 0 };
		/* answered, or given up */
		if
		:: !open
		:: true -> given_up = true
		fi;
		TAKE(lock);
		atomic { open = false; server = NONE; queued = false; lock = 0 };
		/* All were given or none. */
		assert(carried == 0 || carried == FIRST(count));
		assert(carried || !refused);
back:
		/* cap_set_end */
		i = 0;
		do
		:: i == count -> break
		:: i < count ->
			atomic {
				if
#ifdef BROKEN_3	/* a call that was given up is taken to have moved nothing */
				:: (carried & BIT(i)) || given_up ->
#else
				:: carried & BIT(i) ->
#endif
#ifdef BROKEN_4
					if
					:: true		/* no slot is left */
					:: giver = giver | BIT(i)
					fi;
#else
					assert(aside & BIT(i));
					giver = giver | BIT(i);
#endif
				:: else
				fi;
				carried = carried & ~BIT(i);
				aside = aside & ~BIT(i);
				i++;
				ONE_PLACE
			}
		od;
		given_up = false
	od;
	caller_done = true
}

proctype serve(byte s)
{
	byte mine, wanted, i;
	bool room;

	do
	:: caller_done && !queued -> break
	:: queued ->
		/* receive: deliver_locked */
		TAKE(lock);
		atomic {
			if
			:: queued && open ->
				queued = false;
				server = s;
				mine = sequence;
				wanted = count
			:: else -> lock = 0; goto next
			fi;
#ifdef BROKEN_2	/* the capabilities are taken before there are slots for them */
			in_hand[s] = carried;
			carried = 0;
#endif
			lock = 0
		};
		/* cap_slots_reserve: nobody else here looks at that table, so it is one step */
		atomic {
			if
			:: slots[s] = wanted; room = true
			:: room = false
#ifdef BROKEN_7	/* as many are taken as there is room for */
			:: wanted--; slots[s] = wanted; room = wanted > 0
#endif
			fi
		};
		if
		:: room ->
#ifdef BROKEN_1	/* whether the call is still open is looked at without the lock */
			atomic { room = (open && server == s && sequence == mine) };
#endif
#ifdef BROKEN_6	/* the lock is left between one capability and the next */
			i = 0;
			do
			:: i == wanted -> break
			:: i < wanted ->
				TAKE(lock);
				atomic {
					if
					:: open && server == s && sequence == mine ->
						in_hand[s] = in_hand[s] | (carried & BIT(i));
						carried = carried & ~BIT(i)
					:: else
					fi;
					i++;
					lock = 0
				}
			od;
#else
			TAKE(lock);
			atomic {
#ifndef BROKEN_2
				if
#ifdef BROKEN_1
				:: room ->
#else
				:: open && server == s && sequence == mine ->
#endif
					in_hand[s] = carried & FIRST(wanted);
					carried = carried & ~FIRST(wanted)
				:: else
				fi;
#endif
				lock = 0
			};
#endif
			/* cap_slots_end: the same */
			atomic {
				assert(!in_hand[s] || slots[s] == wanted);
				taker[s] = taker[s] | in_hand[s];
				in_hand[s] = 0;
				slots[s] = 0;
				ONE_PLACE
			}
		:: else
		fi;
		/* answer_call, ring_call_answer */
		TAKE(lock);
		atomic {
			if
			:: open && server == s && sequence == mine ->
				open = false;
				server = NONE;
				refused = !room
			:: else
			fi;
#ifdef BROKEN_2
			in_hand[s] = 0;
#endif
			lock = 0
		};
		atomic { mine = 0; wanted = 0; i = 0; room = false };
next:
		skip
	od
}

/* Another thread of the caller's process: cap_table_release. */
proctype release()
{
	byte i;

	select(i : 0 .. CAPS - 1);
	if
	:: atomic { giver & BIT(i) -> giver = giver & ~BIT(i); released = BIT(i) }
	:: true
	fi
}

init
{
	byte i;
	atomic {
		run caller();
		for (i : 0 .. SERVERS - 1) {
			run serve(i)
		}
		run release()
	};
	_nr_pr == 1;
	assert(!aside && !carried);
	for (i : 0 .. SERVERS - 1) {
		assert(!slots[i] && !in_hand[i])
	}
	ONE_PLACE
}
