/* See ledger.h; models/budget.pml models the budgets. */
#include "mm/ledger.h"

#include "core/log.h"

/* Pages of the machine that no ledger was charged yet. Atomic. */
static uint64_t machine_left = INT64_MAX;

void ledgers_begin(uint64_t pages)
{
	__atomic_store_n(&machine_left, pages, __ATOMIC_RELAXED);
}

static struct ledger *create(struct ledger *parent, const struct ledger_limits *limits)
{
	struct ledger *ledger = kmem_alloc(parent, sizeof(*ledger));

	if (!ledger)
		return NULL;
	ledger->references = 1;
	ledger->limit_pages = limits->pages;
	kmem_pool_init(&ledger->pool);
	for (unsigned i = 0; i < BUDGETS_COUNTED; i++)
		ledger->counted[i].limit = limits->counts[i] ? limits->counts[i] : BUDGET_UNLIMITED;
	ledger->quota.limit = limits->counts[CAPOS_BUDGET_CPU - CAPOS_BUDGET_THREADS];
	ledger->quota.given = &ledger_budget(ledger, CAPOS_BUDGET_CPU)->used;
	return ledger;
}

struct ledger *ledger_create(const struct ledger_limits *limits)
{
	return create(KERNEL_PAYS, limits);
}

/* ---- those that are made out of others ---- */

static bool is_shared(const struct ledger_limits *limits, unsigned budget)
{
	return limits->shared >> budget & 1 ||
		(budget != CAPOS_BUDGET_MEMORY && !limits->counts[budget - CAPOS_BUDGET_THREADS]);
}

/* Gives back what was taken out of the parent's for the counted budgets before the last one. */
static void give_counts(
	struct ledger *parent, const struct ledger_limits *limits, enum capos_budget last)
{
	for (unsigned budget = CAPOS_BUDGET_THREADS; budget < last; budget++)
		if (!is_shared(limits, budget))
			budget_give(ledger_budget(parent, budget),
				limits->counts[budget - CAPOS_BUDGET_THREADS]);
}

static status_t take_counts(struct ledger *parent, const struct ledger_limits *limits)
{
	static const status_t statuses[] = { [CAPOS_BUDGET_THREADS] = STATUS(NO_THREADS),
		[CAPOS_BUDGET_CAPABILITIES] = STATUS(NO_SLOTS),
		[CAPOS_BUDGET_CALLS] = STATUS(NO_CALLS),
		[CAPOS_BUDGET_CPU] = STATUS(NO_CPU) };

	for (unsigned budget = CAPOS_BUDGET_THREADS; budget < BUDGET_COUNT; budget++) {
		if (is_shared(limits, budget) ||
			budget_take(ledger_budget(parent, budget),
				limits->counts[budget - CAPOS_BUDGET_THREADS]))
			continue;
		give_counts(parent, limits, budget);
		return statuses[budget];
	}
	return STATUS_OK;
}

/* The whole limits that are not shared. */
static status_t take_limits(struct ledger *parent, const struct ledger_limits *limits)
{
	bool memory = !is_shared(limits, CAPOS_BUDGET_MEMORY);

	if (memory && !ledger_charge(parent, limits->pages, 0))
		return STATUS(NO_MEMORY);
	status_t status = take_counts(parent, limits);
	if (status != STATUS_OK && memory)
		ledger_uncharge(parent, limits->pages, 0);
	return status;
}

static void share(struct ledger *ledger, struct ledger *parent, const struct ledger_limits *limits)
{
	ledger->parent = ledger_retain(parent);
	ledger->depth = parent->depth + 1;
	ledger->along = is_shared(limits, CAPOS_BUDGET_MEMORY) ? parent : NULL;
	for (unsigned budget = CAPOS_BUDGET_THREADS; budget < BUDGET_COUNT; budget++)
		if (is_shared(limits, budget))
			ledger_budget(ledger, budget)->along = ledger_budget(parent, budget);
	if (is_shared(limits, CAPOS_BUDGET_CPU))
		ledger->quota.along = &parent->quota;
}

status_t ledger_create_child(
	struct ledger *parent, const struct ledger_limits *limits, struct ledger **child)
{
	if (parent->depth == LEDGER_DEPTH_MAX)
		return STATUS(LIMIT_REACHED);
	status_t status = take_limits(parent, limits);
	if (status != STATUS_OK)
		return status;
	struct ledger *ledger = create(parent, limits);
	if (!ledger) {
		if (!is_shared(limits, CAPOS_BUDGET_MEMORY))
			ledger_uncharge(parent, limits->pages, 0);
		give_counts(parent, limits, BUDGET_COUNT);
		return STATUS(NO_MEMORY);
	}
	share(ledger, parent, limits);
	*child = ledger;
	return STATUS_OK;
}

void ledger_end(struct ledger *ledger)
{
	if (ledger->ended)
		return;
	ledger->ended = true;
	for (unsigned i = 0; i < BUDGETS_COUNTED; i++) {
		const struct budget *budget = &ledger->counted[i];

		VERIFY(!__atomic_load_n(&budget->used, __ATOMIC_RELAXED));
		if (ledger->parent && !budget->along)
			budget_give(&ledger->parent->counted[i], budget->limit);
	}
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

		ledger_end(ledger);
		kmem_trim(ledger);
		VERIFY(!ledger->charged_pages && !ledger->kernel_pages);
		if (parent && !ledger->along)
			ledger_uncharge(parent, ledger->limit_pages, 0);
		kmem_free(parent, ledger);
		ledger = parent;
	}
}

static bool take_from_machine(uint64_t pages)
{
	uint64_t left = __atomic_load_n(&machine_left, __ATOMIC_RELAXED);

	do {
		if (left < pages)
			return false;
	} while (!__atomic_compare_exchange_n(
		&machine_left, &left, left - pages, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

static void give_back(struct ledger *ledger, uint64_t pages)
{
	uint64_t old = __atomic_fetch_sub(&ledger->charged_pages, pages, __ATOMIC_RELAXED);

	VERIFY(old >= pages);
	if (!ledger->parent)
		__atomic_fetch_add(&machine_left, pages, __ATOMIC_RELAXED);
}

/* One ledger alone. Who has a parent had its pages taken out of the machine's with the parent's. */
static bool take(struct ledger *ledger, uint64_t pages)
{
	uint64_t old = __atomic_load_n(&ledger->charged_pages, __ATOMIC_RELAXED), new;

	do {
		if (__builtin_add_overflow(old, pages, &new) ||
			(ledger->limit_pages && new > ledger->limit_pages)) {
			__atomic_fetch_add(&ledger->refused, 1, __ATOMIC_RELAXED);
			return false;
		}
	} while (!__atomic_compare_exchange_n(
		&ledger->charged_pages, &old, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (ledger->parent || take_from_machine(pages))
		return true;
	__atomic_fetch_sub(&ledger->charged_pages, pages, __ATOMIC_RELAXED);
	return false;
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

void ledger_usage(const struct ledger *ledger, struct capos_budget_usage usage[BUDGET_COUNT])
{
	usage[CAPOS_BUDGET_MEMORY] = (struct capos_budget_usage){
		.used = __atomic_load_n(&ledger->charged_pages, __ATOMIC_RELAXED),
		.limit = ledger->limit_pages,
		.peak = __atomic_load_n(&ledger->peak_pages, __ATOMIC_RELAXED),
		.refused = __atomic_load_n(&ledger->refused, __ATOMIC_RELAXED),
	};
	for (unsigned i = 0; i < BUDGETS_COUNTED; i++) {
		const struct budget *budget = &ledger->counted[i];

		usage[CAPOS_BUDGET_THREADS + i] = (struct capos_budget_usage){
			.used = __atomic_load_n(&budget->used, __ATOMIC_RELAXED),
			.limit = budget->limit == BUDGET_UNLIMITED ? 0 : budget->limit,
			.peak = __atomic_load_n(&budget->peak, __ATOMIC_RELAXED),
			.refused = __atomic_load_n(&budget->refused, __ATOMIC_RELAXED),
		};
	}
	usage[CAPOS_BUDGET_CPU].refused += __atomic_load_n(&ledger->quota.stops, __ATOMIC_RELAXED);
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
