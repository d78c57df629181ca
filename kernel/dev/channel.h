/* The framed byte channel to the host (HostMessage in the schema). It uses the virtio console where
 * there is one and otherwise the second serial port, as the kernel parameters say.
 *
 * The parameter is channel=virtio, channel=com2, channel=plain or channel=none. The default is a
 * virtio console if the machine has one. Without a channel, output goes to the machine's own
 * terminal as plain text (terminal.h). With channel=plain input comes from there too; otherwise it
 * is at its end. */
#ifndef CAPOS_DEV_CHANNEL_H
#define CAPOS_DEV_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"

struct virtio_device;

/* Boot, once. console: the machine's virtio console, or NULL. */
void channel_init(const char *command_line, struct virtio_device *console);
/* Boot, once. Sets the handler of the console keys (NotificationKind) that the host sends; earlier
 * keys are lost. The handler runs in the interrupt or in a reader's thread, with no lock held. */
void channel_on_key(void (*handler)(uint32_t kind));
/* Sends one message made of two pieces of kernel memory, either of which may be empty. Any context,
 * without the CHANNEL lock. Messages are never interleaved. */
void channel_send(
	uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size);
/* Sends a formatted text message (log, trace, stats, fault) of at most 1023 bytes; longer text is
 * cut. */
void channel_printf(uint32_t type, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether there is a host that takes messages. */
bool channel_present(void);
/* Before power-off: returns when all output has left the machine, or the host has stopped taking
 * it. */
void channel_drain(void);

/* Before programs run: from now on input is taken from this memory, which stays. It holds whole
 * messages, then input is at its end. The device is not read again. */
void channel_preset_input(const void *messages, size_t size);
/* Interrupt: moves received bytes into the input buffer, handles keys. */
void channel_interrupt(void);
/* Reads input for Console.read: up to size bytes, 0 at end of file. Blocks, and can be
 * interrupted. */
status_t channel_read(void *buffer, size_t size, size_t *got) MUST_CHECK;
/* Puts the bytes read last back in front, when they could not be delivered; at most
 * CHANNEL_READ_MAX. */
void channel_unread(const void *buffer, size_t size);

/* The most channel_read gives at once. */
#define CHANNEL_READ_MAX 4096u

#endif
