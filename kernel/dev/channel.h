/* The framed byte channel to whoever started the machine (HostMessage in the schema): over
 * virtio-console where there is one, the second serial port otherwise, as the command line says.
 *
 * Command line: channel=virtio, channel=com2, channel=plain or channel=none; without one, a
 * virtio console if the machine has one. With no channel, output goes to the machine's own terminal
 * as plain text (terminal.h); input comes from there too with channel=plain, and is at its end
 * otherwise. */
#ifndef CAPOS_DEV_CHANNEL_H
#define CAPOS_DEV_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"

struct virtio_device;

/* Boot, once. console: the machine's virtio console, or NULL. */
void channel_init(const char *command_line, struct virtio_device *console);
/* Who takes the console keys (NotificationKind) that the host sends; keys before that are lost.
 * Boot, once. The handler runs in the interrupt or in a reader's thread, with no lock held. */
void channel_on_key(void (*handler)(uint32_t kind));
/* One message of the concatenation of two pieces (either may be empty); kernel memory. Any context
 * but a held CHANNEL lock. Frames are never interleaved. */
void channel_send(
	uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size);
/* Formatted text message (log, trace, stats, fault); at most 1023 bytes, longer text is cut. */
void channel_printf(uint32_t type, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Is there somebody who takes messages? */
bool channel_present(void);
/* Before power-off: returns when everything sent has left the machine, or the host has stopped
 * taking it. */
void channel_drain(void);

/* From now on what the host sends is taken from memory, which stays: whole messages, then nothing
 * more. The device is not looked at again. Before programs run. */
void channel_preset_input(const void *messages, size_t size);
/* Interrupt: moves received bytes into the input buffer, handles keys. */
void channel_interrupt(void);
/* Reads input for Console.read: up to size bytes; 0 at end of file; blocks, interruptible. */
status_t channel_read(void *buffer, size_t size, size_t *got) MUST_CHECK;
/* Puts bytes read last back in front, when they could not be delivered; at most CHANNEL_READ_MAX of
 * them. */
void channel_unread(const void *buffer, size_t size);

/* The most channel_read gives at once. */
#define CHANNEL_READ_MAX 4096u

#endif
