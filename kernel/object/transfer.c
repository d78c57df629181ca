/* One capability with a call in registers, and one with its answer.
 *
 *     caller                               server
 *     transfer_begin: sets aside a slot
 *     for the answer's capability; copies
 *     its own, or lifts it out of its slot
 *     ... the call is queued ...           receives it
 *                                          transfer_take: sets a slot of its own aside, and
 *                                          fills it if the call is still open
 *                                          transfer_answer_begin: copies or lifts its own
 *                                          transfer_give_locked: hands it over, if the call is
 *                                          still open and takes one
 *     transfer_end: fills the slot, or     transfer_answer_end: puts back what was not given
 *     gives it up; puts back what was
 *     not taken
 *
 * A process's table is changed by its own threads only, with no lock held, so no two tables are
 * ever locked at once, and none is used that may be gone. The object changes hands under the lock
 * of the caller, together with the question whether the call is open, so one side has it. Until
 * then everything can be taken back, and afterwards nothing can fail: the taker's slot is there.
 *
 * What is in flight counts as named (core/object.h), so an object does not end because its only
 * capability is in a message. models/transfer.pml is the model. */
#include "object/transfer.h"

#include "call/decode.h"
#include "core/log.h"
#include "object/behalf.h"
#include "proc/process.h"
#include "sched/thread.h"

/* The options of a message: an ErrorCode, CAPOS_MESSAGE_x, a CapId. */
#define OPTIONS_CODE 0xffffu
#define OPTIONS_CAP_SHIFT 32

static cap_id_t options_cap(uint64_t options)
{
	return (cap_id_t)(options >> OPTIONS_CAP_SHIFT);
}

/* Whether nothing but these is set, and what is to move is named. */
static bool are_options_good(uint64_t options, uint32_t allowed)
{
	return !((uint32_t)options & ~allowed) &&
		(options_cap(options) || !(options & CAPOS_MESSAGE_MOVES));
}

/* ---- the caller ---- */

status_t transfer_begin(struct thread *thread, uint64_t options, uint16_t *extra)
{
	struct thread_transfer *transfer = &thread->call.transfer;
	struct cap_table *caps = &thread->process->caps;
	cap_id_t cap = options_cap(options);
	status_t status = STATUS_OK;
	assert_none_held();
	if (!are_options_good(options, CAPOS_MESSAGE_MOVES | CAPOS_MESSAGE_TAKES))
		return STATUS(INVALID_ARGUMENT);
	*extra = (uint16_t)(cap ? CALL_CARRIES : 0);
	if (options & CAPOS_MESSAGE_TAKES) {
		status = cap_table_reserve(caps, &transfer->slot);
		*extra |= CALL_TAKES;
	}
	if (status != STATUS_OK || !cap)
		return status;
	if (options & CAPOS_MESSAGE_MOVES) {
		status = behalf_lift(thread->process, cap, &transfer->carried);
		transfer->lifted = status == STATUS_OK ? cap : 0;
	} else {
		status = behalf_copy(thread->process, cap, &transfer->carried);
	}
	if (status != STATUS_OK)
		transfer_end(thread, true);
	return status;
}

cap_id_t transfer_end(struct thread *thread, bool stays)
{
	struct thread_transfer transfer = thread->call.transfer;
	struct cap_table *caps = &thread->process->caps;
	bool filled = transfer.slot && transfer.given && stays;
	assert_none_held();
	lease_leave(&thread->call.use);
	thread->call.transfer = (struct thread_transfer){ 0 };
	thread->call.extra = 0;
	if (transfer.lifted && transfer.carried)
		behalf_fill(thread->process, transfer.lifted, transfer.carried);
	else if (transfer.lifted)
		cap_table_abandon(caps, transfer.lifted);
	else if (transfer.carried)
		cap_drop(transfer.carried);
	if (filled)
		behalf_fill(thread->process, transfer.slot, transfer.given);
	else if (transfer.slot)
		cap_table_abandon(caps, transfer.slot);
	if (transfer.given && !filled)
		cap_drop(transfer.given);
	return filled ? transfer.slot : 0;
}

/* ---- the server ---- */

bool transfer_take(struct thread *server, cap_id_t *cap)
{
	struct cap_table *caps = &server->process->caps;
	struct thread *caller = server->service.caller;
	struct object *object = NULL;
	assert_none_held();
	if (cap_table_reserve(caps, cap) != STATUS_OK)
		return false;
	spin_lock(&caller->lock);
	if (caller->call.open && caller->call.server == server &&
		caller->call.sequence == server->service.sequence) {
		object = caller->call.transfer.carried;
		caller->call.transfer.carried = NULL;
	}
	spin_unlock(&caller->lock);
	if (object)
		behalf_fill(server->process, *cap, object);
	else
		cap_table_abandon(caps, *cap);
	return object != NULL;
}

status_t transfer_answer_begin(
	struct thread *server, uint64_t options, struct transfer_answer *answer, uint32_t *code)
{
	cap_id_t cap = options_cap(options);
	assert_none_held();
	if (!thread_serves(server))
		return STATUS(WRONG_STATE);
	*code = options & OPTIONS_CODE;
	if (!are_options_good(options, OPTIONS_CODE | CAPOS_MESSAGE_MOVES) || !cap ||
		*code >= error_text_count)
		return STATUS(INVALID_ARGUMENT);
	*answer = (struct transfer_answer){ .cap = cap, .moves = options & CAPOS_MESSAGE_MOVES };
	if (answer->moves)
		return behalf_lift(server->process, cap, &answer->object);
	return behalf_copy(server->process, cap, &answer->object);
}

void transfer_give_locked(struct thread *caller, struct transfer_answer *answer)
{
	assert_held(&caller->lock);
	if (!(caller->call.extra & CALL_TAKES))
		return;
	caller->call.transfer.given = answer->object;
	answer->object = NULL;
}

void transfer_answer_end(struct thread *server, struct transfer_answer *answer, bool told)
{
	struct cap_table *caps = &server->process->caps;
	assert_none_held();
	if (answer->moves && answer->object && told) {
		behalf_fill(server->process, answer->cap, answer->object);
		return;
	}
	if (answer->moves)
		cap_table_abandon(caps, answer->cap);
	if (answer->object)
		cap_drop(answer->object);
}
