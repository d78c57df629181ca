/* 16550 serial ports: COM1 carries the kernel's text log, COM2 can carry the host channel. */
#ifndef CAPOS_DEV_UART_H
#define CAPOS_DEV_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dev/transport.h"

/* Sends bytes to COM1, polled. Usable from the first instruction of C on, in any context. Without a
 * port the bytes are dropped. */
void uart_log_write(const char *text, size_t size);

/* Input of COM1: received is called in an interrupt when there is a byte, uart_log_receive() takes
 * it. */
void uart_log_listen(void (*received)(void));
bool uart_log_receive(uint8_t *byte);
/* Waits, for a bounded time, until all bytes have left the port. */
void uart_log_drain(void);

/* Prepares COM2 as a byte transport with a receive interrupt; false when there is no such port. */
bool uart_channel_init(struct transport *transport);

#endif
