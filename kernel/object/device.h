/* The record of a Device capability, for device.c and device_queues.c.
 *
 * Setting up - reset, features, queues, start - is done by one call at a time without the lock,
 * because a device takes its time; claim->setting_up keeps other calls out. What only such calls
 * change needs no lock for them to read. */
#ifndef CAPOS_OBJECT_DEVICE_H
#define CAPOS_OBJECT_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "core/object.h"
#include "dev/device_queue.h"
#include "dev/devices.h"
#include "object/interrupt_signal.h"

struct ledger;
struct memory_object;

enum claim_state {
	CLAIM_RESET,   /* the device does nothing */
	CLAIM_AGREED,  /* on features; queues are added */
	CLAIM_RUNNING, /* it may write wherever its queues say */
};

struct claim_queue {
	struct device_queue ring;
	volatile uint8_t *notify;
	struct ledger *ledger; /* charged; referenced */
	struct memory_object *pool;
	paddr_t *frames; /* of the pool */
	paddr_t memory;  /* of the rings */
	unsigned order;
	struct queue_entry entries[];
};

struct device_claim {
	struct object object;
	struct device *device;
	struct ledger *ledger; /* charged for this record; referenced */

	/* Guarded by the device's lock. */
	bool setting_up;
	enum claim_state state; /* changed by the call that sets up */
	bool masked;            /* the event has been signalled, and not acknowledged */
	bool missed;            /* an interrupt came meanwhile */
	struct interrupt_signal signal;
	struct claim_queue *queues[CAPOS_DEVICE_QUEUES_MAX]; /* added and removed likewise */
};

/* Any context. */
static inline struct device_claim *claim_from(struct object *object)
{
	return container_of(object, struct device_claim, object);
}

/* The device's lock is held. Keeps interrupts back or lets them in. */
void claim_mask_locked(struct device_claim *claim, bool masked);

/* A thread, which sets the claim up, in the state AGREED. Makes a queue that is not there, and
 * takes a reference to the pool. */
status_t claim_add_queue(struct device_claim *claim, struct ledger *ledger, uint32_t number,
	uint32_t size, struct memory_object *pool) MUST_CHECK;
/* A thread, which sets the claim up. The device has been reset: frees the queues. */
void claim_free_queues(struct device_claim *claim);

#endif
