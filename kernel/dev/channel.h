/* The framed byte channel to the host (HostMessage in the schema). It uses the virtio console where
 * there is one and otherwise the second serial port, as the kernel parameters say.
 *
 * Command line: channel=virtio, channel=com2, channel=plain or channel=none; without the word, a
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
/* Boot, once. Sets the handler of the console keys (NotificationKind) that the host sends; earlier
 * keys are lost. The handler runs in the interrupt or in a reader's thread, and may take any lock.
 */
void channel_on_key(void (*handler)(uint32_t kind));
/* Boot, once. Sets what is called when the host asks what the processes are doing; as for keys. */
void channel_on_look(void (*handler)(void));
/* One message of the concatenation of two pieces (either may be empty, together at most
 * CHANNEL_MESSAGE_MAX); kernel memory. A thread with no lock held, which is blocked while the
 * device or the host takes nothing. Messages are never interleaved. INTERRUPTED: nothing was sent,
 * because the thread is to end. */
status_t channel_send(uint32_t type, const void *head, size_t head_size, const void *body,
	size_t body_size) MUST_CHECK;
#define CHANNEL_MESSAGE_MAX (80u << 10)
/* Formatted text message (log, stats); at most 255 bytes, longer text is cut. A thread. */
void channel_printf(uint32_t type, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether there is a host that takes messages. Any context. */
bool channel_present(void);
/* Before power-off, in a thread: returns when everything sent has left the machine, or the device
 * has taken nothing for a while. */
void channel_drain(void);

/* Boot, before programs run: from now on input is taken from this memory, which stays. It holds
 * whole messages, then input is at its end. The device is not read again. */
void channel_preset_input(const void *messages, size_t size);
/* Interrupt: moves received bytes into the input buffer, handles keys and grants, sends on. */
void channel_interrupt(void);
/* Reads input for Console.read: up to size bytes; 0 at end of file; a thread, which may block;
 * interruptible. What was read is to be answered for by channel_read_done. */
status_t channel_read(void *buffer, size_t size, size_t *got) MUST_CHECK;
/* Whether the bytes have been delivered; if not, they are in front again. A thread with no lock
 * held. */
void channel_read_done(const void *buffer, size_t size, bool delivered);

/* The most channel_read gives at once. */
#define CHANNEL_READ_MAX 4096u

#endif
