/* The host channel: messages over a byte transport.
 *
 * Sending takes one lock for a whole message. Receiving is driven by the transport's interrupt and
 * by readers: both take what the input buffer has room for and leave the rest in the device, which
 * makes the host wait. Console keys are delivered after the input lock is dropped, because their
 * handler takes locks of its own. */
#include "dev/channel.h"

#include <stdarg.h>

#include "core/lock.h"
#include "core/log.h"
#include "core/string.h"
#include "dev/channel_input.h"
#include "dev/command_line.h"
#include "dev/terminal.h"
#include "dev/transport.h"
#include "dev/uart.h"
#include "dev/virtio_console.h"
#include "mm/kmem.h"
#include "sched/wait.h"

#define INPUT_BYTES 65536u

struct message_header {
	uint8_t type;
	uint8_t zero[3];
	uint32_t length;
};

static struct transport transport;
static bool present;   /* messages go out */
static bool listening; /* messages come in, or the terminal makes them from typing */
static void (*key_handler)(uint32_t kind); /* set once at boot */

static struct spinlock send_lock = SPINLOCK_INIT(CHANNEL);
static char text[1024]; /* guarded by send_lock */

static struct spinlock input_lock = SPINLOCK_INIT(OBJECT);
static struct channel_input input;      /* guarded by input_lock */
static struct wait_queue input_readers; /* guarded by input_lock */

static const uint8_t *preset; /* guarded by input_lock: messages in memory not yet taken */
static size_t preset_left;    /* guarded by input_lock */

void channel_init(const char *command_line, struct virtio_device *console)
{
	wait_queue_init(&input_readers);
	bool com2 = command_line_has(command_line, "channel", "com2");
	bool plain = command_line_has(command_line, "channel", "plain");
	bool none = command_line_has(command_line, "channel", "none");
	void *buffer = none || (!com2 && !plain && !console) ? NULL : kmem_alloc(INPUT_BYTES);
	if (!buffer)
		return;
	/* Interrupts stay off until this is complete, so the first one finds the buffer. */
	channel_input_init(&input, buffer, INPUT_BYTES, CHANNEL_READ_MAX);
	if (plain) {
		terminal_input_init(&transport, channel_interrupt);
		listening = true;
		return;
	}
	present = com2 ? uart_channel_init(&transport) : virtio_console_init(console, &transport);
	listening = present;
	if (!present) {
		log_printf("capos: the host channel's device does not answer; output goes to "
			   "this port");
		kmem_free(buffer);
	}
	/* An empty message tells the host that the kernel listens. What the host sent earlier would
	 * be lost while the device is set up. */
	if (present)
		channel_send(CAPOS_HOST_MESSAGE_NONE, NULL, 0, NULL, 0);
}

void channel_on_key(void (*handler)(uint32_t kind))
{
	key_handler = handler;
}

bool channel_present(void)
{
	return present;
}

static void send_locked(
	uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size)
{
	if (!present) {
		terminal_message(type, head, head_size, body, body_size);
		return;
	}
	struct message_header header = { .type = (uint8_t)type,
		.length = (uint32_t)(head_size + body_size) };
	transport.write(&header, sizeof header);
	transport.write(head, head_size);
	transport.write(body, body_size);
	transport.flush();
}

void channel_send(
	uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size)
{
	spin_lock(&send_lock);
	send_locked(type, head, head_size, body, body_size);
	spin_unlock(&send_lock);
}

void channel_printf(uint32_t type, const char *format, ...)
{
	va_list arguments;
	spin_lock(&send_lock);
	va_start(arguments, format);
	int length = text_vformat(text, sizeof text, format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof text)
		length = sizeof text - 1;
	send_locked(type, text, (size_t)length, NULL, 0);
	spin_unlock(&send_lock);
}

void channel_drain(void)
{
	spin_lock(&send_lock);
	if (listening)
		transport.drain();
	spin_unlock(&send_lock);
}

/* Moves received bytes into the input buffer, as far as it has room, and wakes readers. */
static void pump_locked(void)
{
	const uint8_t *bytes;
	size_t room, got;
	while ((room = channel_input_room(&input)) != 0 &&
		(bytes = transport.receive(room, &got)) != NULL)
		channel_input_feed(&input, bytes, got);
	transport.receive_done();
	if (input.count || input.ended)
		wait_queue_wake(&input_readers, UINT32_MAX);
}

static void deliver_keys(uint64_t keys)
{
	for (uint32_t kind = 0; key_handler && keys >> kind; kind++)
		if (keys >> kind & 1)
			key_handler(kind);
}

static void pump_and_deliver(void)
{
	spin_lock(&input_lock);
	pump_locked();
	uint64_t keys = input.keys;
	input.keys = 0;
	spin_unlock(&input_lock);
	if (keys)
		deliver_keys(keys);
}

static const uint8_t *preset_receive(size_t room, size_t *got)
{
	const uint8_t *bytes = preset;
	*got = room < preset_left ? room : preset_left;
	preset += *got;
	preset_left -= *got;
	return *got ? bytes : NULL;
}

static void preset_receive_done(void)
{
}

void channel_preset_input(const void *messages, size_t size)
{
	if (!listening)
		return;
	spin_lock(&input_lock);
	preset = messages;
	preset_left = size;
	transport.receive = preset_receive;
	transport.receive_done = preset_receive_done;
	spin_unlock(&input_lock);
	pump_and_deliver();
}

void channel_interrupt(void)
{
	if (listening)
		pump_and_deliver();
}

status_t channel_read(void *buffer, size_t size, size_t *got)
{
	status_t status = STATUS_OK;
	*got = 0;
	if (!listening || !size)
		return STATUS_OK;
	spin_lock(&input_lock);
	while (!input.count && !input.ended && status == STATUS_OK)
		status = wait_queue_wait(&input_readers, &input_lock, DEADLINE_NONE, true);
	if (status == STATUS_OK)
		*got = channel_input_take(
			&input, buffer, size < CHANNEL_READ_MAX ? size : CHANNEL_READ_MAX);
	spin_unlock(&input_lock);
	if (*got)
		pump_and_deliver(); /* there is room now for bytes that wait in the device */
	return status;
}

void channel_unread(const void *buffer, size_t size)
{
	spin_lock(&input_lock);
	channel_input_put_back(&input, buffer, size);
	wait_queue_wake(&input_readers, UINT32_MAX);
	spin_unlock(&input_lock);
}
