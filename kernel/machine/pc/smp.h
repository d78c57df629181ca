/* The requirement that the start of further CPUs puts on the memory map. */
#ifndef CAPOS_MACHINE_PC_SMP_H
#define CAPOS_MACHINE_PC_SMP_H

#include <stdbool.h>

/* Whether the page TRAMPOLINE is RAM, which some firmware keeps for itself. Set before there is an
 * allocator. */
extern bool smp_trampoline_usable;

#endif
