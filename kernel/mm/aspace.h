/* An address space: the regions of a process's user half, its page tables, its two ledgers.
 *
 * Regions say which addresses are taken, and by what (mm/region.h); page tables say which pages are
 * committed and how, and hold the frames and the claims to frames (arch/paging.h). One lock,
 * rank ASPACE, guards both. Each removal of mappings shoots TLBs down and drains park waiters
 * (park_drain) before the frames or the addresses can be used again.
 *
 * Committed pages get their frames at first touch, up to 64 KiB around it at once, or 2 MiB where a
 * whole aligned block is committed. After a commit nothing can fail for lack of memory, because
 * tables are made or reserved along with it. Demand-zero pages are charged and given one by one.
 *
 * A thread, unless said otherwise, because long changes let other threads run. */
#ifndef CAPOS_MM_ASPACE_H
#define CAPOS_MM_ASPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/handlers.h"
#include "capos_kernel/status.h"
#include "capos_kernel/user_ptr.h"
#include "core/lock.h"
#include "core/rbtree.h"
#include "mm/frame.h"
#include "mm/park_queue.h"
#include "sched/wait.h"

struct ledger;
struct lease;
struct lease_map;
struct memory_object;

#define REGIONS_MAX 65536u /* of one space; a walk over all of them is bounded by it */

struct aspace {
	/* Set at creation, never changed. */
	paddr_t root;          /* top-level page table */
	struct ledger *ledger; /* what the process is charged; atomic in itself, shared with the
	                          memory objects it made and with its threads' records */

	/* Atomic. */
	uint64_t cpus; /* whose TLB may hold entries; set when loaded, cleared by the TLB code */
	uint32_t park_waiters; /* threads of the process that park or are about to */
	uint64_t interrupts;   /* of CPUs, sent by the TLB code: for --stats */

	struct park_queue parked; /* on private words, by address */

	/* Guarded by lock. */
	struct spinlock lock;
	struct rbtree regions;
	uint32_t region_count;
	uint64_t reserved_pages, reserved_pages_max;
	uint64_t resident_pages;          /* pages with a frame mapped */
	uint64_t table_frames;            /* page tables, without the top-level one */
	uint64_t search_hint;             /* where the next hintless search begins */
	struct list changes;              /* under way, and let others run meanwhile (aspace.c) */
	struct wait_queue change_waiters; /* until one of them is done */

	/* Atomic: revocations that have found the space by a mapping and have not left it. The last
	 * leaves under lock. */
	uint32_t visitors;
};

enum fault_outcome {
	FAULT_RESOLVED,  /* try again */
	FAULT_NOTHING,   /* nothing is mapped there */
	FAULT_FORBIDDEN, /* mapped or committed, but not for this access */
	FAULT_NO_MEMORY, /* a demand-zero page and no frame */
};

/* References: one for the process; destroyed by aspace_destroy when no thread of it can run any
 * more. ledger: the caller's reference goes to the space, also when there is no memory for one;
 * NULL fails. */
struct aspace *aspace_create(struct ledger *ledger) MUST_CHECK;
void aspace_destroy(struct aspace *space);

/* A user address faulted. The thread holds no lock of rank ASPACE or above. */
enum fault_outcome aspace_fault(struct aspace *space, vaddr_t address, enum fault_access access);

/* The VirtualMemory methods, with the semantics of abi/schema/memory.capnp. */
status_t aspace_map(struct aspace *space, uint64_t hint, uint64_t size, uint32_t prot,
	uint64_t *address) MUST_CHECK;
status_t aspace_unmap(struct aspace *space, uint64_t address, uint64_t size) MUST_CHECK;
status_t aspace_protect(
	struct aspace *space, uint64_t address, uint64_t size, uint32_t prot) MUST_CHECK;
status_t aspace_reserve(
	struct aspace *space, uint64_t hint, uint64_t size, uint64_t *address) MUST_CHECK;
status_t aspace_commit(
	struct aspace *space, uint64_t address, uint64_t size, uint32_t prot) MUST_CHECK;
status_t aspace_decommit(struct aspace *space, uint64_t address, uint64_t size) MUST_CHECK;
status_t aspace_query(struct aspace *space, uint64_t address, uint64_t size,
	struct capos_region_info *info) MUST_CHECK;
void aspace_usage(struct aspace *space, struct capos_memory_usage *usage);

/* Maps frames of another owner (ring, CapSet, clock page, boot image, read-only program segments)
 * as a foreign region. size is in bytes, a multiple of the page. hint as in reserve; exact: fails
 * with OVERLAP rather than move. pinned: the program can neither unmap, protect nor decommit it
 * (PROTECTION_DENIED); otherwise protect may take rights away and give them back, up to prot. The
 * frames are not freed with the mapping. */
status_t aspace_map_frames(struct aspace *space, uint64_t hint, bool exact, paddr_t first,
	uint64_t size, uint32_t prot, bool pinned, uint64_t *address) MUST_CHECK;
/* The kernel's own removal, also of pinned ranges. */
status_t aspace_unmap_kernel(struct aspace *space, uint64_t address, uint64_t size) MUST_CHECK;

/* Maps a range of a memory object; holds a reference to the object per region. lease: through which
 * the caller has the object, so that its revocation takes the mapping away; NULL: none. The caller
 * has a reference to its copy. REVOKED: it is. */
status_t aspace_map_object(struct aspace *space, struct memory_object *object, struct lease *lease,
	uint64_t hint, uint64_t offset, uint64_t size, uint32_t prot, uint64_t *address) MUST_CHECK;
/* The same as unmap and protect, for a range that consists of mappings of that object (else
 * NOT_RESERVED). */
status_t aspace_unmap_object(struct aspace *space, struct memory_object *object, uint64_t address,
	uint64_t size) MUST_CHECK;
status_t aspace_protect_object(struct aspace *space, struct memory_object *object, uint64_t address,
	uint64_t size, uint32_t prot) MUST_CHECK;

/* Of lease_map.c, which has made itself a visitor of the space. Unmaps what is left of a mapping
 * that was made through a lease which is revoked: the addresses stay reserved. Never fails. */
void aspace_take_back(struct aspace *space, const struct lease_map *map);
/* The visitor leaves. */
void aspace_leave(struct aspace *space);

/* Any context that may take the ASPACE lock. Writes into a space that need not be current, and
 * faults pages in regardless of write protection (program loading). Committed and demand-zero pages
 * only (else BAD_ADDRESS). */
status_t aspace_write(
	struct aspace *space, struct user_ptr to, const void *from, uint64_t size) MUST_CHECK;
/* The same with zero bytes. */
status_t aspace_write_zero(struct aspace *space, struct user_ptr to, uint64_t size) MUST_CHECK;

/* For shared park keys: the object and byte offset under an address, and the lease through which it
 * was mapped, or NULL. Takes references to the object and to the lease's copy for the caller; false
 * if it is not in a memory object's mapping. Any context that may take the ASPACE lock. */
bool aspace_lookup_object(struct aspace *space, struct user_ptr word, struct memory_object **object,
	uint64_t *offset, struct lease **lease);

#endif
