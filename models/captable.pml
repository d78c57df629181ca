/* A slot of the capability table: look-ups without the lock, against release and reuse of the slot.
 *
 * Models  kernel/cap/table.c: cap_table_lookup, cap_table_release, cap_table_reserve,
 *         cap_table_commit, slot_recycle_locked
 *         kernel/core/object.h: object_retain, object_release
 *
 * Bounds: one slot. It first holds a counted object, or a static one. After a release it is
 * reserved and committed again for another object of either kind. Two threads look the first id up
 * LOOKUPS times, use the object and release it; one does the same with the second id. Two threads
 * release the first id, and one of them then releases the second.
 *
 * Claims: a look-up gives the object for which its id was made, and the object lives until it is
 * released, or it gives nothing. Of two releases one succeeds. In the end each reference has been
 * dropped exactly once. */

#ifdef SHORT
#define LOOKUPS 1
#else
#define LOOKUPS 2
#endif

#define FREE     0
#define RESERVED 1
#define COUNTED  2
#define STATIC   3

#define NOTHING 2

/* The slot's word. */
byte generation = 1, kind, object;
bit lock;

byte references[2] = 1;
bool counted[2], freed[2];
byte released;

#define TAKE atomic { !lock -> lock = 1 }

inline object_retain(o)
{
	atomic { assert(!freed[o]); references[o]++ }
}

inline object_release(o)
{
	atomic {
		assert(!freed[o] && references[o] > 0);
		references[o]--;
		freed[o] = (references[o] == 0)
	}
}

/* found: the object, or NOTHING. */
inline cap_table_lookup(id)
{
	atomic { g = generation; k = kind; o = object };
	if
	:: g == id && k == STATIC -> found = o
	:: g == id && k == COUNTED ->
#ifdef BROKEN_2	/* the reference is taken without the lock */
		object_retain(o);
		found = o
#else
		TAKE;
		if
#ifdef BROKEN_1	/* the word is not read again under the lock */
		:: true -> object_retain(o); found = o
#else
		:: generation == g && kind == k && object == o -> object_retain(o); found = o
		:: else
#endif
		fi;
		lock = 0
#endif
	:: else
	fi;
	atomic { g = 0; k = 0; o = 0 }
}

inline cap_table_release(id)
{
#ifdef BROKEN_3	/* the word is read before the lock is taken */
	atomic { g = generation; k = kind; o = object };
	TAKE;
#else
	TAKE;
	atomic { g = generation; k = kind; o = object };
#endif
	if
	:: g == id && (k == COUNTED || k == STATIC) ->
#ifdef BROKEN_4	/* the slot's next id is the same */
		atomic { kind = FREE; object = 0 };
#else
		atomic { kind = FREE; generation++; object = 0 };
#endif
		atomic { lock = 0; released++ };
		if
		:: k == COUNTED -> object_release(o)
		:: else
		fi
	:: else -> lock = 0
	fi;
	atomic { g = 0; k = 0; o = 0 }
}

/* Id 1 was made for object 0, id 2 for object 1. */
proctype user(byte id)
{
	byte lookups, found = NOTHING, g, k, o;

	do
	:: lookups < LOOKUPS ->
		lookups++;
		cap_table_lookup(id);
		if
		:: found != NOTHING ->
			assert(found == id - 1);
			assert(!freed[found]);
			if
			:: counted[found] -> object_release(found)
			:: else
			fi;
			found = NOTHING
		:: else
		fi
	:: else -> break
	od
}

proctype releaser()
{
	byte g, k, o;

	cap_table_release(1)
}

/* A method that returns a capability takes the slot when it is free, and its caller releases it
 * again. */
proctype maker()
{
	byte g, k, o;

	atomic { !lock && kind == FREE -> kind = RESERVED };
	TAKE;
#ifdef BROKEN_5	/* the word is written in two parts */
	kind = (counted[1] -> COUNTED : STATIC);
	object = 1;
#else
	atomic { kind = (counted[1] -> COUNTED : STATIC); object = 1 };
#endif
	lock = 0;
	cap_table_release(generation)
}

active proctype finish()
{
	timeout;
	assert(released == 2);
	assert(references[0] == (counted[0] -> 0 : 1));
	assert(references[1] == (counted[1] -> 0 : 1))
}

init {
	atomic {
		if
		:: counted[0] = true; kind = COUNTED
		:: kind = STATIC
		fi;
		if
		:: counted[1] = true
		:: skip
		fi;
		run user(1);
		run user(1);
		run user(2);
		run releaser();
		run releaser();
		run maker()
	}
}
