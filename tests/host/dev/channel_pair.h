/* Both halves of the host channel against the simplest host and device that can be thought of: what
 * goes in comes out, in order, once, and never more than was allowed. Steps come from random
 * numbers or from a fuzzer. */
#ifndef TEST_DEV_CHANNEL_PAIR_H
#define TEST_DEV_CHANNEL_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One step, chosen by two bytes; false: something was wrong. */
void channel_pair_begin(void);
bool channel_pair_step(uint8_t what, uint8_t amount);

#endif
