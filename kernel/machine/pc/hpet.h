/* The event timer's main counter: a clock shared by all CPUs, slow to read. IA-PC HPET
 * Specification 1.0a, 2.3. Started at boot, read in any context. */
#ifndef CAPOS_MACHINE_PC_HPET_H
#define CAPOS_MACHINE_PC_HPET_H

#include <stdbool.h>
#include <stdint.h>

/* Starts the counter. False if the machine has none, or one that would wrap around within the hour.
 */
bool hpet_start(void);
uint64_t hpet_read(void);
/* 32.32 fixed point. */
uint64_t hpet_ns_per_tick(void);

#endif
