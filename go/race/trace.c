/*
 * Goroutines, their slots and traces. A trace has the calls, returns and accesses of a slot in
 * order, so it tells what the stack was at an access that a shadow cell remembers.
 *
 * A slot is used again when its goroutine has ended. Its epochs go on, so that cells of the earlier
 * goroutine stay what they are. Whoever learns an epoch of the later goroutine seems to know the
 * earlier one's as well, and a race with that one would be missed. So a slot is taken whose epochs
 * the creator knows, and otherwise a fresh one, as long as there are few.
 */
#include "race.h"

#define FREE_SEARCH 8   /* free slots that are looked at */
#define FRESH_SLOTS 256 /* below this a fresh slot is preferred */
#define MEMORY_SHARE 8  /* all traces together take at most one part in so many of the memory */
#define PARTS_MIN 256
#define STACK_FIRST 32
#define STACK_FRAMES (1u << 20)
#define DEPOT_LISTS 4096

struct race_slot *race_slots[RACE_SLOTS];

static struct race_lock slots_lock; /* for all below and for the tenants of slots */
static u32 slot_count;
static struct race_slot *free_first, **free_last = &free_first;
static u32 goroutines;
static u64 parts_total, parts_max; /* beyond the latter a slot overwrites its own */
static u32 parts_of_slot;
static struct race_stack *depot[DEPOT_LISTS];

void race_trace_limit(u32 history_size)
{
	u64 memory = race_host(RACE_HOST_MEMORY, 0, 0);

	parts_of_slot = (32768u << history_size) / RACE_PART_WORDS;
	parts_max = memory / MEMORY_SHARE / sizeof(struct race_part);
	if (parts_max < PARTS_MIN)
		parts_max = PARTS_MIN;
}

/* ---- stacks that are kept ----------------------------------------------------------------- */

static bool same_stack(const struct race_stack *kept, u64 hash, const u64 *frames, u32 size, u64 pc)
{
	if (kept->hash != hash || kept->size != size + 1 || kept->frames[size] != pc)
		return false;
	for (u32 i = 0; i < size; i++)
		if (kept->frames[i] != frames[i])
			return false;
	return true;
}

/* The caller has slots_lock. */
static const struct race_stack *keep_stack(const struct race_thread *thread, u64 pc)
{
	u64 size = (u64)(thread->top - thread->stack), hash = pc;
	bool cut = size >= RACE_STACK_MAX || thread->lost;
	u32 count = size >= RACE_STACK_MAX ? RACE_STACK_MAX - 1 : (u32)size;
	const u64 *frames = thread->top - count;
	struct race_stack *kept, **list;

	for (u32 i = 0; i < count; i++)
		hash = (hash ^ frames[i]) * 0x9e3779b97f4a7c15;
	list = &depot[(hash >> 32) % DEPOT_LISTS];
	for (kept = *list; kept; kept = kept->next)
		if (same_stack(kept, hash, frames, count, pc))
			return kept;
	kept = race_alloc(sizeof(*kept) + (count + 1) * sizeof(u64));
	kept->hash = hash;
	kept->size = count + 1;
	kept->cut = cut;
	for (u32 i = 0; i < count; i++)
		kept->frames[i] = frames[i];
	kept->frames[count] = pc;
	kept->next = *list;
	return *list = kept;
}

void race_current_stack(const struct race_thread *thread, u64 pc, struct race_frames *out)
{
	u64 size = (u64)(thread->top - thread->stack);
	u32 count = size >= RACE_STACK_MAX ? RACE_STACK_MAX - 1 : (u32)size;

	out->cut = size > count || thread->lost;
	out->failed = false;
	for (u32 i = 0; i < count; i++)
		out->frames[i] = thread->top[(int)i - (int)count];
	out->frames[count] = pc;
	out->size = count + 1;
}

/* ---- traces ------------------------------------------------------------------------------- */

static struct race_part *part_for(struct race_slot *slot)
{
	struct race_part *part;
	u32 limit = parts_of_slot;

	if (__atomic_load_n(&parts_total, __ATOMIC_RELAXED) >= parts_max)
		limit = 2;
	if (slot->parts < limit) {
		__atomic_add_fetch(&parts_total, 1, __ATOMIC_RELAXED);
		slot->parts++;
		return race_alloc(sizeof(*part));
	}
	part = slot->oldest;
	__atomic_store_n(&part->start, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	slot->oldest = part->next;
	return part;
}

void race_next_part(struct race_thread *thread)
{
	struct race_slot *slot = thread->home;
	struct race_part *part = part_for(slot);
	u64 size = (u64)(thread->top - thread->stack);
	u32 frames = size > RACE_PART_FRAMES ? RACE_PART_FRAMES : (u32)size;

	if (thread->epoch + RACE_PART_WORDS > RACE_EPOCH_MAX)
		race_die("race: a goroutine has done more than the race detector can count\n");
	part->next = NULL;
	part->frames = frames;
	part->cut = size > frames || thread->lost;
	for (u32 i = 0; i < frames; i++)
		part->words[i] = thread->top[(int)i - (int)frames];
	thread->event = part->words + frames;
	thread->event_end = part->words + RACE_PART_WORDS;
	__atomic_store_n(&part->start, thread->epoch, __ATOMIC_RELEASE);
	if (slot->newest && slot->oldest)
		__atomic_store_n(&slot->newest->next, part, __ATOMIC_RELEASE);
	else
		slot->oldest = part;
	slot->newest = part;
}

/* Makes room for one more frame, up to a limit, and puts pc there. */
void race_grow_stack(struct race_thread *thread, u64 pc)
{
	u64 size = (u64)(thread->top - thread->stack);
	u64 *stack;

	if (size >= STACK_FRAMES) {
		thread->lost++;
		return;
	}
	stack = race_alloc(2 * size * sizeof(u64));
	for (u64 i = 0; i < size; i++)
		stack[i] = thread->stack[i];
	race_free(thread->stack, size * sizeof(u64));
	thread->stack = stack;
	thread->stack_end = stack + 2 * size;
	thread->top = stack + size;
	*thread->top++ = pc;
}

static void push(struct race_frames *out, u64 pc)
{
	if (out->size == RACE_STACK_MAX) {
		out->cut = true;
		out->size--;
		for (u32 i = 0; i < out->size; i++)
			out->frames[i] = out->frames[i + 1];
	}
	out->frames[out->size++] = pc;
}

/* Follows the events of a part up to an access. */
static void replay(const struct race_part *part, u64 count, struct race_frames *out)
{
	out->size = 0;
	out->cut = part->cut;
	for (u32 i = 0; i < part->frames; i++)
		push(out, part->words[i]);
	for (u64 i = 0; i < count; i++) {
		u64 event = __atomic_load_n(&part->words[part->frames + i], __ATOMIC_RELAXED);

		switch ((enum race_event)(event & 3)) {
		case RACE_ENTER:
			push(out, event >> 2);
			break;
		case RACE_EXIT:
			out->size -= out->size != 0;
			break;
		case RACE_BEGIN:
			out->size = 0;
			out->cut = false;
			break;
		case RACE_ACCESS:
			break;
		}
	}
}

void race_past_stack(u32 slot, u64 epoch, struct race_frames *out)
{
	struct race_part *part = race_slots[slot]->oldest;
	u64 steps = 0;

	out->size = 0;
	out->failed = true;
	for (; part && steps <= parts_max; steps++) {
		u64 start = __atomic_load_n(&part->start, __ATOMIC_ACQUIRE), count = epoch - start;
		u32 frames = part->frames;

		if (start && frames <= RACE_PART_FRAMES && epoch >= start &&
			count < RACE_PART_WORDS - frames) {
			u64 access =
				__atomic_load_n(&part->words[frames + count], __ATOMIC_RELAXED);

			replay(part, count, out);
			push(out, access >> 2);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			out->failed = part->start != start || (access & 3) != RACE_ACCESS;
			return;
		}
		part = __atomic_load_n(&part->next, __ATOMIC_ACQUIRE);
	}
}

/* ---- goroutines --------------------------------------------------------------------------- */

static bool known_to(const struct race_thread *creator, const struct race_slot *slot)
{
	return creator && race_clock_epoch(creator->clock, slot->number) >= slot->last_access;
}

static struct race_slot *fresh_slot(void)
{
	struct race_slot *slot = race_alloc(sizeof(*slot));

	slot->number = slot_count;
	slot->end = 1;
	__atomic_store_n(&race_slots[slot_count], slot, __ATOMIC_RELEASE);
	slot_count++;
	return slot;
}

static struct race_slot *take_slot(const struct race_thread *creator)
{
	struct race_slot **place = &free_first, *slot;

	for (u32 i = 0; i < FREE_SEARCH && *place; i++, place = &(*place)->next_free)
		if (known_to(creator, *place))
			break;
	if (!*place || !known_to(creator, *place)) {
		if (slot_count < FRESH_SLOTS || (!free_first && slot_count < RACE_SLOTS))
			return fresh_slot();
		place = &free_first;
	}
	slot = *place;
	if (!slot)
		race_die("race: limit on 8192 simultaneously alive goroutines is exceeded, "
			 "dying\n");
	*place = slot->next_free;
	if (free_last == &slot->next_free)
		free_last = place;
	return slot;
}

static void move_in(
	struct race_thread *thread, struct race_slot *slot, const struct race_stack *created)
{
	struct race_tenant *tenant = &slot->tenants[slot->tenant_count++ % RACE_TENANTS];

	tenant->start = slot->end;
	tenant->goroutine = goroutines++;
	tenant->ended = false;
	tenant->created = created;
	__atomic_store_n(&slot->start, slot->end, __ATOMIC_RELAXED);
	slot->thread = thread;
	thread->home = slot;
	thread->slot = slot->number;
	thread->epoch = slot->end;
	if (slot->newest) {
		thread->event = slot->event;
		thread->event_end = slot->newest->words + RACE_PART_WORDS;
	}
}

struct race_thread *race_thread_begin(struct race_thread *creator, u64 pc)
{
	struct race_thread *thread = race_alloc(sizeof(*thread));
	struct race_slot *slot;

	thread->stack = race_alloc(STACK_FIRST * sizeof(u64));
	thread->top = thread->stack;
	thread->stack_end = thread->stack + STACK_FIRST;
	race_lock(&slots_lock);
	slot = take_slot(creator);
	move_in(thread, slot, creator ? keep_stack(creator, pc) : NULL);
	race_unlock(&slots_lock);
	/* What the creator has done is the clock of the new one; nothing of its own is in it. */
	if (creator) {
		thread->clock = race_clock_share(creator->clock);
		race_clock_raise(
			&thread->clock, creator->slot, race_record(creator, RACE_ACCESS, 0));
		creator->known_since = creator->epoch;
	}
	if (!slot->newest)
		race_next_part(thread);
	race_record(thread, RACE_BEGIN, 0);
	thread->known_since = thread->epoch;
	return thread;
}

/* What the goroutine did last is returns, and releases, which have no program counter. */
static u64 last_access(const struct race_thread *thread)
{
	const struct race_part *part = thread->home->newest;
	const u64 *event = thread->event;
	u64 epoch = thread->epoch - 1;

	for (; event > part->words + part->frames; epoch--) {
		event--;
		if ((*event & 3) == RACE_ACCESS && *event >> 2)
			break;
	}
	return epoch;
}

void race_thread_end(struct race_thread *thread)
{
	struct race_slot *slot = thread->home;

	race_clock_drop(thread->clock);
	race_free(thread->stack, (size_t)(thread->stack_end - thread->stack) * sizeof(u64));
	race_lock(&slots_lock);
	slot->tenants[(slot->tenant_count - 1) % RACE_TENANTS].ended = true;
	slot->end = thread->epoch;
	slot->event = thread->event;
	slot->last_access = last_access(thread);
	slot->thread = NULL;
	slot->next_free = NULL;
	*free_last = slot;
	free_last = &slot->next_free;
	race_unlock(&slots_lock);
	race_free(thread, sizeof(*thread));
}

const struct race_tenant *race_past_tenant(u32 slot, u64 epoch)
{
	struct race_slot *home = race_slots[slot];
	const struct race_tenant *found = NULL;

	race_lock(&slots_lock);
	for (u64 i = 0; i < RACE_TENANTS && i < home->tenant_count && !found; i++) {
		const struct race_tenant *tenant =
			&home->tenants[(home->tenant_count - 1 - i) % RACE_TENANTS];

		if (tenant->start <= epoch)
			found = tenant;
	}
	race_unlock(&slots_lock);
	return found;
}

void race_acquire_all(struct race_thread *thread)
{
	race_lock(&slots_lock);
	for (u32 i = 0; i < slot_count; i++) {
		struct race_slot *slot = race_slots[i];
		u64 next = slot->end;

		if (slot->thread)
			next = __atomic_load_n(&slot->thread->epoch, __ATOMIC_ACQUIRE);
		if (i != thread->slot)
			race_clock_raise(&thread->clock, i, next - 1);
	}
	race_unlock(&slots_lock);
}
