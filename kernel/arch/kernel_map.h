/* The kernel's half of every address space: the direct map of RAM, the kernel's image, and device
 * registers. The boot page tables, which come before it, map what lies below BOOT_REACH. */
#ifndef CAPOS_ARCH_KERNEL_MAP_H
#define CAPOS_ARCH_KERNEL_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "arch/address.h"

/* Boot, on CPU 0, once, in place of the boot tables: maps RAM up to ram_end directly, and the
 * device. Takes kernel_map_pages() pages from `pages` on. */
size_t kernel_map_pages(uint64_t ram_end, struct memory_range device);
void kernel_map_init(uint64_t ram_end, struct memory_range device, paddr_t pages);
/* Boot, on each CPU, once: these tables are in use from here on. Takes no lock. */
void kernel_map_activate(void);
/* Maps device registers, uncached, for good: NULL when there is no more room or no such address.
 * Boot only, on CPU 0. */
void *kernel_map_device(uint64_t physical, uint64_t size_bytes);

#endif
