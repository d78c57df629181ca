/* Calls on behalf of a process: visitors of it, against the end of its threads and its teardown.
 *
 * Models  kernel/proc/process.c: process_visit, process_leave, process_add_thread,
 *         process_remove_thread
 *         kernel/object/behalf.c: behalf_call, behalf_destroy
 *
 * Bounds: a process with one thread, which ends by itself or is killed; VISITORS holders, each with
 * CALLS calls on its behalf, which may start a thread there, and at whose end they release what
 * they hold.
 *
 * Claims: the process is taken apart once, when nobody is inside, and nobody comes in afterwards.
 * Its record is not used after its last reference is gone, and that goes in the end. */

#define VISITORS 2
#ifdef SHORT
#define CALLS 1
#else
#define CALLS 2
#endif

byte references = 1;	/* to the record: that of the first thread */
byte insiders = 1;
byte threads = 1;
byte told;		/* the reaper, how often */
bool exiting, apart, freed;
byte ended;		/* holders */

/* Steps under the lock of the process. */
#define LOCKED atomic { assert(!freed);
#define UNLOCKED }

inline release()
{
	atomic {
		assert(references > 0);
		references--;
		if
		:: !references -> assert(apart); freed = true
		:: else
		fi
	}
}

/* process_leave */
inline leave()
{
	atomic { assert(insiders > 0 && !freed); insiders--; last = !insiders };
#ifdef BROKEN_1	/* the count is read again */
	last = !insiders;
#endif
	if
	:: last -> atomic { assert(!told); told++ }	/* with the reference */
	:: else -> release()
	fi
}

/* The thread runs, and ends. */
proctype thread()
{
	bool last;

	assert(!apart);
	LOCKED
		threads--;
#ifndef BROKEN_2	/* only a kill ends the time of visits */
		exiting = exiting || !threads
#endif
	UNLOCKED;
	leave()
}

/* process_add_thread */
inline add_thread()
{
	LOCKED
		if
		:: exiting
		:: else ->
			threads++;
			insiders++;
			references++;
			run thread()
		fi
	UNLOCKED
}

/* process_visit */
inline visit()
{
#ifdef BROKEN_3	/* it is asked before the lock is taken */
	inside = !exiting;
	LOCKED
#else
	LOCKED
		inside = !exiting;
#endif
		if
		:: inside ->
			insiders++;
#ifndef BROKEN_4	/* the holder's own reference is thought to be enough */
			references++
#endif
		:: else
		fi
	UNLOCKED
}

proctype holder()
{
	byte calls;
	bool last, inside;

	do
	:: calls == CALLS -> break
	:: calls < CALLS ->
		calls++;
		visit();
		if
		:: inside ->
			assert(!apart);
			if
			:: add_thread()
			:: true
			fi;
			assert(!apart);
			leave()
		:: else
		fi
	od;
	release();	/* behalf_destroy */
	ended++
}

proctype killer()
{
	LOCKED exiting = true UNLOCKED;
	release()	/* a handle */
}

proctype reaper()
{
	told;
	assert(!insiders && !threads && !apart);
	apart = true;
	release()
}

init
{
	byte i;

	atomic {
		references = 1 + VISITORS + 1;
		run thread();
		run killer();
		run reaper();
		for (i : 1 .. VISITORS) {
			run holder()
		}
	};
	ended == VISITORS && freed;
	assert(told == 1 && !references)
}
