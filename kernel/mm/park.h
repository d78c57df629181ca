/* Waiting on a word of memory: the only way to wait on memory. See park.c for the protocol and
 * models/park.pml for its model. */
#ifndef CAPOS_MM_PARK_H
#define CAPOS_MM_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "capos_kernel/user_ptr.h"

struct aspace;
struct spinlock;
struct thread;

/* A thread, which blocks until the wait ends. Returns an enum capos_park_result or an error. */
int64_t park_wait(bool shared, struct user_ptr word, uint32_t expected, uint64_t deadline_ns);
enum park_join { PARK_JOINED, PARK_MISMATCH, PARK_UNREADABLE };

/* A thread, the current one. A wait for a private word and something else at once, whose queue
 * locks outside that of the word: between begin and end the thread counts as one that waits. join
 * looks at the word. After PARK_JOINED the thread is in the queue, and what *lock names is for
 * wait_block_both; leave takes it out. */
void park_beside_begin(struct thread *thread);
enum park_join park_beside_join(struct thread *thread, struct user_ptr word, uint32_t expected,
	struct spinlock **lock) MUST_CHECK;
void park_beside_leave(struct thread *thread);
void park_beside_end(struct thread *thread);

/* A thread. Returns the number of threads woken, or an error. */
int64_t park_wake(bool shared, struct user_ptr word, uint32_t count);
/* Ends waits on private words of [start, end) with drained, and returns whether more are left. The
 * lock of the space is held, the mapping is gone and the TLBs are flushed. */
bool park_drain(struct aspace *space, uint64_t start, uint64_t end) MUST_CHECK;

#endif
