/* Several capabilities of one message: see cap_set.h. models/transfer.pml is the model. */
#include "object/cap_set.h"

#include "core/log.h"
#include "object/behalf.h"

void cap_set_end(struct process *process, struct cap_set *set)
{
	assert_none_held();
	for (uint32_t i = 0; i < set->count; i++) {
		struct object *object = set->objects[i];
		if (object && set->lifted[i])
			behalf_fill(process, set->lifted[i], object);
		else if (set->lifted[i])
			cap_table_abandon(&process->caps, set->lifted[i]);
		else if (object)
			cap_drop(object);
	}
	set->count = 0;
}

status_t cap_set_take_out(
	struct process *process, const struct capos_message_caps *named, struct cap_set *set)
{
	status_t status = STATUS_OK;
	set->count = 0;
	if (named->count > CAPOS_MESSAGE_CAPS_MAX || named->moves >> named->count)
		return STATUS(INVALID_ARGUMENT);
	for (uint32_t i = 0; i < named->count && status == STATUS_OK; i++) {
		cap_id_t cap = (cap_id_t)named->caps[i];
		bool moves = named->moves >> i & 1;
		set->lifted[i] = moves ? cap : 0;
		if (cap != named->caps[i])
			status = STATUS(NOT_FOUND);
		else if (moves)
			status = behalf_lift(process, cap, &set->objects[i]);
		else
			status = behalf_copy(process, cap, &set->objects[i]);
		set->count += status == STATUS_OK;
	}
	if (status != STATUS_OK)
		cap_set_end(process, set);
	return status;
}

void cap_slots_end(
	struct process *process, struct cap_slots *slots, struct object **objects, uint32_t count)
{
	assert_none_held();
	ASSERT(count <= slots->count);
	for (uint32_t i = 0; i < slots->count; i++) {
		if (i < count)
			behalf_fill(process, slots->slots[i], objects[i]);
		else
			cap_table_abandon(&process->caps, slots->slots[i]);
	}
	slots->count = 0;
}

status_t cap_slots_reserve(struct process *process, uint32_t count, struct cap_slots *slots)
{
	status_t status = STATUS_OK;
	ASSERT(count <= CAPOS_MESSAGE_CAPS_MAX);
	slots->count = 0;
	while (slots->count < count && status == STATUS_OK) {
		status = cap_table_reserve(&process->caps, &slots->slots[slots->count]);
		slots->count += status == STATUS_OK;
	}
	if (status != STATUS_OK)
		cap_slots_end(process, slots, NULL, 0);
	return status;
}

void cap_slots_release(struct cap_table *table, const cap_id_t *caps, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		/* Another thread may have guessed the id, and released it. */
		bool released = cap_table_release(table, caps[i]);
		(void)released;
	}
}
