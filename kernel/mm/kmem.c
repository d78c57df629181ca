/* Slabs: one frame each, with the bookkeeping in the frame's first 64 bytes.
 *
 *     +--------+--------+--------+ ... +--------+------+
 *     | header | object | object |     | object | rest |
 *     +--------+--------+--------+ ... +--------+------+
 *
 * So an object's slab is found by rounding its address down, and an object is never page-aligned. A
 * page-aligned address is a whole-frame allocation, whose size the frame allocator knows. So free
 * needs no size.
 *
 * A slab is on its class's list while it has both a free object and a used one. Objects that were
 * never used are not on the free list but behind `carved`, so a new slab costs nothing for each
 * object.
 *
 * Kernels with address checks keep a red zone behind each object that is handed out, and poison
 * what is not. */
#include "mm/kmem.h"

#include <stdbool.h>
#include <stdint.h>

#include "core/kasan.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/string.h"
#include "mm/ledger.h"

struct free_object {
	struct free_object *next;
};

struct slab {
	struct list_node node;
	struct free_object *free;
	uint32_t class;
	uint16_t used;
	uint16_t carved; /* objects handed out at least once */
	uint64_t magic;
	struct ledger *payer;
	uint64_t reserved[2];
};
_Static_assert(sizeof(struct slab) == 64,
	"objects of 64 bytes and more are 64-byte aligned behind the header");

#define SLAB_MAGIC 0x62616c73736f7061ul
#define SLAB_BYTES (PAGE_SIZE - sizeof(struct slab))

/* As many objects of 4032 bytes as each class allows, multiples of 64 from 64 up. */
static const uint16_t class_sizes[] = { 16, 32, 48, 64, 128, 192, 256, 320, 384, 448, 576, 768, 960,
	1344, 1984 };
_Static_assert(sizeof(class_sizes) / sizeof(class_sizes[0]) == KMEM_CLASSES, "one list each");
#define SLAB_SIZE_MAX 1984u

#ifdef CAPOS_KASAN
#define RED_ZONE 16u
#else
#define RED_ZONE 0u
#endif

static struct kmem_pool kernel_pool = { .lock = SPINLOCK_INIT(KMEM) };

static struct kmem_pool *pool_of(struct ledger *payer)
{
	return payer ? &payer->pool : &kernel_pool;
}

static unsigned class_of(size_t size)
{
	unsigned class = 0;

	while (class_sizes[class] < size)
		class ++;
	return class;
}

static unsigned slab_capacity(unsigned class)
{
	return (unsigned)(SLAB_BYTES / class_sizes[class]);
}

static void *slab_object(struct slab *slab, unsigned index)
{
	return (char *)(slab + 1) + (size_t)index * class_sizes[slab->class];
}

#ifdef CAPOS_DEBUG
#define POISON_BYTE 0x5a

static void object_poison(void *object, size_t size)
{
	memset((char *)object + sizeof(struct free_object), POISON_BYTE,
		size - sizeof(struct free_object));
}

static void object_check(const struct slab *slab, const void *object)
{
	const unsigned char *bytes = object;
	for (size_t i = sizeof(struct free_object); i < class_sizes[slab->class]; i++)
		if (bytes[i] != POISON_BYTE)
			panic("kernel object %p of %u bytes was written after it was freed", object,
				class_sizes[slab->class]);
}

static void object_check_used(const struct slab *slab, const void *object)
{
	for (const struct free_object *free = slab->free; free; free = free->next)
		if (free == object)
			panic("kernel object %p is freed twice", object);
}
#else
static void object_poison(void *object, size_t size)
{
	(void)object, (void)size;
}

static void object_check(const struct slab *slab, const void *object)
{
	(void)slab, (void)object;
}

static void object_check_used(const struct slab *slab, const void *object)
{
	(void)slab, (void)object;
}
#endif

/* Poisons the part of an open object behind the requested size. */
static void object_fit(void *object, size_t size, size_t whole)
{
	kasan_poison(object, whole, KASAN_OBJECT_END);
	kasan_unpoison(object, size);
}

/* An empty slab of the class, on no list. */
static struct slab *slab_create(struct ledger *payer, unsigned class)
{
	paddr_t frame = frame_alloc(payer, 0, 0);
	if (!frame)
		return NULL;

	struct slab *slab = phys_to_virt(frame);
	kasan_poison(slab + 1, SLAB_BYTES, KASAN_OBJECT_END);
	*slab = (struct slab){ .class = class, .magic = SLAB_MAGIC, .payer = payer };
	list_node_init(&slab->node);
	return slab;
}

static void slab_destroy(struct slab *slab)
{
	slab->magic = 0;
	frame_free(slab->payer, virt_to_phys(slab), 0);
}

/* A slab with a free object, on the class's list. */
static struct slab *slab_get(struct ledger *payer, struct kmem_class *class, unsigned index)
{
	assert_held(&pool_of(payer)->lock);
	if (!class->partial.head.next)
		list_init(&class->partial);
	struct list_node *node = list_first(&class->partial);
	if (node)
		return container_of(node, struct slab, node);

	struct slab *slab = class->spare;
	class->spare = NULL;
	if (!slab)
		slab = slab_create(payer, index);
	if (slab)
		list_push_front(&class->partial, &slab->node);
	return slab;
}

static void *slab_alloc(struct ledger *payer, size_t size)
{
	unsigned index = class_of(size + RED_ZONE);
	struct kmem_pool *pool = pool_of(payer);

	spin_lock(&pool->lock);
	struct slab *slab = slab_get(payer, &pool->classes[index], index);
	if (!slab) {
		spin_unlock(&pool->lock);
		return NULL;
	}
	void *object = slab->free;
	if (object) {
		slab->free = slab->free->next;
		object_check(slab, object);
	} else {
		object = slab_object(slab, slab->carved++);
	}
	slab->used++;
	if (!slab->free && slab->carved == slab_capacity(index))
		list_remove(&slab->node);
	spin_unlock(&pool->lock);

	kasan_unpoison(object, class_sizes[index]);
	memset(object, 0, class_sizes[index]);
	object_fit(object, size, class_sizes[index]);
	return object;
}

static void slab_free(struct ledger *payer, struct slab *slab, void *object)
{
	VERIFY(slab->magic == SLAB_MAGIC && slab->used && slab->payer == payer);

	struct kmem_pool *pool = pool_of(payer);
	struct kmem_class *class = &pool->classes[slab->class];
	struct slab *surplus = NULL;
	kasan_unpoison(object, class_sizes[slab->class]);
	object_poison(object, class_sizes[slab->class]);
	kasan_poison(object, class_sizes[slab->class], KASAN_FREE_OBJECT);

	spin_lock(&pool->lock);
	object_check_used(slab, object);
	bool was_full = !slab->free && slab->carved == slab_capacity(slab->class);
	struct free_object *free = object;
	free->next = slab->free;
	slab->free = free;
	slab->used--;
	if (slab->used == 0) {
		list_remove(&slab->node);
		surplus = class->spare;
		class->spare = slab;
	} else if (was_full) {
		list_push_front(&class->partial, &slab->node);
	}
	spin_unlock(&pool->lock);
	if (surplus)
		slab_destroy(surplus);
}

void *kmem_alloc(struct ledger *payer, size_t size)
{
	if (size <= SLAB_SIZE_MAX - RED_ZONE)
		return slab_alloc(payer, size);
	if (size > PAGE_SIZE << FRAME_ORDER_MAX)
		return NULL;

	unsigned order = 0;
	while (PAGE_SIZE << order < size)
		order++;
	paddr_t frame = frame_alloc(payer, order, FRAME_ZERO);
	if (!frame)
		return NULL;
	object_fit(phys_to_virt(frame), size, PAGE_SIZE << order);
	return phys_to_virt(frame);
}

void kmem_free(struct ledger *payer, void *memory)
{
	uintptr_t offset = (uintptr_t)memory & (PAGE_SIZE - 1);

	if (!memory)
		return;
	if (offset == 0)
		frame_free(payer, virt_to_phys(memory), frame_order(virt_to_phys(memory)));
	else
		slab_free(payer, (struct slab *)((char *)memory - offset), memory);
}

void kmem_pool_init(struct kmem_pool *pool)
{
	*pool = (struct kmem_pool){ 0 };
	spin_init(&pool->lock, LOCK_RANK_KMEM);
}

void kmem_trim(struct ledger *payer)
{
	struct kmem_pool *pool = pool_of(payer);

	for (unsigned i = 0; i < KMEM_CLASSES; i++) {
		spin_lock(&pool->lock);
		struct slab *slab = pool->classes[i].spare;
		pool->classes[i].spare = NULL;
		spin_unlock(&pool->lock);
		if (slab)
			slab_destroy(slab);
	}
}
