/* User mode's registers in the form of the ABI: ThreadState, which notification handlers and
 * debuggers get, and the registers of a fault report. Each architecture has its own layout of both.
 * Pure. */
#ifndef CAPOS_ARCH_USER_STATE_H
#define CAPOS_ARCH_USER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/user_ptr.h"

struct capos_fault_record;
struct capos_thread_state;
struct trap_frame;

/* The registers of the frame, and the thread pointer. */
void user_state_store(
	struct capos_thread_state *state, const struct trap_frame *frame, uint64_t thread_pointer);
/* The number and error code of the exception that the frame comes from, if it comes from one. */
void user_state_store_trap(struct capos_thread_state *state, const struct trap_frame *frame);
/* Whether the processor would take the registers. */
bool user_state_is_loadable(const struct capos_thread_state *state);
/* Makes the frame anew from a loadable state; no privilege comes from there. */
void user_state_load(const struct capos_thread_state *state, struct trap_frame *frame);
uint64_t user_state_thread_pointer(const struct capos_thread_state *state);

/* Where the vector registers are that belong to it; address 0: none. */
void user_state_set_vectors(struct capos_thread_state *state, struct user_ptr area);
struct user_ptr user_state_vectors(const struct capos_thread_state *state);
/* Whether size and alignment are those that vector_load() needs. */
bool user_state_vectors_fit(const struct capos_thread_state *state);

/* The registers of a fault report. */
void fault_record_store(struct capos_fault_record *record, const struct trap_frame *frame);

#endif
