/* Address checks: see kasan.h.
 *
 * gcc puts a call before each access (-fsanitize=kernel-address, outlined). The functions here look
 * the address up. Two ranges have a shadow: the direct map as far as there is RAM, in frames taken
 * at boot, and the kernel image, statically. Frames are poisoned while free; slab objects while
 * free, before their first use and behind their size; globals behind their size. Stacks are not
 * instrumented, because the stack protector guards them. Any instrumented access to the user half
 * is wrong, since only the assembly of usercopy.S may do that.
 *
 * This file, the allocators (which live in free memory) and string.c (which checks whole ranges
 * itself) are compiled without the checks. Before there is a shadow, and after a panic began, every
 * access passes. */
#include "core/kasan.h"

#ifdef CAPOS_KASAN

#include <capos/abi.h>

#include "arch/address.h"
#include "arch/memory.h"
#include "core/log.h"
#include "core/panic.h"

#define GRANULE 8u
#define IMAGE_BYTES (8ul << 20) /* kernel_map.c maps no more */

static uint8_t image_shadow[IMAGE_BYTES / GRANULE];
static uint8_t *direct_shadow; /* NULL: no checks yet */
static uint64_t direct_bytes;

/* NULL for what has no shadow. */
static uint8_t *shadow_at(uintptr_t address)
{
	if (address - DIRECT_MAP_BASE < direct_bytes)
		return &direct_shadow[(address - DIRECT_MAP_BASE) / GRANULE];
	if (address - IMAGE_BASE < IMAGE_BYTES)
		return &image_shadow[(address - IMAGE_BASE) / GRANULE];
	return NULL;
}

void kasan_poison(const void *start, size_t size, enum kasan_state state)
{
	uint8_t *shadow = shadow_at((uintptr_t)start);
	if (direct_shadow && shadow)
		bytes_fill(shadow, (uint8_t)state, size / GRANULE);
}

void kasan_unpoison(const void *start, size_t size)
{
	uint8_t *shadow = shadow_at((uintptr_t)start);
	if (!direct_shadow || !shadow)
		return;
	bytes_fill(shadow, 0, size / GRANULE);
	if (size % GRANULE)
		shadow[size / GRANULE] = size % GRANULE;
}

static const char *describe(uint8_t state)
{
	switch (state) {
	case KASAN_FREE_FRAME:
		return "use of a free frame";
	case KASAN_FREE_OBJECT:
		return "use of a free kernel object";
	case KASAN_GLOBAL_END:
		return "access behind a global variable";
	default:
		return "access behind the end of a kernel object";
	}
}

static _Noreturn void report(uintptr_t address, size_t size, bool write, const char *why)
{
	panic("KASAN: %s: %s of %zu bytes at %lx", why, write ? "write" : "read", size, address);
}

/* The shadow of a granule says how many of its bytes are open. last is the last byte of the access
 * in it. */
static bool is_open(uint8_t state, uintptr_t last)
{
	return state == 0 || (state < GRANULE && last % GRANULE < state);
}

static __attribute__((noinline)) void check(uintptr_t address, size_t size, bool write)
{
	if (!direct_shadow || !size || panic_begun())
		return;
	uintptr_t last = address + size - 1;
	if (address < CAPOS_USER_TOP)
		report(address, size, write, "user memory without the functions for it");
	const uint8_t *shadow = shadow_at(address);
	if (!shadow)
		return;
	for (uintptr_t granule = address / GRANULE; granule <= last / GRANULE;
		granule++, shadow++) {
		uintptr_t end = granule == last / GRANULE ? last : GRANULE - 1;
		if (!is_open(*shadow, end))
			report(address, size, write,
				describe(*shadow < GRANULE ? shadow[1] : *shadow));
	}
}

void kasan_check(const void *start, size_t size, bool write)
{
	check((uintptr_t)start, size, write);
}

/* Nearly every access: to the direct map or the image, within eight bytes that are all open. */
static inline __attribute__((always_inline)) void check_word(
	uintptr_t address, size_t size, bool write)
{
	uintptr_t direct = address - DIRECT_MAP_BASE, image = address - IMAGE_BASE;
	bool within = address % GRANULE + size <= GRANULE;
	if (within && direct < direct_bytes && !direct_shadow[direct / GRANULE])
		return;
	if (within && image < IMAGE_BYTES && !image_shadow[image / GRANULE])
		return;
	check(address, size, write);
}

/* The functions that gcc calls. */
#define ACCESS(size)                                          \
	void __asan_load##size##_noabort(uintptr_t address);  \
	void __asan_store##size##_noabort(uintptr_t address); \
	void __asan_load##size##_noabort(uintptr_t address)   \
	{                                                     \
		check_word(address, size, false);             \
	}                                                     \
	void __asan_store##size##_noabort(uintptr_t address)  \
	{                                                     \
		check_word(address, size, true);              \
	}
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __asan_loadN_noabort(uintptr_t address, size_t size);
void __asan_storeN_noabort(uintptr_t address, size_t size);
void __asan_handle_no_return(void);

void __asan_loadN_noabort(uintptr_t address, size_t size)
{
	check(address, size, false);
}

void __asan_storeN_noabort(uintptr_t address, size_t size)
{
	check(address, size, true);
}

/* Only instrumented stacks would need it. */
void __asan_handle_no_return(void)
{
}

/* gcc's description of a global variable: gcc/asan.cc, asan_global_struct. */
struct asan_global {
	const void *start;
	size_t size, size_with_zone;
	const char *name, *module;
	uintptr_t is_dynamically_initialized;
	const void *location;
	uintptr_t odr_indicator;
};

void __asan_register_globals(const struct asan_global *globals, size_t count);
void __asan_unregister_globals(const struct asan_global *globals, size_t count);

void __asan_register_globals(const struct asan_global *globals, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct asan_global *global = &globals[i];
		size_t open = (global->size + GRANULE - 1) & ~(size_t)(GRANULE - 1);
		kasan_poison((const char *)global->start + open, global->size_with_zone - open,
			KASAN_GLOBAL_END);
		kasan_unpoison(global->start, global->size);
	}
}

void __asan_unregister_globals(const struct asan_global *globals, size_t count)
{
	(void)globals, (void)count;
}

/* One function of each file that has globals. */
extern void (*const __init_array_start[])(void), (*const __init_array_end[])(void);

void kasan_init(uint8_t *shadow, uint64_t shadowed_bytes)
{
	direct_shadow = shadow;
	direct_bytes = shadowed_bytes;
	for (void (*const *function)(void) = __init_array_start; function < __init_array_end;
		function++)
		(*function)();
}

#endif
