/* The address space of x86-64 with four levels of page tables: two halves of 128 TiB, one at each
 * end. Assembly files include this too. */
#ifndef CAPOS_ARCH_IMPL_LAYOUT_H
#define CAPOS_ARCH_IMPL_LAYOUT_H

#ifdef __ASSEMBLER__
#define LAYOUT_ADDRESS(value) value
#else
#define LAYOUT_ADDRESS(value) value##ul
#endif

#define PAGE_SHIFT 12
#define LARGE_PAGE_ORDER 9
#define KERNEL_START LAYOUT_ADDRESS(0xffff800000000000)
#define DIRECT_MAP_BASE KERNEL_START
/* The top 2 GiB, where code of the kernel model can be; linker.ld has it too. */
#define IMAGE_BASE LAYOUT_ADDRESS(0xffffffff80000000)

#endif
