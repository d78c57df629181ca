/* The Multiboot2 boot protocol, by which GRUB starts the kernel on PCs with BIOS and with UEFI. */
#ifndef CAPOS_MACHINE_PC_MULTIBOOT_H
#define CAPOS_MACHINE_PC_MULTIBOOT_H

/* In EAX at the entry. */
#define MULTIBOOT_MAGIC 0x36d76289
/* Modules are told apart by their command line: this one is the screen's font, the other one the
 * boot image. */
#define MULTIBOOT_FONT_MODULE "font"

#ifndef __ASSEMBLER__
#include "core/boot_info.h"

/* Boot. Reads the boot information, of which reach bytes can be accessed. Returns why it cannot be
 * used, or NULL. */
const char *multiboot_read(const void *info, uint64_t reach, struct boot_info *boot);
#endif

#endif
