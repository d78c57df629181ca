/* What is told of calls: one text line for each (kernel parameter `trace`), counts for each method
 * (`stats`), and the last calls of threads that remember them (spawnRememberCalls). Calls of other
 * threads come here not at all: thread_calls_watched() costs them one predicted branch a call.
 * A thread, because sending a line may block. */
#ifndef CAPOS_CALL_TRACE_H
#define CAPOS_CALL_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "cap/table.h"
#include "capos_kernel/status.h"

struct call;
struct method_desc;
struct object;
struct process;

void trace_init(const char *command_line);

/* A method has returned. params and results are its own structures; NULL: the caller's could not be
 * read; results are valid when status is OK. */
void trace_method(const struct call *call, const struct method_desc *method, const void *params,
	const void *results, status_t status, cap_id_t cap);
/* A call named a capability that the process does not hold, or a method that the interface does not
 * have. */
void trace_miss(cap_id_t cap, uint32_t ordinal);
/* park, unpark or release has returned; a and b are its arguments. */
void trace_operation(uint32_t opcode, cap_id_t cap, uint64_t a, uint64_t b, int64_t result);
/* An endpoint operation has returned. cap: 0 where it names none; tag, caller: of a receive, and
 * the thread whose call was received. */
void trace_message(uint32_t opcode, cap_id_t cap, uint64_t tag, uint64_t caller, int64_t result);
/* A call has used an object that another parameter names than the one for the capability itself. */
void trace_use(const struct object *object);
/* A thread is about to leave by exit. */
void trace_exit(int32_t code, uint64_t scope);

/* Between programs: zeroes the counts; sends them, with the ledgers of the process that has ended.
 */
void trace_stats_begin(void);
void trace_stats_send(const struct process *process);

#endif
