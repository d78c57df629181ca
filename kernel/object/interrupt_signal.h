/* The event that the interrupt of a claimed device signals. The claim holds the record, and its
 * lock is that of the device. */
#ifndef CAPOS_OBJECT_INTERRUPT_SIGNAL_H
#define CAPOS_OBJECT_INTERRUPT_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "proc/binding.h"
#include "proc/reaper.h"

struct call;

struct interrupt_signal {
	struct binding binding;
	bool deferring;           /* guarded by the binding's lock */
	struct deferred deferred; /* a signal that the interrupt did not complete */
};

/* Any context, before others know of the source, which is what holds the record. */
void interrupt_signal_init(
	struct interrupt_signal *signal, struct object *source, struct spinlock *lock);
/* An interrupt: sets the bits of the event that is bound, if any. The lock is held. */
void interrupt_signal_send_locked(struct interrupt_signal *signal);
/* A thread. Binds the event that a capability of the caller names; bits 0: none. NOT_FOUND: it
 * names none. */
status_t interrupt_signal_bind(struct interrupt_signal *signal, struct call *call, uint64_t event,
	uint64_t bits) MUST_CHECK;

#endif
