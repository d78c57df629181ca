/* The interfaces of two services with a state, kv in C and counter in Go. Each answer has the epoch
 * of its process, because a process that has ended takes the state with it, and a sum.
 *
 *     kv       words: operation, key, value           answer: epoch, key, value, version, sum
 *     counter  words: operation, key, what is added   answer: epoch, key, total, additions, sum */
#ifndef STATE_H
#define STATE_H

#include <stdint.h>

enum { KV_GET = 1, KV_PUT = 2 };
enum { COUNTER_GET = 1, COUNTER_ADD = 2 };
#define KV_KEYS 64u

static inline uint64_t state_sum(const uint64_t words[4])
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < 4; i++)
		sum = (sum ^ words[i]) * UINT64_C(0x100000001b3) + i;
	return sum;
}

#endif
