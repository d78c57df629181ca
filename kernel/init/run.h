/* Running the boot image's programs. */
#ifndef CAPOS_INIT_RUN_H
#define CAPOS_INIT_RUN_H

#include <stddef.h>

/* Runs every program of the image in its order, each in a fresh process, and powers the machine
 * off. The image lies in the direct map and is page-aligned, and its frames have no other use. A
 * kernel thread. command_line stays in memory. */
_Noreturn void run_programs(const void *image, size_t size, const char *command_line);

/* A thread. Ends the machine when all output has left it. */
_Noreturn void power_off(void);

#endif
