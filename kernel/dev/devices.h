/* The devices that the kernel itself drives: host channel, entropy, wall clock. */
#ifndef CAPOS_DEV_DEVICES_H
#define CAPOS_DEV_DEVICES_H

/* Boot, once, on CPU 0, when memory, interrupts and the clock work. The command line stays in
 * memory. */
void devices_init(const char *command_line);

#endif
