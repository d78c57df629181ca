/* See ledger.h. */
#include "mm/ledger.h"

#include "core/log.h"
#include "mm/kmem.h"

struct ledger *ledger_create(uint64_t limit)
{
	struct ledger *ledger = kmem_alloc(sizeof(*ledger));

	if (ledger)
		*ledger = (struct ledger){ .references = 1, .limit = limit };
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
	VERIFY(!ledger->committed);
	kmem_free(ledger);
}

bool ledger_charge(struct ledger *ledger, uint64_t pages)
{
	uint64_t old = __atomic_load_n(&ledger->committed, __ATOMIC_RELAXED), new;

	do {
		if (__builtin_add_overflow(old, pages, &new) ||
			(ledger->limit && new > ledger->limit))
			return false;
	} while (!__atomic_compare_exchange_n(
		&ledger->committed, &old, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));

	uint64_t peak = __atomic_load_n(&ledger->peak, __ATOMIC_RELAXED);
	while (new > peak &&
		!__atomic_compare_exchange_n(
			&ledger->peak, &peak, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return true;
}

void ledger_uncharge(struct ledger *ledger, uint64_t pages)
{
	uint64_t old = __atomic_fetch_sub(&ledger->committed, pages, __ATOMIC_RELAXED);

	VERIFY(old >= pages);
}
