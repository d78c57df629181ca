/* Budgets that are made of others: charges and refunds of several processes at once, and the end of
 * a process whose limit was taken out of its parent's.
 *
 * Models  kernel/mm/budget.h: budget_take, budget_take_one, budget_give
 *         kernel/mm/budget.c: budget_take_along, budget_give_along
 *         kernel/mm/ledger.c: ledger_create_child, ledger_end
 *
 * Bounds: a parent with a limit of 3; a child that shares it under a ceiling of 2, and whose
 * threads (SHARERS) each take one and give it back (ROUNDS times); a child that is made with a
 * limit of its own of 2 (ROUNDS times, as far as the parent has so much left), takes as much as it
 * gets and ends; the parent itself takes one and gives it back.
 *
 * Claims: no budget is ever above its limit, and all that is in use together is within the
 * parent's. What a child with a limit of its own was given it has: it is never refused within that.
 * In the end all has come back. A refusal leaves no charge. */

#ifdef SHORT
#define SHARERS 1
#define ROUNDS 2
#else
#define SHARERS 2
#define ROUNDS 1
#endif

#define PARENT 0
#define SHARED 1 /* along with the parent */
#define OWN    2

#define PARENT_LIMIT 3
#define SHARED_LIMIT 2
#define OWN_LIMIT    2

byte limit[3], used[3];
byte granted; /* of the parent's limit, in use by the parent or a child */
byte running;

/* One level, by compare and exchange. */
inline take_one(level, count)
{
	seen = used[level];
	do
	:: seen + count > limit[level] -> got = false; break
	:: else ->
#ifdef BROKEN_1	/* the sum is stored, not exchanged for what was seen */
		used[level] = seen + count; got = true; break
#else
		atomic {
			if
			:: used[level] == seen -> used[level] = seen + count; got = true
			:: else -> seen = used[level]; got = false
			fi
		};
		if
		:: got -> break
		:: else
		fi
#endif
	od;
	assert(used[level] <= limit[level])
}

inline give_one(level, count)
{
	atomic {
		assert(used[level] >= count);
		used[level] = used[level] - count
	}
}

/* The budget that is shared, and the parent's. */
inline take_along()
{
	take_one(SHARED, 1);
	if
	:: got ->
		take_one(PARENT, 1);
		if
		:: !got ->
#ifndef BROKEN_2	/* a refusal further up leaves the charge */
			give_one(SHARED, 1)
#else
			skip
#endif
		:: else
		fi
	:: else
	fi
}

inline give_along()
{
	atomic { granted--; give_one(SHARED, 1) };
#ifndef BROKEN_3	/* the parent's is not given back */
	give_one(PARENT, 1)
#endif
}

proctype sharer()
{
	byte seen, round;
	bool got;
	do
	:: round < ROUNDS ->
		round++;
		take_along();
		if
		:: got ->
			atomic { granted++; assert(granted <= limit[PARENT]) };
			give_along()
		:: else
		fi
	:: else -> break
	od;
	atomic { running-- }
}

/* Makes the child, is the child, and takes it apart. */
proctype maker()
{
	byte seen, round, taken;
	bool got;
	do
	:: round < ROUNDS ->
		round++;
#ifdef BROKEN_4	/* the limit is only compared with what is left, and not taken */
		got = used[PARENT] + OWN_LIMIT <= limit[PARENT];
#else
		take_one(PARENT, OWN_LIMIT);
#endif
		if
		:: got ->
			limit[OWN] = OWN_LIMIT;
			taken = 0;
			do
			:: taken < OWN_LIMIT ->
				take_one(OWN, 1);
				assert(got);	/* it has what it was given */
				atomic { granted++; assert(granted <= limit[PARENT]) };
				taken++
			:: else -> break
			od;
			do
			:: taken > 0 -> atomic { granted--; give_one(OWN, 1); taken-- }
			:: else -> break
			od;
			assert(used[OWN] == 0);
			limit[OWN] = 0;
#ifndef BROKEN_4
			give_one(PARENT, OWN_LIMIT);
#endif
#ifdef BROKEN_5	/* the ledger's last reference gives the limit back as well as the end */
			if
			:: used[PARENT] >= OWN_LIMIT -> give_one(PARENT, OWN_LIMIT)
			:: else
			fi
#endif
		:: else
		fi
	:: else -> break
	od;
	atomic { running-- }
}

proctype parent()
{
	byte seen;
	bool got;
	take_one(PARENT, 1);
	if
	:: got ->
		atomic { granted++; assert(granted <= limit[PARENT]) };
		atomic { granted--; give_one(PARENT, 1) }
	:: else
	fi;
	atomic { running-- }
}

init
{
	atomic {
		limit[PARENT] = PARENT_LIMIT;
		limit[SHARED] = SHARED_LIMIT;
		running = SHARERS + 2;
		run sharer();
#if SHARERS == 2
		run sharer();
#endif
		run maker();
		run parent()
	};
	running == 0;
	assert(used[PARENT] == 0 && used[SHARED] == 0 && used[OWN] == 0)
}
