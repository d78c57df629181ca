/* 16550 UARTs at the PC's fixed ports, driven by polling for output and by an interrupt for input.
 * The registers are those of the National PC16550D data sheet. Reference speed is 115200 baud;
 * virtual machines ignore it. */
#include "dev/uart.h"

#include "arch/cpu.h"
#include "arch/ports.h"
#include "arch/x86_64/tlb.h"
#include "core/panic.h"
#include "dev/channel.h"
#include "machine/interrupts.h"

#define COM1 0x3f8
#define COM2 0x2f8
#define COM1_LINE 4
#define COM2_GSI 3

enum uart_register {
	UART_DATA = 0,
	UART_INTERRUPT_ENABLE = 1,
	UART_FIFO_CONTROL = 2,       /* write */
	UART_INTERRUPT_IDENTITY = 2, /* read */
	UART_LINE_CONTROL = 3,
	UART_MODEM_CONTROL = 4,
	UART_LINE_STATUS = 5,
	UART_SCRATCH = 7,
};

#define FIFO_WORKS 0xc0
#define FIFO_BYTES 16u
#define LINE_STATUS_RECEIVED 0x01
#define LINE_STATUS_TRANSMIT_EMPTY 0x20
#define LINE_STATUS_IDLE 0x40
/* A port that never becomes ready is treated as absent; at 115200 baud a byte takes 87 us, far
 * below this many reads. */
#define READY_POLLS 1000000u

enum port_state { PORT_UNKNOWN, PORT_READY, PORT_ABSENT };

static uint8_t log_state; /* enum port_state */
static uint8_t received_byte;
static size_t com2_burst; /* bytes an empty transmitter takes */

static bool uart_probe(uint16_t port)
{
	outb(port + UART_SCRATCH, 0x5a);
	if (inb(port + UART_SCRATCH) != 0x5a)
		return false;
	outb(port + UART_INTERRUPT_ENABLE, 0);
	outb(port + UART_LINE_CONTROL, 0x80); /* divisor latch */
	outb(port + UART_DATA, 1);
	outb(port + UART_INTERRUPT_ENABLE, 0);
	outb(port + UART_LINE_CONTROL, 0x03); /* 8 data bits, no parity, 1 stop bit */
	outb(port + UART_FIFO_CONTROL,
		0xc7); /* FIFOs on and empty; interrupt at 14 bytes, or when a few wait */
	outb(port + UART_MODEM_CONTROL, 0x0b); /* DTR, RTS, interrupt line connected */
	return true;
}

static bool uart_wait(uint16_t port, uint8_t status)
{
	for (unsigned i = 0; i < READY_POLLS; i++) {
		if (inb(port + UART_LINE_STATUS) & status)
			return true;
		if (!panic_begun())
			tlb_serve(); /* a byte takes long on a real line, and other CPUs may wait
			                for this one to answer */
		cpu_relax();
	}
	return false;
}

static void log_put(uint8_t byte)
{
	if (uart_wait(COM1, LINE_STATUS_TRANSMIT_EMPTY))
		outb(COM1 + UART_DATA, byte);
	else
		log_state = PORT_ABSENT;
}

void uart_log_write(const char *text, size_t size)
{
	if (log_state == PORT_UNKNOWN)
		log_state = uart_probe(COM1) ? PORT_READY : PORT_ABSENT;
	for (size_t i = 0; i < size && log_state == PORT_READY; i++) {
		if (text[i] == '\n')
			log_put('\r');
		log_put((uint8_t)text[i]);
	}
}

void uart_log_listen(void (*received)(void))
{
	uart_log_write(NULL, 0); /* checks whether there is a port */
	if (log_state == PORT_READY && isa_interrupt_register(COM1_LINE, received))
		outb(COM1 + UART_INTERRUPT_ENABLE, 0x01); /* received data */
}

bool uart_log_receive(uint8_t *byte)
{
	if (log_state != PORT_READY || !(inb(COM1 + UART_LINE_STATUS) & LINE_STATUS_RECEIVED))
		return false;
	*byte = inb(COM1 + UART_DATA);
	return true;
}

void uart_log_drain(void)
{
	if (log_state == PORT_READY)
		(void)uart_wait(COM1, LINE_STATUS_IDLE);
}

/* The host may read slowly, so this waits without a bound and answers other CPUs meanwhile. An
 * empty transmitter takes as many bytes as its FIFO has. */
static void com2_write(const void *bytes, size_t size)
{
	const uint8_t *byte = bytes;
	while (size) {
		size_t part = size < com2_burst ? size : com2_burst;
		while (!(inb(COM2 + UART_LINE_STATUS) & LINE_STATUS_TRANSMIT_EMPTY)) {
			tlb_serve();
			cpu_relax();
		}
		for (size_t i = 0; i < part; i++)
			outb(COM2 + UART_DATA, byte[i]);
		byte += part;
		size -= part;
	}
}

static const uint8_t *com2_receive(size_t max, size_t *got)
{
	(void)max;
	if (!(inb(COM2 + UART_LINE_STATUS) & LINE_STATUS_RECEIVED))
		return NULL;
	received_byte = inb(COM2 + UART_DATA);
	*got = 1;
	return &received_byte;
}

static void com2_nothing(void)
{
}

static void com2_drain(void)
{
	(void)uart_wait(COM2, LINE_STATUS_IDLE);
}

bool uart_channel_init(struct transport *transport)
{
	if (!uart_probe(COM2) || !interrupt_register(COM2_GSI, false, channel_interrupt))
		return false;
	*transport = (struct transport){
		.write = com2_write,
		.flush = com2_nothing,
		.receive = com2_receive,
		.receive_done = com2_nothing,
		.drain = com2_drain,
	};
	com2_burst =
		(inb(COM2 + UART_INTERRUPT_IDENTITY) & FIFO_WORKS) == FIFO_WORKS ? FIFO_BYTES : 1;
	outb(COM2 + UART_INTERRUPT_ENABLE, 0x01); /* received data */
	return true;
}
