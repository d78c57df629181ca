/* Boot. */
#ifndef CAPOS_INIT_MAIN_H
#define CAPOS_INIT_MAIN_H

#include <stdint.h>

/* From boot.S: the physical address of the loader's information, and its magic number; 0 when it
 * came by PVH. */
_Noreturn void kernel_start(uint64_t information, uint64_t magic);

#endif
