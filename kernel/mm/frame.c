/* The frame allocator: binary buddies over all RAM, one byte of its own a frame.
 *
 * Free blocks are linked through their own first 16 bytes (the direct map reaches all RAM), so the
 * byte of a frame only says of what the frame is the head:
 *
 *     0                  inside a block, a hole, or not ours
 *     HEAD_FREE | order  head of a free block, on free_lists[order]
 *     HEAD_USED | order  head of an allocated block
 *
 * The table covers all from the lowest to the highest RAM, rounded out to whole maximal blocks, so
 * that a block's buddy always has an entry; entries of holes stay 0 and never merge. A wrong free
 * (twice, wrong order, not a head) finds a wrong byte and stops the machine at once.
 *
 * Debug kernels fill free memory with a pattern and check it on allocation, which finds a write
 * after free. */
#include "mm/frame.h"

#include "arch/memory.h"
#include "core/kasan.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/log.h"

#define HEAD_FREE 0x80u
#define HEAD_USED 0x40u
#define BLOCK_FRAMES_MAX (1ul << FRAME_ORDER_MAX) /* frames */
#define TAKEN_MAX 32
#define RAM_RANGES 32u

static struct spinlock frames_lock = SPINLOCK_INIT(FRAMES);

/* Set at boot, never changed. */
static uint8_t *heads;     /* indexed by frame number - first_frame */
static size_t first_frame; /* multiple of BLOCK_FRAMES_MAX, as is frame_limit */
static size_t frame_limit;
static struct memory_range ram[RAM_RANGES]; /* the first of them */
static unsigned ram_count;
static uint16_t *notes; /* like heads, up to the last frame of RAM; never cleared */

/* Guarded by frames_lock. */
static struct list free_lists[FRAME_ORDER_MAX + 1];
static uint32_t orders_free; /* bit n: free_lists[n] is not empty */
static size_t total_count, free_count, reserved_count;

/* ---- contents ---- */

#ifdef CAPOS_DEBUG
#define POISON 0xdeadf4a3deadf4a3ul

static void poison(void *start, size_t bytes)
{
	words_fill(start, POISON, bytes / 8);
}

static void poison_check(paddr_t frame, unsigned order)
{
	const uint64_t *words = phys_to_virt(frame);
	for (size_t i = 0; i < (PAGE_SIZE << order) / 8; i++)
		if (words[i] != POISON)
			panic("frame %lx was written after it was freed: word %zu is %lx",
				frame + i * 8, i % 512, words[i]);
}
#else
static void poison(void *start, size_t bytes)
{
	(void)start, (void)bytes;
}

static void poison_check(paddr_t frame, unsigned order)
{
	(void)frame, (void)order;
}
#endif

/* ---- free blocks ---- */

static void block_insert(size_t frame, unsigned order)
{
	heads[frame - first_frame] = (uint8_t)(HEAD_FREE | order);
	list_push_front(&free_lists[order], phys_to_virt(frame << PAGE_SHIFT));
	orders_free |= 1u << order;
}

static void block_remove(size_t frame, unsigned order)
{
	struct list_node *node = phys_to_virt(frame << PAGE_SHIFT);

	heads[frame - first_frame] = 0;
	list_remove(node);
	poison(node, sizeof(*node));
	if (list_empty(&free_lists[order]))
		orders_free &= ~(1u << order);
}

/* Inserts a block after merging it with every free buddy. */
static void block_merge(size_t frame, unsigned order)
{
	for (; order < FRAME_ORDER_MAX; order++) {
		size_t buddy = frame ^ (1ul << order);
		if (heads[buddy - first_frame] != (HEAD_FREE | order))
			break;
		block_remove(buddy, order);
		frame &= ~(1ul << order);
	}
	block_insert(frame, order);
}

/* Takes a block of at least the order, returning its unneeded upper halves; 0 when there is none.
 */
static size_t block_take(unsigned order)
{
	assert_held(&frames_lock);
	uint32_t fitting = orders_free & (~0u << order);
	if (!fitting)
		return 0;

	unsigned have = (unsigned)__builtin_ctz(fitting);
	size_t frame = virt_to_phys(list_first(&free_lists[have])) >> PAGE_SHIFT;
	block_remove(frame, have);
	while (have > order) {
		have--;
		block_insert(frame + (1ul << have), have);
	}
	heads[frame - first_frame] = (uint8_t)(HEAD_USED | order);
	return frame;
}

/* ---- the interface ---- */

paddr_t frame_take(unsigned order, unsigned flags)
{
	size_t count = 1ul << order;
	bool reserved = flags & FRAME_RESERVED;

	ASSERT(order <= FRAME_ORDER_MAX);
	spin_lock(&frames_lock);
	ASSERT(!reserved || reserved_count >= count);
	size_t frame = reserved || free_count - reserved_count >= count ? block_take(order) : 0;
	if (frame) {
		free_count -= count;
		if (reserved)
			reserved_count -= count;
	}
	spin_unlock(&frames_lock);
	if (!frame)
		return 0;

	paddr_t address = frame << PAGE_SHIFT;
	kasan_unpoison(phys_to_virt(address), PAGE_SIZE << order);
	poison_check(address, order);
	if (flags & FRAME_ZERO)
		words_fill(phys_to_virt(address), 0, (PAGE_SIZE << order) / 8);
	return address;
}

/* Stops unless the frame heads an allocated block of the order. */
static size_t block_check(paddr_t address, unsigned order)
{
	size_t frame = address >> PAGE_SHIFT;

	if (frame < first_frame || frame >= frame_limit ||
		heads[frame - first_frame] != (HEAD_USED | order))
		panic("frame %lx is not an allocated block of order %u", address, order);
	return frame;
}

void frame_give(paddr_t address, unsigned order)
{
#ifdef CAPOS_DEBUG
	spin_lock(&frames_lock);
	block_check(address, order);
	spin_unlock(&frames_lock);
	poison(phys_to_virt(address), PAGE_SIZE << order);
	kasan_poison(phys_to_virt(address), PAGE_SIZE << order, KASAN_FREE_FRAME);
#endif
	spin_lock(&frames_lock);
	size_t frame = block_check(address, order);
	heads[frame - first_frame] = 0;
	block_merge(frame, order);
	free_count += 1ul << order;
	spin_unlock(&frames_lock);
}

void frame_split(paddr_t address, unsigned order)
{
	spin_lock(&frames_lock);
	size_t frame = block_check(address, order);
	for (size_t i = 0; i < 1ul << order; i++)
		heads[frame - first_frame + i] = HEAD_USED;
	spin_unlock(&frames_lock);
}

unsigned frame_order(paddr_t address)
{
	size_t frame = address >> PAGE_SHIFT;

	/* No lock: an allocated head's byte changes only by its owner's free or split. */
	if (frame < first_frame || frame >= frame_limit ||
		!(heads[frame - first_frame] & HEAD_USED))
		panic("frame %lx is not allocated", address);
	return heads[frame - first_frame] & ~HEAD_USED;
}

uint16_t *frame_note(paddr_t address)
{
	return &notes[(address >> PAGE_SHIFT) - first_frame];
}

bool frames_reserve(size_t count)
{
	spin_lock(&frames_lock);
	bool possible = free_count - reserved_count >= count;
	if (possible)
		reserved_count += count;
	spin_unlock(&frames_lock);
	return possible;
}

void frames_unreserve(size_t count)
{
	spin_lock(&frames_lock);
	VERIFY(reserved_count >= count);
	reserved_count -= count;
	spin_unlock(&frames_lock);
}

size_t frames_total(void)
{
	return __atomic_load_n(&total_count, __ATOMIC_RELAXED);
}

size_t frames_free(void)
{
	return __atomic_load_n(&free_count, __ATOMIC_RELAXED);
}

size_t frames_available(void)
{
	spin_lock(&frames_lock);
	size_t available = free_count - reserved_count;
	spin_unlock(&frames_lock);
	return available;
}

/* ---- boot ---- */

static size_t frame_up(paddr_t address)
{
	return (address + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Frees [first, limit) in the largest aligned blocks; touches nothing inside them but their first
 * bytes. */
static void add_frames(size_t first, size_t limit)
{
	if (first == 0)
		first = 1; /* address 0 means "none" */
	if (first >= limit)
		return;
	total_count += limit - first;
	free_count += limit - first;
#ifdef CAPOS_DEBUG
	poison(phys_to_virt(first << PAGE_SHIFT), (limit - first) << PAGE_SHIFT);
	kasan_poison(
		phys_to_virt(first << PAGE_SHIFT), (limit - first) << PAGE_SHIFT, KASAN_FREE_FRAME);
#endif
	while (first < limit) {
		unsigned order = (unsigned)__builtin_ctzl(first | BLOCK_FRAMES_MAX);
		while (first + (1ul << order) > limit)
			order--;
		block_merge(first, order);
		first += 1ul << order;
	}
}

void frames_add(paddr_t start, paddr_t end)
{
	size_t first = frame_up(start), limit = end >> PAGE_SHIFT;

	VERIFY(first >= first_frame && limit <= frame_limit);
	spin_lock(&frames_lock);
	add_frames(first, limit);
	spin_unlock(&frames_lock);
}

/* The taken ranges as frame numbers, sorted by start; the table's own place becomes one of them. */
struct taken_frames {
	size_t first, limit;
};
static struct taken_frames taken_frames[TAKEN_MAX + 3]; /* with the tables' own places */
static unsigned taken_frames_count;

static void taken_insert(size_t first, size_t limit)
{
	unsigned i = taken_frames_count++;

	VERIFY(i < sizeof(taken_frames) / sizeof(taken_frames[0]));
	for (; i > 0 && taken_frames[i - 1].first > first; i--)
		taken_frames[i] = taken_frames[i - 1];
	taken_frames[i] = (struct taken_frames){ first, limit };
}

/* The next stretch of [*first, limit) that is not taken: sets *first to its start and returns its
 * end; 0 when none is left. */
static size_t untaken_next(size_t *first, size_t limit)
{
	for (unsigned i = 0; i < taken_frames_count && *first < limit; i++) {
		if (taken_frames[i].limit <= *first)
			continue;
		if (taken_frames[i].first > *first)
			return taken_frames[i].first < limit ? taken_frames[i].first : limit;
		*first = taken_frames[i].limit;
	}
	return *first < limit ? limit : 0;
}

/* Takes the first stretch that has room for that many bytes. */
static void *place_table(const struct memory_range *usable, unsigned usable_count, size_t bytes)
{
	size_t frames = frame_up(bytes);

	for (unsigned i = 0; i < usable_count; i++) {
		size_t first = frame_up(usable[i].start), end;
		if (first == 0)
			first = 1;
		while ((end = untaken_next(&first, usable[i].end >> PAGE_SHIFT)) != 0) {
			if (end - first >= frames) {
				taken_insert(first, first + frames);
				return phys_to_virt(first << PAGE_SHIFT);
			}
			first = end;
		}
	}
	panic("no room for a memory table of %zu frames", frames);
}

#ifdef CAPOS_KASAN
static void place_shadow(const struct memory_range *usable, unsigned usable_count)
{
	paddr_t end = 0;

	for (unsigned i = 0; i < usable_count; i++)
		end = usable[i].end > end ? usable[i].end : end;
	size_t bytes = end / KASAN_SHADOW_RATIO;
	uint8_t *shadow = place_table(usable, usable_count, bytes);
	words_fill(shadow, 0, bytes / 8);
	kasan_init(shadow, bytes * KASAN_SHADOW_RATIO);
}
#else
static void place_shadow(const struct memory_range *usable, unsigned usable_count)
{
	(void)usable, (void)usable_count;
}
#endif

bool frames_overlap(paddr_t start, paddr_t end)
{
	if (ram_count > RAM_RANGES)
		return true; /* not all are known */
	for (unsigned i = 0; i < ram_count; i++)
		if (start < ram[i].end && ram[i].start < end)
			return true;
	return false;
}

void frames_init(const struct memory_range *usable, unsigned usable_count,
	const struct memory_range *taken, unsigned taken_count)
{
	ram_count = usable_count;
	for (unsigned i = 0; i < usable_count && i < RAM_RANGES; i++)
		ram[i] = usable[i];
	first_frame = SIZE_MAX;
	for (unsigned i = 0; i < usable_count; i++) {
		size_t first = frame_up(usable[i].start), limit = usable[i].end >> PAGE_SHIFT;
		if (first >= limit)
			continue;
		first_frame = first < first_frame ? first : first_frame;
		frame_limit = limit > frame_limit ? limit : frame_limit;
	}
	VERIFY(first_frame < frame_limit);
	first_frame &= ~(BLOCK_FRAMES_MAX - 1);
	size_t note_count = frame_limit - first_frame;
	frame_limit = (frame_limit + BLOCK_FRAMES_MAX - 1) & ~(BLOCK_FRAMES_MAX - 1);

	for (unsigned i = 0; i < taken_count; i++)
		taken_insert(taken[i].start >> PAGE_SHIFT, frame_up(taken[i].end));
	heads = place_table(usable, usable_count, frame_limit - first_frame);
	notes = place_table(usable, usable_count, note_count * sizeof(notes[0]));
	place_shadow(usable, usable_count);
	for (unsigned i = 0; i <= FRAME_ORDER_MAX; i++)
		list_init(&free_lists[i]);

	/* Only entries of maximal blocks that hold RAM are ever read: big holes cost no clearing.
	 * All are cleared before any is set. */
	for (unsigned i = 0; i < usable_count; i++) {
		size_t first = frame_up(usable[i].start) & ~(BLOCK_FRAMES_MAX - 1);
		size_t limit = ((usable[i].end >> PAGE_SHIFT) + BLOCK_FRAMES_MAX - 1) &
			~(BLOCK_FRAMES_MAX - 1);
		if (first < limit)
			words_fill(&heads[first - first_frame], 0, (limit - first) / 8);
	}
	for (unsigned i = 0; i < usable_count; i++) {
		size_t first = frame_up(usable[i].start), end;
		while ((end = untaken_next(&first, usable[i].end >> PAGE_SHIFT)) != 0) {
			add_frames(first, end);
			first = end;
		}
	}
}
