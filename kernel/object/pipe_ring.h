/* Which bytes of a pipe's buffer are filled, and where the next ones go. The buffer is a number of
 * pages that need not be neighbours, so what is read or written is named in pieces, each within a
 * page. One side may look for its pieces while the other moves its own position: a reader's lie
 * between head and tail, a writer's outside. Pure; the caller serialises each side with itself, and
 * both where positions are compared or moved. */
#ifndef CAPOS_OBJECT_PIPE_RING_H
#define CAPOS_OBJECT_PIPE_RING_H

#include <stdint.h>

#include "core/log.h"

#define PIPE_RING_PAGE 4096u

struct pipe_ring {
	uint32_t size;       /* bytes, a multiple of PIPE_RING_PAGE */
	uint64_t head, tail; /* bytes that were ever read and written; never wrap */
};

/* Bytes side by side in one page. */
struct pipe_piece {
	uint32_t page, offset, length;
};

static inline void pipe_ring_init(struct pipe_ring *ring, uint32_t size)
{
	ASSERT(size && size % PIPE_RING_PAGE == 0);
	*ring = (struct pipe_ring){ .size = size };
}

static inline uint32_t pipe_ring_count(const struct pipe_ring *ring)
{
	return (uint32_t)(ring->tail - ring->head);
}

static inline uint32_t pipe_ring_room(const struct pipe_ring *ring)
{
	return ring->size - pipe_ring_count(ring);
}

/* The beginning of `length` bytes that lie from a position on. */
static inline struct pipe_piece pipe_ring_piece(
	const struct pipe_ring *ring, uint64_t position, uint32_t length)
{
	uint32_t place = (uint32_t)(position % ring->size), offset = place % PIPE_RING_PAGE;
	uint32_t in_page = PIPE_RING_PAGE - offset;
	return (struct pipe_piece){
		.page = place / PIPE_RING_PAGE,
		.offset = offset,
		.length = length < in_page ? length : in_page,
	};
}

/* So many bytes behind the tail have been filled. */
static inline void pipe_ring_put(struct pipe_ring *ring, uint32_t length)
{
	ASSERT(length <= pipe_ring_room(ring));
	ring->tail += length;
}

/* So many bytes behind the head have been read. */
static inline void pipe_ring_take(struct pipe_ring *ring, uint32_t length)
{
	ASSERT(length <= pipe_ring_count(ring));
	ring->head += length;
}

#endif
