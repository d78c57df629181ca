/* What the handler and its thread share is written by one of them at a time, because the handler
 * runs in the thread. */
#include "keys.h"

#include <stddef.h>

#include <capos/caps.h>
#include <capos/notification.h>
#include <capos/stubs.h>

#include "log.h"

/* Taken when the first key comes. Registers are most of it. */
#define STACK_BYTES (32 * 1024)

static volatile uint32_t *changes;
static volatile uint32_t pressed; /* a bit for each kind */
static volatile capos_cap_t signaled_event;
static volatile uint64_t signaled_bits;

static void handle(uint32_t kind, struct capos_thread_state *state)
{
	(void)state;
	if (kind < CAPOS_NOTIFICATION_KIND_INTERRUPT || kind > CAPOS_NOTIFICATION_KIND_TERMINATE) {
		/* A fault comes again, and ends the process then. */
		capos_notification_set_handler(NULL);
		return;
	}
	__atomic_or_fetch(&pressed, 1u << kind, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(changes, 1, __ATOMIC_SEQ_CST); /* other threads write it, too */
	if (signaled_event != 0)
		capos_event_signal(signaled_event, signaled_bits);
}

void keys_handle(volatile uint32_t *word)
{
	uint64_t stack;
	int64_t status = capos_virtual_memory_map(capos_caps.vm, 0, STACK_BYTES,
		CAPOS_PROT_READ | CAPOS_PROT_WRITE | CAPOS_COMMIT_DEMAND_ZERO, &stack);

	changes = word;
	if (status == 0) {
		capos_notification_set_stack(stack, STACK_BYTES);
		status = capos_notification_set_handler(handle);
	}
	if (status < 0)
		log_line("keys: %s", capos_error_name(status));
}

void keys_signal(capos_cap_t event, uint64_t bits)
{
	signaled_bits = bits;
	signaled_event = event;
}

uint32_t keys_take(void)
{
	uint32_t bits = pressed;

	if (bits == 0)
		return 0;
	uint32_t kind = (uint32_t)__builtin_ctz(bits);
	__atomic_and_fetch(&pressed, ~(1u << kind), __ATOMIC_SEQ_CST);
	return kind;
}
