/* The machine as a whole: the calls of init at the beginning and at the end, in this order. */
#ifndef CAPOS_MACHINE_MACHINE_H
#define CAPOS_MACHINE_MACHINE_H

#include <stdint.h>

struct boot_info;

/* The machine calls this, provided by init/, on CPU 0 with interrupts off, on the boot tables and a
 * boot stack: the physical address of the loader's information, and a magic number that tells the
 * boot protocol; 0: the one without such a number. */
_Noreturn void kernel_start(uint64_t information, uint64_t magic);

/* Boot, on CPU 0. Reads the loader's information, by the two words it passed (kernel_start()).
 * Returns why it cannot be used, or NULL. What was read before is in boot either way. The boot page
 * tables reach BOOT_REACH. */
const char *machine_read_boot(uint64_t information, uint64_t magic, struct boot_info *boot);
/* Boot, on CPU 0. Takes the memory that the machine needs itself or that no code may use, before
 * anything else is taken. */
void machine_take_memory(struct boot_info *boot);
/* Boot, on CPU 0, with interrupts off: tables of the firmware, interrupt controllers, clock. The
 * direct map is there, and the architecture takes traps. boot stays in memory. */
void machine_init(const struct boot_info *boot);

/* A thread, on any CPU. Switches the machine off; returns when it cannot be. Polls meanwhile and
 * does not block. */
void machine_power_off(void);
/* Any context, on the CPU that reports a panic, at its end: tells the host, if there is one. */
void machine_report_panic(void);

#endif
