/*
 * Clocks of addresses: what a mutex, a channel's element or an atomic variable carries from the
 * goroutine that releases it to the one that acquires it. Neighbouring bytes have different clocks.
 *
 * A released address has its goroutine's clock as it was, and the epoch of the release. Who knows
 * that epoch of that goroutine has learned it from a release at or after it, and has that clock
 * already.
 */
#include "race.h"

u64 *race_list_lock(u64 address)
{
	struct race_shadow *shadow = race_shadow_of(address);
	u64 *list = &shadow->lists[(address & (RACE_SHADOW_BYTES - 1)) >> RACE_LIST_SHIFT];
	u32 spins = 0;

	while (__atomic_fetch_or(list, 1, __ATOMIC_ACQUIRE) & 1)
		while (__atomic_load_n(list, __ATOMIC_RELAXED) & 1)
			race_spin(&spins);
	return list;
}

void race_list_unlock(u64 *list)
{
	__atomic_store_n(list, *list & ~1ull, __ATOMIC_RELEASE);
}

static struct race_sync *first(u64 list)
{
	return (struct race_sync *)(list & ~1ull);
}

struct race_sync *race_sync_find(u64 *list, u64 address, bool make)
{
	struct race_sync *sync;

	for (sync = first(*list); sync; sync = sync->next)
		if (sync->address == address)
			return sync;
	if (!make)
		return NULL;
	sync = race_alloc(sizeof(*sync));
	sync->address = address;
	sync->slot = RACE_NO_SLOT;
	sync->next = first(*list);
	*list = (u64)sync | 1;
	return sync;
}

static void free_in_list(u64 *list, u64 from, u64 to)
{
	struct race_sync *sync, *next, *kept = NULL;

	for (sync = first(*list); sync; sync = next) {
		next = sync->next;
		if (sync->address >= from && sync->address < to) {
			race_clock_drop(sync->clock);
			race_free(sync, sizeof(*sync));
		} else {
			sync->next = kept;
			kept = sync;
		}
	}
	*list = (u64)kept | 1;
}

void race_sync_free(u64 address, u64 size)
{
	u64 end = address + size, step = 1ull << RACE_LIST_SHIFT, at;

	for (at = address & ~(step - 1); at < end; at += step) {
		struct race_shadow *shadow = race_shadow_if_any(at);
		u64 *list;

		if (!shadow) {
			at = (at | (RACE_SHADOW_BYTES - 1)) + 1 - step;
			continue;
		}
		list = &shadow->lists[(at & (RACE_SHADOW_BYTES - 1)) >> RACE_LIST_SHIFT];
		if (!__atomic_load_n(list, __ATOMIC_RELAXED))
			continue;
		list = race_list_lock(at);
		free_in_list(list, address, end);
		race_list_unlock(list);
	}
}

/* Whether the goroutine has what the address has. Goroutines that had the slot before do not count:
   who knows the epoch of a later one need not know what they knew. */
static bool knows(const struct race_thread *thread, const struct race_sync *sync)
{
	if (sync->slot == RACE_NO_SLOT)
		return !sync->clock;
	if (sync->slot == thread->slot)
		return sync->epoch >= thread->home->start;
	return race_clock_epoch(thread->clock, sync->slot) >= sync->epoch &&
		sync->epoch >= __atomic_load_n(&race_slots[sync->slot]->start, __ATOMIC_RELAXED);
}

void race_sync_acquire(struct race_thread *thread, const struct race_sync *sync)
{
	if (knows(thread, sync))
		return;
	race_clock_join(&thread->clock, sync->clock);
	if (sync->slot != RACE_NO_SLOT)
		race_clock_raise(&thread->clock, sync->slot, sync->epoch);
}

/* What follows a release did not happen before it. */
static u64 release_epoch(struct race_thread *thread)
{
	u64 epoch = race_record(thread, RACE_ACCESS, 0);

	thread->known_since = epoch + 1;
	return epoch;
}

void race_sync_release(struct race_thread *thread, struct race_sync *sync)
{
	if (sync->clock != thread->clock) {
		race_clock_drop(sync->clock);
		sync->clock = race_clock_share(thread->clock);
	}
	sync->slot = thread->slot;
	sync->epoch = release_epoch(thread);
}

void race_sync_release_merge(struct race_thread *thread, struct race_sync *sync)
{
	if (knows(thread, sync)) {
		race_sync_release(thread, sync);
		return;
	}
	if (sync->slot != RACE_NO_SLOT)
		race_clock_raise(&sync->clock, sync->slot, sync->epoch);
	sync->slot = RACE_NO_SLOT;
	race_clock_join(&sync->clock, thread->clock);
	race_clock_raise(&sync->clock, thread->slot, release_epoch(thread));
}

void race_sync_release_acquire(struct race_thread *thread, struct race_sync *sync)
{
	struct race_sync old = *sync;

	race_clock_share(old.clock);
	race_sync_release(thread, sync);
	race_sync_acquire(thread, &old);
	race_clock_drop(old.clock);
}
