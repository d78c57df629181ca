/* virtio console (virtio 1.2, section 5.3), port 0 without the multiport feature: queue 0 receives,
 * queue 1 transmits.
 *
 * Transmit copies into page-sized bounce buffers, several of which can be in flight. When all are,
 * it polls until the oldest comes back, because the host reads slowly and the sender can do nothing
 * else. Receive hands out pointers into the buffers that the device filled. Bytes for which the
 * channel has no room stay in them, so the device runs out of buffers and the host's pipe fills up.
 * That is the flow control. */
#include "dev/virtio_console.h"

#include "arch/cpu.h"
#include "arch/x86_64/tlb.h"
#include "core/log.h"
#include "core/string.h"
#include "dev/channel.h"

#define RECEIVE_QUEUE 0
#define TRANSMIT_QUEUE 1
#define RECEIVE_BUFFERS 4
#define TRANSMIT_BUFFERS 8
#define DRAIN_POLLS 200000000u

static struct {
	struct virtio_device device;

	/* Used under the channel's transmit lock. */
	struct virtqueue transmit;
	uint8_t *transmit_buffers[TRANSMIT_BUFFERS];
	uint32_t transmit_free; /* bit per buffer the device does not have */
	int filling;            /* buffer being filled, -1: none */
	uint32_t filled;

	/* Used under the channel's input lock. */
	struct virtqueue receive;
	uint8_t *receive_buffers[RECEIVE_BUFFERS];
	int reading; /* buffer being read, -1: none */
	uint32_t read_at, read_end;
} console;

static void transmit_collect(void)
{
	uint16_t index;
	uint32_t length;
	while (virtqueue_take(&console.transmit, &index, &length))
		console.transmit_free |= 1u << index;
}

static void transmit_submit(void)
{
	if (console.filling < 0)
		return;
	virtqueue_offer(&console.transmit, (uint16_t)console.filling,
		console.transmit_buffers[console.filling], console.filled, false);
	console.filling = -1;
}

/* Makes a buffer current, and waits when the device has them all. */
static void transmit_acquire(void)
{
	transmit_collect();
	if (!console.transmit_free)
		virtqueue_kick(&console.transmit);
	while (!console.transmit_free) {
		tlb_serve();
		cpu_relax();
		transmit_collect();
	}
	console.filling = __builtin_ctz(console.transmit_free);
	console.transmit_free &= ~(1u << console.filling);
	console.filled = 0;
}

static void console_write(const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	while (size) {
		if (console.filling < 0)
			transmit_acquire();
		size_t part = PAGE_SIZE - console.filled;
		if (part > size)
			part = size;
		memcpy(console.transmit_buffers[console.filling] + console.filled, from, part);
		console.filled += (uint32_t)part;
		from += part;
		size -= part;
		if (console.filled == PAGE_SIZE)
			transmit_submit();
	}
}

static void console_flush(void)
{
	transmit_submit();
	virtqueue_kick(&console.transmit);
}

static void console_drain(void)
{
	for (unsigned i = 0;
		i < DRAIN_POLLS && console.transmit_free != (1u << TRANSMIT_BUFFERS) - 1; i++) {
		cpu_relax();
		transmit_collect();
	}
}

static const uint8_t *console_receive(size_t max, size_t *got)
{
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

static void console_interrupt(void)
{
	virtio_interrupt_acknowledge(&console.device);
	channel_interrupt();
}

static bool buffers_alloc(uint8_t **buffers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		paddr_t frame = frame_alloc(0, 0);
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
			&console.transmit, &console.device, TRANSMIT_QUEUE, TRANSMIT_BUFFERS) ||
		!buffers_alloc(console.receive_buffers, RECEIVE_BUFFERS) ||
		!buffers_alloc(console.transmit_buffers, TRANSMIT_BUFFERS)) {
		virtio_fail(&console.device);
		return false;
	}
	console.transmit_free = (1u << TRANSMIT_BUFFERS) - 1;
	console.filling = console.reading = -1;
	virtqueue_silence(&console.transmit);
	virtio_ready(&console.device);
	for (uint16_t i = 0; i < RECEIVE_BUFFERS; i++)
		virtqueue_offer(&console.receive, i, console.receive_buffers[i], PAGE_SIZE, true);
	virtqueue_kick(&console.receive);
	*transport = (struct transport){
		.write = console_write,
		.flush = console_flush,
		.receive = console_receive,
		.receive_done = console_receive_done,
		.drain = console_drain,
	};
	return true;
}
