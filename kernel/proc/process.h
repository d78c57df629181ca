/* Processes: the owners of address space, capability table, ledgers and threads. A process ends
 * when its last thread has ended; process_exit makes all of them end. Any context that may take the
 * PROCESS lock, unless said otherwise. */
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

struct thread;

struct process {
	struct object object;

	/* Set at creation, never changed. */
	uint64_t id;
	struct aspace *space;
	char name[64];
	uint32_t program; /* index in the boot image */
	uint64_t started_ns;

	struct cap_table caps; /* own lock */

	/* The CapSet page: written before the first thread starts, shared read-only with the
	 * program. 0: none. Freed with the process. */
	paddr_t capset_frame;
	uint32_t capset_count;

	/* Guarded by lock. */
	struct spinlock lock;
	struct list threads;
	uint32_t thread_count;   /* live */
	bool exiting;            /* no thread may be added */
	bool handler_registered; /* some thread has had a notification handler */
	uint32_t exit_kind;      /* enum capos_exit_kind */
	int32_t exit_code;
	bool ended; /* last thread gone, capabilities dropped */
	struct wait_queue exit_waiters;
	struct left_ring *left_rings; /* of threads that ended with the process */
	uint64_t left_pages;          /* charged for them */

	struct list_node reap_node; /* guarded by the reaper's lock */

	/* Atomic. */
	uint64_t boot_address;         /* where the boot image is mapped; 0: not yet */
	struct shared_profile profile; /* of its threads */
	uint64_t cpu_time_ns;          /* of ended threads */
	uint64_t peak_pages;           /* set when it has ended */
	uint64_t interrupts;           /* of CPUs, for its pages; likewise */

	struct share shares[]; /* by CPU */
};

/* A thread. An empty process with an address space and no thread, for a program of the boot image.
 * One reference, the caller's; every thread holds another. */
status_t process_create(const char *name, uint32_t program, uint64_t limit_pages,
	struct process **process) MUST_CHECK;

/* Ends every thread of the process. The kind and code of the first call count. Returns; a calling
 * thread of the same process ends on its way back to user mode. */
void process_exit(struct process *process, uint32_t kind, int32_t code);

/* A kernel thread, the reaper, when the last thread is gone: drops capabilities and address space,
 * and wakes waiters. */
void process_threads_gone(struct process *process);

/* The list process->threads, for thread.c. add fails with WRONG_STATE when the process is exiting,
 * with LIMIT_REACHED above threadsMax. */
status_t process_add_thread(struct process *process, struct thread *thread) MUST_CHECK;
/* Returns true when it was the last one. */
bool process_remove_thread(struct process *process, struct thread *thread);

/* Delivers a console key's kind to the process as docs/abi.md says. */
void process_notify(struct process *process, uint32_t kind);

/* Whether all threads end. It stays so. */
bool process_is_exiting(struct process *process);
/* Keeps the ring frame of an ended thread, which is still mapped, until the address space of the
 * exiting process is gone. block: PREPAID kernel memory of that thread, kept as well, for a record.
 * pages: of both, which stay charged until then. */
void process_leave_ring(struct process *process, paddr_t ring, void *block, uint64_t pages);

/* A thread. Waits until the process has ended and all that it owned is given back. Not for threads
 * of the process itself. */
void process_wait(struct process *process);

/* CPU time used by all its threads so far. */
uint64_t process_cpu_time_ns(struct process *process);

/* Sets the process that gets console keys; NULL between programs. */
void process_set_foreground(struct process *process);
/* A console key: process_notify() of that process. */
void process_key(uint32_t kind);

#endif
