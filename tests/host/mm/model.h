/* A random walk over the operations of an address space, beside an oracle that is nothing but an
 * array of pages. The fuzzer drives it too. */
#ifndef TESTS_HOST_MM_MODEL_H
#define TESTS_HOST_MM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct model_options {
	uint64_t committed_limit; /* 0: none */
	unsigned steps;
	unsigned check_every;  /* steps between complete comparisons */
	unsigned fail_percent; /* steps in which some allocation is refused */
	bool scarce; /* the machine is small: refusals for want of memory are expected at any time
	              */
};

/* Runs on the memory host_memory() made, and leaves it as it was. */
void model_run(const struct model_options *options);
/* Since the last question each operation must have succeeded that often: a walk in which everything
 * is refused proves little. */
void model_check_successes(unsigned least);

#endif
