/* See ledger.h. */
#include "mm/ledger.h"

#include "core/log.h"

struct ledger *ledger_create(uint64_t limit_pages)
{
	struct ledger *ledger = kmem_alloc(KERNEL_PAYS, sizeof(*ledger));

	if (!ledger)
		return NULL;
	ledger->references = 1;
	ledger->limit_pages = limit_pages;
	kmem_pool_init(&ledger->pool);
	return ledger;
}

struct ledger *ledger_retain(struct ledger *ledger)
{
	__atomic_fetch_add(&ledger->references, 1, __ATOMIC_RELAXED);
	return ledger;
}

void ledger_release(struct ledger *ledger)
{
	if (__atomic_sub_fetch(&ledger->references, 1, __ATOMIC_ACQ_REL))
		return;
	kmem_trim(ledger);
	VERIFY(!ledger->charged_pages && !ledger->kernel_pages);
	kmem_free(KERNEL_PAYS, ledger);
}

bool ledger_charge(struct ledger *ledger, uint64_t pages, uint64_t kernel)
{
	uint64_t old = __atomic_load_n(&ledger->charged_pages, __ATOMIC_RELAXED), new;

	do {
		if (__builtin_add_overflow(old, pages + kernel, &new) ||
			(ledger->limit_pages && new > ledger->limit_pages))
			return false;
	} while (!__atomic_compare_exchange_n(
		&ledger->charged_pages, &old, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (kernel)
		__atomic_fetch_add(&ledger->kernel_pages, kernel, __ATOMIC_RELAXED);

	uint64_t peak = __atomic_load_n(&ledger->peak_pages, __ATOMIC_RELAXED);
	while (new > peak &&
		!__atomic_compare_exchange_n(
			&ledger->peak_pages, &peak, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return true;
}

void ledger_uncharge(struct ledger *ledger, uint64_t pages, uint64_t kernel)
{
	if (kernel)
		VERIFY(__atomic_fetch_sub(&ledger->kernel_pages, kernel, __ATOMIC_RELAXED) >=
			kernel);
	uint64_t old = __atomic_fetch_sub(&ledger->charged_pages, pages + kernel, __ATOMIC_RELAXED);

	VERIFY(old >= pages + kernel);
}

/* ---- frames with a payer ---- */

paddr_t frame_take_charged(struct ledger *payer, unsigned order, unsigned flags)
{
	if (!ledger_charge(payer, 0, 1ul << order))
		return 0;
	paddr_t frame = frame_take(order, flags);
	if (!frame)
		ledger_uncharge(payer, 0, 1ul << order);
	return frame;
}

void frame_give_charged(struct ledger *payer, paddr_t frame, unsigned order)
{
	frame_give(frame, order);
	ledger_uncharge(payer, 0, 1ul << order);
}
