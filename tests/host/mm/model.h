/* A random walk over the operations of an address space, compared with an oracle that is an array
 * of pages. The fuzzer drives it too. */
#ifndef TESTS_HOST_MM_MODEL_H
#define TESTS_HOST_MM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct model_options {
	uint64_t committed_limit; /* 0: none */
	unsigned steps;
	unsigned check_every;  /* steps between complete comparisons */
	unsigned fail_percent; /* steps in which some allocation fails */
	bool scarce; /* the machine is small: calls may fail for lack of memory at any time */
};

/* Runs on the memory that host_memory() made, and leaves it unchanged. */
void model_run(const struct model_options *options);
/* Each operation must have succeeded that often since the last call, because a walk in which
 * everything fails proves little. */
void model_check_successes(unsigned least);

#endif
