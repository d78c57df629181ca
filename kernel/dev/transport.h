/* What carries the host channel's bytes: a virtio console or a serial port. The channel calls the
 * functions of each half under that half's lock, and none of them waits. The transport calls
 * channel_interrupt() when there is something to receive and, where it was asked to, when it has
 * sent something. Any context. */
#ifndef CAPOS_DEV_TRANSPORT_H
#define CAPOS_DEV_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transport {
	/* It does not interrupt when it has sent something, and is asked again and again. */
	bool polled;
	/* Takes as many of the bytes as the device has room for, and returns how many. They stay
	 * where they are until sent() has counted them. */
	size_t (*send)(const uint8_t *bytes, size_t size);
	/* A series of send calls is over: the device learns of it. */
	void (*flush)(void);
	/* How many of the bytes taken are no longer needed, since the last call, in order. */
	size_t (*sent)(void);
	/* Whether to interrupt when sent() would count more. After it is switched on, sent() is to
	 * be asked once more. */
	void (*notify)(bool wanted);
	/* Whether everything sent has left the machine, not only this device's buffers. */
	bool (*idle)(void);

	/* Between 1 and max received bytes, valid until the next call; NULL when there are none.
	 * Called with 0 when there is no room for any. */
	const uint8_t *(*receive)(size_t max, size_t *got);
	/* A series of receive calls is over: gives empty buffers back to the device. */
	void (*receive_done)(void);
	/* The console keys pressed since the last call, a bit for each NotificationKind; NULL where
	 * keys come as messages. Called after receive. */
	uint64_t (*keys)(void);
};

#endif
