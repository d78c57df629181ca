/* The frame allocator: boot ranges, blocks, merging, reserved frames; and the slabs on top of it.
 */
#include <string.h>

#include "host.h"
#include "mm/ledger.h"

#define RAM (64ul << 20)
#define LIVE_MAX 8000u

static uint8_t owner[RAM / PAGE_SIZE];

static void own(paddr_t frame, unsigned order, uint8_t who)
{
	CHECK(frame % (PAGE_SIZE << order) == 0);
	for (size_t i = frame / PAGE_SIZE; i < frame / PAGE_SIZE + (1ul << order); i++) {
		CHECK(owner[i] == !who);
		owner[i] = who;
	}
}

static void test_boot(void)
{
	/* Holes, ranges that are not whole pages, taken ranges across edges of usable ones, and one
	 * outside of all. */
	const struct memory_range usable[] = { { 0, 0x9fc00 }, { 0x100000, 12ul << 20 },
		{ 32ul << 20, RAM - 0x1800 } };
	const struct memory_range taken[] = {
		{ 40ul << 20, 41ul << 20 },
		{ 0x200000, 0x345678 },
		{ 0x9f000, 0xa0000 },
		{ 20ul << 20, 33ul << 20 },
	};

	test_name = "mm-frame-boot";
	host_arena(RAM);
	frames_init(usable, 3, taken, 4);
	size_t expected = (0x9f - 1) + (0xb00 - 0x146) + ((RAM >> 12) - 2 - 0x2100) - 0x100;
	/* A byte for each frame up to a whole block's end, two for each up to the last. */
	size_t frames = RAM / PAGE_SIZE;
	size_t table = (frames + PAGE_SIZE - 1) / PAGE_SIZE +
		(2 * (frames - 2) + PAGE_SIZE - 1) / PAGE_SIZE;
	CHECK(frames_total() == expected - table && frames_free() == expected - table);

	/* Every frame is given out once; none is taken or missing. */
	paddr_t *all = malloc(expected * sizeof(*all)), frame;
	size_t got = 0;
	while ((frame = frame_alloc(KERNEL_PAYS, 0, 0)) != 0) {
		CHECK(frame >= PAGE_SIZE && frame < RAM - 0x1800 - PAGE_SIZE + 1);
		CHECK(!(frame >= 0x9f000 && frame < 0x100000) &&
			!(frame >= 0x200000 && frame < 0x346000));
		CHECK(!(frame >= 12ul << 20 && frame < 33ul << 20) &&
			!(frame >= 40ul << 20 && frame < 41ul << 20));
		own(frame, 0, 1);
		all[got++] = frame;
	}
	CHECK(got == frames_total() && frames_free() == 0 && frames_available() == 0);
	while (got)
		own(all[--got], 0, 0), frame_free(KERNEL_PAYS, all[got], 0);
	free(all);

	frames_add(40ul << 20, 41ul << 20);
	CHECK(frames_free() == expected - table + 256);
	printf("ok %s\n", test_name);
}

struct block {
	paddr_t frame;
	unsigned order;
};

static void test_blocks(void)
{
	static struct block live[LIVE_MAX];
	size_t count = 0, before = frames_free();

	test_name = "mm-frame-blocks";
	for (unsigned i = 0; i < 200000; i++) {
		if (host_below(2) && count < LIVE_MAX) {
			unsigned order =
				host_below(4) ? 0 : (unsigned)host_below(LARGE_PAGE_ORDER + 2);
			bool zero = host_below(8) == 0;
			paddr_t frame = frame_alloc(KERNEL_PAYS, order, zero ? FRAME_ZERO : 0);
			if (!frame)
				continue;
			own(frame, order, 1);
			CHECK(frame_order(frame) == order);
			uint64_t *words = phys_to_virt(frame);
			for (size_t j = 0; zero && j < (PAGE_SIZE << order) / 8; j += 61)
				CHECK(words[j] == 0);
			words[0] = words[(PAGE_SIZE << order) / 8 - 1] = frame;
			live[count++] = (struct block){ frame, order };
		} else if (count) {
			struct block *block = &live[host_below(count)];
			uint64_t *words = phys_to_virt(block->frame);
			CHECK(words[0] == block->frame &&
				words[(PAGE_SIZE << block->order) / 8 - 1] == block->frame);
			own(block->frame, block->order, 0);
			if (host_below(2)) {
				frame_free(KERNEL_PAYS, block->frame, block->order);
			} else {
				frame_split(block->frame, block->order);
				for (size_t j = 0; j < 1ul << block->order; j++)
					frame_free(KERNEL_PAYS, block->frame + j * PAGE_SIZE, 0);
			}
			*block = live[--count];
		}
	}
	while (count--)
		own(live[count].frame, live[count].order, 0),
			frame_free(KERNEL_PAYS, live[count].frame, live[count].order);
	CHECK(frames_free() == before);

	/* Freed frames merge to blocks of 4 MiB and more: 4 to 8 and 8 to 12 MiB, 36 to 64 MiB
	 * without the last. */
	while (frame_alloc(KERNEL_PAYS, LARGE_PAGE_ORDER + 1, 0))
		count++;
	CHECK(count + 1 == 2 + 6);
	printf("ok %s\n", test_name);
}

static void test_reserve(void)
{
	size_t available = frames_available();

	test_name = "mm-frame-reserve";
	CHECK(available > 100);
	CHECK(!frames_reserve(available + 1) && !frames_reserve(SIZE_MAX));
	CHECK(frames_reserve(available - 3));
	CHECK(frames_available() == 3);
	CHECK(!frames_reserve(4) && !frame_alloc(KERNEL_PAYS, 2, 0));
	paddr_t three[3];
	for (int i = 0; i < 3; i++)
		CHECK((three[i] = frame_alloc(KERNEL_PAYS, 0, 0)) != 0);
	CHECK(!frame_alloc(KERNEL_PAYS, 0, 0));
	/* Every reserved frame is there. */
	paddr_t first = 0;
	for (size_t i = 0; i < available - 3; i++) {
		paddr_t frame = frame_alloc(KERNEL_PAYS, 0, FRAME_RESERVED);
		CHECK(frame);
		*(paddr_t *)phys_to_virt(frame) = first;
		first = frame;
	}
	CHECK(frames_free() == 0 && !frames_reserve(1) && frames_reserve(0));
	while (first) {
		paddr_t next = *(paddr_t *)phys_to_virt(first);
		frame_free(KERNEL_PAYS, first, 0);
		first = next;
	}
	for (int i = 0; i < 3; i++)
		frame_free(KERNEL_PAYS, three[i], 0);
	CHECK(frames_reserve(10));
	frames_unreserve(10);
	CHECK(frames_available() == available);
	printf("ok %s\n", test_name);
}

static void test_kmem(const char *name, struct ledger *payer)
{
	static struct {
		unsigned char *memory;
		size_t size;
	} live[3000];
	size_t count = 0, before;

	test_name = name;
	kmem_trim(payer);
	before = frames_free();
	for (unsigned i = 0; i < 200000; i++) {
		host_fail(host_below(50) == 0);
		if (host_below(2) && count < 3000) {
			size_t size = host_below(20) ? host_below(600) : host_below(9000);
			unsigned char *memory = kmem_alloc(payer, size);
			if (!memory)
				continue;
			CHECK((uintptr_t)memory % (size >= 64 ? 64 : 16) == 0 || size > 2048);
			for (size_t j = 0; j < size; j++)
				CHECK(memory[j] == 0);
			memset(memory, (int)(1 + size % 255), size);
			live[count].memory = memory;
			live[count++].size = size;
		} else if (count) {
			size_t victim = host_below(count), size = live[victim].size;
			for (size_t j = 0; j < size; j++)
				CHECK(live[victim].memory[j] == 1 + size % 255);
			kmem_free(payer, live[victim].memory);
			live[victim] = live[--count];
		}
		CHECK(!payer || before - frames_free() == payer->charged_pages);
	}
	host_fail(0);
	while (count)
		kmem_free(payer, live[--count].memory);
	kmem_free(payer, NULL);
	CHECK(before - frames_free() <= 15);
	kmem_trim(payer);
	CHECK(frames_free() == before);
	CHECK(!kmem_alloc(payer, (PAGE_SIZE << FRAME_ORDER_MAX) + 1));
	printf("ok %s\n", test_name);
}

int main(int count, char **arguments)
{
	host_seed(count > 1 ? strtoull(arguments[1], NULL, 0) : 1);
	memset(owner, 0, sizeof(owner));
	test_boot();
	test_blocks();
	test_reserve();
	test_kmem("mm-kmem", KERNEL_PAYS);
	struct ledger *ledger = ledger_create(&(struct ledger_limits){ 0 });
	test_kmem("mm-kmem-charged", ledger);
	ledger_release(ledger);
	return 0;
}
