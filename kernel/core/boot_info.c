/* Memory ranges as firmware reports them: many, in any order, sometimes overlapping, hardly ever in
 * whole pages. A page counts as RAM only when no range says that a part of it is something else. */
#include "core/boot_info.h"

#define LOWEST_FOR_TABLES 0x100000ul

static paddr_t page_down(paddr_t address)
{
	return address & ~(PAGE_SIZE - 1);
}

/* Callers keep below the top of the address space. */
static paddr_t page_up(paddr_t address)
{
	return page_down(address + PAGE_SIZE - 1);
}

static bool overlap(const struct memory_range *a, const struct memory_range *b)
{
	return a->start < b->end && b->start < a->end;
}

/* Without room the smallest range is dropped. */
static void usable_append(struct boot_info *boot, struct memory_range range)
{
	struct memory_range *smallest = &boot->usable[0];
	if (range.start >= range.end)
		return;
	if (boot->usable_count < BOOT_RANGES_MAX) {
		boot->usable[boot->usable_count++] = range;
		return;
	}
	for (unsigned i = 1; i < boot->usable_count; i++)
		if (boot->usable[i].end - boot->usable[i].start < smallest->end - smallest->start)
			smallest = &boot->usable[i];
	if (smallest->end - smallest->start < range.end - range.start)
		*smallest = range;
}

void boot_info_add_ram(struct boot_info *boot, uint64_t start, uint64_t size)
{
	if (start >= BOOT_RAM_END_MAX)
		return;
	uint64_t end = size < BOOT_RAM_END_MAX - start ? start + size : BOOT_RAM_END_MAX;
	struct memory_range range = { page_up(start), page_down(end) };
	if (range.start >= range.end)
		return;
	/* Grows the range to one with all ranges that it touches. */
	for (unsigned i = 0; i < boot->usable_count;) {
		struct memory_range *other = &boot->usable[i];
		if (other->start > range.end || range.start > other->end) {
			i++;
			continue;
		}
		range.start = other->start < range.start ? other->start : range.start;
		range.end = other->end > range.end ? other->end : range.end;
		*other = boot->usable[--boot->usable_count];
		i = 0;
	}
	usable_append(boot, range);
}

void boot_info_remove_ram(struct boot_info *boot, uint64_t start, uint64_t size)
{
	if (start >= BOOT_RAM_END_MAX || !size)
		return;
	uint64_t end = size < BOOT_RAM_END_MAX - start ? start + size : BOOT_RAM_END_MAX;
	struct memory_range hole = { page_down(start), page_up(end) };
	for (unsigned i = 0; i < boot->usable_count;) {
		struct memory_range old = boot->usable[i];
		if (!overlap(&old, &hole)) {
			i++;
			continue;
		}
		/* The range that moves here is checked again; the rests no longer overlap. */
		boot->usable[i] = boot->usable[--boot->usable_count];
		usable_append(boot, (struct memory_range){ old.start, hole.start });
		usable_append(boot, (struct memory_range){ hole.end, old.end });
	}
}

uint64_t boot_info_ram_end(const struct boot_info *boot)
{
	uint64_t end = 0;
	for (unsigned i = 0; i < boot->usable_count; i++)
		end = boot->usable[i].end > end ? boot->usable[i].end : end;
	return end;
}

bool boot_info_is_ram(const struct boot_info *boot, paddr_t start, paddr_t end)
{
	for (unsigned i = 0; i < boot->usable_count; i++)
		if (boot->usable[i].start <= start && end <= boot->usable[i].end)
			return true;
	return false;
}

bool boot_info_take(struct boot_info *boot, paddr_t start, uint64_t size)
{
	if (!size || start >= BOOT_RAM_END_MAX || size > BOOT_RAM_END_MAX - start ||
		boot->taken_count == BOOT_TAKEN_MAX)
		return false;
	struct memory_range range = { page_down(start), page_up(start + size) };
	for (unsigned i = 0; i < boot->taken_count; i++)
		if (overlap(&range, &boot->taken[i]))
			return false;
	boot->taken[boot->taken_count++] = range;
	return true;
}

/* The lowest place at or above start within [start, end) that is not taken; end when there is none.
 */
static paddr_t free_place(const struct boot_info *boot, paddr_t start, paddr_t end, uint64_t size)
{
	for (unsigned i = 0; i < boot->taken_count;) {
		struct memory_range wanted = { start, start + size };
		if (overlap(&wanted, &boot->taken[i])) {
			start = boot->taken[i].end;
			i = 0;
		} else {
			i++;
		}
	}
	return start < end && size <= end - start ? start : end;
}

paddr_t boot_info_take_pages(struct boot_info *boot, size_t count)
{
	uint64_t size = count * PAGE_SIZE;
	paddr_t best = BOOT_REACH;
	if (!count || count > BOOT_REACH / PAGE_SIZE)
		return 0;
	for (unsigned i = 0; i < boot->usable_count; i++) {
		paddr_t start = boot->usable[i].start, end = boot->usable[i].end;
		start = start < LOWEST_FOR_TABLES ? LOWEST_FOR_TABLES : start;
		end = end > BOOT_REACH ? BOOT_REACH : end;
		if (start >= end)
			continue;
		paddr_t place = free_place(boot, start, end, size);
		if (place < end && place < best)
			best = place;
	}
	return best < BOOT_REACH && boot_info_take(boot, best, size) ? best : 0;
}
