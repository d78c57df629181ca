/*
 * The rest of what Go's runtime calls: start and end, goroutines, synchronization, atomic
 * operations. The accesses are in shadow.c.
 */
#include "race.h"

void __tsan_init(struct race_thread **thread, u64 *processor, void (*callback)(u64, void *))
{
	race_symbolize_by(callback);
	race_shadow_init();
	*thread = race_thread_begin(NULL, 0);
	*processor = 1; /* nothing is kept for each processor, but 0 says that there is none */
}

void __tsan_fini(void)
{
	race_finish();
}

void __tsan_map_shadow(u64 address, u64 size)
{
	if ((address + size) >> RACE_ADDRESS_BITS)
		race_die("race: the heap is at an address that the race detector has no shadow "
			 "for\n");
}

void __tsan_proc_create(u64 *processor)
{
	*processor = 1;
}

void __tsan_proc_destroy(u64 processor)
{
	(void)processor;
}

void __tsan_report_count(u64 *count)
{
	*count = race_reports();
}

void __tsan_go_start(struct race_thread *creator, struct race_thread **thread, u64 pc)
{
	*thread = race_thread_begin(creator, pc);
}

void __tsan_go_end(struct race_thread *thread)
{
	if (thread)
		race_thread_end(thread);
}

void __tsan_finalizer_goroutine(struct race_thread *thread)
{
	race_acquire_all(thread);
}

void __tsan_func_enter(struct race_thread *thread, u64 pc)
{
	race_enter(thread, pc);
}

void __tsan_func_exit(struct race_thread *thread)
{
	race_exit(thread);
}

void __tsan_free(u64 address, u64 size)
{
	race_sync_free(address, size);
}

/* ---- synchronization ---------------------------------------------------------------------- */

void __tsan_go_ignore_sync_begin(struct race_thread *thread)
{
	thread->ignore_sync++;
}

void __tsan_go_ignore_sync_end(struct race_thread *thread)
{
	thread->ignore_sync--;
}

void __tsan_acquire(struct race_thread *thread, u64 address)
{
	struct race_sync *sync;
	u64 *list;

	if (!thread || thread->ignore_sync)
		return;
	list = race_list_lock(address);
	sync = race_sync_find(list, address, false);
	if (sync)
		race_sync_acquire(thread, sync);
	race_list_unlock(list);
}

typedef void release_function(struct race_thread *thread, struct race_sync *sync);

static inline void release(struct race_thread *thread, u64 address, release_function *how)
{
	u64 *list;

	if (!thread || thread->ignore_sync)
		return;
	list = race_list_lock(address);
	how(thread, race_sync_find(list, address, true));
	race_list_unlock(list);
}

void __tsan_release(struct race_thread *thread, u64 address)
{
	release(thread, address, race_sync_release);
}

void __tsan_release_merge(struct race_thread *thread, u64 address)
{
	release(thread, address, race_sync_release_merge);
}

void __tsan_release_acquire(struct race_thread *thread, u64 address)
{
	release(thread, address, race_sync_release_acquire);
}

/* ---- atomic operations -------------------------------------------------------------------- */

/*
 * They are done while the list of the address is locked, so their order is that of the clocks. A
 * load acquires, a store releases, the others do both, and a compare-and-swap that fails acquires.
 * Where synchronization is ignored, only the operation itself is done.
 *
 * Go passes the address of its own arguments: the variable's address, the operands, the result.
 */
struct atomic_call {
	struct race_thread *thread;
	u64 address;
	u64 *list;
	struct race_sync *sync;
};

static void enter_atomic(struct atomic_call *call, u32 size, u64 flags, u64 caller, u64 pc)
{
	struct race_thread *thread = call->thread;

	call->list = NULL;
	if (thread->ignore_sync)
		return;
	race_enter(thread, caller);
	if (!(flags & RACE_READ))
		race_access(thread, call->address, size, flags, pc);
	call->list = race_list_lock(call->address);
	call->sync = race_sync_find(call->list, call->address, !(flags & RACE_READ));
}

static void leave_atomic(struct atomic_call *call, u32 size, u64 flags, u64 pc)
{
	if (!call->list)
		return;
	race_list_unlock(call->list);
	if (flags & RACE_READ)
		race_access(call->thread, call->address, size, flags, pc);
	race_exit(call->thread);
}

static void acquire(struct atomic_call *call)
{
	if (call->list && call->sync)
		race_sync_acquire(call->thread, call->sync);
}

static void acquire_release(struct atomic_call *call)
{
	acquire(call);
	if (call->list)
		race_sync_release(call->thread, call->sync);
}

#define ARGUMENTS struct race_thread *thread, u64 caller, u64 pc, char *arguments
#define ARGUMENT(type, at) (*(type *)(arguments + (at)))
#define BEGIN(type, flags)                                                           \
	struct atomic_call call = { .thread = thread, .address = ARGUMENT(u64, 0) }; \
	type *variable = (type *)call.address;                                       \
                                                                                     \
	enter_atomic(&call, sizeof(type), flags, caller, pc)

#define ATOMIC_LOAD(name, type)                                                  \
	void name(ARGUMENTS)                                                     \
	{                                                                        \
		BEGIN(type, RACE_READ | RACE_ATOMIC);                            \
		ARGUMENT(type, 8) = __atomic_load_n(variable, __ATOMIC_SEQ_CST); \
		acquire(&call);                                                  \
		leave_atomic(&call, sizeof(type), RACE_READ | RACE_ATOMIC, pc);  \
	}

#define ATOMIC_STORE(name, type)                                                 \
	void name(ARGUMENTS)                                                     \
	{                                                                        \
		BEGIN(type, RACE_ATOMIC);                                        \
		if (call.list)                                                   \
			race_sync_release(thread, call.sync);                    \
		__atomic_store_n(variable, ARGUMENT(type, 8), __ATOMIC_SEQ_CST); \
		leave_atomic(&call, sizeof(type), RACE_ATOMIC, pc);              \
	}

/* The operand is at 8, the result after it, aligned to 8 bytes. */
#define ATOMIC_CHANGE(name, type, operation)                                                   \
	void name(ARGUMENTS)                                                                   \
	{                                                                                      \
		BEGIN(type, RACE_ATOMIC);                                                      \
		acquire_release(&call);                                                        \
		ARGUMENT(type, 16) = operation(variable, ARGUMENT(type, 8), __ATOMIC_SEQ_CST); \
		leave_atomic(&call, sizeof(type), RACE_ATOMIC, pc);                            \
	}

#define ATOMIC_COMPARE(name, type)                                                 \
	void name(ARGUMENTS)                                                       \
	{                                                                          \
		type expected = ARGUMENT(type, 8);                                 \
		bool done;                                                         \
		BEGIN(type, RACE_ATOMIC);                                          \
                                                                                   \
		done = __atomic_compare_exchange_n(variable, &expected,            \
			ARGUMENT(type, 8 + sizeof(type)), false, __ATOMIC_SEQ_CST, \
			__ATOMIC_SEQ_CST);                                         \
		if (done)                                                          \
			acquire_release(&call);                                    \
		else                                                               \
			acquire(&call);                                            \
		ARGUMENT(bool, 8 + 2 * sizeof(type)) = done;                       \
		leave_atomic(&call, sizeof(type), RACE_ATOMIC, pc);                \
	}

ATOMIC_LOAD(__tsan_go_atomic32_load, u32)
ATOMIC_LOAD(__tsan_go_atomic64_load, u64)
ATOMIC_STORE(__tsan_go_atomic32_store, u32)
ATOMIC_STORE(__tsan_go_atomic64_store, u64)
ATOMIC_CHANGE(__tsan_go_atomic32_exchange, u32, __atomic_exchange_n)
ATOMIC_CHANGE(__tsan_go_atomic64_exchange, u64, __atomic_exchange_n)
ATOMIC_CHANGE(__tsan_go_atomic32_fetch_add, u32, __atomic_fetch_add)
ATOMIC_CHANGE(__tsan_go_atomic64_fetch_add, u64, __atomic_fetch_add)
ATOMIC_CHANGE(__tsan_go_atomic32_fetch_and, u32, __atomic_fetch_and)
ATOMIC_CHANGE(__tsan_go_atomic64_fetch_and, u64, __atomic_fetch_and)
ATOMIC_CHANGE(__tsan_go_atomic32_fetch_or, u32, __atomic_fetch_or)
ATOMIC_CHANGE(__tsan_go_atomic64_fetch_or, u64, __atomic_fetch_or)
ATOMIC_COMPARE(__tsan_go_atomic32_compare_exchange, u32)
ATOMIC_COMPARE(__tsan_go_atomic64_compare_exchange, u64)
