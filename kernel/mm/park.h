/* Waiting on a word of memory: the only way to wait on memory. See park.c for the protocol and
 * models/park.pml for its model. */
#ifndef CAPOS_MM_PARK_H
#define CAPOS_MM_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "capos_kernel/user_ptr.h"

struct aspace;

/* A thread, which blocks until the wait ends. Returns an enum capos_park_result or an error. */
int64_t park_wait(bool shared, struct user_ptr word, uint32_t expected, uint64_t deadline_ns);
/* A thread. Returns the number of threads woken, or an error. */
int64_t park_wake(bool shared, struct user_ptr word, uint32_t count);
/* Ends waits on private words of [start, end) with drained, and returns whether more are left. The
 * lock of the space is held, the mapping is gone and the TLBs are flushed. */
bool park_drain(struct aspace *space, uint64_t start, uint64_t end) MUST_CHECK;

#endif
