/* Accesses that the compiler does not see and does not check: for the deliberate mistakes of the
 * debug kernel (init/selftest.c). Any context. */
#ifndef CAPOS_ARCH_PROBE_H
#define CAPOS_ARCH_PROBE_H

#include <stdint.h>

/* PROBE_RETURN initialises an array of uint8_t that is code which returns at once. */

static inline uint8_t probe_read(uint64_t address);
static inline void probe_write(uint64_t address, uint8_t byte);
static inline void probe_call(uint64_t address);

#include "arch/impl/probe.h"

#endif
