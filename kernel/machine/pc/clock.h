/* The functions of the clock for the start of further CPUs. Boot. */
#ifndef CAPOS_MACHINE_PC_CLOCK_H
#define CAPOS_MACHINE_PC_CLOCK_H

#include <stdbool.h>

/* Publishes the number of CPUs on the clock page. */
void clock_set_cpus(unsigned count);
/* From now on time does not come from the time-stamp counter, and the log says why. Monotonic time
 * goes on. Only while no program and no other CPU runs. False if there is no other source. */
bool clock_distrust_tsc(const char *why);

#endif
