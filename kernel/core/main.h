/* Boot. */
#ifndef CAPOS_CORE_MAIN_H
#define CAPOS_CORE_MAIN_H

#include <stdint.h>

/* From boot.S: the physical address of the PVH start info. */
_Noreturn void kernel_start(uint64_t start_info);

/* The words the loader passed. */
const char *kernel_command_line(void);

#endif
