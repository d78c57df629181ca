/* Choices that a seed makes for the kernel, in explore builds alone: how long a slice is, which of
 * the threads that wait runs, how late a timer is, whether a thread goes on at once when it leaves
 * the kernel. An ordinary kernel may choose each of these too, only rarely does. And it chooses the
 * faults of capos/inject.h. docs/explore.md tells what they find. In other builds all of this is
 * nothing.
 *
 * A point is where a choice can be made. It is named by its thread, in the order of creation since
 * the program has started, by its kind, and by how many of the kind the thread has had. So a run
 * repeats with some of its choices left out, as far as the rest is the same.
 *
 * QEMU runs several CPUs in turns when it counts instructions, and a CPU's pause ends its turn. So
 * on several CPUs a seed also chooses at atomic operations that others go first (core/turns.h).
 * Such a point is named by the thread, or the CPU where that has none, the place in the kernel, and
 * how often it has come there. */
#ifndef CAPOS_SCHED_EXPLORE_H
#define CAPOS_SCHED_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

struct process;
struct share;
struct thread;

enum explore_kind {
	EXPLORE_CALL,  /* a thread has called: it pauses or steps back when it leaves the kernel */
	EXPLORE_SLICE, /* a thread begins to run: its slice ends early */
	EXPLORE_TURN,  /* its slice has ended: it pauses before it goes on */
	EXPLORE_PICK,  /* it would be the next to run: another one is */
	EXPLORE_TIMER, /* it waits for a time: its timer is late */
	EXPLORE_RACE,  /* a CPU comes to an atomic operation: others go first */
	EXPLORE_FAULT, /* a thread asks whether a fault happens: it does */
	EXPLORE_KINDS
};

/* What is kept with each thread. Owner thread only, or under the lock of its CPU's run queue. */
struct explore_thread {
	uint32_t number; /* 0: of a kernel thread, or nothing is explored */
	uint32_t points[EXPLORE_KINDS];
	uint32_t slice;    /* 1 more than the record of the choice that ends its slice */
	uint64_t pause_ns; /* what it has to do when it leaves the kernel */
	uint64_t each_ns;  /* so long it pauses at each of its calls; 0: it does not */
};

#ifdef CAPOS_EXPLORE
/* A thread. A program is about to start; text is what follows "CAPOS_EXPLORE_KERNEL=" in its
 * environment, with NUL behind. */
void explore_begin(const char *text);
/* A thread. The program has ended: tells the host what was chosen. */
void explore_end(void);
/* A thread. Ends the program if explore_stuck was called, and tells whether. */
bool explore_report(struct process *process);

/* Any context. A thread of a process is made. */
void explore_created(struct thread *thread);
/* A thread. It has called. */
void explore_called(void);
/* A thread. On its way to user mode, when its exit work says so. */
void explore_leaves(void);
/* A thread. It asks which of so many faults happens, by a release of no capability with ways as its
 * second argument. Fault is 1 to ways, or 0: none. false: nothing is explored, and it is a release
 * like any other. */
bool explore_fault(uint64_t ways, uint64_t *fault);
/* Any context, with the run queue's lock. When the slice of the thread that begins now ends. */
uint64_t explore_slice(struct thread *thread, uint64_t now_ns, uint64_t end_ns);
/* Interrupt: the slice of the running thread has ended. */
void explore_turn(struct thread *thread);
/* Any context, with the run queue's lock. Which thread of the share runs; first is the one that
 * would. */
struct thread *explore_pick(const struct share *share, struct thread *first);
/* A thread, the one that is to wait. When its timer is due. */
uint64_t explore_timer(struct thread *thread, uint64_t deadline_ns);

/* A thread, with no lock held, before and after it asks a device that answers when QEMU's main loop
 * runs. The answer is there after the second, and the same number of instructions later whenever
 * the host has made it. */
void explore_ask_begin(void);
void explore_ask_end(void);

/* Any context. The CPU has nothing to run. */
void explore_idles(void);
/* Any context. When explore_tick wants to be called at the latest. */
uint64_t explore_next(void);
/* Interrupt: whether the program has been stuck for too long is looked at. */
void explore_tick(uint64_t now_ns);
/* Interrupt: the program can never end, or has taken too long. A thread is to call explore_report.
 * Provided by init/run.c. */
void explore_stuck(void);
#else
static inline void explore_begin(const char *text)
{
	(void)text;
}
static inline void explore_end(void)
{
}
static inline bool explore_report(struct process *process)
{
	(void)process;
	return false;
}
static inline void explore_created(struct thread *thread)
{
	(void)thread;
}
static inline void explore_called(void)
{
}
static inline void explore_leaves(void)
{
}
static inline bool explore_fault(uint64_t ways, uint64_t *fault)
{
	(void)ways, (void)fault;
	return false;
}
static inline uint64_t explore_slice(struct thread *thread, uint64_t now_ns, uint64_t end_ns)
{
	(void)thread, (void)now_ns;
	return end_ns;
}
/* Interrupt: nothing here. */
static inline void explore_turn(struct thread *thread)
{
	(void)thread;
}
static inline struct thread *explore_pick(const struct share *share, struct thread *first)
{
	(void)share;
	return first;
}
static inline uint64_t explore_timer(struct thread *thread, uint64_t deadline_ns)
{
	(void)thread;
	return deadline_ns;
}
static inline void explore_ask_begin(void)
{
}
static inline void explore_ask_end(void)
{
}
static inline void explore_idles(void)
{
}
static inline uint64_t explore_next(void)
{
	return UINT64_MAX;
}
/* Interrupt: nothing here. */
static inline void explore_tick(uint64_t now_ns)
{
	(void)now_ns;
}
#endif

#endif
