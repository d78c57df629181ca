/* The machine's own terminal: the first serial port and the screen together, as plain text. The
 * kernel's log always goes there. A program's output and input go there when there is no host
 * channel. */
#ifndef CAPOS_DEV_TERMINAL_H
#define CAPOS_DEV_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "dev/transport.h"

struct boot_info;

/* Boot, once or again: uses the screen that the loader set up, when it lies below reach. */
void terminal_use_screen(const struct boot_info *boot, uint64_t reach);

/* Any context in which the CHANNEL lock may be taken, also before terminal_use_screen(). Pieces of
 * different writers alternate at the earliest after a line or 128 bytes. */
void terminal_write(const char *text, size_t size);

/* Boot, in a thread, once, where programs use the terminal: output goes through a queue from now
 * on, and what is typed, if that is wanted, arrives as the messages of a host channel would. The
 * handler is the transport's interrupt. */
void terminal_open(struct transport *transport, void (*handler)(void), bool listen);
/* A thread, after terminal_open(). A message of the host channel in words: output as it is, the
 * ends of programs and notes as lines, others not at all. Blocks and fails like sender_send(). */
status_t terminal_message(uint32_t type, const void *head, size_t head_size, const void *body,
	size_t body_size) MUST_CHECK;

/* Before power-off: when there is a screen, waits that many seconds so that a person can read it.
 * In a thread. */
void terminal_linger(uint64_t seconds);

#endif
