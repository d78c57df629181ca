/*
 * Vector clocks. A release shares the clock of its goroutine instead of copying it, and a goroutine
 * that learns something copies its clock when others have it too.
 */
#include "race.h"

static size_t bytes_for(u32 size)
{
	return sizeof(struct race_clock) + size * sizeof(u64);
}

struct race_clock *race_clock_share(struct race_clock *clock)
{
	if (clock)
		__atomic_add_fetch(&clock->references, 1, __ATOMIC_RELAXED);
	return clock;
}

void race_clock_drop(struct race_clock *clock)
{
	if (clock && __atomic_sub_fetch(&clock->references, 1, __ATOMIC_ACQ_REL) == 0)
		race_free_dirty(clock, bytes_for(clock->size));
}

/* Makes *clock one that can be changed, with room for a number of slots. */
static struct race_clock *own(struct race_clock **clock, u32 size)
{
	struct race_clock *old = *clock, *copy;
	size_t bytes;

	if (old && old->size >= size && __atomic_load_n(&old->references, __ATOMIC_ACQUIRE) == 1)
		return old;
	if (old && old->size > size)
		size = old->size;
	bytes = race_alloc_size(bytes_for(size));
	copy = race_alloc_dirty(bytes);
	copy->references = 1;
	copy->size = (u32)((bytes - sizeof(*copy)) / sizeof(u64));
	for (u32 i = 0; i < copy->size; i++)
		copy->epochs[i] = race_clock_epoch(old, i);
	race_clock_drop(old);
	return *clock = copy;
}

void race_clock_raise(struct race_clock **clock, u32 slot, u64 epoch)
{
	if (race_clock_epoch(*clock, slot) < epoch)
		own(clock, slot + 1)->epochs[slot] = epoch;
}

void race_clock_join(struct race_clock **clock, struct race_clock *other)
{
	struct race_clock *mine = *clock;
	u32 i;

	if (!other || mine == other)
		return;
	if (!mine) {
		*clock = race_clock_share(other);
		return;
	}
	for (i = 0; i < other->size; i++)
		if (other->epochs[i] > race_clock_epoch(mine, i))
			break;
	if (i == other->size)
		return;
	mine = own(clock, other->size);
	for (; i < other->size; i++)
		if (other->epochs[i] > mine->epochs[i])
			mine->epochs[i] = other->epochs[i];
}
