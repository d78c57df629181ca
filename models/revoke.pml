/* Revocation of a lease, against calls through its copies, their waits, and mappings that were made
 * through them and end meanwhile, alone or with their space.
 *
 * Models  kernel/sched/lease.c: lease_enter, lease_leave, end_use_locked, lease_revoke
 *         kernel/sched/wait.c: block
 *         kernel/mm/lease_map.c: lease_map_begin, lease_map_end, visit_locked, take_back
 *         kernel/mm/aspace.c: aspace_take_back, aspace_leave, aspace_destroy
 *         kernel/object/lease.c: revoke
 *
 * Bounds: one lease, a call through a copy that waits for what never comes, after which its thread
 * waits for something else; one space that makes one mapping, may unmap it itself, and ends. One
 * revocation; in the large bounds two at once. A change of the space may let others run in its
 * middle.
 *
 * Claims: no call waits after a revocation, and no other wait is ended by one. After a revocation
 * has ended nothing is mapped and nothing of the target is used. Records and the space are not used
 * after they are freed, are freed once, and are freed in the end. */

#define CALLS 1
#ifdef SHORT
#define REVOKERS 1
#else
#define REVOKERS 2
#endif

#define NONE   0
#define ACTIVE 1
#define ENDED  2

bit root_lock, space_lock;
bool revoked, target_held = true, target_freed;
byte target_references = 1;
byte revokers_done;

bool user[CALLS], mark[CALLS];
byte wait_state[CALLS];
bool other_ended[CALLS]; /* what the second wait is for */

bool region, mapped;       /* of the mapping; guarded by the lock of the space */
bool changing;             /* a change has left the lock in its middle */
bool linked, ended;        /* the mapping's record; guarded by the lock of the root */
byte map_visitors;
bool map_made, map_freed;
byte space_visitors;
bool space_freed;

#define USE_SPACE    assert(!space_freed)
#define LOCK_ROOT    atomic { !root_lock -> root_lock = 1 }
#define UNLOCK_ROOT  root_lock = 0
#define LOCK_SPACE   atomic { assert(!space_freed); !space_lock -> USE_SPACE; space_lock = 1 }
#define UNLOCK_SPACE atomic { assert(!space_freed); space_lock = 0 }

inline release_target()
{
	atomic {
		assert(target_references > 0 && !target_freed);
		target_references--;
		if
		:: target_references == 0 -> target_freed = true
		:: else
		fi
	}
}

/* ---- a call ---- */

/* What ends the wait of id comes later. */
inline wait_block(id)
{
#ifdef BROKEN_3	/* the mark is looked at before the wait can be ended */
	seen = mark[id];
	wait_state[id] = ACTIVE;
#else
	wait_state[id] = ACTIVE;
	seen = mark[id];
#endif
	atomic {
		if
		:: seen && wait_state[id] == ACTIVE -> wait_state[id] = ENDED
		:: else
		fi
	}
}

proctype call(byte id)
{
	bool seen, entered;

#ifdef BROKEN_1	/* the lease is asked before the lock is taken */
	seen = revoked;
	LOCK_ROOT;
#else
	LOCK_ROOT;
	seen = revoked;
#endif
	if
	:: !seen && target_held ->
		entered = true;
#ifndef BROKEN_7	/* the call relies on the lease's reference */
		target_references++;
#endif
		user[id] = true
	:: else
	fi;
	UNLOCK_ROOT;
	if
	:: entered ->
		assert(!target_freed);	/* the method begins */
		wait_block(id);
		wait_state[id] == ENDED;
		wait_state[id] = NONE;
		assert(!target_freed);
		LOCK_ROOT;
		user[id] = false;
#ifndef BROKEN_8	/* the mark stays */
		mark[id] = false;
#endif
		UNLOCK_ROOT;
#ifndef BROKEN_7
		release_target()
#endif
	:: else
	fi;
	/* A wait that has nothing to do with the lease. */
	wait_block(id);
	atomic {
		assert(wait_state[id] == ACTIVE);
		wait_state[id] = NONE;
		other_ended[id] = true
	}
}

/* ---- the record of a mapping ---- */

inline map_free()
{
	atomic { assert(map_made && !map_freed && !linked); map_freed = true }
}

/* The last region is gone, and no lock is held. */
inline lease_map_end()
{
	LOCK_ROOT;
	assert(!map_freed);
	linked = false;
	ended = true;
#ifdef BROKEN_5	/* it is freed under its visitors */
	free = true;
#else
	free = (map_visitors == 0);
#endif
	UNLOCK_ROOT;
	if
	:: free -> map_free()
	:: else
	fi
}

/* A change takes the lock, alone. */
inline change_begin()
{
	LOCK_SPACE;
	do
	:: !changing -> break
	:: changing -> UNLOCK_SPACE;
		atomic { !changing && !space_lock -> USE_SPACE; space_lock = 1 }
	od
}

/* In its middle it may let others run. */
inline change_pause()
{
	if
	:: changing = true; UNLOCK_SPACE; LOCK_SPACE; changing = false
	:: skip
	fi
}

inline unmap()
{
	change_begin();
	gone = region;
	if
	:: gone -> mapped = false; change_pause(); region = false
	:: else
	fi;
	UNLOCK_SPACE;
	if
	:: gone -> lease_map_end()
	:: else
	fi
}

proctype space()
{
	bool seen, free, gone;

	/* MemoryObject.map, in a call of its own that has a reference to the target */
	LOCK_ROOT;
	seen = revoked || !target_held;
	if
	:: !seen -> target_references++
	:: else
	fi;
	UNLOCK_ROOT;
	if
	:: !seen ->
		change_begin();
		map_made = true;
		region = true;
#ifdef BROKEN_2	/* whether it is revoked was asked before */
		LOCK_ROOT;
#else
		LOCK_ROOT;
		seen = revoked;
#endif
		linked = !seen;
		UNLOCK_ROOT;
		if
		:: !seen -> change_pause(); mapped = true
		:: else -> region = false
		fi;
		UNLOCK_SPACE;
		if
		:: seen -> lease_map_end()
		:: else
		fi;
		release_target()
	:: else
	fi;
	if
	:: unmap()
	:: skip
	fi;
	unmap();	/* with all others: aspace_destroy */
#ifndef BROKEN_4	/* the space goes under those who look at it */
	atomic { LOCK_SPACE };
	do
	:: space_visitors == 0 -> break
	:: else -> UNLOCK_SPACE; atomic { space_visitors == 0 && !space_lock -> space_lock = 1 }
	od;
	UNLOCK_SPACE;
#endif
	atomic { !space_lock -> space_freed = true }
}

/* ---- revocation ---- */

inline end_use_locked(id)
{
	atomic {
		if
		:: user[id] -> mark[id] = true
		:: else
		fi
	};
	atomic {
		if
		:: user[id] && wait_state[id] == ACTIVE -> wait_state[id] = ENDED
		:: else
		fi
	}
}

inline take_back()
{
	looking = true;
	do
	:: looking ->
		LOCK_SPACE;
		gone = false;
		assert(!map_freed);
		if
		:: !region -> looking = false; UNLOCK_SPACE
#ifdef BROKEN_6	/* a region that another change has is left to it */
		:: region && changing -> looking = false; UNLOCK_SPACE
#else
		:: region && changing -> UNLOCK_SPACE; !changing
#endif
		:: region && !changing ->
			mapped = false;
			change_pause();
			region = false;
			gone = true;
			UNLOCK_SPACE
		fi;
		if
		:: gone -> lease_map_end()
		:: else
		fi
	:: else -> break
	od;
	LOCK_ROOT;
	assert(!map_freed);
	map_visitors--;
	free = (map_visitors == 0 && ended);
	UNLOCK_ROOT;
	if
	:: free -> map_free()
	:: else
	fi;
	/* aspace_leave */
	LOCK_SPACE;
	space_visitors--;
	UNLOCK_SPACE
}

proctype revoker()
{
	bool looking, gone, free, mine;

	LOCK_ROOT;
	revoked = true;
	end_use_locked(0);
	UNLOCK_ROOT;
	LOCK_ROOT;
	if
	:: linked ->
		map_visitors++;
		space_visitors++;
		UNLOCK_ROOT;
		take_back()
	:: else -> UNLOCK_ROOT
	fi;
	LOCK_ROOT;
	mine = target_held;
	target_held = false;
	UNLOCK_ROOT;
	if
	:: mine -> release_target()
	:: else
	fi;
	assert(!mapped);
	revokers_done++
}

active proctype finish()
{
	byte id;

	timeout;
	assert(revokers_done == REVOKERS && target_freed && space_freed && !region);
	assert(!map_made || map_freed);
	do
	:: id < CALLS -> assert(other_ended[id] && !user[id]); id++
	:: else -> break
	od
}

init {
	byte count;

	atomic {
		do
		:: count < CALLS -> run call(count); count++
		:: else -> break
		od;
		count = 0;
		do
		:: count < REVOKERS -> run revoker(); count++
		:: else -> break
		od;
		run space()
	}
}
