/* Mistakes that are put into the kernel of an explore build, to see that they are found
 * (docs/explore.md). ./capos explore --kernel-mistake N asks for one by its number. In other builds
 * there is none, at no cost. */
#ifndef CAPOS_CORE_MISTAKE_H
#define CAPOS_CORE_MISTAKE_H

#include <stdbool.h>

enum explore_mistake {
	EXPLORE_LOST_WAKE = 1,      /* a word is read before the lock of those that wait is taken */
	EXPLORE_LOCK_ORDER = 2,     /* a CPU locks its own run queue, then another's */
	EXPLORE_LOST_REFERENCE = 3, /* references are read, then written with one more */
	EXPLORE_SECOND_RELEASE = 4, /* references are dropped, then read: who was the last? */
	EXPLORE_DATA_RACE = 5,      /* threads that park are counted by plain additions */
};

#ifdef CAPOS_EXPLORE
/* Any context. Whether the host wants it. Provided by proc/explore.c. */
bool explore_mistake(enum explore_mistake mistake);
#else
static inline bool explore_mistake(enum explore_mistake mistake)
{
	(void)mistake;
	return false;
}
#endif

#endif
