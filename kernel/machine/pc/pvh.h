/* The PVH boot protocol, by which QEMU's -kernel and other virtual machine monitors start the
 * kernel. */
#ifndef CAPOS_MACHINE_PC_PVH_H
#define CAPOS_MACHINE_PC_PVH_H

#include "core/boot_info.h"

/* Boot. Reads the hvm_start_info at a physical address, with everything it points to, below reach.
 * Returns why it cannot be used, or NULL. */
const char *pvh_read(paddr_t start_info, uint64_t reach, struct boot_info *boot);

#endif
