/* virtio console (virtio 1.2, section 5.3), port 0 without the multiport feature: queue 0 receives,
 * queue 1 transmits.
 *
 * Transmit gives the device the bytes where they are; it says which descriptors it has finished
 * with, in any order, and they count as sent in the order in which they were given. Receive hands
 * out pointers into the buffers the device filled; what the channel has no room for stays in them,
 * and the device runs out of buffers. */
#include "dev/virtio_console.h"

#include "core/log.h"
#include "core/string.h"
#include "dev/channel.h"

#define RECEIVE_QUEUE 0
#define TRANSMIT_QUEUE 1
#define RECEIVE_BUFFERS 4
#define TRANSMIT_DESCRIPTORS 8u

static struct {
	struct virtio_device device;

	/* Used under the sender's lock. */
	struct virtqueue transmit;
	uint32_t sizes[TRANSMIT_DESCRIPTORS]; /* of what the device has been given */
	uint32_t finished;                    /* a bit for each descriptor it has given back */
	uint32_t given, counted;              /* descriptors so far, modulo their number */

	/* Used under the channel's input lock. */
	struct virtqueue receive;
	uint8_t *receive_buffers[RECEIVE_BUFFERS];
	int reading; /* buffer being read, -1: none */
	uint32_t read_at, read_end;
} console;

static size_t console_send(const uint8_t *bytes, size_t size)
{
	uint32_t descriptor = console.given % TRANSMIT_DESCRIPTORS;
	if (console.given - console.counted == TRANSMIT_DESCRIPTORS)
		return 0;
	console.sizes[descriptor] = (uint32_t)size;
	console.given++;
	virtqueue_offer(&console.transmit, (uint16_t)descriptor, bytes, (uint32_t)size, false);
	return size;
}

static void console_flush(void)
{
	virtqueue_kick(&console.transmit);
}

static size_t console_sent(void)
{
	uint16_t index;
	uint32_t length;
	size_t sent = 0;
	while (virtqueue_take(&console.transmit, &index, &length))
		console.finished |= 1u << index;
	while (console.counted != console.given) {
		uint32_t descriptor = console.counted % TRANSMIT_DESCRIPTORS;
		if (!(console.finished & 1u << descriptor))
			break;
		console.finished &= ~(1u << descriptor);
		console.counted++;
		sent += console.sizes[descriptor];
	}
	return sent;
}

static void console_notify(bool wanted)
{
	virtqueue_interrupts(&console.transmit, wanted);
}

/* What the device has finished with is the host's. */
static bool console_idle(void)
{
	return console.given == console.counted;
}

static const uint8_t *console_receive(size_t max, size_t *got)
{
	if (!max)
		return NULL;
	while (console.reading < 0 || console.read_at == console.read_end) {
		uint16_t index;
		if (console.reading >= 0)
			virtqueue_offer(&console.receive, (uint16_t)console.reading,
				console.receive_buffers[console.reading], PAGE_SIZE, true);
		console.reading = -1;
		if (!virtqueue_take(&console.receive, &index, &console.read_end))
			return NULL;
		console.reading = index;
		console.read_at = 0;
	}
	uint32_t part = console.read_end - console.read_at;
	if (part > max)
		part = (uint32_t)max;
	const uint8_t *bytes = console.receive_buffers[console.reading] + console.read_at;
	console.read_at += part;
	*got = part;
	return bytes;
}

static void console_receive_done(void)
{
	virtqueue_kick(&console.receive);
}

static void console_interrupt(void *unused)
{
	(void)unused;
	virtio_interrupt_acknowledge(&console.device);
	channel_interrupt();
}

static bool buffers_alloc(uint8_t **buffers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		paddr_t frame = frame_alloc(KERNEL_PAYS, 0, 0);
		if (!frame)
			return false;
		buffers[i] = phys_to_virt(frame);
	}
	return true;
}

bool virtio_console_init(struct virtio_device *device, struct transport *transport)
{
	console.device = *device;
	if (!virtio_begin(&console.device, console_interrupt) ||
		!virtqueue_init(
			&console.receive, &console.device, RECEIVE_QUEUE, RECEIVE_BUFFERS) ||
		!virtqueue_init(
			&console.transmit, &console.device, TRANSMIT_QUEUE, TRANSMIT_DESCRIPTORS) ||
		!buffers_alloc(console.receive_buffers, RECEIVE_BUFFERS)) {
		virtio_fail(&console.device);
		return false;
	}
	console.reading = -1;
	virtqueue_interrupts(&console.transmit, false);
	virtio_ready(&console.device);
	for (uint16_t i = 0; i < RECEIVE_BUFFERS; i++)
		virtqueue_offer(&console.receive, i, console.receive_buffers[i], PAGE_SIZE, true);
	virtqueue_kick(&console.receive);
	*transport = (struct transport){
		.send = console_send,
		.flush = console_flush,
		.sent = console_sent,
		.notify = console_notify,
		.idle = console_idle,
		.receive = console_receive,
		.receive_done = console_receive_done,
	};
	return true;
}
