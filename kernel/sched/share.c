/* Shares of a CPU that compete: their order, and which is served. */
#include "sched/share.h"

static struct share *share_of(struct rbnode *node)
{
	return container_of(node, struct share, node);
}

static bool has_less(const struct rbnode *a, const struct rbnode *b)
{
	return is_behind(container_of(a, const struct share, node)->had_ns,
		container_of(b, const struct share, node)->had_ns);
}

/* Mostly one share waits at a time. */
static inline void link(struct run_queue *run, struct share *share)
{
	rbtree_insert_few(&run->shares, &share->node, has_less);
}

static inline void unlink(struct run_queue *run, struct share *share)
{
	rbtree_remove_few(&run->shares, &share->node);
}

/* The least time of the shares that compete, which never goes back. competes: the one served does.
 */
static void advance_least(struct run_queue *run, bool competes)
{
	struct rbnode *node = rbtree_first(&run->shares);
	uint64_t least = run->served->had_ns;
	if (node && (!competes || is_behind(share_of(node)->had_ns, least)))
		least = share_of(node)->had_ns;
	if (is_behind(run->least_ns, least))
		run->least_ns = least;
}

void share_begin(struct run_queue *run, struct share *share, bool busy)
{
	advance_least(run, busy || run->served->count);
	uint64_t earliest = run->least_ns - SHARE_CREDIT_NS;
	if (is_behind(share->had_ns, earliest))
		share->had_ns = earliest;
	link(run, share);
}

void share_withdraw(struct run_queue *run, struct share *share)
{
	unlink(run, share);
}

void share_choose(struct run_queue *run, uint64_t now, bool turn_over)
{
	share_charge(run, now);
	struct share *served = run->served, *first = share_of(rbtree_first(&run->shares));
	advance_least(run, true);
	int64_t lead = (int64_t)(served->had_ns - first->had_ns);
	if (served->count && (turn_over ? lead < 0 : lead <= (int64_t)WAKE_MARGIN_NS))
		return;
	unlink(run, first);
	if (served->count)
		link(run, served);
	run->served = first;
}

static void pay(struct run_queue *run, struct share *share, uint64_t ns)
{
	bool waits = rbnode_linked(&share->node);
	if (waits)
		unlink(run, share);
	share->had_ns += ns;
	if (waits)
		link(run, share);
}

void share_bill(struct run_queue *run, struct share *share, uint64_t now)
{
	if (is_behind(now, run->charged_ns))
		return;
	pay(run, share, now - run->charged_ns);
	run->charged_ns = now;
}

void share_compensate(struct run_queue *run, struct share *share, uint64_t ns)
{
	pay(run, share, ns);
	run->served->had_ns -= ns;
}

void share_yield(struct run_queue *run, uint64_t now)
{
	if (rbtree_empty(&run->shares))
		return;
	share_charge(run, now);
	const struct share *first = share_of(rbtree_first(&run->shares));
	if (is_behind(run->served->had_ns, first->had_ns))
		run->served->had_ns = first->had_ns;
}
