/* The machine's own terminal, for machines that nobody on another machine watches: the first serial
 * port and the screen together, as plain text. The kernel's log always goes there; a program's
 * output and input do when there is no host channel. */
#ifndef CAPOS_DEV_TERMINAL_H
#define CAPOS_DEV_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dev/transport.h"

struct boot_info;

/* Boot, once or again: shows what follows on the screen the loader set up, when it lies below
 * reach. */
void terminal_use_screen(const struct boot_info *boot, uint64_t reach);

/* Any context, also before terminal_use_screen(). Pieces of different writers alternate at the
 * earliest after a line or 128 bytes. */
void terminal_write(const char *text, size_t size);

/* A message of the host channel in words: output as it is, the ends of programs and notes as lines,
 * others not at all. */
void terminal_message(
	uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size);

/* Makes what is typed arrive as the messages of a host channel would; received is called when there
 * is something. */
void terminal_input_init(struct transport *transport, void (*received)(void));

/* Before power-off: when there is a screen, leaves a person that many seconds to read it. Called in
 * a thread. */
void terminal_linger(uint64_t seconds);

#endif
