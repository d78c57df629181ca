/* Data races: see kcsan.h. The name is that of Linux' detector, whose way this is: Kernel
 * Concurrency Sanitizer (Elver, McKenney and others, 2020).
 *
 * gcc puts a call before each access (-fsanitize=thread). The functions here have a CPU watch one
 * access in many: it says where, ends its turn, so that others go on, and goes on itself then. An
 * access of another CPU that meets a watched one is a data race and ends the machine, with the
 * calls of both. So is a value that has changed meanwhile, whoever changed it.
 *
 * Plain accesses are watched. Atomic ones, and volatile ones, which are of devices, only meet those
 * of others. A plain store of up to 8 aligned bytes is taken to be whole, so that an atomic load
 * may meet it: what a lock guards is stored as it is, and looked at without the lock by atomic
 * loads. What assembly accesses is not seen, and neither are copies (core/string.h).
 *
 * A CPU's turn ends where machines run their CPUs in turns (sched/explore.h): with --icount. There
 * is no race then that one does not see again with the same seed. */
#include "core/kcsan.h"

#ifdef CAPOS_KCSAN

#include <capos/abi.h>
#include <stdbool.h>
#include <stddef.h>

#include "arch/cpu.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/percpu.h"

#define GAP_USUAL 400u /* accesses between two watched ones, in the mean */
#define TURNS 2u       /* that a watching CPU lets others have */

struct access {
	uintptr_t address;
	size_t size;
	bool write, plain;
	uint64_t place, base; /* where it is: see backtrace_print */
};

/* What a CPU watches. Written by it while its bit in `watching` is clear. */
static struct access watches[CAPOS_CPUS_MAX];

static uint64_t watching; /* CPUs that do; atomic */
static bool begun;
static uint32_t gap = GAP_USUAL;
static uint32_t left[CAPOS_CPUS_MAX]; /* accesses until the CPU watches one */
static uint64_t stream;

void kcsan_begin(void)
{
	begun = true;
}

void kcsan_seed(uint64_t from, uint32_t wanted)
{
	stream = from;
	gap = wanted ? wanted : GAP_USUAL;
	for (unsigned i = 0; i < CAPOS_CPUS_MAX; i++)
		left[i] = 0;
}

/* Knuth's multiplicative generator (The Art of Computer Programming, 3.3.4), its high bits. */
static uint32_t draw_gap(void)
{
	stream = stream * 6364136223846793005ul + 1442695040888963407ul;
	return 1 + (uint32_t)(stream >> 33) % (2 * gap);
}

static const char *kind(bool write)
{
	return write ? "write" : "read";
}

static _Noreturn void report(const struct access *access, const struct access *watched)
{
	panic_begin(access->place);
	log_printf("capos: kernel panic: data race: %s of %zu bytes at 0x%lx", kind(access->write),
		access->size, access->address);
	backtrace_print(access->place, access->base);
	log_printf("capos: meets the %s of %zu bytes at 0x%lx by CPU %u", kind(watched->write),
		watched->size, watched->address, (unsigned)(watched - watches));
	backtrace_print(watched->place, watched->base);
	panic_end();
}

static _Noreturn void report_change(const struct access *watched, uint64_t before, uint64_t after)
{
	panic_begin(watched->place);
	log_printf("capos: kernel panic: data race: %s of %zu bytes at 0x%lx, which something "
		   "changes meanwhile from 0x%lx to 0x%lx",
		kind(watched->write), watched->size, watched->address, before, after);
	backtrace_print(watched->place, watched->base);
	panic_end();
}

static uint64_t value_at(uintptr_t address, size_t size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)address;
	case 2:
		return *(const volatile uint16_t *)address;
	case 4:
		return *(const volatile uint32_t *)address;
	case 8:
		return *(const volatile uint64_t *)address;
	default:
		return 0;
	}
}

static __attribute__((noinline)) void watch(unsigned self, const struct access *access)
{
	left[self] = draw_gap();
	if (panic_begun())
		return;
	watches[self] = *access;
	uint64_t before = value_at(access->address, access->size);
	__atomic_fetch_or(&watching, 1ul << self, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < TURNS; i++)
		cpu_relax();
	__atomic_fetch_and(&watching, ~(1ul << self), __ATOMIC_SEQ_CST);
	uint64_t after = value_at(access->address, access->size);
	if (before != after && !panic_begun())
		report_change(access, before, after);
}

/* Whether an access and a watched one of the same memory are a race. */
static bool collides(const struct access *access, const struct access *watched)
{
	bool whole = watched->size <= sizeof(uint64_t) && !(watched->address % watched->size);
	if (access->write || !watched->write)
		return access->write;
	return access->plain || !whole;
}

/* Whether the access meets one that another CPU watches. */
static __attribute__((noinline)) void look(
	unsigned self, const struct access *access, uint64_t others)
{
	for (others &= ~(1ul << self); others; others &= others - 1) {
		const struct access *watched = &watches[__builtin_ctzl(others)];
		if (access->address < watched->address + watched->size &&
			watched->address < access->address + access->size &&
			collides(access, watched) && !panic_begun())
			report(access, watched);
	}
}

static inline __attribute__((always_inline)) void check(
	uintptr_t address, size_t size, bool write, bool plain)
{
	if (!begun)
		return;
	unsigned self = percpu()->id;
	uint64_t others = __atomic_load_n(&watching, __ATOMIC_RELAXED);
	bool is_watched = plain && left[self]-- == 0;
	if (__builtin_expect(others != 0 || is_watched, 0)) {
		struct access access = { address, size, write, plain,
			(uint64_t)__builtin_return_address(0) - 1,
			*(uint64_t *)__builtin_frame_address(0) };
		look(self, &access, others);
		if (is_watched)
			watch(self, &access);
	}
}

/* ---- the functions that gcc calls ---- */

void __tsan_init(void);
void __tsan_init(void)
{
}

#define ACCESS(name, size, write, plain)            \
	void __tsan_##name(uintptr_t address);      \
	void __tsan_##name(uintptr_t address)       \
	{                                           \
		check(address, size, write, plain); \
	}
#define ACCESSES(size)                                  \
	ACCESS(read##size, size, false, true)           \
	ACCESS(write##size, size, true, true)           \
	ACCESS(unaligned_read##size, size, false, true) \
	ACCESS(unaligned_write##size, size, true, true) \
	ACCESS(volatile_read##size, size, false, false) \
	ACCESS(volatile_write##size, size, true, false)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(uintptr_t address, size_t size);
void __tsan_write_range(uintptr_t address, size_t size);
void __tsan_read_range(uintptr_t address, size_t size)
{
	check(address, size, false, true);
}
void __tsan_write_range(uintptr_t address, size_t size)
{
	check(address, size, true, true);
}

#define FETCH(type, bits, name)                                                            \
	type __tsan_atomic##bits##_fetch_##name(volatile type *at, type value, int order); \
	type __tsan_atomic##bits##_fetch_##name(volatile type *at, type value, int order)  \
	{                                                                                  \
		(void)order;                                                               \
		check((uintptr_t)at, sizeof(type), true, false);                           \
		return __atomic_fetch_##name(at, value, __ATOMIC_SEQ_CST);                 \
	}
#define COMPARE(type, bits, strength, weak)                                              \
	bool __tsan_atomic##bits##_compare_exchange_##strength(                          \
		volatile type *at, type *expected, type wanted, int order, int failed);  \
	bool __tsan_atomic##bits##_compare_exchange_##strength(                          \
		volatile type *at, type *expected, type wanted, int order, int failed)   \
	{                                                                                \
		(void)order, (void)failed;                                               \
		check((uintptr_t)at, sizeof(type), true, false);                         \
		return __atomic_compare_exchange_n(                                      \
			at, expected, wanted, weak, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	}
#define ATOMIC(type, bits)                                                             \
	type __tsan_atomic##bits##_load(const volatile type *at, int order);           \
	void __tsan_atomic##bits##_store(volatile type *at, type value, int order);    \
	type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order); \
	type __tsan_atomic##bits##_load(const volatile type *at, int order)            \
	{                                                                              \
		(void)order;                                                           \
		check((uintptr_t)at, sizeof(type), false, false);                      \
		return __atomic_load_n(at, __ATOMIC_SEQ_CST);                          \
	}                                                                              \
	void __tsan_atomic##bits##_store(volatile type *at, type value, int order)     \
	{                                                                              \
		(void)order;                                                           \
		check((uintptr_t)at, sizeof(type), true, false);                       \
		__atomic_store_n(at, value, __ATOMIC_SEQ_CST);                         \
	}                                                                              \
	type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order)  \
	{                                                                              \
		(void)order;                                                           \
		check((uintptr_t)at, sizeof(type), true, false);                       \
		return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);               \
	}                                                                              \
	FETCH(type, bits, add)                                                         \
	FETCH(type, bits, sub)                                                         \
	FETCH(type, bits, and)                                                         \
	FETCH(type, bits, or)                                                          \
	COMPARE(type, bits, strong, false)                                             \
	COMPARE(type, bits, weak, true)
ATOMIC(uint8_t, 8)
ATOMIC(uint16_t, 16)
ATOMIC(uint32_t, 32)
ATOMIC(uint64_t, 64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	(void)order;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
