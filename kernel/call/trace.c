/* Trace lines, call counts and the last calls of threads: see trace.h.
 *
 *     0.012345678 1/1 vm VirtualMemory.reserve(hint=0x0, size=0x4000000) = 0x7f0000000000
 *     0.012351200 1/2 #10003 ThreadHandle.join(timeoutNs=0xffffffffffffffff) = interrupted
 *
 * A line holds the seconds since boot, process and thread, the name under which the capability was
 * granted (or its id), the call and its result. A call that blocks is traced when it returns. */
#include "call/trace.h"

#include <stdarg.h>

#include "call/call.h"
#include "core/log.h"
#include "core/string.h"
#include "dev/channel.h"
#include "dev/command_line.h"
#include "kernel/grants.h"
#include "kernel/methods.h"
#include "machine/cpus.h"
#include "mm/frame.h"
#include "mm/ledger.h"
#include "proc/fault.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "machine/clock.h"
#include "sched/thread.h"

#define LINE_BYTES 512u

static bool tracing, counting;

/* Belongs to the thread that makes it, which may have to wait before it can send it. */
struct line {
	char text[LINE_BYTES];
	size_t length;
};

static uint64_t method_counts[METHOD_COUNT], method_failures[METHOD_COUNT];     /* atomic */
static uint64_t operation_counts[sizeof opcode_names / sizeof opcode_names[0]]; /* atomic */

/* Calls to each object that a program may start with, by any process: a child's capability for it
 * is a copy of its parent's. */
static uint64_t grant_counts[CAPOS_GRANT_COUNT]; /* atomic */

/* A digest of all calls so far, in order. Two runs that differ in a call differ here. */
static uint64_t order_digest; /* guarded by order_lock */
static struct spinlock order_lock = SPINLOCK_INIT(OBJECT);

/* FNV-1a over words, as it is published for bytes (64-bit prime and offset basis). */
#define FNV_PRIME 0x100000001b3ul
#define FNV_BASIS 0xcbf29ce484222325ul

void trace_init(const char *command_line)
{
	tracing = command_line_has(command_line, "trace", NULL);
	counting = command_line_has(command_line, "stats", NULL);
	threads_watched = tracing || counting;
}

static void note_order(uint64_t cap, uint64_t called, uint64_t outcome)
{
	const uint64_t words[] = { thread_current()->id, cap, called, outcome };
	spin_lock(&order_lock);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		order_digest = (order_digest ^ words[i]) * FNV_PRIME;
	spin_unlock(&order_lock);
}

__attribute__((format(printf, 2, 3))) static void line_add(
	struct line *line, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = text_vformat(
		line->text + line->length, sizeof line->text - line->length, format, arguments);
	va_end(arguments);
	line->length += (size_t)length;
	if (line->length >= sizeof line->text)
		line->length = sizeof line->text - 1;
}

static void line_begin_at(struct line *line, uint64_t ns)
{
	line->length = 0;
	line_add(line, "%lu.%09lu ", ns / 1000000000, ns % 1000000000);
}

static void line_add_capability(struct line *line, const struct thread *thread, cap_id_t cap)
{
	const char *name = process_granted_name(thread->process, cap);
	if (name)
		line_add(line, "%s ", name);
	else
		line_add(line, "#%x ", cap);
}

static void line_begin(struct line *line, cap_id_t cap, bool has_cap)
{
	const struct thread *thread = thread_current();
	line_begin_at(line, clock_now_ns());
	line_add(line, "%lu/%lu ", thread->process->id, thread->id);
	if (has_cap)
		line_add_capability(line, thread, cap);
}

static void line_add_status(struct line *line, int64_t status)
{
	if (STATUS_IS_ERROR(status) &&
		(size_t)(-status - (int64_t)CAPOS_ERROR_BASE) < error_text_count)
		line_add(line, "%s", error_texts[-status - (int64_t)CAPOS_ERROR_BASE].name);
	else if (-status <
		(int64_t)(sizeof transport_error_names / sizeof transport_error_names[0]))
		line_add(line, "%s", transport_error_names[-status]);
	else
		line_add(line, "%ld", status);
}

static void line_end(struct line *line)
{
	if (line->length > LINE_BYTES - 2)
		line->length = LINE_BYTES - 2;
	line->text[line->length++] = '\n';
}

static void line_send(struct line *line)
{
	line_end(line);
	status_t status = channel_send(CAPOS_HOST_MESSAGE_TRACE, line->text, line->length, NULL, 0);
	(void)status;
}

static void line_add_params(struct line *line, const struct method_desc *method, const void *params)
{
	for (uint32_t i = 0; params && i < method->params.count; i++) {
		const struct field_desc *field = &method->params.fields[i];
		const void *value = (const char *)params + field->offset;
		uint64_t word;
		memcpy(&word, value, sizeof word);
		line_add(line, "%s%s=", i ? ", " : "", field->name);
		if (field->kind == FIELD_SIGNED)
			line_add(line, "%ld", (int64_t)word);
		else if (field->kind == FIELD_UNSIGNED)
			line_add(line, "0x%lx", word);
		else
			line_add(line, "<%zu bytes>", ((const struct buffer_in *)value)->length);
	}
}

static void line_add_results(
	struct line *line, const struct method_desc *method, const void *results, cap_id_t cap)
{
	if (!method->results.count)
		line_add(line, "ok");
	for (uint32_t i = 0; i < method->results.count; i++) {
		const struct field_desc *field = &method->results.fields[i];
		const void *value = (const char *)results + field->offset;
		uint64_t word;
		memcpy(&word, value, sizeof word);
		if (i)
			line_add(line, ", ");
		if (field->kind == FIELD_SIGNED)
			line_add(line, "%ld", (int64_t)word);
		else if (field->kind == FIELD_UNSIGNED)
			line_add(line, "0x%lx", word);
		else if (field->kind == FIELD_CAP)
			line_add(line, "#%x", cap);
		else
			line_add(line, "<%zu bytes>", ((const struct buffer_out *)value)->length);
	}
}

static void line_add_park_result(struct line *line, int64_t result)
{
	if (result < (int64_t)(sizeof park_result_names / sizeof park_result_names[0]))
		line_add(line, "%s", park_result_names[result]);
}

/* ---- last calls ---- */

static void remember(
	uint64_t interface, uint32_t method, uint32_t opcode, cap_id_t cap, int64_t result)
{
	struct thread *thread = thread_current();
	if (!thread->last_calls)
		return;
	thread->last_calls[thread->calls_made++ % CAPOS_LAST_CALLS_MAX] =
		(struct capos_remembered_call){
			.returned_ns = clock_now_ns(),
			.interface_id = interface,
			.result = result,
			.cap = cap,
			.method = (uint16_t)method,
			.opcode = (uint16_t)opcode,
		};
}

static int64_t first_result(const struct method_desc *method, const void *results, cap_id_t cap)
{
	if (!method->results.count)
		return 0;
	const struct field_desc *field = method->results.fields;
	const void *value = (const char *)results + field->offset;
	int64_t word;
	if (field->kind == FIELD_CAP)
		return cap;
	if (field->kind == FIELD_DATA || field->kind == FIELD_TEXT)
		return (int64_t)((const struct buffer_out *)value)->length;
	memcpy(&word, value, sizeof word);
	return word;
}

static const struct method_desc *remembered_method(
	const struct capos_remembered_call *call, const struct interface_desc **interface)
{
	for (uint32_t i = 0; i < INTERFACE_COUNT; i++) {
		*interface = &interface_descs[i];
		if ((*interface)->id == call->interface_id)
			return interface_method(*interface, call->method);
	}
	return NULL;
}

static void line_add_remembered(
	struct line *line, const struct thread *thread, const struct capos_remembered_call *call)
{
	const struct interface_desc *interface;
	const struct method_desc *method = remembered_method(call, &interface);
	line_begin_at(line, call->returned_ns);
	if (call->cap)
		line_add_capability(line, thread, call->cap);
	if (method)
		line_add(line, "%s.%s = ", interface->name, method->name);
	else if (call->opcode == CAPOS_OPCODE_COMPACT)
		line_add(line, "method %u = ", call->method);
	else
		line_add(line, "%s = ", opcode_names[call->opcode]);
	if (call->result < 0)
		line_add_status(line, call->result);
	else if (call->opcode == CAPOS_OPCODE_PARK)
		line_add_park_result(line, call->result);
	else if (method && !method->results.count)
		line_add(line, "ok");
	else
		line_add(line, method ? "0x%lx" : "%ld", call->result);
	line_end(line);
}

void fault_tell_calls(struct thread *thread)
{
	uint64_t made = thread->calls_made;
	/* Not on the stack, which is deepest here. */
	struct line *line = thread->last_calls ? call_scratch(thread) : NULL;
	if (!line)
		return;
	for (uint64_t i = made < CAPOS_LAST_CALLS_MAX ? 0 : made - CAPOS_LAST_CALLS_MAX; i < made;
		i++) {
		line_add_remembered(line, thread, &thread->last_calls[i % CAPOS_LAST_CALLS_MAX]);
		status_t status = channel_send(CAPOS_HOST_MESSAGE_LAST_CALL, &thread->id,
			sizeof thread->id, line->text, line->length);
		(void)status; /* not sent: the thread had to end for another reason meanwhile */
	}
}

/* ---- what has happened ---- */

static void count_method(const struct call *call, const struct method_desc *method, status_t status)
{
	const struct interface_desc *interface = call->object->interface;
	size_t number = interface->first_method + (size_t)(method - interface->methods);
	__atomic_fetch_add(&method_counts[number], 1, __ATOMIC_RELAXED);
	if (status != STATUS_OK)
		__atomic_fetch_add(&method_failures[number], 1, __ATOMIC_RELAXED);
}

static void count_grant(const struct object *object)
{
	for (unsigned i = 0; i < CAPOS_GRANT_COUNT; i++)
		if (grants[i].object == object)
			__atomic_fetch_add(&grant_counts[i], 1, __ATOMIC_RELAXED);
}

void trace_use(const struct object *object)
{
	if (counting)
		count_grant(object);
}

void trace_method(const struct call *call, const struct method_desc *method, const void *params,
	const void *results, status_t status, cap_id_t cap)
{
	const struct interface_desc *interface = call->object->interface;
	uint32_t ordinal = (uint32_t)(method - interface->methods);
	remember(interface->id, ordinal, CAPOS_OPCODE_COMPACT, call->cap,
		status == STATUS_OK ? first_result(method, results, cap) : status);
	if (counting) {
		count_method(call, method, status);
		count_grant(call->object);
		note_order(call->cap, ordinal, (uint64_t)status);
	}
	if (!tracing)
		return;
	struct line line;
	line_begin(&line, call->cap, true);
	line_add(&line, "%s.%s(", interface->name, method->name);
	line_add_params(&line, method, params);
	line_add(&line, ") = ");
	if (status == STATUS_OK)
		line_add_results(&line, method, results, cap);
	else
		line_add_status(&line, status);
	line_send(&line);
}

void trace_miss(cap_id_t cap, uint32_t ordinal)
{
	remember(0, ordinal, CAPOS_OPCODE_COMPACT, cap, STATUS_TRANSPORT(INVOKE_FAILED));
	if (counting)
		note_order(cap, ordinal, (uint64_t)STATUS_TRANSPORT(INVOKE_FAILED));
	if (!tracing)
		return;
	struct line line;
	line_begin(&line, cap, true);
	line_add(&line, "method %u = invokeFailed", ordinal);
	line_send(&line);
}

void trace_operation(uint32_t opcode, cap_id_t cap, uint64_t a, uint64_t b, int64_t result)
{
	remember(0, 0, opcode, cap, result);
	if (counting) {
		__atomic_fetch_add(&operation_counts[opcode], 1, __ATOMIC_RELAXED);
		note_order(cap, (uint64_t)opcode << 32, (uint64_t)result);
		if (opcode != CAPOS_OPCODE_RELEASE)
			count_grant(cap_table_lookup_static(&thread_current()->process->caps, cap));
	}
	if (!tracing)
		return;
	struct line line;
	line_begin(&line, cap, true);
	line_add(&line, "%s(", opcode_names[opcode]);
	if (opcode != CAPOS_OPCODE_RELEASE)
		line_add(&line, "address=0x%lx, %s=%lu", a,
			opcode == CAPOS_OPCODE_PARK ? "expected" : "count", b);
	line_add(&line, ") = ");
	if (result < 0)
		line_add_status(&line, result);
	else if (opcode == CAPOS_OPCODE_PARK)
		line_add_park_result(&line, result);
	else
		line_add(&line, "%ld", result);
	line_send(&line);
}

void trace_message(uint32_t opcode, cap_id_t cap, uint64_t tag, uint64_t caller, int64_t result)
{
	remember(0, 0, opcode, cap, result);
	if (counting) {
		__atomic_fetch_add(&operation_counts[opcode], 1, __ATOMIC_RELAXED);
		note_order(cap, (uint64_t)opcode << 32, (uint64_t)result);
	}
	if (!tracing)
		return;
	bool receives = opcode == CAPOS_OPCODE_RECEIVE || opcode == CAPOS_OPCODE_REPLY_RECEIVE ||
		opcode == CAPOS_OPCODE_RECV;
	struct line line;
	line_begin(&line, cap, cap != 0);
	line_add(&line, "%s() = ", opcode_names[opcode]);
	if (result < 0)
		line_add_status(&line, result);
	else if (receives)
		line_add(&line, "%s, tag=0x%lx", receive_result_names[result], tag);
	else
		line_add(&line, "%ld", result);
	if (receives && result == CAPOS_RECEIVE_RESULT_CALL)
		line_add(&line, ", from thread %lu", caller);
	line_send(&line);
}

void trace_exit(int32_t code, uint64_t scope)
{
	if (!tracing)
		return;
	struct line line;
	line_begin(&line, 0, false);
	line_add(&line, "exit(%d, %s)", code,
		scope == CAPOS_EXIT_SCOPE_PROCESS ? "process" : "thread");
	line_send(&line);
}

void trace_stats_begin(void)
{
	memset(method_counts, 0, sizeof method_counts);
	memset(method_failures, 0, sizeof method_failures);
	memset(operation_counts, 0, sizeof operation_counts);
	memset(grant_counts, 0, sizeof grant_counts);
	order_digest = FNV_BASIS;
}

static void send_interface_counts(uint32_t index)
{
	const struct interface_desc *interface = &interface_descs[index];
	for (uint32_t i = 0; i < interface->method_count; i++) {
		uint32_t number = interface->first_method + i;
		if (method_counts[number])
			channel_printf(CAPOS_HOST_MESSAGE_STATS, "%10lu  %s.%s, %lu failed\n",
				method_counts[number], interface->name, interface->methods[i].name,
				method_failures[number]);
	}
}

static void send_budgets(const struct process *process)
{
	static const char *const names[] = { [CAPOS_BUDGET_MEMORY] = "memory",
		[CAPOS_BUDGET_THREADS] = "threads",
		[CAPOS_BUDGET_CAPABILITIES] = "capabilities",
		[CAPOS_BUDGET_CALLS] = "calls",
		[CAPOS_BUDGET_CPU] = "cpu" };
	struct capos_budget_usage usage[BUDGET_COUNT];
	ledger_usage(process->ledger, usage);
	for (unsigned i = 0; i < BUDGET_COUNT; i++) {
		const struct capos_budget_usage *budget = &usage[i];
		channel_printf(CAPOS_HOST_MESSAGE_STATS,
			"process %lu %s: budget of %s: %lu used, peak %lu, limit %lu%s, "
			"%lu refused\n",
			process->id, process->name, names[i], budget->used, budget->peak,
			budget->limit, budget->limit ? "" : " (none)", budget->refused);
	}
}

void trace_stats_send(const struct process *process)
{
	if (!counting)
		return;
	channel_printf(CAPOS_HOST_MESSAGE_STATS,
		"process %lu %s: %lu us CPU, peak %lu pages committed\n", process->id,
		process->name, process->cpu_time_ns / 1000, process->peak_pages);
	send_budgets(process);
	if (cpus_online_count() > 1)
		channel_printf(CAPOS_HOST_MESSAGE_STATS,
			"process %lu %s: %lu interrupts of other CPUs for its pages\n", process->id,
			process->name, process->interrupts);
	channel_printf(CAPOS_HOST_MESSAGE_STATS, "machine: %zu of %zu frames free, %lu objects\n",
		frames_free(), frames_total(), object_count());
	for (uint32_t i = 0; i < INTERFACE_COUNT; i++)
		send_interface_counts(i);
	for (uint32_t opcode = 0; opcode < sizeof opcode_names / sizeof opcode_names[0]; opcode++)
		if (operation_counts[opcode])
			channel_printf(CAPOS_HOST_MESSAGE_STATS, "%10lu  %s\n",
				operation_counts[opcode], opcode_names[opcode]);
	for (unsigned i = 0; i < CAPOS_GRANT_COUNT; i++)
		if (grant_counts[i])
			channel_printf(CAPOS_HOST_MESSAGE_STATS, "%10lu  uses of %s\n",
				grant_counts[i], grants[i].name);
	channel_printf(CAPOS_HOST_MESSAGE_STATS, "calls in order %016lx, clock at %lu ns\n",
		order_digest, clock_now_ns());
}
