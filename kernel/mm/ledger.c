/* See ledger.h. */
#include "mm/ledger.h"

#include "core/log.h"

static struct ledger *create(struct ledger *parent, uint64_t limit_pages)
{
	struct ledger *ledger = kmem_alloc(parent, sizeof(*ledger));

	if (!ledger)
		return NULL;
	ledger->references = 1;
	ledger->limit_pages = limit_pages;
	kmem_pool_init(&ledger->pool);
	return ledger;
}

struct ledger *ledger_create(uint64_t limit_pages)
{
	return create(KERNEL_PAYS, limit_pages);
}

status_t ledger_create_child(
	struct ledger *parent, uint64_t limit_pages, bool shared, struct ledger **child)
{
	if (parent->depth == LEDGER_DEPTH_MAX)
		return STATUS(LIMIT_REACHED);
	if (!shared && !ledger_charge(parent, limit_pages, 0))
		return STATUS(NO_MEMORY);
	struct ledger *ledger = create(parent, limit_pages);
	if (!ledger) {
		if (!shared)
			ledger_uncharge(parent, limit_pages, 0);
		return STATUS(NO_MEMORY);
	}
	ledger->parent = ledger_retain(parent);
	ledger->along = shared ? parent : NULL;
	ledger->depth = parent->depth + 1;
	*child = ledger;
	return STATUS_OK;
}

struct ledger *ledger_retain(struct ledger *ledger)
{
	__atomic_fetch_add(&ledger->references, 1, __ATOMIC_RELAXED);
	return ledger;
}

/* In a loop, because the last reference to a child may be the last one to its parent. */
void ledger_release(struct ledger *ledger)
{
	while (ledger && !__atomic_sub_fetch(&ledger->references, 1, __ATOMIC_ACQ_REL)) {
		struct ledger *parent = ledger->parent;

		kmem_trim(ledger);
		VERIFY(!ledger->charged_pages && !ledger->kernel_pages);
		if (parent && !ledger->along)
			ledger_uncharge(parent, ledger->limit_pages, 0);
		kmem_free(parent, ledger);
		ledger = parent;
	}
}

/* One ledger alone. */
static bool take(struct ledger *ledger, uint64_t pages)
{
	uint64_t old = __atomic_load_n(&ledger->charged_pages, __ATOMIC_RELAXED), new;

	do {
		if (__builtin_add_overflow(old, pages, &new) ||
			(ledger->limit_pages && new > ledger->limit_pages))
			return false;
	} while (!__atomic_compare_exchange_n(
		&ledger->charged_pages, &old, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

static void give_back(struct ledger *ledger, uint64_t pages)
{
	uint64_t old = __atomic_fetch_sub(&ledger->charged_pages, pages, __ATOMIC_RELAXED);

	VERIFY(old >= pages);
}

/* After the charge, because one that fails further up is no peak. */
static void note_peak(struct ledger *ledger)
{
	uint64_t now = __atomic_load_n(&ledger->charged_pages, __ATOMIC_RELAXED);
	uint64_t peak = __atomic_load_n(&ledger->peak_pages, __ATOMIC_RELAXED);

	while (now > peak &&
		!__atomic_compare_exchange_n(
			&ledger->peak_pages, &peak, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

bool ledger_charge(struct ledger *ledger, uint64_t pages, uint64_t kernel)
{
	struct ledger *level = ledger;

	do {
		if (!take(level, pages + kernel)) {
			for (struct ledger *taken = ledger; taken != level; taken = taken->along)
				give_back(taken, pages + kernel);
			return false;
		}
		level = level->along;
	} while (level);
	if (kernel)
		__atomic_fetch_add(&ledger->kernel_pages, kernel, __ATOMIC_RELAXED);
	level = ledger;
	do {
		note_peak(level);
		level = level->along;
	} while (level);
	return true;
}

void ledger_uncharge(struct ledger *ledger, uint64_t pages, uint64_t kernel)
{
	if (kernel)
		VERIFY(__atomic_fetch_sub(&ledger->kernel_pages, kernel, __ATOMIC_RELAXED) >=
			kernel);
	do {
		give_back(ledger, pages + kernel);
		ledger = ledger->along;
	} while (ledger);
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
