/* Notification handlers: each thread that sets one gets a stack for it. */
#include <capos/notification.h>

#include <capos/caps.h>
#include <capos/stubs.h>

#include "internal.h"

/* Room for the frame, the largest XSAVE area there is (AMX: 11 KiB), and the handler. */
#define STACK_BYTES (64 * 1024)

static _Thread_local capos_notification_handler_t current_handler;
static _Thread_local uint64_t stack_address, stack_bytes;

extern void capos_notification_entry(void);

/* Called by capos_notification_entry, which resumes the state through the capability returned. */
capos_cap_t capos_notification_dispatch(uint32_t kind, struct capos_thread_state *state)
{
	current_handler(kind, state);
	return capos_caps.thread_control;
}

int64_t capos_notification_set_handler(capos_notification_handler_t handler)
{
	int64_t status;

	if (handler == NULL) {
		status = capos_thread_control_set_notification(capos_caps.thread_control, 0, 0, 0);
		if (status >= 0)
			notification_free_stack();
		return status;
	}
	if (stack_address == 0) {
		status = capos_virtual_memory_map(capos_caps.vm, 0, STACK_BYTES,
			CAPOS_PROT_READ | CAPOS_PROT_WRITE, &stack_address);
		if (status < 0)
			return status;
		stack_bytes = STACK_BYTES;
	}
	current_handler = handler;
	return capos_thread_control_set_notification(capos_caps.thread_control,
		(uintptr_t)capos_notification_entry, stack_address, stack_bytes);
}

void capos_notification_set_stack(uint64_t address, size_t size)
{
	stack_address = address;
	stack_bytes = size;
}

bool notification_on_stack(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return stack_address != 0 && here - stack_address < stack_bytes;
}

/* The kernel must have no handler stack any more, or everything must be masked. A handler that
 * removes itself runs on the stack, which then goes with the thread. */
void notification_free_stack(void)
{
	if (stack_address == 0 || notification_on_stack())
		return;
	capos_virtual_memory_unmap(capos_caps.vm, stack_address, stack_bytes);
	stack_address = 0;
}

int64_t capos_notification_mask(uint64_t set, uint64_t clear, uint64_t *previous)
{
	uint64_t ignored;

	return capos_thread_control_set_mask(
		capos_caps.thread_control, set, clear, previous != NULL ? previous : &ignored);
}
