/* System calls: exit, and cap_enter with an operation in registers. This is the hottest path of the
 * kernel. It goes straight from the table's slot to the method, and methods that take only scalars
 * get the argument words as they are. */
#include "call/call.h"

#include "arch/handlers.h"
#include "arch/trap_frame.h"
#include "call/trace.h"
#include "core/log.h"
#include "kernel/grants.h"
#include "kernel/methods.h"
#include "mm/kmem.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "mm/park.h"
#include "sched/thread.h"

#define REGISTER_ARGUMENTS 5u

/* For functions on the path of every call that have no array that could overflow: no stack
 * guard. */
#define HOT __attribute__((no_stack_protector))

/* Message buffers know their size, so that the thread needs one pointer for them. */
struct message_buffer {
	uint64_t size;
	uint64_t reserved;
	uint8_t bytes[];
};

void *call_buffer(struct thread *thread, size_t size)
{
	struct message_buffer *buffer = thread->scratch;
	if (buffer && buffer->size >= size)
		return buffer->bytes;
	if (size < CALL_SCRATCH_BYTES)
		size = CALL_SCRATCH_BYTES;
	/* One of the usual size is in the charge for the thread. */
	struct ledger *payer = size > CALL_SCRATCH_BYTES ? thread->ledger : PREPAID;
	struct message_buffer *larger = kmem_alloc(payer, sizeof *larger + size);
	if (!larger)
		return NULL;
	larger->size = size;
	if (buffer)
		kmem_free(thread->scratch_payer, buffer);
	thread->scratch = larger;
	thread->scratch_payer = payer;
	return larger->bytes;
}

void call_buffer_trim(struct thread *thread)
{
	struct message_buffer *buffer = thread->scratch;
	if (buffer && buffer->size > CALL_SCRATCH_BYTES) {
		kmem_free(thread->scratch_payer, buffer);
		thread->scratch = NULL;
	}
}

/* The general form: buffers, several results, capabilities, argument arrays in memory, watched
 * calls. */
static __attribute__((noinline)) status_t call_compact_general(struct call *call,
	const struct method_desc *method, const uint64_t *arguments, size_t count,
	struct call_result *result)
{
	union method_params params;
	union method_results results;
	struct word_results place;
	cap_id_t cap = 0;
	result->cap = 0;
	status_t status = decode_arguments(method, arguments, count, &params, &results, &place);
	bool decoded = status == STATUS_OK;
	if (decoded && method->flags & METHOD_RETURNS_CAP)
		status = cap_table_reserve(&call->process->caps, &cap);
	if (status == STATUS_OK)
		status = method->invoke(call, &params, &results);
	if (cap && status == STATUS_OK) {
		cap_table_commit(&call->process->caps, cap, *results_object(method, &results));
		result->cap = cap;
	} else if (cap) {
		cap_table_abandon(&call->process->caps, cap);
	}
	if (status == STATUS_OK)
		status = results_to_word(method, &results, &place, cap, &result->word);
	if (__builtin_expect(thread_calls_watched(call->thread), 0))
		trace_method(call, method, decoded ? &params : NULL, &results, status, cap);
	return status;
}

static bool words_fit(const struct method_desc *method, const uint64_t *words)
{
	for (unsigned i = 0; i < method->params.count; i++)
		if (!word_fits(&method->params.fields[i], words[i]))
			return false;
	return true;
}

/* For a plain method the words are the parameter structure, and the result structure is one word or
 * nothing. */
static inline status_t call_words(struct call *call, const struct method_desc *method,
	const uint64_t *arguments, size_t count, struct call_result *result)
{
	if (__builtin_expect(
		    !(method->flags & METHOD_PLAIN) || thread_calls_watched(call->thread), 0))
		return call_compact_general(call, method, arguments, count, result);
	if (method->flags & METHOD_NARROW && !words_fit(method, arguments))
		return STATUS(INVALID_ARGUMENT);
	result->word = 0;
	return method->invoke(call, arguments, &result->word);
}

status_t call_compact(struct call *call, const struct method_desc *method,
	const uint64_t *arguments, size_t count, struct call_result *result)
{
	result->cap = 0;
	return call_words(call, method, arguments, count, result);
}

/* Both kinds of park space are static objects. */
static inline int64_t park(struct process *process, cap_id_t cap, struct user_ptr word,
	uint64_t expected, uint64_t deadline_ns)
{
	const struct object *space = cap_table_lookup_static(&process->caps, cap);
	bool shared = space == &object_shared_park;
	if (__builtin_expect(space != &object_park && !shared, 0))
		return STATUS_TRANSPORT(INVOKE_FAILED);
	if (__builtin_expect(expected > UINT32_MAX, 0))
		return STATUS(INVALID_ARGUMENT);
	return park_wait(shared, word, (uint32_t)expected, deadline_ns);
}

static inline int64_t unpark(
	struct process *process, cap_id_t cap, struct user_ptr word, uint64_t count)
{
	const struct object *space = cap_table_lookup_static(&process->caps, cap);
	bool shared = space == &object_shared_park;
	if (__builtin_expect(space != &object_park && !shared, 0))
		return STATUS_TRANSPORT(INVOKE_FAILED);
	return park_wake(shared, word, count < UINT32_MAX ? (uint32_t)count : UINT32_MAX);
}

static __attribute__((noinline)) int64_t park_traced(struct process *process, cap_id_t cap,
	struct user_ptr word, uint64_t expected, uint64_t deadline_ns)
{
	int64_t result = park(process, cap, word, expected, deadline_ns);
	trace_operation(CAPOS_OPCODE_PARK, cap, word.address, expected, result);
	return result;
}

static __attribute__((noinline)) int64_t unpark_traced(
	struct process *process, cap_id_t cap, struct user_ptr word, uint64_t count)
{
	int64_t result = unpark(process, cap, word, count);
	trace_operation(CAPOS_OPCODE_UNPARK, cap, word.address, count, result);
	return result;
}

int64_t call_park(struct process *process, cap_id_t cap, struct user_ptr word, uint64_t expected,
	uint64_t deadline_ns)
{
	if (__builtin_expect(thread_calls_watched(thread_current()), 0))
		return park_traced(process, cap, word, expected, deadline_ns);
	return park(process, cap, word, expected, deadline_ns);
}

int64_t call_unpark(struct process *process, cap_id_t cap, struct user_ptr word, uint64_t count)
{
	if (__builtin_expect(thread_calls_watched(thread_current()), 0))
		return unpark_traced(process, cap, word, count);
	return unpark(process, cap, word, count);
}

int64_t call_release(struct process *process, cap_id_t cap)
{
	int64_t result =
		cap_table_release(&process->caps, cap) ? 0 : STATUS_TRANSPORT(INVOKE_FAILED);
	if (__builtin_expect(thread_calls_watched(thread_current()), 0))
		trace_operation(CAPOS_OPCODE_RELEASE, cap, 0, 0, result);
	return result;
}

/* The trap frame keeps the argument words side by side, so they serve as an array. */
HOT static inline int64_t register_compact(
	const struct trap_frame *frame, struct thread *thread, struct object *object)
{
	uint64_t target = trap_frame_target(frame);
	cap_id_t cap = (cap_id_t)target;
	uint32_t ordinal = (uint32_t)(target >> 32);
	if (__builtin_expect(ordinal >= object->interface->method_count, 0)) {
		if (thread_calls_watched(thread))
			trace_miss(cap, ordinal);
		return STATUS_TRANSPORT(INVOKE_FAILED);
	}
	const struct method_desc *method = &object->interface->methods[ordinal];
	struct call call;
	call_begin(&call, thread, thread->process, object, cap);
	struct call_result result;
	status_t status =
		call_words(&call, method, trap_frame_words(frame), REGISTER_ARGUMENTS, &result);
	return __builtin_expect(status == STATUS_OK, 1) ? (int64_t)result.word : status;
}

/* For a revocable copy, or an id that names nothing. */
static __attribute__((noinline)) int64_t register_compact_leased(
	const struct trap_frame *frame, struct thread *thread)
{
	uint64_t target = trap_frame_target(frame);
	struct object *object;
	int64_t value = cap_table_enter(
		&thread->process->caps, (cap_id_t)target, &thread->lease_use, &object);
	if (value != STATUS_OK) {
		if (thread_calls_watched(thread))
			trace_miss((cap_id_t)target, (uint32_t)(target >> 32));
		return value;
	}
	value = register_compact(frame, thread, object);
	lease_leave(&thread->lease_use);
	object_release(object);
	return value;
}

/* For the counted object in the slot. */
HOT static __attribute__((noinline)) int64_t register_compact_counted(
	const struct trap_frame *frame, const uint64_t *slot)
{
	struct thread *thread = thread_current();
	cap_id_t cap = (cap_id_t)trap_frame_target(frame);
	struct object *object = cap_slot_retain(&thread->process->caps, slot, cap);
	if (__builtin_expect(!object, 0))
		return register_compact_leased(frame, thread);
	int64_t value = register_compact(frame, thread, object);
	object_release_counted(object);
	return value;
}

static int64_t enter_exit(uint64_t code, uint64_t scope)
{
	struct thread *thread = thread_current();
	if (scope != CAPOS_EXIT_SCOPE_THREAD && scope != CAPOS_EXIT_SCOPE_PROCESS)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (__builtin_expect(thread_calls_watched(thread), 0))
		trace_exit((int32_t)code, scope);
	if (scope == CAPOS_EXIT_SCOPE_PROCESS)
		process_exit(thread->process, CAPOS_EXIT_KIND_EXITED, (int32_t)code);
	thread_exit((int32_t)code);
}

/* Operations other than methods use all of the target as the CapId. */
static inline int64_t enter_park(const struct trap_frame *frame)
{
	uint64_t cap = trap_frame_target(frame);
	const uint64_t *words = trap_frame_words(frame);
	if (cap > UINT32_MAX)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	return call_park(
		thread_current()->process, (cap_id_t)cap, user_ptr(words[0]), words[1], words[2]);
}

static inline int64_t enter_unpark(const struct trap_frame *frame)
{
	uint64_t cap = trap_frame_target(frame);
	const uint64_t *words = trap_frame_words(frame);
	if (cap > UINT32_MAX)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	return call_unpark(thread_current()->process, (cap_id_t)cap, user_ptr(words[0]), words[1]);
}

/* The rare operations. */
static __attribute__((noinline)) int64_t enter_other(struct trap_frame *frame)
{
	uint64_t operation = trap_frame_operation(frame), opcode = operation >> 8;
	uint64_t target = trap_frame_target(frame);
	if (operation == CAPOS_SYS_EXIT)
		return enter_exit(target, trap_frame_words(frame)[0]);
	if ((operation & 0xff) != CAPOS_SYS_CAP_ENTER || opcode > 0xff)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (opcode > CAPOS_OPCODE_COMPACT)
		return STATUS_TRANSPORT(UNSUPPORTED_OPCODE);
	if (target > UINT32_MAX)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (opcode == CAPOS_OPCODE_RELEASE) {
		uint64_t fault;
		if (!target && explore_fault(trap_frame_words(frame)[0], &fault))
			return (int64_t)fault;
		return call_release(thread_current()->process, (cap_id_t)target);
	}
	return STATUS_TRANSPORT(UNSUPPORTED_OPCODE);
}

static inline int64_t enter_compact(const struct trap_frame *frame)
{
	struct thread *thread = thread_current();
	uint64_t target = trap_frame_target(frame);
	if (__builtin_expect(target >> 48, 0))
		return STATUS_TRANSPORT(INVALID_REQUEST);
	const uint64_t *slot = cap_slot_find(&thread->process->caps, (cap_id_t)target);
	if (__builtin_expect(!slot, 0))
		return register_compact_leased(frame, thread);
	uint64_t word = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	if (cap_slot_kind_of(word) == CAP_SLOT_COUNTED)
		return register_compact_counted(frame, slot);
	struct object *object = cap_slot_match(word, (cap_id_t)target, CAP_SLOT_STATIC);
	if (__builtin_expect(!object, 0))
		return register_compact_leased(frame, thread);
	return register_compact(frame, thread, object);
}

/* The order is by how much an instruction more is of each. */
HOT int64_t syscall_entry(struct trap_frame *frame)
{
	uint64_t operation = trap_frame_operation(frame);
	explore_called();
	if (__builtin_expect(operation == REGISTER_CALL(COMPACT), 1))
		return enter_compact(frame);
	if (operation == REGISTER_CALL(UNPARK))
		return enter_unpark(frame);
	if (operation >= REGISTER_CALL(ENDPOINT_CALL) && operation <= REGISTER_CALL(CANCEL))
		return endpoint_enter(frame);
	if (operation == CAPOS_SYS_CAP_ENTER)
		return ring_enter(trap_frame_target(frame), trap_frame_words(frame)[0]);
	if (operation == REGISTER_CALL(PARK))
		return enter_park(frame);
	return enter_other(frame);
}
