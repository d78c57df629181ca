/* Faults that a program can meet and seldom does: a short read, a flush that fails, a message that
 * is lost, a peer that is gone. Code that stands for the outside asks whether one happens now:
 *
 *     switch (capos_inject(2)) {
 *     case 1:
 *             size /= 2;
 *             break;
 *     case 2:
 *             return -EIO;
 *     }
 *
 * Only the seed of ./capos explore has any happen (docs/explore.md). In every other build the
 * answer is 0 when the program is compiled, and nothing of it is left. */
#ifndef CAPOS_INJECT_H
#define CAPOS_INJECT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any thread. Which of so many faults happens now, counted from 1; 0: none. */
#ifdef CAPOS_EXPLORE_H
uint32_t capos_inject(uint32_t ways);
#else
static inline uint32_t capos_inject(uint32_t ways)
{
	(void)ways;
	return 0;
}
#endif

#ifdef __cplusplus
}
#endif

#endif
