/* Notifications: faults of the thread itself, and events sent to it.
 *
 * The handler runs on a stack of its own with every notification masked, and may look at and change
 * the interrupted registers: when it returns, the thread continues from them. It may use register
 * calls (the typed calls of capos/stubs.h without _message), but neither the ring nor anything that
 * takes locks: no malloc, no stdio. A fault inside a handler ends the process. */
#ifndef CAPOS_NOTIFICATION_H
#define CAPOS_NOTIFICATION_H

#include <stddef.h>
#include <stdint.h>

#include <capos/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*capos_notification_handler_t)(uint32_t kind, struct capos_thread_state *state);

/* Sets the calling thread's handler; NULL removes it. The first one of a thread gets 64 KiB for its
 * stack, which are committed at once. 0 or an error. */
int64_t capos_notification_set_handler(capos_notification_handler_t handler);

/* Before the first handler: gives the thread a mapping of whole pages for its handlers' stack,
 * which goes with the thread. They need 12 KiB for registers, and what they use themselves. */
void capos_notification_set_stack(uint64_t address, size_t size);

/* New mask = (old | set) & ~clear, bit n for kind n. *previous may be NULL. */
int64_t capos_notification_mask(uint64_t set, uint64_t clear, uint64_t *previous);

#ifdef __cplusplus
}
#endif

#endif
