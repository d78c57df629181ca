/* The framed byte channel to whoever started the machine (HostFrame in the schema): over virtio-console where there is
 * one, the second serial port otherwise, as the command line says. */
#ifndef CAPOS_DEV_CHANNEL_H
#define CAPOS_DEV_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"

void channel_init(const char *command_line);
/* One frame of the concatenation of two pieces (either may be empty); kernel memory. Any context but a held CHANNEL lock. Frames are never interleaved. */
void channel_send(uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size);
/* Formatted text frame (log, trace, stats, fault). */
void channel_printf(uint32_t type, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Interrupt: moves received bytes into the input buffer, handles keys. */
void channel_interrupt(void);
/* Reads input for Console.read: up to size bytes; 0 at end of file; blocks, interruptible. */
status_t channel_read(void *buffer, size_t size, size_t *got) MUST_CHECK;

#endif
