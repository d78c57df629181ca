/* Capabilities that go with a call to an endpoint and with its answer. endpoint.c asks for what is
 * here only where a call says that it has one or takes one, so other calls pay nothing. */
#ifndef CAPOS_OBJECT_TRANSFER_H
#define CAPOS_OBJECT_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "cap/table.h"
#include "capos_kernel/status.h"

struct object;
struct thread;

/* A thread, for its own call. options: trap_frame_status. Sets aside what the call and its answer
 * need; *extra: for thread_call.extra. transfer_end must follow, unless this fails. No lock is
 * held. */
status_t transfer_begin(struct thread *thread, uint64_t options, uint16_t *extra) MUST_CHECK;

/* A thread. Its call has ended, or has not begun: what the server has not taken goes back, and what
 * came with the answer gets its slot, which is returned; 0: none came. stays: the thread goes on;
 * else what came is dropped. No lock is held. */
cap_id_t transfer_end(struct thread *thread, bool stays);

/* A thread, which has received a call that carries a capability: takes it. False: its process has
 * no room for it, or the caller has gone; the call must be ended. No lock is held. */
bool transfer_take(struct thread *server, cap_id_t *cap) MUST_CHECK;

/* A capability that an answer carries. */
struct transfer_answer {
	struct object *object; /* with a reference and a name; NULL: given */
	cap_id_t cap;
	bool moves; /* it has been lifted */
};

/* A thread that answers. options: as in transfer_begin; *code: its ErrorCode. On success
 * transfer_give_locked and transfer_answer_end must follow. No lock is held. */
status_t transfer_answer_begin(struct thread *server, uint64_t options,
	struct transfer_answer *answer, uint32_t *code) MUST_CHECK;
/* The lock of the caller is held, whose call has just been answered: hands the capability over if
 * the call takes one. */
void transfer_give_locked(struct thread *caller, struct transfer_answer *answer);
/* After that. told: the server learns whether the capability was given, so it gets back what was
 * not; else what was to move is gone in any case. No lock is held. */
void transfer_answer_end(struct thread *server, struct transfer_answer *answer, bool told);

#endif
