/* The capability table against a plain model: random reserve, commit, abandon, insert, release,
 * lookup, with stale and forged ids. */
#include <stdint.h>
#include <string.h>

#include "cap/table.h"
#include "check.h"
#include "kernel.h"
#include "mm/budget.h"
#include "mm/frame.h"
#include "random.h"
#include "sched/lease.h"
#include "sched/thread.h"

static int destroyed;
static struct budget budget = { .limit = BUDGET_UNLIMITED };

static void object_gone(struct object *object)
{
	destroyed++;
	free(object);
}

static const struct object_ops counted_ops = { .destroy = object_gone };
/* The table never reads an interface. */
static char interface_bytes;
#define ANY_INTERFACE ((const struct interface_desc *)&interface_bytes)
static struct object static_object = OBJECT_STATIC(ANY_INTERFACE);

static struct thread thread;

struct thread *thread_current(void)
{
	return &thread;
}

static struct object *new_object(void)
{
	struct object *object = aligned_alloc(16, (sizeof *object + 15) & ~15ul);
	object_init(object, ANY_INTERFACE, &counted_ops);
	return object;
}

static void lease_gone(struct object *copy)
{
	struct lease *lease = lease_of_copy(copy);
	CHECK(rbtree_empty(&lease->users));
	free(lease);
	destroyed++;
}

/* For an object that never ends, or below another lease. */
static struct lease *new_lease(struct object *target, struct lease *parent)
{
	static const struct object_ops ops = { .destroy = lease_gone, .traits = OBJECT_LEASED };
	struct lease *lease = aligned_alloc(64, (sizeof *lease + 63) & ~63ul);
	*lease = (struct lease){ .target = target, .parent = parent };
	lease->root = parent ? parent->root : lease;
	object_init(&lease->copy, ANY_INTERFACE, &ops);
	return lease;
}

static void revocable_copies_are_looked_up(void)
{
	struct cap_table table;
	struct lease *lease = new_lease(&static_object, NULL), *below = new_lease(NULL, lease);
	struct object *object = NULL;
	cap_id_t cap = 0, nested = 0;
	cap_table_init(&table, KERNEL_PAYS, &budget);
	destroyed = 0;
	CHECK(cap_table_insert(&table, &lease->copy, &cap) == STATUS_OK);
	CHECK(cap_table_insert(&table, &below->copy, &nested) == STATUS_OK);
	CHECK(!cap_table_lookup_counted(&table, cap) && !cap_table_lookup_static(&table, cap));
	CHECK(cap_table_lookup(&table, cap) == &static_object);
	CHECK(cap_table_lookup(&table, nested) == &static_object);
	/* What carries capabilities carries the copy. */
	CHECK(cap_table_copy(&table, cap, &object) == STATUS_OK && object == &lease->copy);
	cap_drop(object);
	CHECK(cap_table_lift(&table, cap, &object) == STATUS_OK && object == &lease->copy);
	CHECK(!cap_table_lookup(&table, cap));
	cap_table_fill(&table, cap, object);
	CHECK(cap_table_enter(&table, nested, &thread.lease_use, &object) == STATUS_OK);
	CHECK(object == &static_object && thread.lease_use.lease == below);
	lease_revoke(lease);
	CHECK(thread.exit_work == EXIT_WORK_REVOKED && !cap_table_lookup(&table, nested));
	lease_leave(&thread.lease_use);
	CHECK(!thread.exit_work && !thread.lease_use.lease);
	CHECK(cap_table_enter(&table, nested, &thread.lease_use, &object) == STATUS(REVOKED));
	CHECK(cap_table_enter(&table, cap, &thread.lease_use, &object) == STATUS(REVOKED));
	CHECK(!object && !thread.lease_use.lease && !destroyed);
	CHECK(cap_table_release(&table, nested) && destroyed == 1);
	CHECK(!cap_table_lookup(&table, nested));
	CHECK(cap_table_enter(&table, nested, &thread.lease_use, &object) ==
		STATUS_TRANSPORT(INVOKE_FAILED));
	cap_table_destroy(&table);
	CHECK(destroyed == 2);
}

static uint32_t random_below(uint32_t bound)
{
	return (uint32_t)((random_word() >> 20) % bound);
}

static void table_basics(void)
{
	struct cap_table table;
	cap_id_t cap, other;
	cap_table_init(&table, KERNEL_PAYS, &budget);
	CHECK(!cap_table_lookup(&table, 0));
	CHECK(!cap_table_lookup(&table, 0x10000));
	CHECK(cap_table_insert(&table, &static_object, &cap) == STATUS_OK);
	CHECK(cap >> 16 != 0 && (cap & 0xffff) != 0);
	CHECK(cap_table_lookup(&table, cap) == &static_object);
	CHECK(!cap_table_lookup(&table, cap ^ 0x10000) && !cap_table_lookup(&table, cap + 1) &&
		!cap_table_lookup(&table, cap | 0xffff));
	CHECK(cap_table_reserve(&table, &other) == STATUS_OK);
	CHECK(!cap_table_lookup(&table, other));
	CHECK(!cap_table_release(&table, other)); /* set aside is not held */
	cap_table_abandon(&table, other);
	CHECK(cap_table_count(&table) == 1);
	CHECK(cap_table_release(&table, cap));
	CHECK(!cap_table_release(&table, cap));
	CHECK(!cap_table_lookup(&table, cap));
	CHECK(cap_table_count(&table) == 0);
	cap_table_destroy(&table);
	CHECK(kmem_live == 0);
}

static void table_fills_and_empties(void)
{
	static cap_id_t caps[CAPOS_CAP_SLOTS_MAX];
	struct cap_table table;
	uint32_t count = 0;
	cap_table_init(&table, KERNEL_PAYS, &budget);
	while (cap_table_insert(&table, new_object(), &caps[count]) == STATUS_OK)
		count++;
	CHECK(count == CAPOS_CAP_SLOTS_MAX - 1);
	CHECK(cap_table_count(&table) == count);
	CHECK(cap_table_release(&table, caps[77]));
	cap_id_t again;
	CHECK(cap_table_reserve(&table, &again) == STATUS_OK &&
		(again & 0xffff) == (caps[77] & 0xffff) && again != caps[77]);
	CHECK(cap_table_reserve(&table, &again) == STATUS(NO_SLOTS));
	cap_table_destroy(&table);
	CHECK(kmem_live == 0);
	CHECK(object_count() == 1); /* the one that found no slot */
}

static void stale_ids_stay_dead(void)
{
	struct cap_table table;
	cap_id_t first, cap = 0;
	cap_table_init(&table, KERNEL_PAYS, &budget);
	CHECK(cap_table_insert(&table, &static_object, &first) == STATUS_OK);
	CHECK(cap_table_release(&table, first));
	for (uint32_t i = 0; i < 63 * 65534u;
		i++) { /* every other generation of every slot of the first chunk */
		CHECK(cap_table_insert(&table, &static_object, &cap) == STATUS_OK);
		CHECK(cap != first && cap >> 16 != 0);
		CHECK(cap_table_release(&table, cap));
	}
	CHECK(table.slots == CAP_CHUNK_SLOTS); /* nothing grew */
	cap_table_destroy(&table);
}

static void allocation_failure_is_an_error(void)
{
	struct cap_table table;
	cap_id_t cap;
	cap_table_init(&table, KERNEL_PAYS, &budget);
	kmem_fail_after = 0;
	CHECK(cap_table_reserve(&table, &cap) == STATUS(NO_MEMORY));
	kmem_fail_after = -1;
	CHECK(cap_table_reserve(&table, &cap) == STATUS_OK);
	cap_table_abandon(&table, cap);
	cap_table_destroy(&table);
	CHECK(kmem_live == 0);
}

#define MODEL_MAX 600

struct model_entry {
	cap_id_t cap;
	struct object *object; /* NULL: reserved only */
};

static struct model_entry model[MODEL_MAX];
static uint32_t model_count;
static cap_id_t stale[MODEL_MAX];

static void model_add(struct cap_table *table)
{
	if (model_count == MODEL_MAX)
		return;
	struct model_entry *entry = &model[model_count++];
	entry->object = NULL;
	uint32_t how = random_below(3);
	if (how == 0) {
		CHECK(cap_table_reserve(table, &entry->cap) == STATUS_OK);
	} else {
		entry->object = how == 1 ? &static_object : new_object();
		CHECK(cap_table_insert(table, entry->object, &entry->cap) == STATUS_OK);
	}
	for (uint32_t i = 0; i + 1 < model_count; i++)
		CHECK((model[i].cap & 0xffff) != (entry->cap & 0xffff));
}

static void model_remove(struct cap_table *table)
{
	if (!model_count)
		return;
	uint32_t index = random_below(model_count);
	struct model_entry entry = model[index];
	int before = destroyed;
	if (!entry.object && random_below(2)) {
		model[index].object = new_object();
		cap_table_commit(table, entry.cap, model[index].object);
		return;
	}
	model[index] = model[--model_count];
	stale[random_below(MODEL_MAX)] = entry.cap;
	if (!entry.object) {
		cap_table_abandon(table, entry.cap);
		return;
	}
	CHECK(cap_table_release(table, entry.cap));
	CHECK(destroyed == before + (entry.object != &static_object));
}

static void model_look(struct cap_table *table)
{
	if (model_count) {
		struct model_entry *entry = &model[random_below(model_count)];
		struct object *found = cap_table_lookup(table, entry->cap);
		CHECK(found == entry->object);
		if (found)
			object_release(found);
	}
	cap_id_t dead = random_below(2) ? stale[random_below(MODEL_MAX)]
					: (cap_id_t)random_below(UINT32_MAX);
	for (uint32_t i = 0; i < model_count; i++)
		if (model[i].cap == dead)
			return;
	CHECK(!cap_table_lookup(table, dead));
	CHECK(!cap_table_release(table, dead));
}

static void table_follows_the_model(void)
{
	struct cap_table table;
	cap_table_init(&table, KERNEL_PAYS, &budget);
	uint64_t live = object_count();
	for (int i = 0; i < 300000; i++) {
		uint32_t grow = i / 20000 % 2 ? 3 : 5;
		uint32_t pick = random_below(10);
		if (pick < grow)
			model_add(&table);
		else if (pick < 8)
			model_remove(&table);
		model_look(&table);
		CHECK(cap_table_count(&table) == model_count);
	}
	cap_table_destroy(&table);
	CHECK(object_count() == live);
	CHECK(kmem_live == 0);
}

/* An object that holds the next one of a chain. */
struct link {
	struct object object;
	struct object *held;
};

static int depth, deepest;

static void link_gone(struct object *object)
{
	struct link *link = (struct link *)object;
	if (++depth > deepest)
		deepest = depth;
	if (link->held)
		object_release(link->held);
	depth--;
	object_gone(object);
}

static const struct object_ops link_ops = { .destroy = link_gone, .traits = OBJECT_HOLDS };

static void nothing(void)
{
}

static void chains_are_destroyed_without_recursion(void)
{
	struct object *last = NULL;
	uint64_t live = object_count();
	int before = destroyed, links = 100000;
	for (int i = 0; i < links; i++) {
		struct link *link = aligned_alloc(16, (sizeof *link + 15) & ~15ul);
		object_init(&link->object, ANY_INTERFACE, &link_ops);
		link->held = last;
		last = &link->object;
	}
	object_release(last);
	CHECK(destroyed == before && later_calls == 1);
	object_destroy_waiting(nothing);
	CHECK(destroyed == before + links && object_count() == live);
	CHECK(deepest == 1 && later_calls == (unsigned)links);
}

int main(void)
{
	RUN(table_basics);
	RUN(revocable_copies_are_looked_up);
	RUN(table_fills_and_empties);
	RUN(stale_ids_stay_dead);
	RUN(allocation_failure_is_an_error);
	RUN(table_follows_the_model);
	RUN(chains_are_destroyed_without_recursion);
	return check_failures != 0;
}
