/* The keys of the machine's console that end a program: interrupt, quit, terminate. Each is a
 * notification, and goes to the one thread that has a handler: init's main thread. The handler can
 * take no lock, because that thread may hold it. So it notes the key, and sees to it that the
 * thread does not wait, where the thread says how it waits. */
#ifndef INIT_KEYS_H
#define INIT_KEYS_H

#include <stdint.h>

#include <capos/call.h>

/* The calling thread handles keys from now on. word: changed for each key, so that no wait for its
 * old value lasts. Without memory for that, which is logged, a key ends init. */
void keys_handle(volatile uint32_t *word);

/* While event is not 0, a key sets these bits of it. */
void keys_signal(capos_cap_t event, uint64_t bits);

/* The CAPOS_NOTIFICATION_KIND_x of a key that has not been taken, or 0. */
uint32_t keys_take(void);

#endif
