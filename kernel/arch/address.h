/* Addresses, page sizes, and where the kernel's half of every address space has what. A leaf: every
 * folder may include it, because it needs no other part of the kernel.
 *
 * The architecture gives the numbers: PAGE_SHIFT; LARGE_PAGE_ORDER, of the blocks that one entry of
 * a page directory maps; DIRECT_MAP_BASE, from where all RAM is mapped; IMAGE_BASE, from where the
 * kernel's image is, at physical address 0 and up. Above KERNEL_START everything is the kernel's.
 * Any context. */
#ifndef CAPOS_ARCH_ADDRESS_H
#define CAPOS_ARCH_ADDRESS_H

#include <stdint.h>

#include "arch/impl/layout.h"

typedef uint64_t paddr_t;
typedef uint64_t vaddr_t;

#define PAGE_SIZE (1ul << PAGE_SHIFT)
#define LARGE_PAGE_SIZE (PAGE_SIZE << LARGE_PAGE_ORDER)

#ifndef CAPOS_HOST_TEST
static inline void *phys_to_virt(paddr_t pa)
{
	return (void *)(pa + DIRECT_MAP_BASE);
}
static inline paddr_t virt_to_phys(const void *va)
{
	return (paddr_t)va - DIRECT_MAP_BASE; /* direct map only, not the kernel image */
}
#else
void *phys_to_virt(paddr_t pa);
paddr_t virt_to_phys(const void *va);
#endif

/* Of what is part of the kernel's image: code, constants, variables. */
static inline paddr_t image_to_phys(const void *va)
{
	return (paddr_t)va - IMAGE_BASE;
}

struct memory_range {
	paddr_t start, end; /* bytes; [start, end) */
};

#endif
