/* An event that is bound to something of an object, the source: changes of the binding, its signal
 * and the end of the source, against the end of the event.
 *
 * Models  kernel/object/binding.c: binding_attach_locked, binding_detach_locked, binding_set,
 *         forget, event_leave_bindings
 *         kernel/object/event.c: event_destroy
 *         kernel/proc/process_bind.c: forget_locked, remove_locked, add_locked,
 *         process_take_bindings_locked
 *
 * Bounds: one event that ends, and one binding, which is a part of its source or a record of its
 * own, and is bound at the start. A program binds it anew (CHANGES times, to this event or to
 * another one that stays) or unbinds it; one thread signals it; the source ends. In the large
 * bounds two programs change it.
 *
 * Claims: nothing is used after it is freed, and nothing is freed twice. In the end the source, the
 * event and a record of its own are freed. */

#ifdef SHORT
#define PROGRAMS 1
#else
#define PROGRAMS 2
#endif
#define CHANGES 2

#define NONE  0
#define OURS  1 /* the event that ends */
#define OTHER 2

bool record; /* the binding has a record of its own, in a list of the source */

bit source_lock, event_lock;
byte source_references, event_references;
bool source_freed, event_freed, record_freed;

byte bound = OURS;  /* guarded by the source's lock */
bool listed, ended; /* likewise; of a source with records */
bool linked = true; /* on the event's list; guarded by the event's lock */
bool closed;        /* likewise */

#define USE_SOURCE  assert(!source_freed)
#define USE_EVENT   assert(!event_freed)
#define USE_BINDING assert(!source_freed && !(record && record_freed))

#define LOCK_SOURCE   atomic { USE_SOURCE; !source_lock -> USE_SOURCE; source_lock = 1 }
#define UNLOCK_SOURCE atomic { USE_SOURCE; source_lock = 0 }
#define LOCK_EVENT    atomic { USE_EVENT; !event_lock -> USE_EVENT; event_lock = 1 }
#define UNLOCK_EVENT  atomic { USE_EVENT; event_lock = 0 }

inline free_record()
{
	atomic { assert(record && !record_freed); record_freed = true }
}

inline event_destroy()
{
#ifndef BROKEN_5	/* the record goes while a thread still leaves its lock */
	atomic { !event_lock -> skip };
#endif
	atomic { assert(!linked && !event_freed); event_freed = true }
}

inline release_event()
{
	atomic {
		USE_EVENT;
		assert(event_references > 0);
		event_references--;
		last = (event_references == 0)
	};
	if
	:: last -> event_destroy()
	:: else
	fi
}

/* The lock of the source is held. got: a reference to the event. */
inline binding_detach_locked()
{
	USE_BINDING;
	got = false;
	if
	:: bound == OURS ->
		LOCK_EVENT;
		was_linked = linked;
		linked = false;
		UNLOCK_EVENT;
		if
#ifndef BROKEN_3	/* the event has taken it off its list, and frees the record too */
		:: !was_linked && record
#endif
		:: else -> bound = NONE; got = true
		fi
	:: bound == OTHER -> bound = NONE
	:: else
	fi
}

inline binding_attach_locked()
{
	LOCK_EVENT;
	if
#ifdef BROKEN_6	/* the event is bound although no program can wait for it */
	:: true ->
#else
	:: closed
	:: else ->
#endif
		atomic { event_references++; linked = true; bound = OURS }
	fi;
	UNLOCK_EVENT
}

inline release_source()
{
	atomic {
		USE_SOURCE;
		assert(source_references > 0);
		source_references--;
		last = (source_references == 0)
	};
	if
	:: last && record -> assert(!listed); source_freed = true
	:: last && !record ->
#ifndef BROKEN_4	/* the source goes without taking its binding out */
		LOCK_SOURCE;
		binding_detach_locked();
		UNLOCK_SOURCE;
		source_freed = true;
		if
		:: got -> release_event()
		:: else
		fi
#else
		source_freed = true
#endif
	:: else
	fi
}

/* ---- the end of the event ---- */

inline forget()
{
	LOCK_SOURCE;
	USE_BINDING;
#ifdef BROKEN_2	/* whatever is bound now is taken out */
	mine = true;
#else
	mine = (bound == OURS);
#endif
	if
	:: mine ->
		bound = NONE;
		if
		:: record -> listed = false; free_record()
		:: else
		fi
	:: else
	fi;
	UNLOCK_SOURCE;
	if
	:: mine -> release_event()
	:: else
	fi;
	release_source()
}

proctype event_end()
{
	bool last, got, was_linked, mine, lives;

	LOCK_EVENT;
	closed = true;
	UNLOCK_EVENT;
	do
	:: LOCK_EVENT;
		if
		:: !linked -> UNLOCK_EVENT; break
		:: else ->
			linked = false;
			USE_BINDING;
#ifdef BROKEN_1	/* the source is used without a reference */
			lives = true;
			source_references++;
#else
			atomic {
				lives = (source_references > 0);
				source_references = source_references + lives
			};
#endif
			UNLOCK_EVENT;
			if
			:: lives -> forget()
			:: else
			fi
		fi
	od;
	release_event()
}

/* ---- programs ---- */

inline change_record()
{
	LOCK_SOURCE;
	got = false;
	if
	:: !ended && listed ->
		binding_detach_locked();
		if
		:: got -> listed = false
		:: else
		fi
	:: else
	fi;
	UNLOCK_SOURCE;
	if
	:: got -> free_record(); release_event()
	:: else
	fi
}

inline binding_set()
{
	LOCK_SOURCE;
	binding_detach_locked();
	if
	:: binding_attach_locked()
	:: bound = OTHER
	:: skip
	fi;
	UNLOCK_SOURCE;
	if
	:: got -> release_event()
	:: else
	fi
}

proctype program()
{
	bool last, got, was_linked;
	byte changes;

	do
	:: changes < CHANGES && record -> change_record(); changes++
	:: changes < CHANGES && !record -> binding_set(); changes++
	:: changes == CHANGES -> break
	od;
	release_event();
	release_source()
}

/* The signal's reference is dropped under the event's lock where it is not the last one. */
inline event_signal_send()
{
	LOCK_EVENT;
	atomic {
		dropped = (event_references > 1);
		event_references = event_references - dropped
	};
	UNLOCK_EVENT;
	if
	:: !dropped -> release_event()
	:: else
	fi
}

proctype signaller()
{
	bool last, got, was_linked, dropped, due;

	LOCK_SOURCE;
	if
	:: !record && bound == OURS -> due = true; event_references++
	:: else
	fi;
	UNLOCK_SOURCE;
	if
	:: due -> event_signal_send()
	:: else
	fi;
	release_source()
}

proctype source_end()
{
	bool last, got, was_linked, dropped, due;

	LOCK_SOURCE;
	ended = true;
	if
	:: record && listed -> binding_detach_locked();
		due = got;
		if
		:: due -> listed = false
		:: else
		fi
	:: else
	fi;
	UNLOCK_SOURCE;
	release_source();
	if
	:: due -> free_record(); event_signal_send()
	:: else
	fi
}

active proctype finish()
{
	timeout;
	assert(source_freed && event_freed && bound != OURS);
	assert(!record || record_freed)
}

init {
	byte count;
	atomic {
		if
		:: record = true; listed = true
		:: skip
		fi;
		source_references = 2 + PROGRAMS;
		event_references = 2 + PROGRAMS; /* the capability's, the binding's */
		do
		:: count < PROGRAMS -> run program(); count++
		:: else -> break
		od;
		run signaller();
		run source_end();
		run event_end()
	}
}
