/* The carrier of the host channel's bytes: a virtio console or a serial port. The channel calls the
 * functions under its own locks: write and flush under the transmit lock, receive and receive_done
 * under the input lock. */
#ifndef CAPOS_DEV_TRANSPORT_H
#define CAPOS_DEV_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

struct transport {
	/* Takes all bytes, and waits for the device when it must. They may be kept back until
	 * flush. */
	void (*write)(const void *bytes, size_t size);
	void (*flush)(void);
	/* Between 1 and max received bytes, valid until the next call; NULL when there are none. */
	const uint8_t *(*receive)(size_t max, size_t *got);
	/* A series of receive calls is over: gives empty buffers back to the device. */
	void (*receive_done)(void);
	/* Before power-off: waits, for a bounded time, until the device has all bytes. */
	void (*drain)(void);
};

#endif
