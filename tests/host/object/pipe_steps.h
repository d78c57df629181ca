/* A pipe's ring over pages that are not neighbours, against the bytes that went in. Both sides move
 * as the kernel's do: each names its pieces before its position moves, and the other side may move
 * in between. */
#ifndef TEST_OBJECT_PIPE_STEPS_H
#define TEST_OBJECT_PIPE_STEPS_H

#include <stdbool.h>
#include <stdlib.h>

#include "object/pipe_ring.h"

#define STEPS_PAGES_MAX 5u

static struct {
	struct pipe_ring ring;
	uint8_t *pages[STEPS_PAGES_MAX]; /* each of its own, so that a sanitizer sees its ends */
	uint64_t wrote, read;            /* bytes so far */
	uint32_t filled, fetched;        /* copied by a side whose position has not moved yet */
} steps;

/* The byte at a position. */
static uint8_t byte_at(uint64_t position)
{
	return (uint8_t)(position * 31 + (position >> 8) * 7 + (position >> 16));
}

static void steps_begin(uint32_t pages)
{
	for (uint32_t i = 0; i < STEPS_PAGES_MAX; i++) {
		free(steps.pages[i]);
		steps.pages[i] = i < pages ? malloc(PIPE_RING_PAGE) : NULL;
	}
	pipe_ring_init(&steps.ring, pages * PIPE_RING_PAGE);
	steps.wrote = steps.read = 0;
	steps.filled = steps.fetched = 0;
}

/* Piece by piece, as a copy goes. False: a byte or a piece is wrong. */
static bool steps_copy(uint64_t position, uint32_t length, bool in)
{
	for (uint32_t done = 0; done < length;) {
		struct pipe_piece piece =
			pipe_ring_piece(&steps.ring, position + done, length - done);
		if (!piece.length || piece.length > length - done)
			return false;
		for (uint32_t i = 0; i < piece.length; i++) {
			uint8_t *at = &steps.pages[piece.page][piece.offset + i];
			if (in)
				*at = byte_at(position + done + i);
			else if (*at != byte_at(position + done + i))
				return false;
		}
		done += piece.length;
	}
	return true;
}

/* One step of a side. False: the ring has gone wrong. */
static bool steps_step(uint8_t what, uint8_t size)
{
	uint32_t length = size * (what & 4 ? 97u : 1u);
	uint32_t room = pipe_ring_room(&steps.ring), count = pipe_ring_count(&steps.ring);
	bool good = true;
	switch (what & 3) {
	case 0: /* a writer copies */
		steps.filled = length < room ? length : room;
		good = steps_copy(steps.ring.tail, steps.filled, true);
		break;
	case 1: /* and moves */
		pipe_ring_put(&steps.ring, steps.filled);
		steps.wrote += steps.filled;
		steps.filled = 0;
		break;
	case 2: /* a reader copies */
		steps.fetched = length < count ? length : count;
		good = steps_copy(steps.ring.head, steps.fetched, false);
		break;
	default: /* and moves */
		pipe_ring_take(&steps.ring, steps.fetched);
		steps.read += steps.fetched;
		steps.fetched = 0;
	}
	return good && pipe_ring_count(&steps.ring) == steps.wrote - steps.read &&
		pipe_ring_room(&steps.ring) + pipe_ring_count(&steps.ring) == steps.ring.size;
}

#endif
