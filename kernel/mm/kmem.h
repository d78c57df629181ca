/* Kernel memory for objects: size-class slabs over frames (16 bytes to one page), whole frames above (to 4 MiB).
 * Memory comes zeroed. Free takes no size. Slabs with no object in them go back to the frame allocator, so that frame counts
 * return exactly to what they were: every test compares them (one empty slab per class may be kept only if kmem_trim() frees it). */
#ifndef CAPOS_MM_KMEM_H
#define CAPOS_MM_KMEM_H

#include <stddef.h>

/* NULL when memory is short. Alignment: 16, and 64 for sizes of at least 64. */
void *kmem_alloc(size_t size);
void kmem_free(void *memory);
void kmem_trim(void);

#endif
