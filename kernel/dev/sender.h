/* Output that waits for its device in a bounded queue: the sending half of the host channel, and of
 * the machine's own terminal where that takes a program's output.
 *
 * A thread for whose bytes there is no room, or which the host has not asked for, is blocked.
 * Meanwhile nothing else is: interrupts, timers and other CPUs go on. */
#ifndef CAPOS_DEV_SENDER_H
#define CAPOS_DEV_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "dev/transport.h"

/* Bytes that go out together: the pieces one after the other, in kernel memory. */
struct sender_piece {
	const void *bytes;
	size_t size;
};

#define SENDER_PIECES_MAX 3u
/* The most that goes out together. */
#define SENDER_BYTES_MAX (96u << 10)

/* Boot, once. False without memory for the queue. The transport stays where it is. */
bool sender_init(const struct transport *transport);

/* A thread with no lock held. bulk: counts against what the host allows. INTERRUPTED: nothing was
 * sent, because the thread is to end. */
status_t sender_send(const struct sender_piece *pieces, unsigned count, bool bulk) MUST_CHECK;
/* Any context in which the CHANNEL lock may be taken; does not block, but stays until there is
 * room. For a line of the log. */
void sender_send_now(const void *bytes, size_t size);
/* The host takes so many bytes of bulk output more. Any context that may take the WAIT lock. */
void sender_grant(uint32_t bytes);
/* Interrupt, the transport's, or a thread. */
void sender_interrupt(void);
/* Before power-off, in a thread: returns when everything has left the machine, or the device has
 * taken nothing for a while. */
void sender_drain(void);
/* Any context after a panic has begun: sends what waits, as far as the device takes it in a bounded
 * time. Needs no lock, because the other CPUs have stopped. */
void sender_drain_alone(void);

#endif
