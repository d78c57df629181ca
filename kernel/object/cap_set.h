/* The capabilities of a message in the ring, of which there may be several. They change hands
 * as that of a message in registers does (transfer.h): what goes is out of the giver's table or
 * copied before, slots are set aside in the taker's table before, and a step between the two can
 * neither fail nor stop half-way. A thread with no lock held, for its own process. */
#ifndef CAPOS_OBJECT_CAP_SET_H
#define CAPOS_OBJECT_CAP_SET_H

#include <stdint.h>

#include "cap/table.h"
#include "capos_kernel/status.h"

struct capos_message_caps;
struct object;
struct process;

/* What goes. */
struct cap_set {
	uint32_t count;
	struct object *objects[CAPOS_MESSAGE_CAPS_MAX]; /* with reference and name; NULL: given */
	cap_id_t lifted[CAPOS_MESSAGE_CAPS_MAX];        /* from which it moves; 0: a copy goes */
};

/* Where others come. */
struct cap_slots {
	uint32_t count;
	cap_id_t slots[CAPOS_MESSAGE_CAPS_MAX];
};

/* On failure nothing has changed: INVALID_ARGUMENT, NOT_FOUND, NO_MEMORY. */
status_t cap_set_take_out(struct process *process, const struct capos_message_caps *named,
	struct cap_set *set) MUST_CHECK;
/* What has not been given goes back. */
void cap_set_end(struct process *process, struct cap_set *set);

/* On failure nothing has changed: NO_SLOTS, NO_MEMORY. */
status_t cap_slots_reserve(
	struct process *process, uint32_t count, struct cap_slots *slots) MUST_CHECK;
/* Fills the first with the objects, and gives up the rest. */
void cap_slots_end(
	struct process *process, struct cap_slots *slots, struct object **objects, uint32_t count);

/* Releases capabilities whose ids the program has not learnt. */
void cap_slots_release(struct cap_table *table, const cap_id_t *caps, uint32_t count);

#endif
