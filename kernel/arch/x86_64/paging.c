/* Walking and changing user page tables. Every walk skips absent entries and blocks at the highest
 * level, so its cost follows what is there and not the size of the range. */
#include "arch/paging.h"

#include "arch/impl/x86.h"
#include "arch/tlb.h"
#include "arch/x86_64/arch.h"
#include "core/list.h"
#include "core/log.h"
#include "core/string.h"
#include "mm/frame.h"

#define ENTRIES 512u
#define LEVELS 4
#define KERNEL_HALF 256u

#define WRITABLE 2ul
#define USER 4ul
#define UNCACHED 0x18ul /* PCD and PWT: strong uncacheable */
#define COMBINING 8ul   /* PWT: write-combining, by PAT_VALUE */
#define ACCESSED 0x20ul
#define DIRTY 0x40ul
#define LARGE 0x80ul
#define NO_EXECUTE (1ul << 63)
#define KIND(kind) ((uint64_t)(kind) << PAGING_KIND_SHIFT)
#define SOFT_PROTECTION (7ul << PAGING_PROT_SHIFT)
#define PROTECTION (PAGING_PRESENT | WRITABLE | USER | DIRTY | NO_EXECUTE | SOFT_PROTECTION)

#define TABLE_ENTRY (PAGING_PRESENT | WRITABLE | USER | ACCESSED | KIND(PAGING_TABLE))
#define COUNT_SHIFT 52
#define COUNT_ONE (1ul << COUNT_SHIFT)
#define COUNT_MASK (0x3fful << COUNT_SHIFT)

/* A 4 KiB table's note. Neither of the two upper bits: not known. */
#define NOTE_RESIDENT 0x3ffu
#define NOTE_ALIKE 0x400u
#define NOTE_MIXED 0x800u

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

/* Processors read entries while they are changed, so each write is one store, after all writes to
 * what it refers to. */
static void entry_write(uint64_t *slot, uint64_t entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

/* No entry names the top-level table. This one stands for it, with a count that never falls to
 * zero. */
static uint64_t root_entry(paddr_t root)
{
	return root | TABLE_ENTRY | (uint64_t)ENTRIES << COUNT_SHIFT;
}

static uint64_t level_pages(unsigned level)
{
	return level_size(level) / PAGE_SIZE;
}

static uint16_t *table_note(uint64_t entry)
{
	return frame_note(entry & PAGING_ADDRESS);
}

/* The state of a page with that entry; equal for pages that are alike. */
static uint32_t alike_key(uint64_t entry)
{
	static const uint8_t states[] = {
		[PAGING_ABSENT] = CAPOS_REGION_STATE_RESERVED,
		[PAGING_COMMITTED] = CAPOS_REGION_STATE_COMMITTED,
		[PAGING_DEMAND_ZERO_PENDING] = CAPOS_REGION_STATE_DEMAND_ZERO,
		[PAGING_FOREIGN_PENDING] = CAPOS_REGION_STATE_OBJECT,
		[PAGING_FOREIGN] = CAPOS_REGION_STATE_OBJECT,
		[PAGING_OWNED] = CAPOS_REGION_STATE_COMMITTED,
		[PAGING_DEMAND_ZERO] = CAPOS_REGION_STATE_DEMAND_ZERO,
	};

	return (uint32_t)states[paging_kind(entry)] << 3 | paging_prot(entry);
}

/* The bits of a frame's entry that give its access rights. */
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
	uint64_t bits = kind >= PAGING_FOREIGN ? ACCESSED | protection_bits(prot) : 0;

	return frame | KIND(kind) | (uint64_t)prot << PAGING_PROT_SHIFT | bits;
}

uint64_t paging_fixed_entry(paddr_t frame, uint32_t prot)
{
	return paging_entry(PAGING_FOREIGN, frame, prot) & ~ACCESSED;
}

/* Both win over what the processor's range registers say of the place (Intel SDM 3A, table 12-7).
 */
uint64_t paging_device_entry(paddr_t frame, uint32_t prot, bool combines)
{
	return paging_entry(PAGING_FOREIGN, frame, prot) |
		(combines && cpu_features.pat ? COMBINING : UNCACHED);
}

uint64_t paging_page_entry(uint64_t entry)
{
	return entry & ~(LARGE | PAGING_BARE);
}

/* ---- tables ---- */

bool table_pool_fill(struct table_pool *pool, size_t count)
{
	*pool = (struct table_pool){ 0 };
	while (pool->count < count) {
		paddr_t frame = frame_alloc(PREPAID, 0, FRAME_ZERO);
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
	*frame_note(frame) = 0;
	return frame;
}

void table_pool_drain(struct table_pool *pool)
{
	while (pool->count)
		frame_free(PREPAID, table_pool_take(pool), 0);
}

paddr_t paging_create(struct ledger *payer)
{
	paddr_t root = frame_alloc(payer, 0, FRAME_ZERO);
	if (root) {
		uint64_t *table = phys_to_virt(root);
		memcpy(&table[KERNEL_HALF], &kernel_pml4[KERNEL_HALF],
			(ENTRIES - KERNEL_HALF) * sizeof(table[0]));
	}
	return root;
}

void paging_destroy(struct ledger *payer, paddr_t root)
{
	const uint64_t *table = phys_to_virt(root);

	for (unsigned i = 0; i < KERNEL_HALF; i++)
		VERIFY(!table[i]);
	frame_free(payer, root, 0);
}

/* ---- the walk ---- */

/* The callbacks of a walk; each walk embeds one in its own state. */
struct walk {
	/* A run of a 4 KiB table's entries, or one non-zero entry of a higher table that is no
	 * table. slot names the table. */
	void (*entries)(
		struct walk *walk, uint64_t *slot, unsigned level, unsigned first, unsigned last);
	/* The table that child names, itself named in slot's table, has been walked. */
	void (*table_done)(struct walk *walk, uint64_t *slot, uint64_t *child, unsigned level);
	/* Instead of these two for a 4 KiB table that lies in the range with all its pages. */
	void (*whole_table)(struct walk *walk, uint64_t *slot, uint64_t *child);
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
	size_t left = table_count(*slot);
	for (unsigned i = first; i <= last && left; i++) {
		if (!table[i])
			continue;
		left--;
		if (paging_kind(table[i]) != PAGING_TABLE) {
			walk->entries(walk, slot, level, i, i);
			continue;
		}
		uint64_t child_start = base + i * level_size(level),
			 child_end = child_start + level_size(level);
		if (level == 2 && start <= child_start && child_end <= end) {
			walk->whole_table(walk, slot, &table[i]);
			continue;
		}
		walk_table(walk, &table[i], level - 1, child_start > start ? child_start : start,
			child_end < end ? child_end : end);
		walk->table_done(walk, slot, &table[i], level);
	}
}

static void walk_range(struct walk *walk, paddr_t root, uint64_t start, uint64_t end)
{
	uint64_t slot = root_entry(root);

	if (start < end)
		walk_table(walk, &slot, LEVELS, start, end);
}

/* The entries on the way to the 4 KiB table that holds all of [start, end), by their levels, if
 * there is one table and only one. Most ranges are so small, and one look is cheaper than a walk.
 */
struct path {
	uint64_t *slots[LEVELS + 1]; /* 2: the directory's, ... */
};

static bool only_table(paddr_t root, uint64_t start, uint64_t end, struct path *path)
{
	uint64_t *table = phys_to_virt(root);

	if ((start ^ (end - 1)) & ~(LARGE_PAGE_SIZE - 1))
		return false;
	for (unsigned level = LEVELS; level > 1; level--) {
		path->slots[level] = &table[level_index(start, level)];
		if (paging_kind(*path->slots[level]) != PAGING_TABLE)
			return false;
		table = table_at(*path->slots[level]);
	}
	return true;
}

/* ---- whether pages are alike ---- */

/* Looks at all of a 4 KiB table unless its note says. */
static bool table_alike(uint64_t entry)
{
	uint16_t *note = table_note(entry);
	const uint64_t *table = table_at(entry);
	uint32_t key = alike_key(table[0]);

	if (*note & (NOTE_ALIKE | NOTE_MIXED))
		return *note & NOTE_ALIKE;
	for (unsigned i = 1; i < ENTRIES; i++) {
		if (alike_key(table[i]) != key) {
			*note |= NOTE_MIXED;
			return false;
		}
	}
	*note |= NOTE_ALIKE;
	return true;
}

/* Of count entries of a 4 KiB table. */
static bool any_differs(const uint64_t *entries, unsigned count, uint32_t prot)
{
	for (unsigned i = 0; i < count; i++)
		if (entries[i] && paging_prot(entries[i]) != prot)
			return true;
	return false;
}

/* ---- the survey before a change ---- */

/* Whether absent pages that fill a whole entry of the level become a block. A GiB of committed
 * pages does not: its tables would be reserved with it, and are few. */
static bool makes_block(uint64_t fill, unsigned level)
{
	enum paging_kind kind = paging_kind(fill);

	return kind == PAGING_DEMAND_ZERO_PENDING ? level > 1
						  : level == 2 && kind && !paging_has_frame(fill);
}

static void survey_leaf(
	uint64_t entry, unsigned first, unsigned count, uint32_t prot, struct paging_survey *survey)
{
	const uint64_t *table = table_at(entry);
	bool whole = count == ENTRIES;

	if (whole)
		survey->absent += ENTRIES - table_count(entry);
	for (unsigned i = first; !whole && i < first + count; i++)
		survey->absent += !table[i];
	if (survey->differs)
		return;
	/* For a whole table whose pages are alike, only the first entry is read. */
	survey->differs = whole && table_alike(entry) ? any_differs(table, 1, prot)
						      : any_differs(&table[first], count, prot);
}

/* An absent entry of the level, all of whose pages are in the range. */
static void survey_absent(unsigned level, uint64_t fill, struct paging_survey *survey)
{
	uint64_t directories = level_size(level) >> level_shift(3),
		 tables = level_size(level) >> level_shift(2);

	survey->absent += level_pages(level);
	if (makes_block(fill, level)) {
		survey->reserved += level == 2;
		return;
	}
	survey->tables += level == 4; /* the one of directories */
	survey->tables += directories;
	if (makes_block(fill, 2))
		survey->reserved += tables;
	else
		survey->tables += tables;
}

static void survey_table(const uint64_t *table, unsigned level, uint64_t start, uint64_t end,
	uint64_t fill, struct paging_survey *survey)
{
	uint64_t size = level_size(level);

	for (uint64_t address = start, next; address < end; address = next) {
		next = (address & ~(size - 1)) + size;
		uint64_t stop = next < end ? next : end;
		uint64_t entry = table ? table[level_index(address, level)] : 0;
		if (entry && paging_kind(entry) != PAGING_TABLE) {
			survey->differs |= paging_prot(entry) != paging_prot(fill);
			continue;
		}
		if (!entry && stop - address == size) {
			survey_absent(level, fill, survey);
			continue;
		}
		survey->tables += !entry;
		if (level > 2)
			survey_table(entry ? table_at(entry) : NULL, level - 1, address, stop, fill,
				survey);
		else if (entry)
			survey_leaf(entry, level_index(address, 1),
				(unsigned)((stop - address) / PAGE_SIZE), paging_prot(fill),
				survey);
		else
			survey->absent += (stop - address) / PAGE_SIZE;
	}
}

void paging_survey(
	paddr_t root, uint64_t start, uint64_t end, uint64_t fill, struct paging_survey *survey)
{
	struct path path;

	if (only_table(root, start, end, &path))
		survey_leaf(*path.slots[2], level_index(start, 1),
			(unsigned)((end - start) / PAGE_SIZE), paging_prot(fill), survey);
	else
		survey_table(phys_to_virt(root), LEVELS, start, end, fill, survey);
}

/* ---- adding entries and changing protection ---- */

struct apply {
	uint64_t bits; /* of frames' entries */
	uint64_t soft; /* of all */
	uint64_t fill, step;
	struct table_pool *pool;
	bool lost;
};

/* Gives an entry the protection. */
static void apply_entry(struct apply *apply, uint64_t *slot)
{
	uint64_t old = *slot, soft = (old & ~SOFT_PROTECTION) | apply->soft;

	if (soft == old)
		return;
	if (!paging_has_frame(old)) {
		entry_write(slot, soft);
		return;
	}
	uint64_t lost = (old & ~apply->bits & (PAGING_PRESENT | WRITABLE)) |
		(~old & apply->bits & NO_EXECUTE);
	apply->lost |= (old & PAGING_PRESENT) && lost;
	entry_write(slot, (old & ~PROTECTION) | apply->soft | apply->bits);
}

static void apply_leaf(struct apply *apply, uint64_t *slot, unsigned first, unsigned last)
{
	uint64_t *table = table_at(*slot), added = 0;
	uint16_t *note = table_note(*slot);

	uint64_t same = 0, changed = 0; /* most entries without a frame are the same number */
	for (unsigned i = first; i <= last; i++) {
		if (table[i] == same && same) {
			entry_write(&table[i], changed);
		} else if (table[i]) {
			same = paging_has_frame(table[i]) ? 0 : table[i];
			apply_entry(apply, &table[i]);
			changed = table[i];
		} else if (apply->fill) {
			entry_write(&table[i], apply->fill);
			apply->fill += apply->step;
			added++;
		}
	}
	if (added && paging_has_frame(apply->fill))
		*note = (uint16_t)(*note + added);
	if (added == ENTRIES)
		*note |= NOTE_ALIKE;
	else if (added || last - first + 1 < ENTRIES || !(*note & NOTE_ALIKE))
		*note &= NOTE_RESIDENT;
	entry_write(slot, *slot + added * COUNT_ONE);
}

static void apply_table(
	struct apply *apply, uint64_t *slot, unsigned level, uint64_t start, uint64_t end)
{
	uint64_t *table = table_at(*slot);
	uint64_t size = level_size(level), added = 0;

	for (uint64_t address = start, next; address < end; address = next) {
		uint64_t *child = &table[level_index(address, level)];
		next = (address & ~(size - 1)) + size;
		uint64_t stop = next < end ? next : end;
		if (!*child) {
			if (!apply->fill)
				continue;
			added++;
			if (stop - address == size && makes_block(apply->fill, level)) {
				entry_write(
					child, apply->fill | LARGE | (level > 2 ? PAGING_BARE : 0));
				continue;
			}
			entry_write(child, table_pool_take(apply->pool) | TABLE_ENTRY);
		}
		if (paging_kind(*child) != PAGING_TABLE) {
			ASSERT(stop - address == size || (*child & SOFT_PROTECTION) == apply->soft);
			apply_entry(apply, child);
		} else if (level > 2) {
			apply_table(apply, child, level - 1, address, stop);
		} else {
			apply_leaf(apply, child, level_index(address, 1), level_index(stop - 1, 1));
			tlb_serve();
		}
	}
	entry_write(slot, *slot + added * COUNT_ONE);
}

bool paging_apply(paddr_t root, uint64_t start, uint64_t end, uint32_t prot, uint64_t fill,
	uint64_t step, struct table_pool *pool)
{
	struct apply apply = {
		.bits = protection_bits(prot),
		.soft = (uint64_t)prot << PAGING_PROT_SHIFT,
		.fill = fill,
		.step = step,
		.pool = pool,
	};
	uint64_t slot = root_entry(root);
	struct path path;

	if (only_table(root, start, end, &path))
		apply_leaf(&apply, path.slots[2], level_index(start, 1), level_index(end - 1, 1));
	else
		apply_table(&apply, &slot, LEVELS, start, end);
	return apply.lost;
}

/* ---- single entries ---- */

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

bool paging_empty(paddr_t root, uint64_t start, uint64_t end)
{
	unsigned level;

	return !*paging_find(root, start, &level) &&
		!((start ^ (end - 1)) & ~(level_size(level) - 1));
}

void paging_populate(uint64_t *slot, uint64_t entry)
{
	ASSERT(*slot && !paging_has_frame(*slot) && paging_has_frame(entry));
	entry_write(slot, entry);
}

void paging_note_resident(const uint64_t *slot, size_t count)
{
	uint16_t *note = frame_note(virt_to_phys(slot) & PAGING_ADDRESS);

	*note = (uint16_t)(*note + count);
}

bool paging_populate_large(uint64_t *slot)
{
	paddr_t frame = frame_alloc(PREPAID, LARGE_PAGE_ORDER, FRAME_ZERO | FRAME_RESERVED);
	if (!frame)
		return false;
	entry_write(slot, paging_entry(PAGING_OWNED, frame, paging_prot(*slot)) | LARGE);
	return true;
}

static void fill_alike(uint64_t *table, uint64_t entry)
{
	size_t count = ENTRIES;

	__asm__ volatile("rep stosq" : "+D"(table), "+c"(count) : "a"(entry) : "memory");
}

bool paging_split_entry(uint64_t *slot, unsigned level, struct ledger *payer)
{
	uint64_t old = *slot, entry = level == 2 ? paging_page_entry(old) : old;
	/* Reserved and charged with the entry, unless it is bare. */
	paddr_t frame = old & PAGING_BARE ? frame_alloc(payer, 0, 0)
					  : frame_alloc(PREPAID, 0, FRAME_RESERVED);

	if (!frame)
		return false;
	uint64_t *table = phys_to_virt(frame);
	*frame_note(frame) = NOTE_ALIKE;
	if (paging_kind(old) == PAGING_OWNED) {
		frame_split(old & PAGING_ADDRESS, LARGE_PAGE_ORDER);
		for (unsigned i = 0; i < ENTRIES; i++, entry += PAGE_SIZE)
			table[i] = entry;
		*frame_note(frame) = NOTE_ALIKE | ENTRIES;
	} else {
		fill_alike(table, entry);
	}
	entry_write(slot, frame | TABLE_ENTRY | (uint64_t)ENTRIES << COUNT_SHIFT);
	return true;
}

/* ---- removal ---- */

/* Where the entries of a table that are empty from the slot on end. The slot is the address's. */
static uint64_t empty_end(const uint64_t *slot, uint64_t address, uint64_t end, unsigned level)
{
	uint64_t size = level_size(level), table_end = (address | (level_size(level + 1) - 1)) + 1;

	if (end > table_end)
		end = table_end;
	address &= ~(size - 1);
	do {
		address += size;
		slot++;
	} while (address < end && !*slot);
	return address;
}

uint64_t paging_step(paddr_t root, uint64_t start, uint64_t end, unsigned tables)
{
	uint64_t address = start;

	if (end - start < tables * LARGE_PAGE_SIZE)
		return end;
	while (address < end && tables) {
		unsigned level;
		const uint64_t *slot = paging_find(root, address, &level);
		uint64_t size = level_size(level > 2 ? level : 2);
		if (level > 1 && !*slot) {
			address = empty_end(slot, address, end, level);
			continue;
		}
		tables--;
		address = (address & ~(size - 1)) + size;
	}
	return address < end ? address : end;
}

struct hide {
	struct walk walk;
	size_t covered[LEVELS + 1]; /* entries in use of the table being walked, per level, that the
	                               range takes away */
	uint64_t hidden;            /* the bits of all entries that were present */
};

/* Returns what the entry was, if it was present. The processor sets the accessed bit in one step
 * with its check that the entry is present, and its TLB holds no entry whose bit is clear (Intel
 * SDM, volume 3, section 4.10.2.3). models/tlb.pml models this. */
static uint64_t hide_entry(uint64_t *entry)
{
	uint64_t old = *entry;

	if (!(old & PAGING_PRESENT))
		return 0;
	return __atomic_exchange_n(entry, old & ~PAGING_PRESENT, __ATOMIC_SEQ_CST);
}

static size_t count_used(const uint64_t *table, unsigned first, unsigned last)
{
	size_t used = 0;

	for (unsigned i = first; i <= last; i++)
		used += table[i] != 0;
	return used;
}

/* slot names the table. When the range takes all entries of a 4 KiB table, they go out of reach
 * with its directory's entry. */
static void hide_entries(
	struct walk *walk, uint64_t *slot, unsigned level, unsigned first, unsigned last)
{
	struct hide *hide = container_of(walk, struct hide, walk);
	uint64_t *table = table_at(*slot);
	size_t used = count_used(table, first, last);

	hide->covered[level] += used;
	if (level == 1 && used == table_count(*slot))
		return;
	uint64_t hidden = 0;
	for (unsigned i = first; i <= last; i++)
		hidden |= hide_entry(&table[i]);
	hide->hidden |= hidden;
}

static void hide_table(struct walk *walk, uint64_t *slot, uint64_t *child, unsigned level)
{
	struct hide *hide = container_of(walk, struct hide, walk);

	(void)slot;
	if (hide->covered[level - 1] == table_count(*child)) {
		hide->covered[level]++;
		hide->hidden |= hide_entry(child);
	}
	hide->covered[level - 1] = 0;
	tlb_serve();
}

static void hide_whole_table(struct walk *walk, uint64_t *slot, uint64_t *child)
{
	struct hide *hide = container_of(walk, struct hide, walk);

	(void)slot;
	hide->covered[2]++;
	hide->hidden |= hide_entry(child);
	tlb_serve();
}

/* The tables that become empty by the entries covered. */
static void hide_path(struct hide *hide, const struct path *path, size_t covered)
{
	for (unsigned level = 2; level <= LEVELS; level++, covered = 1) {
		if (table_count(*path->slots[level]) != covered)
			return;
		hide->hidden |= hide_entry(path->slots[level]);
	}
}

bool paging_hide(paddr_t root, uint64_t start, uint64_t end)
{
	struct hide hide = { .walk = { hide_entries, hide_table, hide_whole_table } };
	struct path path;

	if (only_table(root, start, end, &path)) {
		hide_entries(&hide.walk, path.slots[2], 1, level_index(start, 1),
			level_index(end - 1, 1));
		hide_path(&hide, &path, hide.covered[1]);
	} else {
		walk_range(&hide.walk, root, start, end);
	}
	return hide.hidden & ACCESSED;
}

struct clear {
	struct walk walk;
	struct paging_cleared *cleared;
	size_t unreserved;
};

/* Returns the pages that had a frame. */
static size_t clear_entry(struct clear *clear, uint64_t entry, unsigned level)
{
	size_t pages = level_pages(level);

	if (level == 2 && !(entry & PAGING_BARE)) { /* the table it might have needed */
		clear->unreserved++;
		clear->cleared->tables_reserved++;
	}
	switch (paging_kind(entry)) {
	case PAGING_COMMITTED:
		clear->unreserved += pages;
		clear->cleared->charged += pages;
		return 0;
	case PAGING_OWNED:
	case PAGING_DEMAND_ZERO:
		clear->cleared->charged += pages;
		frame_free(PREPAID, entry & PAGING_ADDRESS, level == 2 ? LARGE_PAGE_ORDER : 0);
		return pages;
	case PAGING_FOREIGN:
		return pages;
	default:
		return 0;
	}
}

/* The entries of a table that is hidden itself go with it: they need not be written. */
static void clear_entries(
	struct walk *walk, uint64_t *slot, unsigned level, unsigned first, unsigned last)
{
	struct clear *clear = container_of(walk, struct clear, walk);
	uint64_t *table = table_at(*slot), removed = 0;
	bool hidden = level == 1 && !(*slot & PAGING_PRESENT);
	size_t resident = 0;

	for (unsigned i = first; i <= last; i++) {
		uint64_t entry = table[i];
		if (!entry)
			continue;
		removed++;
		if (!hidden)
			entry_write(&table[i], 0);
		/* The commonest changes that leave nothing to do are recognised first. */
		if (level > 1 || paging_kind(entry) != PAGING_DEMAND_ZERO_PENDING)
			resident += clear_entry(clear, entry, level);
	}
	clear->cleared->resident += resident;
	if (level == 1) {
		uint16_t *note = table_note(*slot);
		*note = (uint16_t)((*note & NOTE_RESIDENT) - resident);
	}
	entry_write(slot, *slot - removed * COUNT_ONE);
}

/* Frees a table that is empty. slot names the table it is named in; NULL: the top-level one. */
static bool free_table(struct clear *clear, uint64_t *slot, uint64_t *child)
{
	if (table_count(*child))
		return false;
	ASSERT(!(*child & PAGING_PRESENT));
	frame_free(PREPAID, *child & PAGING_ADDRESS, 0);
	entry_write(child, 0);
	if (slot)
		entry_write(slot, *slot - COUNT_ONE);
	clear->cleared->tables++;
	return true;
}

static void clear_table(struct walk *walk, uint64_t *slot, uint64_t *child, unsigned level)
{
	(void)level;
	tlb_serve();
	free_table(container_of(walk, struct clear, walk), slot, child);
}

/* The entries of a table that goes with all of them need not be written, and only those in use are
 * looked at. Where they are known to be alike, those without a frame need not be looked at either.
 */
static void clear_whole_table(struct walk *walk, uint64_t *slot, uint64_t *child)
{
	struct clear *clear = container_of(walk, struct clear, walk);
	const uint64_t *table = table_at(*child);
	uint16_t note = *table_note(*child);
	size_t resident = note & NOTE_RESIDENT;
	size_t left = note & NOTE_ALIKE ? resident : table_count(*child);
	enum paging_kind kind = paging_kind(table[0]);

	clear->cleared->resident += resident;
	if (note & NOTE_ALIKE && (kind == PAGING_COMMITTED || kind == PAGING_OWNED)) {
		clear->unreserved += ENTRIES - resident;
		clear->cleared->charged += ENTRIES - resident;
	}
	if (note & NOTE_ALIKE && kind >= PAGING_FOREIGN_PENDING && kind <= PAGING_FOREIGN)
		left = 0;
	for (const uint64_t *entry = table; left; entry++) {
		if (note & NOTE_ALIKE ? !paging_has_frame(*entry) : !*entry)
			continue;
		left--;
		if (paging_kind(*entry) != PAGING_DEMAND_ZERO_PENDING)
			clear_entry(clear, *entry, 1);
	}
	entry_write(child, *child & ~COUNT_MASK);
	free_table(clear, slot, child);
	tlb_serve();
}

void paging_clear(paddr_t root, uint64_t start, uint64_t end, struct paging_cleared *cleared)
{
	struct clear clear = {
		.walk = { clear_entries, clear_table, clear_whole_table },
		.cleared = cleared,
	};
	struct path path;

	if (only_table(root, start, end, &path)) {
		clear_entries(&clear.walk, path.slots[2], 1, level_index(start, 1),
			level_index(end - 1, 1));
		for (unsigned level = 2; level <= LEVELS; level++)
			if (!free_table(&clear, level < LEVELS ? path.slots[level + 1] : NULL,
				    path.slots[level]))
				break;
	} else {
		walk_range(&clear.walk, root, start, end);
	}
	if (clear.unreserved)
		frames_unreserve(clear.unreserved);
}

/* ---- runs of pages that are alike ---- */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void paging_run_begin(paddr_t root, uint64_t address, struct paging_run *run)
{
	unsigned level;
	uint32_t key = alike_key(*paging_find(root, address, &level));

	*run = (struct paging_run){
		.start = address & ~(PAGE_SIZE - 1),
		.end = address & ~(PAGE_SIZE - 1),
		.state = key >> 3,
		.prot = key & 7,
	};
}

/* The pages [*low, *high) of the 4 KiB table with the slot, which is in there, as far as they are
 * like it. Returns how many of them have a frame. */
static uint64_t piece_of_table(uint64_t *slot, uint64_t address, uint64_t *low, uint64_t *high)
{
	uint64_t *first = slot, *last = slot + 1, key = alike_key(*slot);
	uint64_t *lowest = slot - (address - *low) / PAGE_SIZE,
		 *highest = slot + (*high - address) / PAGE_SIZE;
	uint64_t resident = paging_has_frame(*slot);

	for (; first > lowest && alike_key(first[-1]) == key; first--)
		resident += paging_has_frame(first[-1]);
	for (; last < highest && alike_key(*last) == key; last++)
		resident += paging_has_frame(*last);
	*low = address - (uint64_t)(slot - first) * PAGE_SIZE;
	*high = address + (uint64_t)(last - slot) * PAGE_SIZE;
	return resident;
}

/* Looks at the pages of [low, high) around the page at the address that one entry or one table
 * speaks for. False: they are not like the run; else they are added to it. */
static bool take_piece(
	paddr_t root, uint64_t address, uint64_t low, uint64_t high, struct paging_run *run)
{
	unsigned level;
	uint64_t *slot = paging_find(root, address, &level), entry = *slot;
	uint64_t size = level_size(level == 1 ? 2 : level), base = address & ~(size - 1), resident;

	if (alike_key(entry) != (run->state << 3 | run->prot))
		return false;
	low = later(low, base);
	high = earlier(high, base + size);
	paddr_t table = virt_to_phys(slot) & PAGING_ADDRESS;
	if (level > 1)
		resident = paging_has_frame(entry) ? (high - low) / PAGE_SIZE : 0;
	else if (high - low == size && table_alike(table))
		resident = *frame_note(table) & NOTE_RESIDENT;
	else
		resident = piece_of_table(slot, address, &low, &high);
	run->start = earlier(run->start, low);
	run->end = later(run->end, high);
	run->resident += resident;
	return true;
}

bool paging_run_extend(
	paddr_t root, uint64_t low, uint64_t high, unsigned pieces, struct paging_run *run)
{
	while (run->end < high && take_piece(root, run->end, run->end, high, run))
		if (!--pieces)
			return false;
	while (run->start > low && take_piece(root, run->start - PAGE_SIZE, low, run->start, run))
		if (!--pieces)
			return false;
	return true;
}
