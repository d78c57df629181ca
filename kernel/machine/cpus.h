/* The CPUs of the machine: their ids, and starting them. Ids begin at 0; CPU 0 is the one that
 * booted. Any context, unless said otherwise. */
#ifndef CAPOS_MACHINE_CPUS_H
#define CAPOS_MACHINE_CPUS_H

#include <stdint.h>

/* A CPU's bit in a set of CPUs. */
static inline uint64_t cpu_bit(unsigned id)
{
	return 1ul << id;
}

/* The CPUs that run threads, a bit for each id. The ids need not be contiguous: a CPU that did not
 * start in time is left out for good. The set changes once, at boot, before there are processes. */
uint64_t cpus_online(void);
unsigned cpus_online_count(void);
/* All ids are below it: the size of what is indexed by CPU. */
unsigned cpus_possible(void);

/* The next id after this one in the mask, going round; the mask is not empty. */
static inline unsigned cpu_next(uint64_t mask, unsigned id)
{
	uint64_t behind = mask & ~((2ul << id) - 1);
	return (unsigned)__builtin_ctzl(behind ? behind : mask);
}

/* Boot, in a thread on CPU 0, once. Starts the other CPUs, each of which goes to its idle thread;
 * returns when all that will run do. The debug kernel obeys the parameter late-cpu=MS: CPU 1
 * arrives so much later. */
void cpus_start(const char *command_line);

#endif
