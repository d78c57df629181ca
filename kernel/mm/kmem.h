/* Kernel memory for objects: size-class slabs over frames up to half a page, whole frames above (to
 * 4 MiB). Memory comes zeroed. Free takes no size. Slabs without an object go back to the frame
 * allocator, except one in each class, which saves callers that allocate and free in turn the way
 * there. kmem_trim() gives those back too. Frame counts are then exactly what they were, and every
 * test compares them. Any context that may take the KMEM lock.
 *
 * A payer has slabs of its own (struct kmem_pool), which are charged in whole frames. So it pays
 * for what its objects keep from others, however few of them are left in a slab.
 */
#ifndef CAPOS_MM_KMEM_H
#define CAPOS_MM_KMEM_H

#include <stddef.h>

#include "core/list.h"
#include "core/lock.h"
#include "mm/frame.h"

struct slab;

#define KMEM_CLASSES 15

/* The slabs of one payer; private to kmem.c. */
struct kmem_pool {
	struct spinlock lock;
	struct kmem_class {
		struct list partial; /* its head is initialised when first used */
		struct slab *spare;  /* an empty slab, kept */
	} classes[KMEM_CLASSES];     /* guarded by lock */
};

/* payer: as for frame_alloc. NULL when memory is short, or the payer's limit is reached. Alignment:
 * 16; 64 for sizes of at least 64; a page for sizes above half a page. */
void *kmem_alloc(struct ledger *payer, size_t size);
/* payer: the one it was allocated with (checked for slabs). NULL is allowed. */
void kmem_free(struct ledger *payer, void *memory);
/* Gives the payer's empty slabs back. */
void kmem_trim(struct ledger *payer);

void kmem_pool_init(struct kmem_pool *pool);

#endif
