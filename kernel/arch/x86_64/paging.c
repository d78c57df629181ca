/* Walking and changing user page tables. Every walk skips absent entries at the highest level, so
 * its cost follows what is there and not the size of the range. */
#include "arch/x86_64/paging.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/tlb.h"
#include "core/list.h"
#include "core/log.h"
#include "core/string.h"
#include "mm/frame.h"

extern uint64_t kernel_pml4[512];

#define ENTRIES 512u
#define LEVELS 4
#define KERNEL_HALF 256u

#define WRITABLE 2ul
#define USER 4ul
#define ACCESSED 0x20ul
#define DIRTY 0x40ul
#define LARGE 0x80ul
#define NO_EXECUTE (1ul << 63)
#define KIND(kind) ((uint64_t)(kind) << 9)
#define PROTECTION (PAGING_PRESENT | WRITABLE | USER | DIRTY | NO_EXECUTE)

#define TABLE_ENTRY (PAGING_PRESENT | WRITABLE | USER | ACCESSED | KIND(PAGING_TABLE))
#define COUNT_SHIFT 52
#define COUNT_ONE (1ul << COUNT_SHIFT)
#define COUNT_MASK (0x3fful << COUNT_SHIFT)

static unsigned level_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static uint64_t level_size(unsigned level)
{
	return 1ul << level_shift(level);
}

static unsigned level_index(uint64_t address, unsigned level)
{
	return address >> level_shift(level) & (ENTRIES - 1);
}

static uint64_t *table_at(uint64_t entry)
{
	return phys_to_virt(entry & PAGING_ADDRESS);
}

static size_t table_count(uint64_t entry)
{
	return (entry & COUNT_MASK) >> COUNT_SHIFT;
}

/* Processors read entries while we change them: each write is one store, after everything it refers
 * to. */
static void entry_write(uint64_t *slot, uint64_t entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

/* The top-level table is named by no entry: this stands for one, with a count that never falls to
 * zero. */
static uint64_t root_entry(paddr_t root)
{
	return root | TABLE_ENTRY | (uint64_t)ENTRIES << COUNT_SHIFT;
}

static uint64_t protection_bits(uint32_t prot)
{
	uint64_t bits = 0;

	if (prot)
		bits = PAGING_PRESENT | USER;
	if (prot & CAPOS_PROT_WRITE)
		bits |= WRITABLE | DIRTY; /* dirty but not writable would mean a shadow stack */
	if (!(prot & CAPOS_PROT_EXEC) && cpu_features.nx)
		bits |= NO_EXECUTE;
	return bits;
}

uint64_t paging_entry(enum paging_kind kind, paddr_t frame, uint32_t prot)
{
	return frame | KIND(kind) | ACCESSED | protection_bits(prot);
}

/* ---- tables ---- */

bool table_pool_fill(struct table_pool *pool, size_t count)
{
	*pool = (struct table_pool){ 0 };
	while (pool->count < count) {
		paddr_t frame = frame_alloc(0, FRAME_ZERO);
		if (!frame) {
			table_pool_drain(pool);
			return false;
		}
		*(paddr_t *)phys_to_virt(frame) = pool->first;
		pool->first = frame;
		pool->count++;
	}
	return true;
}

static paddr_t table_pool_take(struct table_pool *pool)
{
	paddr_t frame = pool->first;
	paddr_t *link = phys_to_virt(frame);

	VERIFY(pool->count);
	pool->count--;
	pool->first = *link;
	*link = 0;
	return frame;
}

void table_pool_drain(struct table_pool *pool)
{
	while (pool->count)
		frame_free(table_pool_take(pool), 0);
}

paddr_t paging_create(void)
{
	paddr_t root = frame_alloc(0, FRAME_ZERO);
	if (root) {
		uint64_t *table = phys_to_virt(root);
		memcpy(&table[KERNEL_HALF], &kernel_pml4[KERNEL_HALF],
			(ENTRIES - KERNEL_HALF) * sizeof(table[0]));
	}
	return root;
}

void paging_destroy(paddr_t root)
{
	const uint64_t *table = phys_to_virt(root);

	for (unsigned i = 0; i < KERNEL_HALF; i++)
		VERIFY(!table[i]);
	frame_free(root, 0);
}

/* ---- the walk ---- */

/* What is done on the way; each walk embeds one in its own state. */
struct walk {
	/* A run of a 4 KiB table's entries, or one non-zero entry of a higher table that is no
	 * table. slot names the table. */
	void (*entries)(
		struct walk *walk, uint64_t *slot, unsigned level, unsigned first, unsigned last);
	/* The table that child names, itself named in slot's table, has been walked. May be NULL.
	 */
	void (*table_done)(struct walk *walk, uint64_t *slot, uint64_t *child, unsigned level);
};

static void walk_table(
	struct walk *walk, uint64_t *slot, unsigned level, uint64_t start, uint64_t end)
{
	unsigned first = level_index(start, level), last = level_index(end - 1, level);

	if (level == 1) {
		walk->entries(walk, slot, 1, first, last);
		return;
	}
	uint64_t *table = table_at(*slot);
	uint64_t base = start & ~(level_size(level + 1) - 1);
	for (unsigned i = first; i <= last; i++) {
		if (!table[i])
			continue;
		if (paging_kind(table[i]) != PAGING_TABLE) {
			walk->entries(walk, slot, level, i, i);
			continue;
		}
		uint64_t child_start = base + i * level_size(level),
			 child_end = child_start + level_size(level);
		walk_table(walk, &table[i], level - 1, child_start > start ? child_start : start,
			child_end < end ? child_end : end);
		if (walk->table_done)
			walk->table_done(walk, slot, &table[i], level);
	}
}

static void walk_range(struct walk *walk, paddr_t root, uint64_t start, uint64_t end)
{
	uint64_t slot = root_entry(root);

	if (start < end)
		walk_table(walk, &slot, LEVELS, start, end);
}

/* ---- adding entries ---- */

static void count_need(const uint64_t *table, unsigned level, uint64_t start, uint64_t end,
	uint64_t counted, bool use_large_blocks, struct paging_need *need)
{
	uint64_t size = level_size(level);

	for (uint64_t at = start, next; at < end; at = next) {
		next = (at & ~(size - 1)) + size;
		uint64_t stop = next < end ? next : end;
		uint64_t entry = table ? table[level_index(at, level)] : 0;
		if (!entry && level == 2 && use_large_blocks && stop - at == size) {
			need->large_blocks++;
			continue;
		}
		if (!entry && !(counted && (at & ~(size - 1)) < counted))
			need->tables++;
		if (level > 2)
			count_need(entry ? table_at(entry) : NULL, level - 1, at, stop, counted,
				use_large_blocks, need);
	}
}

void paging_count_need(paddr_t root, uint64_t start, uint64_t end, uint64_t counted,
	bool use_large_blocks, struct paging_need *need)
{
	count_need(phys_to_virt(root), LEVELS, start, end, counted, use_large_blocks, need);
}

struct fill {
	uint64_t entry, step;
	bool use_large_blocks;
	struct table_pool *pool;
};

static void fill_table(
	struct fill *fill, uint64_t *slot, unsigned level, uint64_t start, uint64_t end)
{
	uint64_t *table = table_at(*slot);
	uint64_t size = level_size(level), added = 0;

	for (uint64_t at = start, next; at < end; at = next) {
		uint64_t *child = &table[level_index(at, level)];
		next = (at & ~(size - 1)) + size;
		uint64_t stop = next < end ? next : end;
		if (level == 1) {
			ASSERT(!*child);
			entry_write(child, fill->entry);
			fill->entry += fill->step;
			added++;
			continue;
		}
		if (!*child) {
			added++;
			if (level == 2 && fill->use_large_blocks && stop - at == size) {
				entry_write(child, fill->entry | LARGE);
				continue;
			}
			entry_write(child, table_pool_take(fill->pool) | TABLE_ENTRY);
		}
		ASSERT(paging_kind(*child) == PAGING_TABLE);
		fill_table(fill, child, level - 1, at, stop);
	}
	entry_write(slot, *slot + added * COUNT_ONE);
}

void paging_fill(paddr_t root, uint64_t start, uint64_t end, uint64_t entry, uint64_t step,
	struct table_pool *pool)
{
	struct fill fill = { entry, step, paging_kind(entry) == PAGING_COMMITTED, pool };
	uint64_t slot = root_entry(root);

	fill_table(&fill, &slot, LEVELS, start, end);
}

/* ---- single entries ---- */

bool paging_add(paddr_t root, uint64_t address, uint64_t entry)
{
	uint64_t *table = phys_to_virt(root), *slot = NULL;

	for (unsigned level = LEVELS; level > 1; level--) {
		slot = &table[level_index(address, level)];
		if (paging_kind(*slot) != PAGING_TABLE)
			return false;
		table = table_at(*slot);
	}
	if (table[level_index(address, 1)])
		return false;
	entry_write(&table[level_index(address, 1)], entry);
	entry_write(slot, *slot + COUNT_ONE);
	return true;
}

uint64_t *paging_find(paddr_t root, uint64_t address, unsigned *level)
{
	uint64_t *table = phys_to_virt(root);

	for (*level = LEVELS;; --*level) {
		uint64_t *slot = &table[level_index(address, *level)];
		if (*level == 1 || paging_kind(*slot) != PAGING_TABLE)
			return slot;
		table = table_at(*slot);
	}
}

void paging_replace(uint64_t *slot, uint64_t entry)
{
	ASSERT(*slot && entry);
	entry_write(slot, entry);
}

bool paging_populate_large(uint64_t *slot, uint32_t prot)
{
	paddr_t frame = frame_alloc(LARGE_PAGE_ORDER, FRAME_ZERO | FRAME_RESERVED);
	if (!frame)
		return false;
	entry_write(slot, paging_entry(PAGING_OWNED, frame, prot) | LARGE);
	return true;
}

void paging_split_entry(uint64_t *slot, uint64_t *tables)
{
	uint64_t old = *slot, entry = old & ~LARGE, step = 0;
	paddr_t frame = frame_alloc(0, FRAME_RESERVED); /* the reservation the entry carries */

	VERIFY(frame);
	if (paging_kind(old) == PAGING_OWNED) {
		frame_split(old & PAGING_ADDRESS, LARGE_PAGE_ORDER);
		step = PAGE_SIZE;
	}
	uint64_t *table = phys_to_virt(frame);
	for (unsigned i = 0; i < ENTRIES; i++, entry += step)
		table[i] = entry;
	entry_write(slot, frame | TABLE_ENTRY | (uint64_t)ENTRIES << COUNT_SHIFT);
	++*tables;
}

bool paging_split(paddr_t root, uint64_t address, uint64_t *tables)
{
	unsigned level;
	uint64_t *slot = paging_find(root, address, &level);
	uint64_t old = *slot;

	if (level != 2 || !old || (address & (LARGE_PAGE_SIZE - 1)) == 0)
		return false;
	paging_split_entry(slot, tables);
	return old & PAGING_PRESENT;
}

/* ---- protection ---- */

struct protect {
	struct walk walk;
	uint64_t bits;
	bool lost;
};

static void protect_entries(
	struct walk *walk, uint64_t *slot, unsigned level, unsigned first, unsigned last)
{
	struct protect *protect = container_of(walk, struct protect, walk);
	uint64_t *table = table_at(*slot);

	(void)level;
	for (unsigned i = first; i <= last; i++) {
		if (!paging_has_frame(table[i]))
			continue;
		uint64_t old = table[i],
			 lost = (old & ~protect->bits & (PAGING_PRESENT | WRITABLE)) |
			(~old & protect->bits & NO_EXECUTE);
		if ((old & PAGING_PRESENT) && lost)
			protect->lost = true;
		entry_write(&table[i], (old & ~PROTECTION) | protect->bits);
	}
}

bool paging_protect(paddr_t root, uint64_t start, uint64_t end, uint32_t prot)
{
	struct protect protect = { .walk = { protect_entries, NULL },
		.bits = protection_bits(prot) };

	walk_range(&protect.walk, root, start, end);
	return protect.lost;
}

/* ---- removal ---- */

uint64_t paging_step(paddr_t root, uint64_t start, uint64_t end, unsigned tables)
{
	uint64_t at = start;

	while (at < end && tables) {
		unsigned level;
		const uint64_t *slot = paging_find(root, at, &level);
		uint64_t size = level_size(level > 2 ? level : 2);
		if (level == 1 || *slot)
			tables--;
		at = (at & ~(size - 1)) + size;
	}
	return at < end ? at : end;
}

struct hide {
	struct walk walk;
	size_t covered[LEVELS + 1]; /* entries in use of the table being walked, per level, that the
	                               range takes away */
	bool flush;
};

static void hide_entry(struct hide *hide, uint64_t *entry)
{
	if (*entry & PAGING_PRESENT) {
		entry_write(entry, *entry & ~PAGING_PRESENT);
		hide->flush = true;
	}
}

static void hide_entries(
	struct walk *walk, uint64_t *slot, unsigned level, unsigned first, unsigned last)
{
	struct hide *hide = container_of(walk, struct hide, walk);
	uint64_t *table = table_at(*slot);

	for (unsigned i = first; i <= last; i++) {
		if (!table[i])
			continue;
		hide->covered[level]++;
		hide_entry(hide, &table[i]);
	}
}

static void hide_table(struct walk *walk, uint64_t *slot, uint64_t *child, unsigned level)
{
	struct hide *hide = container_of(walk, struct hide, walk);

	(void)slot;
	if (hide->covered[level - 1] == table_count(*child)) {
		hide->covered[level]++;
		hide_entry(hide, child);
	}
	hide->covered[level - 1] = 0;
	tlb_serve();
}

bool paging_hide(paddr_t root, uint64_t start, uint64_t end)
{
	struct hide hide = { .walk = { hide_entries, hide_table } };

	walk_range(&hide.walk, root, start, end);
	return hide.flush;
}

struct clear {
	struct walk walk;
	struct paging_cleared *cleared;
	size_t unreserved;
};

static void clear_entry(struct clear *clear, uint64_t entry, unsigned level)
{
	size_t pages = level == 2 ? ENTRIES : 1;

	if (level == 2)
		clear->unreserved++; /* the table it might have needed */
	if (paging_kind(entry) == PAGING_COMMITTED)
		clear->unreserved += pages;
	if (!paging_has_frame(entry))
		return;
	clear->cleared->resident += pages;
	if (paging_kind(entry) == PAGING_DEMAND_ZERO)
		clear->cleared->demand_zero += pages;
	if (paging_kind(entry) != PAGING_FOREIGN)
		frame_free(entry & PAGING_ADDRESS, level == 2 ? LARGE_PAGE_ORDER : 0);
}

static void clear_entries(
	struct walk *walk, uint64_t *slot, unsigned level, unsigned first, unsigned last)
{
	struct clear *clear = container_of(walk, struct clear, walk);
	uint64_t *table = table_at(*slot), removed = 0;

	for (unsigned i = first; i <= last; i++) {
		if (!table[i])
			continue;
		clear_entry(clear, table[i], level);
		entry_write(&table[i], 0);
		removed++;
	}
	entry_write(slot, *slot - removed * COUNT_ONE);
}

static void clear_table(struct walk *walk, uint64_t *slot, uint64_t *child, unsigned level)
{
	struct clear *clear = container_of(walk, struct clear, walk);

	(void)level;
	tlb_serve();
	if (table_count(*child))
		return;
	ASSERT(!(*child & PAGING_PRESENT));
	frame_free(*child & PAGING_ADDRESS, 0);
	entry_write(child, 0);
	entry_write(slot, *slot - COUNT_ONE);
	clear->cleared->tables++;
}

void paging_clear(paddr_t root, uint64_t start, uint64_t end, struct paging_cleared *cleared)
{
	struct clear clear = { .walk = { clear_entries, clear_table }, .cleared = cleared };

	walk_range(&clear.walk, root, start, end);
	if (clear.unreserved)
		frames_unreserve(clear.unreserved);
}

/* ---- counting ---- */

struct count {
	struct walk walk;
	size_t resident;
};

static void count_entries(
	struct walk *walk, uint64_t *slot, unsigned level, unsigned first, unsigned last)
{
	struct count *count = container_of(walk, struct count, walk);
	const uint64_t *table = table_at(*slot);

	for (unsigned i = first; i <= last; i++)
		if (paging_has_frame(table[i]))
			count->resident += level == 2 ? ENTRIES : 1;
}

size_t paging_resident(paddr_t root, uint64_t start, uint64_t end)
{
	struct count count = { .walk = { count_entries, NULL } };

	walk_range(&count.walk, root, start, end);
	return count.resident;
}
