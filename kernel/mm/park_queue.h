/* Threads parked on words: of one address space, or of one memory object. The words are numbers
 * here, addresses or offsets.
 *
 * Each space and each object has a queue of its own, so another process cannot lengthen it. It is
 * ordered by word and, among the threads of one word, by arrival. Finding the threads of a word or
 * of a range costs the logarithm of the queue's length plus the number found. */
#ifndef CAPOS_MM_PARK_QUEUE_H
#define CAPOS_MM_PARK_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/lock.h"
#include "core/rbtree.h"

struct thread;

struct park_queue {
	struct spinlock lock;
	/* Guarded by lock. */
	struct rbtree threads;
	uint64_t arrivals; /* threads that have ever parked */
};

/* Any context, before others know of the queue. */
static inline void park_queue_init(struct park_queue *queue)
{
	spin_init(&queue->lock, LOCK_RANK_PARK);
	rbtree_init(&queue->threads);
	queue->arrivals = 0;
}

#endif
