/*
 * The data race detector of programs that are built with -race: types and functions of its parts.
 *
 * Go's compiler and runtime call the functions whose names begin with __tsan_ (runtime/race.go and
 * race_amd64.s of the release say which, and when). They run on the stack of g0 or gsignal, so
 * frames are small, and nothing here waits but for a spin lock or a report. They make no system
 * call: what they need of the system they ask of the function that race_set_host names.
 *
 * Two accesses race when they touch a common byte, one of them writes, not both are atomic, and
 * neither happened before the other. What happened before is known by vector clocks (Mattern,
 * 1989). An access is known by its goroutine's slot and its epoch, as in FastTrack (Flanagan,
 * Freund, 2009). An epoch is the number of an event in the slot's trace, so it also finds the stack
 * that the access had.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

typedef uint64_t u64;
typedef uint32_t u32;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ---- the system (memory.c) ---------------------------------------------------------------- */

/* What the host function does. It may be called on any stack that Go calls this object on. */
enum race_host_op {
	RACE_HOST_MAP,        /* a: bytes, of whole pages; result: zeroed memory, 0: none left */
	RACE_HOST_MAP_LAZILY, /* the same, most of which is never touched */
	RACE_HOST_WRITE,      /* a: text, b: its length; goes to standard error */
	RACE_HOST_YIELD,      /* another thread first */
	RACE_HOST_SLEEP,      /* a: microseconds */
	RACE_HOST_EXIT,       /* a: exit status; does not return */
	RACE_HOST_MEMORY,     /* result: bytes that the program can still have */
};

typedef u64 race_host_function(u64 op, u64 a, u64 b);

/* The variables are those of the environment, ended by a null pointer. They stay where they are.
   Called before any other function, on one thread. */
void __race_set_host(race_host_function *host, const char *const *variables);

u64 race_host(enum race_host_op op, u64 a, u64 b);

/* Ends the program with a message and status 2. */
_Noreturn void race_die(const char *why);

struct race_lock {
	u32 taken;
};

void race_lock(struct race_lock *lock);
void race_unlock(struct race_lock *lock);

/* Spins once more in a loop that began with *spins = 0. */
void race_spin(u32 *spins);

/* Zeroed memory of at least this size. Sizes are rounded up to powers of two; the freed memory of
   one size is given out again. race_alloc does not fail: without memory the program ends. */
void *race_alloc(size_t size);
void race_free(void *memory, size_t size);
/* The same for memory that need not be zeroed; the two kinds do not mix. */
void *race_alloc_dirty(size_t size);
void race_free_dirty(void *memory, size_t size);
size_t race_alloc_size(size_t size); /* what race_alloc rounds up to */

/* Zeroed memory of whole pages that is never freed. */
u64 race_map(enum race_host_op op, u64 size);

/* ---- clocks (clock.c) --------------------------------------------------------------------- */

#define RACE_SLOTS 8192 /* goroutines at a time */
#define RACE_NO_SLOT (~0u)

/* For each slot the epoch up to which all happened before. Shared clocks (references > 1) do not
   change. A null pointer is a clock of zeros. */
struct race_clock {
	u32 references;
	u32 size;
	u64 epochs[];
};

static inline u64 race_clock_epoch(const struct race_clock *clock, u32 slot)
{
	return clock && slot < clock->size ? clock->epochs[slot] : 0;
}

struct race_clock *race_clock_share(struct race_clock *clock);
void race_clock_drop(struct race_clock *clock);

/* Each replaces *clock by one of its own when it is shared or too small. */
void race_clock_raise(struct race_clock **clock, u32 slot, u64 epoch);
void race_clock_join(struct race_clock **clock, struct race_clock *other);

/* ---- goroutines and their traces (trace.c) ------------------------------------------------ */

/* Events of a trace: a kind in the low two bits, above it the program counter of the call or of
   the access. */
enum race_event { RACE_ENTER, RACE_EXIT, RACE_ACCESS, RACE_BEGIN };

#define RACE_PART_WORDS 509
#define RACE_PART_FRAMES 128

/* A piece of a trace. It begins with the innermost frames of the stack of that time. The owner of
   the slot writes; others copy, and look afterwards whether start is still the same. */
struct race_part {
	u64 start; /* epoch of the first event; 0 while the part is given another use */
	struct race_part *next;
	u32 frames;
	bool cut; /* the stack had more frames */
	u64 words[RACE_PART_WORDS];
};

/* A goroutine that had or has a slot. */
struct race_tenant {
	u64 start; /* its first epoch */
	u32 goroutine;
	bool ended;
	const struct race_stack *created;
};

#define RACE_TENANTS 32

struct race_slot {
	u32 number;
	u32 parts;
	u64 end;         /* the next epoch, while the slot is free */
	u64 *event;      /* where it goes, in the newest part, while the slot is free */
	u64 last_access; /* the latest epoch of an access, while the slot is free, or more */
	u64 start;       /* first epoch of the goroutine that has the slot */
	struct race_thread *thread; /* null while the slot is free */
	struct race_part *oldest, *newest;
	struct race_slot *next_free;
	u64 tenant_count;
	struct race_tenant tenants[RACE_TENANTS]; /* the latest, as a ring */
};

/* What Go calls the race context of a goroutine. Only the goroutine changes it, or the one that
   acts for it while it is parked. */
struct race_thread {
	u64 epoch; /* of the next event */
	u64 *event, *event_end;
	u64 known_since; /* an access of the goroutine since then need not be recorded again */
	u64 *top, *stack, *stack_end; /* callers' program counters */
	u64 lost;                     /* frames that are too many to be kept */
	u32 slot;
	u32 ignore_sync;
	struct race_clock *clock; /* what happened before; of its own slot, what others did there */
	struct race_slot *home;
};

/* Program counters, outermost first. Stacks that are kept are kept once. */
struct race_stack {
	struct race_stack *next;
	u64 hash;
	u32 size;
	bool cut; /* outer frames are missing */
	u64 frames[];
};

#define RACE_STACK_MAX 256

struct race_frames {
	u32 size;
	bool cut, failed;
	u64 frames[RACE_STACK_MAX];
};

extern struct race_slot *race_slots[RACE_SLOTS];

struct race_thread *race_thread_begin(struct race_thread *creator, u64 pc);
void race_thread_end(struct race_thread *thread);
void race_next_part(struct race_thread *thread);
void race_grow_stack(struct race_thread *thread, u64 pc);
void race_current_stack(const struct race_thread *thread, u64 pc, struct race_frames *out);

/* The stack of an event, and the goroutine, or a null pointer when that is not known any more. */
void race_past_stack(u32 slot, u64 epoch, struct race_frames *out);
const struct race_tenant *race_past_tenant(u32 slot, u64 epoch);
void race_acquire_all(struct race_thread *thread);
void race_trace_limit(u32 history_size);

/* Appends an event. A part that is full ends after it, with the stack as it is then. */
static inline u64 race_record(struct race_thread *thread, enum race_event kind, u64 pc)
{
	u64 epoch = thread->epoch;

	__atomic_store_n(thread->event++, pc << 2 | kind, __ATOMIC_RELAXED);
	__atomic_store_n(&thread->epoch, epoch + 1, __ATOMIC_RELEASE);
	if (unlikely(thread->event == thread->event_end))
		race_next_part(thread);
	return epoch;
}

static inline void race_enter(struct race_thread *thread, u64 pc)
{
	if (unlikely(thread->top == thread->stack_end))
		race_grow_stack(thread, pc);
	else
		*thread->top++ = pc;
	race_record(thread, RACE_ENTER, pc);
}

static inline void race_exit(struct race_thread *thread)
{
	if (unlikely(thread->lost))
		thread->lost--;
	else if (thread->top > thread->stack)
		thread->top--;
	race_record(thread, RACE_EXIT, 0);
}

/* ---- shadow (shadow.c) -------------------------------------------------------------------- */

/* A cell is one access to a granule of 8 bytes: from the low bit on a mask of the bytes, whether it
   read, whether it was atomic, the slot, the epoch. 0: none. */
#define RACE_CELLS 4
#define RACE_READ (1ull << 8)
#define RACE_ATOMIC (1ull << 9)
#define RACE_SLOT_SHIFT 10
#define RACE_EPOCH_SHIFT 23
#define RACE_EPOCH_MAX ((1ull << 41) - 1)

/* Shadow of 16 KiB, made when it is touched first. Clocks of addresses hang in it too, in lists of
   256 bytes each. The low bit of a list is its lock. */
#define RACE_SHADOW_SHIFT 14
#define RACE_LIST_SHIFT 8
#define RACE_SHADOW_BYTES (1ull << RACE_SHADOW_SHIFT)

struct race_shadow {
	u64 cells[RACE_SHADOW_BYTES / 8 * RACE_CELLS];
	u64 lists[RACE_SHADOW_BYTES >> RACE_LIST_SHIFT];
};

#define RACE_ADDRESS_BITS 40

extern struct race_shadow **race_shadows; /* by address */

struct race_shadow *race_new_shadow(u64 address);

static inline struct race_shadow *race_shadow_of(u64 address)
{
	struct race_shadow *shadow =
		__atomic_load_n(&race_shadows[address >> RACE_SHADOW_SHIFT], __ATOMIC_ACQUIRE);

	return likely(shadow) ? shadow : race_new_shadow(address);
}

static inline struct race_shadow *race_shadow_if_any(u64 address)
{
	return __atomic_load_n(&race_shadows[address >> RACE_SHADOW_SHIFT], __ATOMIC_ACQUIRE);
}

void race_shadow_init(void);

/* Up to 8 bytes within a granule. flags: RACE_READ, RACE_ATOMIC. */
void race_access(struct race_thread *thread, u64 address, u32 size, u64 flags, u64 pc);

/* ---- clocks of addresses (sync.c) --------------------------------------------------------- */

struct race_sync {
	u64 address;
	struct race_sync *next;
	struct race_clock *clock;
	u32 slot; /* RACE_NO_SLOT, or the clock is that which the slot's goroutine had at the epoch
	           */
	u64 epoch;
};

/* The list of an address, locked. */
u64 *race_list_lock(u64 address);
void race_list_unlock(u64 *list);

/* The clock of an address in a locked list; null when it has none and none is to be made. */
struct race_sync *race_sync_find(u64 *list, u64 address, bool make);
void race_sync_free(u64 address, u64 size);

void race_sync_acquire(struct race_thread *thread, const struct race_sync *sync);
void race_sync_release(struct race_thread *thread, struct race_sync *sync);
void race_sync_release_merge(struct race_thread *thread, struct race_sync *sync);
void race_sync_release_acquire(struct race_thread *thread, struct race_sync *sync);

/* ---- reports (report.c) ------------------------------------------------------------------- */

void race_options(const char *const *variables);
void race_symbolize_by(void (*callback)(u64 command, void *context));
void race_report(struct race_thread *thread, u64 granule, u64 now, u64 before, u64 pc);
u64 race_reports(void);
_Noreturn void race_finish(void);

#pragma GCC visibility pop
