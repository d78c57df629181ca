/*
 * Accesses: each granule of 8 bytes remembers the latest that matter, and each new one is compared
 * with them.
 *
 * Two CPUs that access a granule in the same moment may each miss the other's access, and one of
 * the two is then not remembered.
 */
#include "race.h"

#define LOW ((1ull << RACE_EPOCH_SHIFT) - 1)
#define MASK 0xffull
#define SLOT_MASK ((u64)(RACE_SLOTS - 1) << RACE_SLOT_SHIFT)
#define SHADOWS_AT_ONCE 16 /* these fill whole pages */

struct race_shadow **race_shadows;

static struct race_lock shadow_lock;
static struct race_shadow *spare;
static u32 spares;

void race_shadow_init(void)
{
	u64 count = 1ull << (RACE_ADDRESS_BITS - RACE_SHADOW_SHIFT);

	race_shadows = (struct race_shadow **)race_map(
		RACE_HOST_MAP_LAZILY, count * sizeof(*race_shadows));
}

struct race_shadow *race_new_shadow(u64 address)
{
	struct race_shadow **place = &race_shadows[address >> RACE_SHADOW_SHIFT], *shadow;

	race_lock(&shadow_lock);
	shadow = *place;
	if (!shadow) {
		if (!spares) {
			spare = (struct race_shadow *)race_map(
				RACE_HOST_MAP, SHADOWS_AT_ONCE * sizeof(*spare));
			spares = SHADOWS_AT_ONCE;
		}
		shadow = spare++;
		spares--;
		__atomic_store_n(place, shadow, __ATOMIC_RELEASE);
	}
	race_unlock(&shadow_lock);
	return shadow;
}

static inline u64 *cells_of(u64 address)
{
	u64 granule = (address & (RACE_SHADOW_BYTES - 1)) / 8;

	return &race_shadow_of(address)->cells[granule * RACE_CELLS];
}

static inline u64 load(const u64 *cell)
{
	return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

static inline void store(u64 *cell, u64 value)
{
	__atomic_store_n(cell, value, __ATOMIC_RELAXED);
}

static inline u64 mask_of(u64 address, u32 size)
{
	return (MASK >> (8 - size)) << (address & 7);
}

/* Whether the goroutine has made such an access since it last released anything. */
static inline bool is_known(const struct race_thread *thread, const u64 *cells, u64 low)
{
	for (u32 i = 0; i < RACE_CELLS; i++) {
		u64 before = load(&cells[i]);

		if (((before ^ low) & LOW & ~RACE_READ) == 0 && !(before & ~low & RACE_READ) &&
			before >> RACE_EPOCH_SHIFT >= thread->known_since)
			return true;
	}
	return false;
}

static inline bool happened_before(const struct race_thread *thread, u64 before)
{
	u32 slot = (u32)((before & SLOT_MASK) >> RACE_SLOT_SHIFT);
	u64 epoch = before >> RACE_EPOCH_SHIFT;

	if (slot == thread->slot && epoch >= thread->home->start)
		return true;
	return race_clock_epoch(thread->clock, slot) >= epoch;
}

/* Whether whatever races with an access that happened before races with this one as well. */
static inline bool replaces(u64 now, u64 before)
{
	return !(before & ~now & MASK) && !(now & ~before & (RACE_READ | RACE_ATOMIC));
}

/* Forgets what was done to some of the bytes. */
static void forget(u64 *cells, u64 mask)
{
	for (u32 i = 0; i < RACE_CELLS; i++) {
		u64 before = load(&cells[i]);

		store(&cells[i], before & MASK & ~mask ? before & ~mask : 0);
	}
}

/* Compares an access with those before and remembers it. A race is reported and then forgotten, so
   that it is not reported for each further access. Returns whether there was one. */
static bool compare(struct race_thread *thread, u64 *cells, u64 now, u64 address, u64 pc)
{
	bool stored = false;

	for (u32 i = 0; i < RACE_CELLS; i++) {
		u64 before = load(&cells[i]);

		if (!before) {
			if (!stored)
				store(&cells[i], now);
			stored = true;
		} else if (!(before & now & MASK)) {
			continue;
		} else if (happened_before(thread, before)) {
			if (replaces(now, before)) {
				store(&cells[i], stored ? 0 : now);
				stored = true;
			}
		} else if (!(before & now & (RACE_READ | RACE_ATOMIC))) {
			race_report(thread, address & ~7ull, now, before, pc);
			forget(cells, MASK);
			return true;
		}
	}
	if (!stored)
		store(&cells[(now >> RACE_EPOCH_SHIFT) % RACE_CELLS], now);
	return false;
}

static void access_slow(struct race_thread *thread, u64 *cells, u64 low, u64 address, u64 pc)
{
	u64 epoch = race_record(thread, RACE_ACCESS, pc);

	compare(thread, cells, low | epoch << RACE_EPOCH_SHIFT, address, pc);
}

static inline void access(struct race_thread *thread, u64 address, u32 size, u64 flags, u64 pc)
{
	u64 *cells = cells_of(address);
	u64 low = mask_of(address, size) | flags | (u64)thread->slot << RACE_SLOT_SHIFT;

	if (!is_known(thread, cells, low))
		access_slow(thread, cells, low, address, pc);
}

void race_access(struct race_thread *thread, u64 address, u32 size, u64 flags, u64 pc)
{
	access(thread, address, size, flags, pc);
}

void __tsan_read(struct race_thread *thread, u64 address, u64 pc)
{
	access(thread, address, 1, RACE_READ, pc);
}

void __tsan_write(struct race_thread *thread, u64 address, u64 pc)
{
	access(thread, address, 1, 0, pc);
}

/* An access in a function that does not tell of its calls. What is known already needs no call. */
static inline void access_pc(struct race_thread *thread, u64 address, u64 flags, u64 caller, u64 pc)
{
	u64 *cells = cells_of(address);
	u64 low = mask_of(address, 1) | flags | (u64)thread->slot << RACE_SLOT_SHIFT;

	if (is_known(thread, cells, low))
		return;
	if (caller)
		race_enter(thread, caller);
	access_slow(thread, cells, low, address, pc);
	if (caller)
		race_exit(thread);
}

void __tsan_read_pc(struct race_thread *thread, u64 address, u64 caller, u64 pc)
{
	access_pc(thread, address, RACE_READ, caller, pc);
}

void __tsan_write_pc(struct race_thread *thread, u64 address, u64 caller, u64 pc)
{
	access_pc(thread, address, 0, caller, pc);
}

/* The bytes of a range are one event. Only its first race is reported. */
static void access_range(struct race_thread *thread, u64 address, u64 size, u64 flags, u64 pc)
{
	u64 end = address + size, epoch = 0;
	u64 fixed = flags | (u64)thread->slot << RACE_SLOT_SHIFT;

	while (address < end) {
		u64 next = (address | 7) + 1, low;
		u64 *cells = cells_of(address);

		if (next > end)
			next = end;
		low = fixed | mask_of(address, (u32)(next - address));
		if (!is_known(thread, cells, low)) {
			if (!epoch)
				epoch = race_record(thread, RACE_ACCESS, pc);
			if (compare(thread, cells, low | epoch << RACE_EPOCH_SHIFT, address, pc))
				return;
		}
		address = next;
	}
}

void __tsan_read_range(struct race_thread *thread, u64 address, u64 size, u64 pc)
{
	access_range(thread, address, size, RACE_READ, pc);
}

void __tsan_write_range(struct race_thread *thread, u64 address, u64 size, u64 pc)
{
	access_range(thread, address, size, 0, pc);
}

/* Memory is given out anew: what was done to it before is no part of a race. */
void __tsan_malloc(struct race_thread *thread, u64 pc, u64 address, u64 size)
{
	u64 end = address + size;

	(void)thread, (void)pc;
	while (address < end) {
		u64 next = (address | (RACE_SHADOW_BYTES - 1)) + 1, count;
		struct race_shadow *shadow = race_shadow_if_any(address);
		u64 *cells;

		if (!shadow) {
			address = next;
			continue;
		}
		next = (address | 7) + 1 < end ? (address | 7) + 1 : end;
		cells = &shadow->cells[(address & (RACE_SHADOW_BYTES - 1)) / 8 * RACE_CELLS];
		if (next - address < 8) {
			forget(cells, mask_of(address, (u32)(next - address)));
			address = next;
			continue;
		}
		next = (address | (RACE_SHADOW_BYTES - 1)) + 1;
		count = ((next < end ? next : end) - address) / 8;
		for (u64 i = 0; i < count * RACE_CELLS; i++)
			store(&cells[i], 0);
		address += count * 8;
	}
}
