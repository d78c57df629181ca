/* Addresses, page sizes and the direct map of physical memory. A leaf: every folder may include it,
 * because it needs no other part of the kernel. */
#ifndef CAPOS_CORE_ADDRESS_H
#define CAPOS_CORE_ADDRESS_H

#include <stdint.h>

typedef uint64_t paddr_t;
typedef uint64_t vaddr_t;

#define PAGE_SIZE 4096ul
#define PAGE_SHIFT 12
#define LARGE_PAGE_SIZE 0x200000ul
#define LARGE_PAGE_ORDER 9

#ifndef CAPOS_HOST_TEST
#define DIRECT_MAP_BASE 0xffff800000000000ul
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

struct memory_range {
	paddr_t start, end; /* bytes; [start, end) */
};

#endif
