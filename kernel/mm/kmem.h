/* Kernel memory for objects: size-class slabs over frames up to half a page, whole frames above (to
 * 4 MiB). Memory comes zeroed. Free takes no size. Slabs without an object go back to the frame
 * allocator, except one in each class, which saves callers that allocate and free in turn the way
 * there. kmem_trim() gives those back too. Frame counts are then exactly what they were, and every
 * test compares them.
 */
#ifndef CAPOS_MM_KMEM_H
#define CAPOS_MM_KMEM_H

#include <stddef.h>

/* NULL when memory is short. Alignment: 16; 64 for sizes of at least 64; a page for sizes above
 * half a page. */
void *kmem_alloc(size_t size);
/* NULL is allowed. */
void kmem_free(void *memory);
void kmem_trim(void);

#endif
