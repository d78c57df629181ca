/* The host channel: messages over a byte transport.
 *
 * Messages that go out wait in the sender's queue. Receiving is driven by the transport's interrupt
 * and by readers: both pump what the input buffer has room for. The host is told how much that is
 * and sends no more, so that its keys and grants never wait behind input that has no reader; what a
 * host sends all the same stays in the device. Console keys are delivered after the input lock is
 * dropped, because their handler takes locks of its own. */
#include "dev/channel.h"

#include <stdarg.h>

#include "core/lock.h"
#include "core/log.h"
#include "core/string.h"
#include "dev/channel_input.h"
#include "dev/command_line.h"
#include "dev/sender.h"
#include "dev/terminal.h"
#include "dev/transport.h"
#include "dev/uart.h"
#include "dev/virtio_console.h"
#include "mm/kmem.h"
#include "sched/wait.h"

#define INPUT_BYTES 65536u
#define GRANT_BYTES (INPUT_BYTES / 4) /* the host is told of room in portions of it */

struct message_header {
	uint8_t type;
	uint8_t zero[3];
	uint32_t length;
};

static struct transport transport;
static bool present;   /* messages go out */
static bool listening; /* messages come in, or the terminal makes them from typing */
static void (*key_handler)(uint32_t kind); /* set once at boot */
static void (*look_handler)(void);         /* likewise */

static struct spinlock input_lock = SPINLOCK_INIT(OBJECT);
static struct channel_input input; /* guarded by input_lock, like the two below */
static struct wait_queue input_readers;
static uint32_t grantable; /* room that the host has not been told of */

static const uint8_t *preset; /* guarded by input_lock: messages in memory not yet taken */
static size_t preset_left;    /* guarded by input_lock */

/* What a thread cannot send because it is to end, another one grants later. */
static void grant_input(uint32_t bytes)
{
	if (channel_send(CAPOS_HOST_MESSAGE_CREDIT, &bytes, sizeof bytes, NULL, 0) == STATUS_OK)
		return;
	spin_lock(&input_lock);
	grantable += bytes;
	spin_unlock(&input_lock);
}

static bool open_device(bool com2, struct virtio_device *console)
{
	bool answers = com2 ? uart_channel_init(&transport, channel_interrupt)
			    : console && virtio_console_init(console, &transport);
	if (!answers)
		log_printf("capos: the host channel's device does not answer; output goes to "
			   "this port");
	return answers && sender_init(&transport);
}

void channel_init(const char *command_line, struct virtio_device *console)
{
	wait_queue_init(&input_readers);
	bool com2 = command_line_has(command_line, "channel", "com2");
	bool plain = command_line_has(command_line, "channel", "plain");
	bool none = command_line_has(command_line, "channel", "none");
	bool framed = !none && !plain && (com2 || console);
	void *buffer = framed || (plain && !none) ? kmem_alloc(KERNEL_PAYS, INPUT_BYTES) : NULL;
	/* Interrupts stay off until this is complete, so the first one finds the buffer. */
	channel_input_init(&input, buffer, buffer ? INPUT_BYTES : 0);
	present = buffer && framed && open_device(com2, console);
	bool listens = buffer && (present || plain);
	if (!present)
		terminal_open(&transport, channel_interrupt, listens);
	listening = listens;
	/* The first grant says that the kernel listens: what the host sent earlier would be lost
	 * while the device is set up. */
	if (present)
		grant_input(INPUT_BYTES);
	else if (!listening)
		kmem_free(KERNEL_PAYS, buffer);
}

void channel_on_key(void (*handler)(uint32_t kind))
{
	key_handler = handler;
}

void channel_on_look(void (*handler)(void))
{
	look_handler = handler;
}

bool channel_present(void)
{
	return present;
}

/* What the host has to ask for: what programs can make as much of as they like. */
static bool is_bulk(uint32_t type)
{
	return type == CAPOS_HOST_MESSAGE_STDOUT || type == CAPOS_HOST_MESSAGE_STDERR ||
		type == CAPOS_HOST_MESSAGE_TRACE || type == CAPOS_HOST_MESSAGE_FILE ||
		type == CAPOS_HOST_MESSAGE_FILE_GONE;
}

status_t channel_send(
	uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size)
{
	assert_none_held();
	if (!present)
		return terminal_message(type, head, head_size, body, body_size);
	struct message_header header = { .type = (uint8_t)type,
		.length = (uint32_t)(head_size + body_size) };
	const struct sender_piece pieces[] = { { &header, sizeof header }, { head, head_size },
		{ body, body_size } };
	return sender_send(pieces, 3, is_bulk(type));
}

void channel_printf(uint32_t type, const char *format, ...)
{
	char text[256];
	va_list arguments;
	va_start(arguments, format);
	int length = text_vformat(text, sizeof text, format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof text)
		length = sizeof text - 1;
	status_t status = channel_send(type, text, (size_t)length, NULL, 0);
	(void)status;
}

void channel_drain(void)
{
	sender_drain();
}

/* There may be any number of readers. One that leaves something wakes the next; the end of the
 * input is left by all. */
static void wake_reader_locked(void)
{
	assert_held(&input_lock);
	if (input.count || input.ended)
		wait_queue_wake(&input_readers, 1);
}

/* Moves received bytes into the input buffer, as far as it has room, and wakes a reader. */
static void pump_locked(void)
{
	assert_held(&input_lock);
	const uint8_t *bytes;
	size_t got;
	while ((bytes = transport.receive(channel_input_room(&input), &got)) != NULL)
		channel_input_feed(&input, bytes, got);
	transport.receive_done();
	if (transport.keys)
		input.keys |= transport.keys();
	wake_reader_locked();
}

static void deliver_keys(uint64_t keys)
{
	assert_none_held();
	for (uint32_t kind = 0; key_handler && keys >> kind; kind++)
		if (keys >> kind & 1)
			key_handler(kind);
}

static void pump_and_deliver(void)
{
	spin_lock(&input_lock);
	pump_locked();
	uint64_t keys = input.keys;
	uint32_t granted = input.granted;
	bool look = input.look;
	input.keys = 0;
	input.look = false;
	input.granted = 0;
	spin_unlock(&input_lock);
	if (granted)
		sender_grant(granted);
	if (keys)
		deliver_keys(keys);
	if (look && look_handler)
		look_handler();
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
	sender_interrupt();
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
	wake_reader_locked();
	spin_unlock(&input_lock);
	return status;
}

void channel_read_done(const void *buffer, size_t size, bool delivered)
{
	uint32_t grant = 0;
	assert_none_held();
	if (!size)
		return;
	spin_lock(&input_lock);
	if (delivered) {
		channel_input_keep(&input, size);
		grantable += (uint32_t)size;
	} else {
		channel_input_put_back(&input, buffer, size);
		wake_reader_locked();
	}
	if (present && grantable >= GRANT_BYTES) {
		grant = grantable;
		grantable = 0;
	}
	spin_unlock(&input_lock);
	if (grant)
		grant_input(grant);
	if (delivered)
		pump_and_deliver(); /* there is room now for what waits in the device */
}
