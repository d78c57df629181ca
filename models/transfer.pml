/* A capability that moves with a call, from the table of the caller's process to the server's,
 * against all that can end the call.
 *
 * Models  kernel/object/transfer.c: transfer_begin, transfer_end, transfer_take;
 *         kernel/cap/table.c: cap_table_lift, cap_table_fill, cap_table_abandon
 *
 * Bounds: one capability, a caller that makes CALLS calls with it, SERVERS that each receive calls
 * until there are none. The server's table may be full at any time. Each call may pass its
 * deadline or be cancelled at any time, which is the same here. Another thread of the caller's
 * process releases the capability at any time, once. How calls are queued and answered is
 * endpoint.pml's. SHORT has one server, the large bounds two.
 *
 * Claims: the capability is in one place at any time. A call that fails before the server has taken
 * it leaves it with the caller, under its id, unless it is released there. No slot stays set
 * aside. */

#ifdef SHORT
#define SERVERS 1
#else
#define SERVERS 2
#endif
#define CALLS 2
#define NONE 9

/* slots */
#define EMPTY 0
#define HELD 1
#define ASIDE 2

bit lock;			/* of the caller's thread */
byte giver = HELD, taker[SERVERS];	/* slots; each table has a lock: its steps are atomic */
bool carried;			/* in the call */
bool in_hand[SERVERS];		/* taken out of the call, on the way to the slot */
bool queued, open, released;
byte server = NONE, sequence;
bool refused;			/* by the server, for want of room */
bool caller_done;

#define TAKE(l) atomic { !l -> l = 1 }
#define PLACES ((giver == HELD -> 1 : 0) + carried + in_hand[0] + (taker[0] == HELD -> 1 : 0))
#ifdef SHORT
#define ALL_PLACES PLACES
#else
#define ALL_PLACES (PLACES + in_hand[1] + (taker[1] == HELD -> 1 : 0))
#endif
#define ONE_PLACE assert(ALL_PLACES == (released -> 0 : 1))

proctype caller()
{
	byte made;
	bool given_up;

	do
	:: made == CALLS -> break
	:: made < CALLS ->
		made++;
		/* transfer_begin: cap_table_lift */
		atomic {
			if
			:: giver != HELD -> break	/* notFound */
			:: else ->
#ifdef BROKEN_4	/* the giver's slot is emptied first, and may be another's when it is needed */
				giver = EMPTY;
#else
				giver = ASIDE;
#endif
				carried = true;
			fi;
			ONE_PLACE
		};
		TAKE(lock);
		atomic { sequence++; open = true; refused = false; queued = true; lock = 0 };
		/* answered, or given up */
		if
		:: !open
		:: true -> given_up = true
		fi;
		TAKE(lock);
		atomic { open = false; server = NONE; queued = false; lock = 0 };
		/* transfer_end */
		atomic {
			if
#ifdef BROKEN_3	/* a call that was given up is taken to have moved nothing */
			:: carried || given_up ->
#else
			:: carried ->
#endif
#ifdef BROKEN_4
				if
				:: carried = false	/* no slot is left */
				:: giver = HELD; carried = false
				fi
#else
				assert(giver == ASIDE);
				giver = HELD;
				carried = false
#endif
			:: else ->
				assert(!refused);
				if :: giver == ASIDE -> giver = EMPTY :: else fi
			fi;
			given_up = false;
			ONE_PLACE
		}
	od;
	caller_done = true
}

proctype serve(byte s)
{
	byte mine;
	bool room;

	do
	:: caller_done && !queued -> break
	:: queued ->
		/* receive: deliver_locked */
		TAKE(lock);
		atomic {
			if
			:: queued && open -> queued = false; server = s; mine = sequence
			:: else -> lock = 0; goto next
			fi;
#ifdef BROKEN_2	/* the capability is taken before there is a slot for it */
			in_hand[s] = carried;
			carried = false;
#endif
			lock = 0
		};
		/* transfer_take: cap_table_reserve */
		atomic {
			if
			:: taker[s] == EMPTY -> taker[s] = ASIDE; room = true
			:: true -> room = false
			fi
		};
		if
		:: room ->
#ifdef BROKEN_1	/* whether the call is still open is looked at without the lock */
			atomic { room = (open && server == s && sequence == mine) };
#endif
			TAKE(lock);
			atomic {
#ifndef BROKEN_2
				if
#ifdef BROKEN_1
				:: room ->
					in_hand[s] = true;
					carried = false
#else
				:: open && server == s && sequence == mine && carried ->
					in_hand[s] = true;
					carried = false
#endif
				:: else
				fi;
#endif
				lock = 0
			};
			atomic {
				taker[s] = (in_hand[s] -> HELD : EMPTY);
				in_hand[s] = false;
				ONE_PLACE
			}
		:: else
		fi;
		/* answer_call */
		TAKE(lock);
		atomic {
			if
			:: open && server == s && sequence == mine ->
				open = false;
				server = NONE;
				refused = (taker[s] != HELD)
			:: else
			fi;
#ifdef BROKEN_2
			in_hand[s] = false;
#endif
			lock = 0
		};
		atomic { mine = 0; room = false };
next:
		skip
	od
}

/* Another thread of the caller's process: cap_table_release. */
proctype release()
{
	if
	:: atomic { giver == HELD -> giver = EMPTY; released = true }
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
	assert(giver != ASIDE && !carried);
	for (i : 0 .. SERVERS - 1) {
		assert(taker[i] != ASIDE && !in_hand[i])
	}
	ONE_PLACE
}
