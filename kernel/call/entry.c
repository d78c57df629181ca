/* System calls: exit, and cap_enter with an operation in registers. This is the kernel's hottest path, so it goes
 * straight from the table's slot to the method, and methods whose words all are scalars get them as they are. */
#include "call/call.h"

#include "arch/x86_64/percpu.h"
#include "call/trace.h"
#include "core/log.h"
#include "kernel/methods.h"
#include "mm/kmem.h"
#include "object/markers.h"
#include "proc/process.h"
#include "sched/park.h"
#include "sched/thread.h"

#define REGISTER_ARGUMENTS 5u

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
	struct message_buffer *larger = kmem_alloc(sizeof *larger + size);
	if (!larger)
		return NULL;
	larger->size = size;
	if (buffer)
		kmem_free(buffer);
	thread->scratch = larger;
	return larger->bytes;
}

void call_buffer_trim(struct thread *thread)
{
	struct message_buffer *buffer = thread->scratch;
	if (buffer && buffer->size > CALL_SCRATCH_BYTES) {
		kmem_free(buffer);
		thread->scratch = NULL;
	}
}

/* The general form: spans, several results, capabilities, argument arrays in memory. */
static status_t call_compact_general(struct call *call, const struct method_desc *method, const uint64_t *arguments,
                                     size_t count, struct call_result *result)
{
	union method_params params;
	union method_results results;
	struct word_results where;
	cap_id_t cap = 0;
	status_t status = decode_arguments(method, arguments, count, &params, &results, &where);
	if (status != STATUS_OK)
		return status;
	if (method->flags & METHOD_RETURNS_CAP) {
		status = cap_table_reserve(&call->process->caps, &cap);
		if (status != STATUS_OK)
			return status;
	}
	status = method->invoke(call, &params, &results);
	if (cap && status == STATUS_OK) {
		cap_table_commit(&call->process->caps, cap, *results_object(method, &results));
		result->cap = cap;
	} else if (cap) {
		cap_table_abandon(&call->process->caps, cap);
	}
	if (status == STATUS_OK)
		status = results_to_word(method, &results, &where, cap, &result->word);
	if (__builtin_expect(call_observed, 0))
		call_observe(call, method, &params, &results, status, cap);
	return status;
}

static status_t check_scalar(const struct field_desc *field, uint64_t word)
{
	if (field->width == 8)
		return STATUS_OK;
	unsigned bits = field->width * 8u;
	uint64_t high = word >> (bits - (field->kind == FIELD_SIGNED));
	bool fits = high == 0 || (field->kind == FIELD_SIGNED && high == UINT64_MAX >> (bits - 1));
	return fits ? STATUS_OK : STATUS(INVALID_ARGUMENT);
}

status_t call_compact(struct call *call, const struct method_desc *method, const uint64_t *arguments, size_t count,
                      struct call_result *result)
{
	result->word = 0;
	result->cap = 0;
	if (!(method->flags & METHOD_PLAIN))
		return call_compact_general(call, method, arguments, count, result);
	status_t status = STATUS_OK;
	for (unsigned i = 0; i < method->words && status == STATUS_OK; i++)
		status = check_scalar(&method->params.fields[i], arguments[i]);
	if (status == STATUS_OK)
		status = method->invoke(call, arguments, &result->word);
	if (__builtin_expect(call_observed, 0))
		call_observe(call, method, arguments, &result->word, status, 0);
	return status;
}

/* Which kind of park space the id names; false: none. */
static inline bool park_space(struct process *process, cap_id_t cap, bool *shared)
{
	struct object *object = cap_table_lookup_static(&process->caps, cap);
	*shared = object == &object_shared_park_space;
	return *shared || object == &object_park_space;
}

int64_t call_park(struct process *process, cap_id_t cap, uint64_t address, uint64_t expected, uint64_t deadline_ns)
{
	bool shared;
	int64_t result = STATUS_TRANSPORT(INVOKE_FAILED);
	if (park_space(process, cap, &shared)) {
		if (expected > UINT32_MAX)
			result = STATUS(INVALID_ARGUMENT);
		else
			result = park_wait(shared, address, (uint32_t)expected, deadline_ns);
	}
	if (__builtin_expect(call_observed, 0))
		call_observe_operation(CAPOS_OPCODE_PARK, cap, address, expected, result);
	return result;
}

int64_t call_unpark(struct process *process, cap_id_t cap, uint64_t address, uint64_t count)
{
	bool shared;
	int64_t result = STATUS_TRANSPORT(INVOKE_FAILED);
	if (park_space(process, cap, &shared))
		result = park_wake(shared, address, count < UINT32_MAX ? (uint32_t)count : UINT32_MAX);
	if (__builtin_expect(call_observed, 0))
		call_observe_operation(CAPOS_OPCODE_UNPARK, cap, address, count, result);
	return result;
}

int64_t call_release(struct process *process, cap_id_t cap)
{
	int64_t result = cap_table_release(&process->caps, cap) ? 0 : STATUS_TRANSPORT(INVOKE_FAILED);
	if (__builtin_expect(call_observed, 0))
		call_observe_operation(CAPOS_OPCODE_RELEASE, cap, 0, 0, result);
	return result;
}

/* A method call in registers: every case. */
static __attribute__((noinline)) int64_t register_compact_general(struct trap_frame *frame)
{
	struct thread *thread = thread_current();
	struct process *process = thread->process;
	cap_id_t cap = (cap_id_t)frame->rdi;
	if (frame->rdi >> 48)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	struct object *object = cap_table_lookup(&process->caps, cap);
	const struct method_desc *method = object ? interface_method(object->interface, (uint32_t)(frame->rdi >> 32)) : NULL;
	int64_t value = STATUS_TRANSPORT(INVOKE_FAILED);
	if (method) {
		uint64_t arguments[REGISTER_ARGUMENTS] = { frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9 };
		struct call call = { .thread = thread, .process = process, .object = object, .cap = cap };
		struct call_result result;
		status_t status = call_compact(&call, method, arguments, REGISTER_ARGUMENTS, &result);
		value = status == STATUS_OK ? (int64_t)register_word(method, result.word) : status;
	} else if (__builtin_expect(call_observed, 0)) {
		call_observe_miss(cap, (uint32_t)(frame->rdi >> 32));
	}
	if (object)
		object_release(object);
	return value;
}

/* The common case, short: a static object, a plain method of full words, nobody watching. Everything else goes the
 * general way, which looks again from the start. No stack protector: nothing here is indexed by what a program
 * says. */
static __attribute__((noinline, no_stack_protector)) int64_t register_compact(struct trap_frame *frame)
{
	struct thread *thread = percpu()->current;
	struct process *process = thread->process;
	cap_id_t cap = (cap_id_t)frame->rdi;
	uint64_t ordinal = frame->rdi >> 32;
	struct object *object = cap_table_lookup_static(&process->caps, cap);
	if (__builtin_expect(!object || ordinal >= object->interface->method_count || call_observed, 0))
		return register_compact_general(frame);
	const struct method_desc *method = &object->interface->methods[ordinal];
	if (__builtin_expect((method->flags & (METHOD_PLAIN | METHOD_NARROW)) != METHOD_PLAIN, 0))
		return register_compact_general(frame);
	uint64_t arguments[REGISTER_ARGUMENTS];
	if (method->words) {
		arguments[0] = frame->rsi;
		arguments[1] = frame->rdx;
		arguments[2] = frame->r10;
		arguments[3] = frame->r8;
		arguments[4] = frame->r9;
	}
	struct call call = { .thread = thread, .process = process, .object = object, .cap = cap };
	uint64_t word = 0;
	status_t status = method->invoke(&call, arguments, &word);
	return __builtin_expect(status == STATUS_OK, 1) ? (int64_t)word : status;
}

static int64_t enter_exit(uint64_t code, uint64_t scope)
{
	struct thread *thread = thread_current();
	if (scope != CAPOS_EXIT_SCOPE_THREAD && scope != CAPOS_EXIT_SCOPE_PROCESS)
		return STATUS_TRANSPORT(INVALID_REQUEST);
	if (__builtin_expect(call_observed, 0))
		call_observe_exit((int32_t)code, scope);
	if (scope == CAPOS_EXIT_SCOPE_PROCESS)
		process_exit(thread->process, CAPOS_EXIT_KIND_EXITED, (int32_t)code);
	thread_exit((int32_t)code);
}

#define OPERATION(name) (CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_##name << 8)

/* What is not a method call in registers. An id's upper half is part of it only there. */
static __attribute__((noinline)) int64_t enter_other(struct trap_frame *frame)
{
	struct process *process = percpu()->current->process;
	uint64_t number = frame->rax;
	cap_id_t cap = (cap_id_t)frame->rdi;
	bool cap_valid = frame->rdi <= UINT32_MAX;
	switch (number) {
	case OPERATION(PARK):
		return cap_valid ? call_park(process, cap, frame->rsi, frame->rdx, frame->r10) : STATUS_TRANSPORT(INVALID_REQUEST);
	case OPERATION(UNPARK):
		return cap_valid ? call_unpark(process, cap, frame->rsi, frame->rdx) : STATUS_TRANSPORT(INVALID_REQUEST);
	case OPERATION(RELEASE):
		return cap_valid ? call_release(process, cap) : STATUS_TRANSPORT(INVALID_REQUEST);
	case CAPOS_SYS_CAP_ENTER:
		return ring_enter(frame->rdi, frame->rsi);
	case CAPOS_SYS_EXIT:
		return enter_exit(frame->rdi, frame->rsi);
	default:
		if ((number & 0xff) == CAPOS_SYS_CAP_ENTER && number <= 0xffff)
			return STATUS_TRANSPORT(UNSUPPORTED_OPCODE);
		return STATUS_TRANSPORT(INVALID_REQUEST);
	}
}

int64_t syscall_entry(struct trap_frame *frame)
{
	if (__builtin_expect(frame->rax == OPERATION(COMPACT), 1))
		return register_compact(frame);
	return enter_other(frame);
}
