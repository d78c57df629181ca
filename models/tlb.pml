/* TLB shootdown, against frame reuse, address space switches and other shootdowns.
 *
 * Models  kernel/arch/x86_64/tlb.c: tlb_flush_range, tlb_evict, request_others, tlb_serve,
 *         serve_request, aspace_activate
 *         kernel/core/lock.c: spin_lock_slow (waiting for a lock serves requests)
 *         kernel/mm/aspace.c: zap (hide, flush, free), aspace_destroy
 *         kernel/arch/x86_64/paging.c: hide_entry (no flush for an entry never used)
 *         kernel/sched/sched.c: load_thread (kernel threads keep the last space
 *         loaded), sched_idle (leaves it)
 *
 * Bounds: two spaces of one page each; the pages never have the same frame at the same time. CPUS
 * processors make STEPS steps of their choice: switch to a thread of a space or to a kernel thread,
 * be idle, unmap the page and free its frame, map it again with the accessed bit set or clear, or
 * destroy a space in which no thread runs. The processors' page walkers run independently. At any
 * time they may fill a TLB from the loaded tables, and set the accessed bit in the same step. A CPU
 * answers requests only between its steps (interrupts on), while it spins for a lock, and while it
 * waits for answers.
 *
 * Claims: when a frame is freed no TLB holds it, and when tables are freed no CPU has them loaded;
 * neither changes later. A freed space's mask is not touched. All CPUs reach their end (no invalid
 * end state). */

#ifdef SHORT
#define CPUS  2
#define STEPS 3
#else
#define CPUS  3
#define STEPS 2
#endif

#define NO_SPACE 2	/* the kernel's own tables */

/* Per CPU. */
byte loaded[CPUS] = NO_SPACE;	/* CR3 */
byte space[CPUS] = NO_SPACE;	/* what the kernel takes CR3 to be */
byte runs[CPUS] = NO_SPACE;	/* the space of the thread it runs */
bool tlb[CPUS];	/* holds an entry for the page of the loaded space */
byte senders[CPUS];
byte request_space[CPUS], waiting[CPUS];
bool request_evict[CPUS];

/* Per space. mask: CPUs that may hold entries. */
byte mask[2];
bit lock[2];
bool present[2] = true, accessed[2], frame_freed[2], destroyed[2];
bool gone[2];	/* its tables and record are freed */

#define BIT(cpu)          (1 << (cpu))
#define MAY_RUN(s)        (!destroyed[s])
#define NONE_RUNS(s)    (runs[0] != s && runs[1] != s && runs[CPUS - 1] != s)
#define in_use(cpu)       true
#define tlb(cpu)          tlb[cpu]
#define CPU_HAS(cpu, s, what) (loaded[cpu] == s && what(cpu))
#define NO_CPU_HAS(s, what) \
	!(CPU_HAS(0, s, what) || CPU_HAS(1, s, what) || CPU_HAS(CPUS - 1, s, what))

inline load_root(s)
{
	atomic { loaded[me] = s; tlb[me] = false }
}

inline aspace_activate(s)
{
	old = space[me];
	if
	:: old != s ->
#ifndef BROKEN_4
		if
		:: s != NO_SPACE -> mask[s] = mask[s] | BIT(me)
		:: else
		fi;
#endif
#ifdef BROKEN_1	/* the old mask is left before the old tables are out of use */
		if
		:: old != NO_SPACE -> mask[old] = mask[old] & ~BIT(me)
		:: else
		fi;
#endif
		space[me] = s;
		load_root(s);
#ifdef BROKEN_4	/* the new mask is entered after the new tables are in use */
		if
		:: s != NO_SPACE -> mask[s] = mask[s] | BIT(me)
		:: else
		fi;
#endif
#ifndef BROKEN_1
		if
		:: old != NO_SPACE ->
			atomic { assert(!gone[old]); mask[old] = mask[old] & ~BIT(me) }
		:: else
		fi
#endif
	:: else
	fi;
	old = 0
}

/* tlb_serve, one sender at a time. The guard is the caller's: senders[me] is not empty. */
inline serve()
{
	atomic {
		if
		:: senders[me] & BIT(0) -> from = 0
		:: senders[me] & BIT(1) -> from = 1
#if CPUS > 2
		:: senders[me] & BIT(2) -> from = 2
#endif
		fi;
		senders[me] = senders[me] & ~BIT(from)
	};
#ifdef BROKEN_7	/* the answer comes before the flush */
	waiting[from] = waiting[from] & ~BIT(me);
#endif
	if
	:: space[me] != request_space[from]
	:: space[me] == request_space[from] && !request_evict[from] -> tlb[me] = false
	:: space[me] == request_space[from] && request_evict[from] -> aspace_activate(NO_SPACE)
	fi;
#ifdef BROKEN_7
	from = 0
#else
	atomic { waiting[from] = waiting[from] & ~BIT(me); from = 0 }
#endif
}

inline take(s)
{
	do
	:: atomic { !lock[s] -> lock[s] = 1; break }
#ifndef BROKEN_3	/* a CPU that spins does not serve */
	:: senders[me] != 0 -> serve()
#endif
	od
}

inline request_others(s, evict)
{
#ifndef BROKEN_6
	others = mask[s] & ~BIT(me);
#endif
	if
	:: others != 0 ->
		atomic { request_space[me] = s; request_evict[me] = evict; waiting[me] = others };
		cpu = 0;
		do
		:: cpu < CPUS && (others & BIT(cpu)) ->
			atomic { senders[cpu] = senders[cpu] | BIT(me); cpu++ }
		:: cpu < CPUS && !(others & BIT(cpu)) -> cpu++
		:: else -> break
		od;
		atomic { cpu = 0; others = 0 };
#ifndef BROKEN_2	/* the frame is freed without waiting for the answers */
		do
		:: waiting[me] == 0 -> break
#ifndef BROKEN_5	/* a CPU that waits for answers gives none */
		:: senders[me] != 0 -> serve()
#endif
		od
#endif
	:: else
	fi
}

proctype processor(byte me)
{
	byte steps, target, old, from, others, cpu;
	bool used;

	do
	/* A thread of a space, a kernel thread, which leaves the old space loaded, or none. */
	:: steps < STEPS ->
		steps++;
		if
		:: atomic { MAY_RUN(0) -> runs[me] = 0 }; aspace_activate(0)
		:: atomic { MAY_RUN(1) -> runs[me] = 1 }; aspace_activate(1)
		:: runs[me] != NO_SPACE -> runs[me] = NO_SPACE
		:: space[me] != NO_SPACE -> runs[me] = NO_SPACE; aspace_activate(NO_SPACE)
		fi

	/* The program unmaps its page, or maps it. */
	:: atomic { steps < STEPS && runs[me] != NO_SPACE -> steps++; target = runs[me] };
		take(target);
		if
		:: present[target] ->
#ifdef BROKEN_6	/* the mask is read before the page table is changed */
			others = mask[target] & ~BIT(me);
#endif
#ifdef BROKEN_8	/* the accessed bit is read before the entry is hidden */
			used = accessed[target];
			present[target] = false;
#else
			atomic { present[target] = false; used = accessed[target] };
#endif
			if
			:: used ->
				tlb[me] = false;
				request_others(target, false)
			:: else
			fi;
			used = false;
			atomic { assert(NO_CPU_HAS(target, tlb)); frame_freed[target] = true }
		:: !present[target] ->
			atomic {
				if
				:: accessed[target] = true
				:: accessed[target] = false
				fi;
				frame_freed[target] = false;
				present[target] = true
			}
		fi;
		atomic { lock[target] = 0; target = 0 }

	/* A kernel thread destroys a space in which no thread runs. */
	:: atomic { steps < STEPS && runs[me] == NO_SPACE && MAY_RUN(0) && NONE_RUNS(0) ->
			steps++; destroyed[0] = true };
		if
		:: space[me] == 0 -> aspace_activate(NO_SPACE)
		:: else
		fi;
#ifdef BROKEN_6
		others = mask[0] & ~BIT(me);
#endif
		request_others(0, true);
		atomic { assert(NO_CPU_HAS(0, in_use)); gone[0] = true }

	/* Interrupts are on between the steps. */
	:: senders[me] != 0 -> serve()
	:: steps == STEPS && senders[me] == 0 -> break
	od;
end:	do
	:: senders[me] != 0 -> serve()
	od
}

/* The processors' page walkers. */
#define WALK(cpu) \
	atomic { loaded[cpu] != NO_SPACE && !tlb[cpu] && \
			(gone[loaded[cpu] & 1] || present[loaded[cpu] & 1]) -> \
		assert(!gone[loaded[cpu]]); assert(!frame_freed[loaded[cpu]]); \
		accessed[loaded[cpu] & 1] = true; tlb[cpu] = true }

active proctype walkers()
{
end:	do
	:: WALK(0)
	:: WALK(1)
#if CPUS > 2
	:: WALK(2)
#endif
	od
}

init {
	atomic {
		run processor(0);
		run processor(1)
#if CPUS > 2
		; run processor(2)
#endif
	}
}
