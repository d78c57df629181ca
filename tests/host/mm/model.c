/* See model.h.
 *
 * The window lies across a 512 GiB boundary, so that ranges meet every level of the page tables,
 * and is large enough for several whole 2 MiB blocks. A call that fails must change nothing; one
 * that succeeds must do exactly what the oracle does. */
#include "model.h"

#include <string.h>

#include "arch/paging.h"
#include "host.h"
#include "mm/kmem.h"
#include "mm/lease_map.h"
#include "mm/ledger.h"
#include "mm/region.h"
#include "mm/memory_object.h"

#define WINDOW_PAGES 4096u
#define WINDOW_START ((512ul << 30) - 7 * (1ul << 20) - 5 * PAGE_SIZE)
#define OBJECTS 3u
#define OBJECT_PAGES_MAX 700u
#define FRAMES_PAGES 16u
#define OBJECT_FRAMES OBJECTS /* the index that stands for the foreign frames */

struct page {
	uint8_t state, prot;
	bool touched; /* demand-zero: has been charged */
	bool pinned;
	uint8_t object; /* state object: which, and which page of it */
	uint16_t object_page;
	bool leased; /* mapped through the lease */
	uint64_t content;
};

static struct page pages[WINDOW_PAGES];
static uint64_t object_contents[OBJECTS + 1][OBJECT_PAGES_MAX];
static struct memory_object *objects[OBJECTS];
static const uint64_t object_pages[OBJECTS + 1] = { 5, 40, OBJECT_PAGES_MAX, FRAMES_PAGES };
static paddr_t foreign_frames;
static struct lease lease_record, *lease; /* mappings do not ask for its target */
static struct aspace *space;
static const struct model_options *options;
static unsigned larges_seen; /* 2 MiB pages met in comparisons */
static uint64_t next_content;
static unsigned successes; /* of the operation that is going on */

static uint64_t address_of(unsigned page)
{
	return WINDOW_START + page * PAGE_SIZE;
}

static uint64_t *content_of(unsigned page)
{
	struct page *p = &pages[page];

	return p->state == CAPOS_REGION_STATE_OBJECT ? &object_contents[p->object][p->object_page]
						     : &p->content;
}

/* A range of the window, often short, often near a 2 MiB boundary, sometimes large. */
static void random_range(unsigned *first, unsigned *count)
{
	switch (host_below(4)) {
	case 0:
		*count = 1 + (unsigned)host_below(4);
		break;
	case 1:
		*count = 1 + (unsigned)host_below(64);
		break;
	case 2:
		*count = 1 + (unsigned)host_below(700);
		break;
	default:
		*count = 512 * (1 + (unsigned)host_below(3));
	}
	*first = (unsigned)host_below(WINDOW_PAGES - *count);
	if (host_below(3) == 0 || *count % 512 == 0) {
		unsigned skew = (unsigned)(address_of(*first) / PAGE_SIZE % 512);
		if (*first >= skew)
			*first -= skew;
	}
}

static uint32_t random_prot(void)
{
	static const uint32_t prots[] = { 0, 1, 2, 3, 4, 5, 3, 3, 3 };

	return prots[host_below(sizeof(prots) / sizeof(prots[0]))];
}

/* As regions store it. */
static uint8_t stored_prot(uint32_t prot)
{
	prot &= PROT_MASK;
	return (uint8_t)(prot ? prot | CAPOS_PROT_READ : 0);
}

/* ---- the oracle's view ---- */

static uint64_t oracle_committed(void)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < OBJECTS; i++)
		count += objects[i] ? object_pages[i] : 0;
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		count += pages[i].state == CAPOS_REGION_STATE_COMMITTED ||
			(pages[i].state == CAPOS_REGION_STATE_DEMAND_ZERO && pages[i].touched);
	return count;
}

static bool range_is_free(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		if (pages[i].state)
			return false;
	return true;
}

static uint64_t count_reserved(unsigned first, unsigned count)
{
	uint64_t found = 0;

	for (unsigned i = first; i < first + count; i++)
		found += pages[i].state == CAPOS_REGION_STATE_RESERVED;
	return found;
}

static bool over_limit(uint64_t more)
{
	return options->committed_limit &&
		oracle_committed() + space->ledger->kernel_pages + more > options->committed_limit;
}

/* Pages of the kernel that one operation can need. */
#define KERNEL_PAGES_MAX 16u

/* Whether the operation may fail although the pages that it takes for the program are within the
 * limit. */
static bool tight;

static bool may_fail(void)
{
	return options->scarce || tight || host_failed();
}

/* The result of a change of [first, first + count), apart from memory. */
static status_t expect_change(unsigned first, unsigned count, bool committed, uint8_t prot)
{
	bool reserved = false;

	for (unsigned i = first; i < first + count; i++) {
		if (!pages[i].state)
			return STATUS(NOT_RESERVED);
		if (pages[i].pinned)
			return STATUS(PROTECTION_DENIED);
		reserved |= pages[i].state == CAPOS_REGION_STATE_RESERVED;
		if (pages[i].state == CAPOS_REGION_STATE_OBJECT &&
			pages[i].object == OBJECT_FRAMES && (prot & ~CAPOS_PROT_READ))
			return STATUS(PROTECTION_DENIED);
	}
	return committed && reserved ? STATUS(NOT_COMMITTED) : STATUS_OK;
}

static void forget(unsigned first, unsigned count, uint8_t state)
{
	for (unsigned i = first; i < first + count; i++)
		pages[i] = (struct page){ .state = state };
}

/* Whether the oracle changes too: the result is the expected one, or else a failure that was
 * injected. */
static bool agreed(status_t status, status_t expected)
{
	CHECK(!spin_held(&space->lock));
	successes += status == STATUS_OK;
	if (status == expected)
		return status == STATUS_OK;
	CHECK(expected == STATUS_OK && status == STATUS(NO_MEMORY) && may_fail());
	return false;
}

/* ---- operations ---- */

/* The place of a new region: in the window as asked, or elsewhere; there it is removed again. */
static bool placed(unsigned first, unsigned count, uint64_t address)
{
	uint64_t *word;

	if (range_is_free(first, count)) {
		CHECK(address == address_of(first));
		return true;
	}
	CHECK(address % PAGE_SIZE == 0 && address >= 0x10000);
	CHECK(address + count * PAGE_SIZE <= WINDOW_START || address >= address_of(WINDOW_PAGES));
	if (host_below(2) == 0)
		(void)host_access(space, address, FAULT_WRITE, &word);
	host_fail(0);
	CHECK(aspace_unmap_kernel(space, address, count * PAGE_SIZE) == STATUS_OK);
	return false;
}

static void do_reserve(unsigned first, unsigned count)
{
	uint64_t address;

	if (agreed(aspace_reserve(space, address_of(first),
			   count * PAGE_SIZE - host_below(PAGE_SIZE), &address),
		    STATUS_OK) &&
		placed(first, count, address))
		forget(first, count, CAPOS_REGION_STATE_RESERVED);
}

static void set_committed(unsigned page, uint32_t prot)
{
	pages[page].state = prot & CAPOS_COMMIT_DEMAND_ZERO ? CAPOS_REGION_STATE_DEMAND_ZERO
							    : CAPOS_REGION_STATE_COMMITTED;
	pages[page].prot = stored_prot(prot);
}

static uint32_t random_commit_prot(void)
{
	return random_prot() | (host_below(3) == 0 ? CAPOS_COMMIT_DEMAND_ZERO : 0);
}

static void do_map(unsigned first, unsigned count)
{
	uint32_t prot = random_commit_prot();
	uint64_t address;

	tight |= over_limit(count + KERNEL_PAGES_MAX);
	status_t expected = !(prot & CAPOS_COMMIT_DEMAND_ZERO) && over_limit(count)
		? STATUS(NO_MEMORY)
		: STATUS_OK;

	if (!agreed(aspace_map(space, address_of(first), count * PAGE_SIZE, prot, &address),
		    expected) ||
		!placed(first, count, address))
		return;
	forget(first, count, CAPOS_REGION_STATE_RESERVED);
	for (unsigned i = first; i < first + count; i++)
		set_committed(i, prot);
}

static void do_commit(unsigned first, unsigned count)
{
	uint32_t prot = random_commit_prot();
	status_t expected = expect_change(first, count, false, stored_prot(prot));

	tight |= over_limit(count + KERNEL_PAGES_MAX);
	if (expected == STATUS_OK && !(prot & CAPOS_COMMIT_DEMAND_ZERO) &&
		over_limit(count_reserved(first, count)))
		expected = STATUS(NO_MEMORY);
	if (!agreed(aspace_commit(space, address_of(first), count * PAGE_SIZE, prot), expected))
		return;
	for (unsigned i = first; i < first + count; i++) {
		if (pages[i].state == CAPOS_REGION_STATE_RESERVED)
			set_committed(i, prot);
		pages[i].prot = stored_prot(prot);
	}
}

static void do_decommit(unsigned first, unsigned count)
{
	status_t expected = expect_change(first, count, false, 0);
	status_t status = aspace_decommit(space, address_of(first), count * PAGE_SIZE);
	bool foreign = false;

	/* Only a foreign mapping that is cut takes memory. */
	for (unsigned i = first; i < first + count; i++)
		foreign |= pages[i].state == CAPOS_REGION_STATE_OBJECT;
	CHECK(status == expected || foreign);
	if (agreed(status, expected))
		forget(first, count, CAPOS_REGION_STATE_RESERVED);
}

static void do_unmap(unsigned first, unsigned count)
{
	bool kernel = host_below(4) == 0;
	status_t expected = expect_change(first, count, false, 0);
	uint64_t start, end;

	if (kernel && expected == STATUS(PROTECTION_DENIED)) {
		expected = STATUS_OK;
		for (unsigned i = first; i < first + count; i++)
			if (!pages[i].state)
				expected = STATUS(NOT_RESERVED);
	}
	space->park_waiters = host_below(2) == 0;
	(void)host_drains(&start, &end);
	status_t status = kernel ? aspace_unmap_kernel(space, address_of(first), count * PAGE_SIZE)
				 : aspace_unmap(space, address_of(first), count * PAGE_SIZE);
	bool done = agreed(status, expected);
	unsigned drains = host_drains(&start, &end);
	CHECK(drains <= (done && space->park_waiters));
	if (done) {
		bool committed = count_reserved(first, count) < count;
		CHECK(drains || !space->park_waiters || !committed);
		CHECK(!drains || (start == address_of(first) && end == address_of(first + count)));
		forget(first, count, CAPOS_REGION_STATE_FREE);
	}
}

static void do_protect(unsigned first, unsigned count)
{
	uint32_t prot = random_prot();
	status_t expected = expect_change(first, count, true, stored_prot(prot));

	status_t status = aspace_protect(space, address_of(first), count * PAGE_SIZE, prot);
	CHECK(status == expected); /* whatever memory there is */
	if (!agreed(status, expected))
		return;
	for (unsigned i = first; i < first + count; i++)
		pages[i].prot = stored_prot(prot);
}

static void set_object(unsigned first, unsigned count, unsigned object, unsigned offset,
	uint8_t prot, bool pinned, bool leased)
{
	for (unsigned i = 0; i < count; i++)
		pages[first + i] = (struct page){
			.state = CAPOS_REGION_STATE_OBJECT,
			.prot = prot,
			.pinned = pinned,
			.object = (uint8_t)object,
			.object_page = (uint16_t)(offset + i),
			.leased = leased,
		};
}

static void do_map_object(unsigned first, unsigned count)
{
	unsigned object = (unsigned)host_below(OBJECTS),
		 offset = (unsigned)host_below(object_pages[object]);
	uint32_t prot = random_prot();
	uint64_t address;

	if (!objects[object])
		return;
	if (host_below(2) && count > object_pages[object] - offset)
		count = (unsigned)(object_pages[object] - offset);
	status_t expected =
		offset + count > object_pages[object] ? STATUS(OUT_OF_RANGE) : STATUS_OK;
	bool leased = host_below(2);
	if (agreed(aspace_map_object(space, objects[object], leased ? lease : NULL,
			   address_of(first), offset * PAGE_SIZE, count * PAGE_SIZE, prot,
			   &address),
		    expected) &&
		placed(first, count, address))
		set_object(first, count, object, offset, stored_prot(prot), false, leased);
}

static void lease_gone(struct object *copy)
{
	CHECK(rbtree_empty(&lease_of_copy(copy)->maps));
	lease = NULL;
}

static void make_lease(void)
{
	static const struct object_ops ops = { .destroy = lease_gone };

	CHECK(!lease);
	lease = &lease_record;
	*lease = (struct lease){ .root = lease };
	spin_init(&lease->lock, LOCK_RANK_LEASE);
	rbtree_init(&lease->maps);
	object_init(&lease->copy, NULL, &ops);
}

/* Never fails, whatever memory there is. */
static void do_revoke(unsigned first, unsigned count)
{
	uint64_t address;

	(void)first, (void)count;
	lease->revoked = true;
	lease_unmap(lease);
	CHECK(rbtree_empty(&lease->maps) && !space->visitors);
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		if (pages[i].state == CAPOS_REGION_STATE_OBJECT && pages[i].leased)
			forget(i, 1, CAPOS_REGION_STATE_RESERVED);
	if (objects[0]) {
		status_t status = aspace_map_object(
			space, objects[0], lease, 0, 0, PAGE_SIZE, CAPOS_PROT_READ, &address);
		CHECK(status == STATUS(REVOKED) || (status == STATUS(NO_MEMORY) && may_fail()));
	}
	host_fail(0);
	object_release(&lease->copy);
	make_lease();
	successes++;
}

static void do_change_object(unsigned first, unsigned count)
{
	unsigned object = (unsigned)host_below(OBJECTS);
	status_t expected = STATUS_OK;
	bool unmap = host_below(2) == 0;
	uint32_t prot = random_prot();

	/* Often exactly the existing mapping. */
	while (host_below(4) && first + 1 < WINDOW_PAGES &&
		pages[first].state != CAPOS_REGION_STATE_OBJECT)
		first++;
	if (pages[first].state == CAPOS_REGION_STATE_OBJECT && pages[first].object < OBJECTS &&
		host_below(4)) {
		object = pages[first].object;
		for (count = 1; first + count < WINDOW_PAGES &&
			pages[first + count].state == CAPOS_REGION_STATE_OBJECT &&
			pages[first + count].object == object;)
			count++;
	}
	if (first + count > WINDOW_PAGES)
		count = 1;
	if (!objects[object])
		return;
	for (unsigned i = first; i < first + count; i++)
		if (pages[i].state != CAPOS_REGION_STATE_OBJECT || pages[i].object != object)
			expected = STATUS(NOT_RESERVED);
	uint64_t start = address_of(first), size = count * PAGE_SIZE;
	if (!agreed(unmap ? aspace_unmap_object(space, objects[object], start, size)
			  : aspace_protect_object(space, objects[object], start, size, prot),
		    expected))
		return;
	if (unmap)
		forget(first, count, CAPOS_REGION_STATE_FREE);
	else
		for (unsigned i = first; i < first + count; i++)
			pages[i].prot = stored_prot(prot);
}

static void do_map_frames(unsigned first, unsigned count)
{
	bool exact = host_below(2), pinned = host_below(2);
	uint64_t address;

	count = 1 + count % FRAMES_PAGES;
	status_t expected = exact && !range_is_free(first, count) ? STATUS(OVERLAP) : STATUS_OK;
	uint64_t start = address_of(first), size = count * PAGE_SIZE;
	if (agreed(aspace_map_frames(space, start, exact, foreign_frames, size, CAPOS_PROT_READ,
			   pinned, &address),
		    expected) &&
		placed(first, count, address))
		set_object(first, count, OBJECT_FRAMES, 0, CAPOS_PROT_READ, pinned, false);
}

/* Both ends of a page carry its contents. */
static void compare_page(unsigned page, const uint64_t *word)
{
	CHECK(word[0] == *content_of(page));
	CHECK(word[PAGE_SIZE / 8 - 1] == *content_of(page));
}

static enum fault_outcome expect_access(unsigned page, enum fault_access access)
{
	static const uint8_t needed[] = { CAPOS_PROT_READ, CAPOS_PROT_WRITE, CAPOS_PROT_EXEC };
	const struct page *p = &pages[page];

	if (p->state <= CAPOS_REGION_STATE_RESERVED)
		return FAULT_NOTHING;
	if (!(p->prot & needed[access]))
		return FAULT_FORBIDDEN;
	if (p->state == CAPOS_REGION_STATE_DEMAND_ZERO && !p->touched && over_limit(1))
		return FAULT_NO_MEMORY;
	return FAULT_RESOLVED;
}

static void touch(unsigned page, enum fault_access access)
{
	enum fault_outcome expected = expect_access(page, access);
	uint64_t *word;
	enum fault_outcome outcome = host_access(space, address_of(page), access, &word);

	if (outcome == FAULT_NO_MEMORY && outcome != expected) {
		CHECK(expected == FAULT_RESOLVED &&
			pages[page].state == CAPOS_REGION_STATE_DEMAND_ZERO &&
			!pages[page].touched);
		CHECK(may_fail());
		return;
	}
	CHECK(outcome == expected);
	if (outcome != FAULT_RESOLVED)
		return;
	pages[page].touched = true;
	successes++;
	compare_page(page, word);
	if (access == FAULT_WRITE)
		word[0] = word[PAGE_SIZE / 8 - 1] = *content_of(page) = ++next_content;
}

static void do_touch(unsigned first, unsigned count)
{
	enum fault_access access = (enum fault_access)host_below(3);

	for (unsigned i = 0; i < count && i < 40; i++)
		touch(first + i, access);
}

static void do_write(unsigned first, unsigned count)
{
	static uint64_t buffer[24 * PAGE_SIZE / 8];
	bool zero = host_below(3) == 0;

	count = count > 24 ? 24 : count;
	memset(buffer, 0, sizeof(buffer));
	for (unsigned i = 0; i < count && !zero; i++)
		buffer[i * PAGE_SIZE / 8] = buffer[(i + 1) * PAGE_SIZE / 8 - 1] = ++next_content;
	status_t status = zero
		? aspace_write_zero(space, user_ptr(address_of(first)), count * PAGE_SIZE)
		: aspace_write(space, user_ptr(address_of(first)), buffer, count * PAGE_SIZE);
	for (unsigned i = 0; i < count; i++) {
		struct page *page = &pages[first + i];
		status_t expected = STATUS_OK;
		if (page->state != CAPOS_REGION_STATE_COMMITTED &&
			page->state != CAPOS_REGION_STATE_DEMAND_ZERO)
			expected = STATUS(BAD_ADDRESS);
		else if (page->state == CAPOS_REGION_STATE_DEMAND_ZERO && !page->touched &&
			over_limit(1))
			expected = STATUS(NO_MEMORY);
		if (expected != STATUS_OK) {
			CHECK(status == expected || (status == STATUS(NO_MEMORY) && may_fail()));
			return;
		}
		if (status == STATUS(NO_MEMORY) && page->state == CAPOS_REGION_STATE_DEMAND_ZERO &&
			!page->touched) {
			/* The copy may have stopped here; the ledger shows whether it did. */
			CHECK(may_fail());
			if (oracle_committed() == program_pages(space->ledger))
				return;
		}
		page->touched = true;
		page->content = buffer[i * PAGE_SIZE / 8];
	}
	successes += status == STATUS_OK;
	CHECK(status == STATUS_OK || (status == STATUS(NO_MEMORY) && may_fail()));
}

/* Makes room for large ranges again. */
static void do_clear(unsigned first, unsigned count)
{
	if (host_below(2)) {
		first = 0;
		count = WINDOW_PAGES;
	}
	for (unsigned i = first; i < first + count; i++) {
		unsigned run = 0;
		while (i + run < first + count && pages[i + run].state)
			run++;
		if (run &&
			agreed(aspace_unmap_kernel(space, address_of(i), run * PAGE_SIZE),
				STATUS_OK))
			forget(i, run, CAPOS_REGION_STATE_FREE);
		i += run;
	}
}

/* Arguments that are invalid by themselves. */
static void do_nonsense(unsigned first, unsigned count)
{
	uint64_t address = address_of(first), size = count * PAGE_SIZE, placed;

	CHECK(aspace_commit(space, address, size, 8) == STATUS(INVALID_ARGUMENT));
	CHECK(aspace_commit(space, address, size, 6) == STATUS(PROTECTION_DENIED));
	CHECK(aspace_protect(space, address, size, 7) == STATUS(PROTECTION_DENIED));
	CHECK(aspace_protect(space, address, size, CAPOS_COMMIT_DEMAND_ZERO | 1) ==
		STATUS(INVALID_ARGUMENT));
	CHECK(aspace_unmap(space, address + 8, size) == STATUS(MISALIGNED));
	CHECK(aspace_unmap(space, address, 0) == STATUS(INVALID_ARGUMENT));
	CHECK(aspace_decommit(space, CAPOS_USER_TOP - PAGE_SIZE, 2 * PAGE_SIZE) ==
		STATUS(OUT_OF_RANGE));
	CHECK(aspace_decommit(space, 0 - PAGE_SIZE, size) == STATUS(OUT_OF_RANGE));
	CHECK(aspace_reserve(space, 0, ~0ul, &placed) == STATUS(OUT_OF_RANGE));
	CHECK(aspace_reserve(space, address + 1, size, &placed) == STATUS(MISALIGNED));
	CHECK(aspace_map(space, CAPOS_USER_TOP, size, 3, &placed) == STATUS(OUT_OF_RANGE));
	CHECK(aspace_reserve(space, 0, CAPOS_USER_TOP, &placed) == STATUS(NO_RESERVATION));
	CHECK(aspace_map(space, 0, 1ul << 46, 3, &placed) == STATUS(NO_MEMORY));
	CHECK(aspace_unmap(space, CAPOS_USER_TOP - PAGE_SIZE, PAGE_SIZE) == STATUS(NOT_RESERVED));
	successes++;
}

/* ---- complete comparison ---- */

struct tally {
	uint64_t resident, owned, tables, blocks, reserved;
};

static uint8_t state_of(uint64_t entry)
{
	switch (paging_kind(entry)) {
	case PAGING_ABSENT:
		return CAPOS_REGION_STATE_RESERVED;
	case PAGING_COMMITTED:
	case PAGING_OWNED:
		return CAPOS_REGION_STATE_COMMITTED;
	case PAGING_DEMAND_ZERO_PENDING:
	case PAGING_DEMAND_ZERO:
		return CAPOS_REGION_STATE_DEMAND_ZERO;
	default:
		return CAPOS_REGION_STATE_OBJECT;
	}
}

/* What is kept beside a 4 KiB table must be what a count finds. */
static void check_note(paddr_t table)
{
	const uint64_t *entries = phys_to_virt(table);
	unsigned resident = 0, note = *frame_note(table);
	bool alike = true;

	for (unsigned i = 0; i < 512; i++) {
		resident += paging_has_frame(entries[i]);
		alike &= paging_prot(entries[i]) == paging_prot(entries[0]) &&
			state_of(entries[i]) == state_of(entries[0]);
	}
	CHECK((note & 0x3ff) == resident);
	CHECK(!(note & 0x400) || alike);
	CHECK(!(note & 0x800) || !alike);
}

/* An independent walk of the raw tables: checks each table's count and adds up what they hold. */
static void tally_table(
	paddr_t table, unsigned level, uint64_t base, struct tally *tally, unsigned *in_use)
{
	const uint64_t *entries = phys_to_virt(table);

	*in_use = 0;
	if (level == 1)
		check_note(table);
	for (unsigned i = 0; i < (level == 4 ? 256u : 512u); i++) {
		uint64_t entry = entries[i], pages_here = level == 2 ? 512 : 1;
		if (!entry)
			continue;
		++*in_use;
		if (paging_kind(entry) == PAGING_TABLE) {
			unsigned below;
			CHECK(level > 1 && (entry & 1));
			tally->tables++;
			tally_table(entry & PAGING_ADDRESS, level - 1,
				base + ((uint64_t)i << (12 + 9 * (level - 1))), tally, &below);
			CHECK(below > 0 && below == (entry >> 52 & 0x3ff));
			continue;
		}
		CHECK(level <= 2 && !(entry & PAGING_BARE));
		tally->reserved += level == 2;
		tally->blocks += level == 2;
		larges_seen += level == 2 && paging_has_frame(entry);
		if (paging_kind(entry) == PAGING_COMMITTED)
			tally->reserved += pages_here;
		if (paging_has_frame(entry))
			tally->resident += pages_here;
		if (paging_kind(entry) == PAGING_OWNED || paging_kind(entry) == PAGING_DEMAND_ZERO)
			tally->owned += pages_here;
		CHECK((entry & 1) == (paging_has_frame(entry) && paging_prot(entry)));
	}
}

/* Whether two neighbouring pages are one region for a query. */
static bool queried_together(const struct page *a, const struct page *b)
{
	if (a->state != b->state || a->prot != b->prot)
		return false;
	return a->state != CAPOS_REGION_STATE_OBJECT ||
		(!a->pinned && !b->pinned && a->object == b->object &&
			a->object_page + 1 == b->object_page);
}

static uint64_t resident_between(unsigned first, unsigned end)
{
	uint64_t resident = 0;
	unsigned level;

	for (unsigned i = first; i < end; i++)
		resident += paging_has_frame(*paging_find(space->root, address_of(i), &level));
	return resident;
}

static void compare_query(unsigned page)
{
	struct capos_region_info info;
	unsigned first = page, last = page;

	CHECK(aspace_query(space, address_of(page), 0, &info) == STATUS_OK);
	CHECK(info.state == pages[page].state && info.prot == pages[page].prot);
	CHECK(info.start <= address_of(page) && info.start + info.size > address_of(page));
	CHECK(info.start % PAGE_SIZE == 0 && info.size % PAGE_SIZE == 0);
	if (!info.state)
		return;
	while (first > 0 && queried_together(&pages[first - 1], &pages[first]))
		first--;
	while (last + 1 < WINDOW_PAGES && queried_together(&pages[last], &pages[last + 1]))
		last++;
	/* Pinned mappings stay apart even where they go on. */
	if (pages[page].pinned)
		return;
	CHECK(info.start == address_of(first) &&
		info.start + info.size == address_of(last) + PAGE_SIZE);
	CHECK(info.resident_pages == resident_between(first, last + 1));
	for (unsigned size = 1; size <= last - page + 2; size += size) {
		unsigned end = page + size <= last ? page + size : last + 1;
		CHECK(aspace_query(space, address_of(page), size * PAGE_SIZE, &info) == STATUS_OK);
		CHECK(info.start == address_of(page) && info.size == (end - page) * PAGE_SIZE &&
			info.resident_pages == resident_between(page, end));
	}
}

static void compare_regions(void)
{
	uint64_t reserved = 0;

	for (unsigned i = 0; i < WINDOW_PAGES; i++) {
		reserved += pages[i].state != 0;
		if (i % 7 == 0 || i == 0 || memcmp(&pages[i], &pages[i - 1], 2) != 0)
			compare_query(i);
	}
	CHECK(space->reserved_pages == reserved);
	uint32_t count = 0;
	const struct region *previous = NULL;
	for (const struct region *region = region_of(rbtree_first(&space->regions)); region;
		region = region_next(region), count++) {
		CHECK(!previous || previous->end <= region->start);
		CHECK(region->start < region->end);
		bool joined = previous && previous->end == region->start && !previous->foreign;
		CHECK(!joined || region->foreign);
		CHECK(!region->leaving);
		previous = region;
	}
	CHECK(count == space->region_count);
}

static size_t frames_before, available_before;

/* The tables, the top-level one included, and the slabs of regions and of objects. Each object has
 * a table of its own. */
static void compare_kernel_pages(uint64_t tables)
{
	uint64_t kernel = space->ledger->kernel_pages, objects_alive = 0;

	for (unsigned i = 0; i < OBJECTS; i++)
		objects_alive += objects[i] != NULL;
	tables += 1 + objects_alive;
	CHECK(kernel > tables && kernel <= tables + KERNEL_PAGES_MAX);
}

static void compare_ledgers(void)
{
	struct tally tally = { 0 };
	struct capos_memory_usage usage;
	unsigned in_use;

	tally_table(space->root, 4, 0, &tally, &in_use);
	CHECK(tally.resident == space->resident_pages);
	CHECK(tally.tables == space->table_frames);
	CHECK(program_pages(space->ledger) == oracle_committed());
	uint64_t reserved = tally.reserved;
	for (unsigned i = 0; i < OBJECTS; i++)
		if (objects[i])
			reserved += object_pages[i] - objects[i]->resident_pages;
	CHECK(frames_free() - frames_available() == reserved);
	aspace_usage(space, &usage);
	CHECK(usage.resident_pages == tally.resident &&
		usage.committed_pages == oracle_committed() + usage.kernel_pages);
	compare_kernel_pages(tally.tables + tally.blocks);
	CHECK(usage.peak_committed >= usage.committed_pages);
	CHECK(!options->committed_limit || usage.peak_committed <= options->committed_limit);
}

static void compare_contents(void)
{
	for (unsigned i = 0; i < WINDOW_PAGES; i++) {
		const struct page *page = &pages[i];
		unsigned level;
		if (page->state < CAPOS_REGION_STATE_COMMITTED)
			continue;
		uint64_t entry = *paging_find(space->root, address_of(i), &level);
		if (!paging_has_frame(entry)) {
			CHECK(*content_of(i) == 0 || page->state == CAPOS_REGION_STATE_OBJECT);
			continue;
		}
		uint64_t frame = (entry & PAGING_ADDRESS) +
			(level == 2 ? address_of(i) % LARGE_PAGE_SIZE : 0);
		compare_page(i, phys_to_virt(frame));
	}
}

/* ---- the walk ---- */

static const struct operation {
	const char *name;
	void (*run)(unsigned first, unsigned count);
	unsigned weight;
} operations[] = {
	{ "reserve", do_reserve, 3 },
	{ "map", do_map, 2 },
	{ "commit", do_commit, 4 },
	{ "decommit", do_decommit, 1 },
	{ "unmap", do_unmap, 1 },
	{ "protect", do_protect, 3 },
	{ "touch", do_touch, 4 },
	{ "write", do_write, 1 },
	{ "map_object", do_map_object, 2 },
	{ "change_object", do_change_object, 2 },
	{ "map_frames", do_map_frames, 1 },
	{ "nonsense", do_nonsense, 1 },
	{ "clear", do_clear, 1 },
	{ "revoke", do_revoke, 1 },
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static unsigned operation_successes[OPERATIONS];

static void step(void)
{
	unsigned total = 0, first, count, operation = 0;

	for (unsigned i = 0; i < OPERATIONS; i++)
		total += operations[i].weight;
	for (uint64_t pick = host_below(total); pick >= operations[operation].weight; operation++)
		pick -= operations[operation].weight;
	random_range(&first, &count);
	bool fail =
		operations[operation].run != do_nonsense && host_below(100) < options->fail_percent;
	host_fail(fail ? 1 + (unsigned)host_below(6) : 0);
	successes = 0;
	tight = over_limit(KERNEL_PAGES_MAX);
	operations[operation].run(first, count);
	operation_successes[operation] += successes;
	host_fail(0);
}

void model_check_successes(unsigned least)
{
	for (unsigned i = 0; i < OPERATIONS; i++) {
		if (operation_successes[i] < least)
			printf("# %s succeeded %u times\n", operations[i].name,
				operation_successes[i]);
		CHECK(operation_successes[i] >= least);
		operation_successes[i] = 0;
	}
	CHECK(larges_seen >= least);
	larges_seen = 0;
}

static void make_objects(void)
{
	memset(object_contents, 0, sizeof(object_contents));
	for (unsigned i = 0; i < OBJECTS; i++) {
		objects[i] = NULL;
		status_t status = memory_object_create(
			space->ledger, object_pages[i] * PAGE_SIZE, &objects[i]);
		CHECK(status == STATUS_OK || options->committed_limit || options->scarce);
	}
}

static void finish(void)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < OBJECTS; i++) {
		/* One ends before the space and two after their creator. */
		if (objects[i] && i == 0)
			object_release(memory_object_header(objects[i]));
		else if (objects[i])
			left++;
	}
	aspace_destroy(space);
	object_release(&lease->copy);
	CHECK(object_count() == left);
	for (unsigned i = 1; i < OBJECTS; i++)
		if (objects[i])
			object_release(memory_object_header(objects[i]));
	frame_free(KERNEL_PAYS, foreign_frames, 4);
	kmem_trim(KERNEL_PAYS);
	CHECK(object_count() == 0);
	CHECK(frames_free() == frames_before);
	CHECK(frames_available() == available_before);
}

void model_run(const struct model_options *with)
{
	options = with;
	kmem_trim(KERNEL_PAYS);
	frames_before = frames_free();
	available_before = frames_available();
	memset(pages, 0, sizeof(pages));
	foreign_frames = frame_alloc(KERNEL_PAYS, 4, FRAME_ZERO);
	CHECK(foreign_frames);
	space = aspace_create(
		ledger_create(&(struct ledger_limits){ .pages = options->committed_limit }));
	CHECK(space);
	make_objects();
	make_lease();
	for (unsigned i = 0; i < options->steps && !host_exhausted(); i++) {
		step();
		if (i % options->check_every == options->check_every - 1 ||
			i + 1 == options->steps) {
			compare_regions();
			compare_ledgers();
			compare_contents();
		}
	}
	compare_ledgers();
	finish();
}
