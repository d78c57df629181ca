/* Processes: the owners of address space, capability table, ledgers and threads. A process ends
 * when its last thread has ended; process_exit makes all of them end. The processes that it started
 * end with it. Any context that may take the PROCESS lock, unless said otherwise.
 *
 * docs/decisions/0012-objects-between-processes.md has the reasons. */
#ifndef CAPOS_PROC_PROCESS_H
#define CAPOS_PROC_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cap/table.h"
#include "capos_kernel/status.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/object.h"
#include "mm/aspace.h"
#include "sched/sched.h"
#include "sched/share.h"
#include "sched/wait.h"

struct capos_crash_record;
struct capos_remembered_call;
struct ledger;
struct lease;
struct thread;

#define PROCESS_NAME_BYTES 64u
#define PROGRAM_NONE UINT32_MAX

/* Where a fault was that ended a process. */
struct process_fault {
	uint32_t code;
	uint64_t address, place, thread_id;
	struct capos_crash_record *crash; /* charged to the process; NULL: none */
	/* The thread's, with how many it has made. */
	struct capos_remembered_call *last_calls;
	uint64_t calls_made;
};

struct process {
	struct object object;

	/* Set at creation, never changed. */
	uint64_t id;
	struct aspace *space;
	struct ledger *ledger; /* referenced */
	char name[PROCESS_NAME_BYTES];
	uint32_t program; /* index in the boot image; PROGRAM_NONE: started by another process */
	uint64_t image_offset; /* of the executable in the boot image; 0: it is not from there */
	uint64_t started_ns;
	bool remembers; /* its threads remember their last calls; set before it has one */
	/* The process that started it; NULL: the kernel did, or the parent has taken note of the
	 * end. It does not end before, so this is no reference. */
	struct process *parent;

	struct cap_table caps; /* own lock */

	/* The CapSet page: written before the first thread starts, shared read-only with the
	 * program. 0: none. Freed with the process. */
	paddr_t capset_frame;
	uint32_t capset_count;

	/* Guarded by lock. */
	struct spinlock lock;
	struct list threads;
	uint32_t thread_count;   /* live */
	uint32_t threads_untold; /* at the front of the list; they are to die and not told yet */
	bool exiting;            /* no thread may be added */
	bool held;               /* its threads are suspended (suspend.c) */
	bool holding;            /* a thread tells them that */
	bool handler_registered; /* some thread has had a notification handler */
	uint32_t exit_kind;      /* enum capos_exit_kind */
	int32_t exit_code;
	struct process_fault fault;  /* of exit_kind faulted */
	bool ended;                  /* last thread gone, capabilities dropped, children ended */
	struct list children, dying; /* started by it and not ended; dying: told to end */
	struct wait_queue exit_waiters;
	struct wait_queue holders; /* wait for holding to end */
	struct list bindings;      /* of events to its end (process_bind.c) */
	uint32_t binding_count;
	struct left_ring *left_rings; /* of threads that ended with the process */
	uint64_t left_pages;          /* charged for them */

	struct list_node reap_node;    /* guarded by the reaper's lock */
	struct list_node sibling_node; /* guarded by parent's lock */
	bool emptied;                  /* nothing is left but children; the reaper's own */

	/* Atomic. */
	uint32_t insiders;             /* threads that were added and not forgotten, and visitors */
	uint64_t boot_address;         /* where the boot image is mapped; 0: not yet */
	struct shared_profile profile; /* of its threads */
	uint64_t cpu_time_ns;          /* of ended threads */
	uint64_t peak_pages;           /* set when it has ended */
	uint64_t interrupts;           /* of CPUs, for its pages; likewise */

	struct share shares[]; /* by CPU */
};

/* A thread. An empty process with an address space and no thread. One reference, the caller's;
 * every thread holds another. ledger: the caller's reference goes to the process, also when there
 * is no memory for one; NULL fails. parent: the caller's process; NULL: none. */
status_t process_create(const char *name, uint32_t program, struct ledger *ledger,
	struct process *parent, struct process **process) MUST_CHECK;
/* Gives back a process that has had no thread, with the caller's reference. */
void process_discard(struct process *process);

/* Ends every thread of the process. The kind and code of the first call count. Returns; a calling
 * thread of the same process ends on its way back to user mode. */
void process_exit(struct process *process, uint32_t kind, int32_t code);

/* The same by a fault, whose record it takes over. */
void process_exit_faulted(
	struct process *process, uint32_t kind, const struct process_fault *fault);

/* The reaper, when the last thread is gone: tells the children to end, drops capabilities and
 * address space, and wakes waiters when there are no children, or else when the last of these has
 * ended. Takes over one reference. */
void process_threads_gone(struct process *process);

/* The list process->threads, for thread.c. add fails with WRONG_STATE when the process is exiting,
 * with LIMIT_REACHED above threadsMax, with NO_THREADS when none is left in the budget. */
status_t process_add_thread(struct process *process, struct thread *thread) MUST_CHECK;
void process_remove_thread(struct process *process, struct thread *thread);

/* A thread of any process is about to change the address space, the threads or the children of the
 * process, which is not taken apart before process_leave. False: it ends or has ended. The caller
 * has a reference. */
bool process_visit(struct process *process) MUST_CHECK;
/* A visitor, or a thread that was removed and whose record the process does not need any more,
 * gives up a reference. The last one tells the reaper to take the process apart. */
void process_leave(struct process *process);

/* Delivers a kind that is meant for the process, not for one of its threads, as docs/abi.md says.
 * Fails with WRONG_STATE for a user's kind when no thread has ever had a handler. */
status_t process_notify(struct process *process, uint32_t kind);

/* Whether all threads end. It stays so. */
bool process_is_exiting(struct process *process);
/* Keeps the ring frame of an ended thread, which is still mapped, until the address space of the
 * exiting process is gone. block: PREPAID kernel memory of that thread, kept as well, for a record.
 * pages: of both, which stay charged until then. */
void process_leave_ring(struct process *process, paddr_t ring, void *block, uint64_t pages);

/* A thread. Waits until the process and all that it started have ended, and what they owned is
 * given back. Interruptible. Not for threads of the process itself. Fails as wait_queue_wait does.
 */
status_t process_wait(struct process *process, uint64_t deadline_ns) MUST_CHECK;

/* A thread. The same, not interruptible, until the flag is set and process_nudge_foreground called
 * while this is the foreground process. False: it has not ended. */
bool process_wait_unless(struct process *process, const bool *flag) MUST_CHECK;
/* Wakes the thread that waits for the foreground process, after the flag was set. Any context that
 * may take the PROCESS lock. */
void process_nudge_foreground(void);
/* A thread. The child with the lowest id above the last, with a reference; NULL: none follows. */
struct process *process_next_child(struct process *process, uint64_t last);

/* A thread without locks. Sets the bits of the event when the process has ended, as for
 * process_wait, and at once if it has; bits 0: not any more. lease: of the caller's handle, or
 * NULL. Fails with NO_MEMORY, and with LIMIT_REACHED above processBindingsMax events. */
status_t process_bind(struct process *process, struct object *event, struct lease *lease,
	uint64_t bits) MUST_CHECK;
/* The process has ended, and its lock is held: takes its bindings out. Without locks: signals what
 * is in that list. */
void process_take_bindings_locked(struct process *process, struct list *taken);
void process_signal_end(struct list *taken);

/* The name by which the process, which has a thread, began with the capability; NULL: with another.
 */
const char *process_granted_name(const struct process *process, cap_id_t cap);

/* A call that waits at an endpoint, or is outstanding in a ring, is charged to the caller's budget
 * of calls. Any context. */
bool process_charge_call(struct process *process) MUST_CHECK;
void process_uncharge_call(struct process *process);

/* Of a process that may have ended. */
void process_end(struct process *process, struct capos_process_end *end);
void process_usage(struct process *process, struct capos_process_resources *usage);
/* The record of the fault that ended the process, which stays as long as the process's; NULL:
 * none. */
const struct capos_crash_record *process_crash(struct process *process);
/* Likewise a ring of CAPOS_LAST_CALLS_MAX calls of the thread whose fault that was, and how many it
 * has made; NULL: none. */
const struct capos_remembered_call *process_last_calls(struct process *process, uint64_t *made);

/* CPU time used by all its threads so far. */
uint64_t process_cpu_time_ns(struct process *process);

/* Sets the process that gets console keys; NULL between programs. */
void process_set_foreground(struct process *process);
/* A console key: process_notify() of that process. */
void process_key(uint32_t kind);

#endif
