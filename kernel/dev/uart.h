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

/* Boot, in a thread, once: the handler is called in COM1's interrupt. False: none arrives. */
bool uart_log_interrupts(void (*handler)(void));
/* Any context that may take the TERMINAL lock. Interrupts when something has been typed. */
void uart_log_listen(void);
/* Any context that may take the TERMINAL lock. Whether to interrupt when the port can send. */
void uart_log_notify(bool wanted);
/* Any context. Takes a portion of the text when the port can send, and returns how many bytes; 0:
 * later. Callers exclude each other. */
size_t uart_log_send(const uint8_t *text, size_t size);
/* Any context that may take the TERMINAL lock. Takes a byte of what has been typed. Callers exclude
 * each other. */
bool uart_log_receive(uint8_t *byte);
/* Any context. Whether everything has left the port. */
bool uart_log_idle(void);

/* Boot, in a thread: prepares COM2 as a byte transport, whose interrupts call the handler; false
 * when there is no such port. */
bool uart_channel_init(struct transport *transport, void (*handler)(void));

#endif
