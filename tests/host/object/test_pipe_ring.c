/* The ring of a pipe: where pieces end, and both sides under random steps. */
#define CHECK_GROUP "object"
#include "pipe_steps.h"

#include "check.h"

static struct pipe_ring ring;

static bool piece_is(
	uint64_t position, uint32_t length, uint32_t page, uint32_t offset, uint32_t got)
{
	struct pipe_piece piece = pipe_ring_piece(&ring, position, length);
	return piece.page == page && piece.offset == offset && piece.length == got;
}

static void pieces_end_with_their_page(void)
{
	pipe_ring_init(&ring, 3 * PIPE_RING_PAGE);
	CHECK(piece_is(0, 1, 0, 0, 1));
	CHECK(piece_is(0, 3 * PIPE_RING_PAGE, 0, 0, PIPE_RING_PAGE));
	CHECK(piece_is(4095, 2, 0, 4095, 1));
	CHECK(piece_is(4096, 2, 1, 0, 2));
	CHECK(piece_is(3 * 4096 - 5, 4096, 2, 4091, 5));
	CHECK(piece_is(3 * 4096, 7, 0, 0, 7));
	CHECK(piece_is((1ull << 40) * 3 * 4096 + 4097, 9, 1, 1, 9));
}

static void positions_say_what_there_is(void)
{
	pipe_ring_init(&ring, PIPE_RING_PAGE);
	CHECK(pipe_ring_count(&ring) == 0 && pipe_ring_room(&ring) == PIPE_RING_PAGE);
	pipe_ring_put(&ring, PIPE_RING_PAGE);
	CHECK(pipe_ring_count(&ring) == PIPE_RING_PAGE && pipe_ring_room(&ring) == 0);
	pipe_ring_take(&ring, 1);
	CHECK(pipe_ring_count(&ring) == PIPE_RING_PAGE - 1 && pipe_ring_room(&ring) == 1);
}

static void random_steps(void)
{
	uint64_t seed = 88172645463325252ull;
	for (uint32_t pages = 1; pages <= STEPS_PAGES_MAX; pages++) {
		steps_begin(pages);
		for (int i = 0; i < 20000; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			CHECK(steps_step((uint8_t)(seed >> 8), (uint8_t)(seed >> 16)));
		}
		CHECK(steps.read > 100 * PIPE_RING_PAGE);
	}
}

int main(void)
{
	RUN(pieces_end_with_their_page);
	RUN(positions_say_what_there_is);
	RUN(random_steps);
	return check_failures != 0;
}
