/* What ./capos explore links into each C program of a system whose services it makes fail: a thread
 * that waits until the service `faults` says so, and then overwrites a word of its own process. No
 * process can write into another one's memory, so it has to come from inside. Without the
 * capability "fault_agent" there is no thread.
 *
 * The service decides what is overwritten, by random numbers of the seed (faults.h). */
#include <capos/capos.h>

#include "../faults.h"

#define STACK_BYTES (16 * 1024)
#define WORD_BYTES 8

static bool is_writable(const struct capos_region_info *region)
{
	return region->state != CAPOS_REGION_STATE_FREE &&
		region->state != CAPOS_REGION_STATE_RESERVED &&
		(region->prot & CAPOS_PROT_WRITE) != 0 && region->resident_pages != 0;
}

/* Finds the page of that number among those that can be written, and that have frames as far as is
 * known: only a region as a whole tells how many it has. Without such a page it gives their count
 * in *page and false. */
static bool find_page(uint64_t *page, uint64_t *address)
{
	struct capos_region_info region;
	uint64_t at = 0, left = *page, count = 0;

	while (at < CAPOS_USER_TOP &&
		capos_virtual_memory_query(capos_caps.vm, at, 0, &region, sizeof(region)) >= 0) {
		if (is_writable(&region) && left < region.resident_pages) {
			*address = region.start + left * CAPOS_PAGE_SIZE;
			return true;
		}
		if (is_writable(&region)) {
			left -= region.resident_pages;
			count += region.resident_pages;
		}
		at = region.start + region.size;
	}
	*page = count;
	return false;
}

static void overwrite(const struct fault_order *order)
{
	uint64_t page = UINT64_MAX, address;

	(void)find_page(&page, &address);
	if (page == 0)
		return;
	page = order->page % page;
	if (!find_page(&page, &address))
		return;
	volatile uint64_t *word =
		(volatile uint64_t *)address + order->word % (CAPOS_PAGE_SIZE / WORD_BYTES);
	*word = (*word & order->kept) ^ order->changed;
}

static int64_t wait_for_orders(void *argument)
{
	capos_cap_t agent = capos_cap("fault_agent");

	(void)argument;
	for (;;) {
		struct capos_message message = { 0 };
		int64_t status = capos_endpoint_call(agent, &message, CAPOS_WAIT_FOREVER);

		if (status == 0)
			overwrite((const struct fault_order *)message.words);
		else if (status != CAPOS_E(INTERRUPTED))
			return status;
	}
}

__attribute__((constructor)) static void start_agent(void)
{
	static const struct capos_thread_options options = { .stack_size_bytes = STACK_BYTES,
		.name = "fault-agent" };
	struct capos_thread *thread;

	if (capos_cap("fault_agent") != 0 &&
		capos_thread_start(&thread, wait_for_orders, NULL, &options) == 0)
		(void)capos_thread_detach(thread);
}
