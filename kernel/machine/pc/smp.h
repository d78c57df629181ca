/* What the start of further CPUs needs of the memory map. */
#ifndef CAPOS_MACHINE_PC_SMP_H
#define CAPOS_MACHINE_PC_SMP_H

#include <stdbool.h>

/* Whether the page TRAMPOLINE is RAM: some firmware keeps it. Set before there is an allocator. */
extern bool smp_trampoline_usable;

#endif
