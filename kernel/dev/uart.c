/* 16550 UARTs at the PC's fixed ports, driven by interrupts in both directions where they arrive.
 * The log before there is a queue, and panics, poll.
 *
 * The interrupt line is edge-triggered and shared by both directions: as long as one asks for it,
 * no edge tells of the other. So the handler goes on until neither asks, and what cannot be
 * received for want of room is not asked for. The registers are those of the National PC16550D data
 * sheet. Reference speed is 115200 baud; virtual machines ignore it. */
#include "dev/uart.h"

#include "arch/cpu.h"
#include "arch/ports.h"
#include "arch/tlb.h"
#include "core/lock.h"
#include "core/panic.h"
#include "machine/interrupts.h"
#include "sched/sched.h"

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

#define ENABLE_RECEIVED 0x01
#define ENABLE_TRANSMIT_EMPTY 0x02
#define IDENTITY_NONE 0x01
#define FIFO_WORKS 0xc0
#define FIFO_BYTES 16u
#define LINE_STATUS_RECEIVED 0x01
#define LINE_STATUS_TRANSMIT_EMPTY 0x20
#define LINE_STATUS_IDLE 0x40
/* A port that never becomes ready is treated as absent; at 115200 baud a byte takes 87 us, far
 * below this many reads. */
#define READY_POLLS 1000000u
#define INTERRUPT_ROUNDS 64u
#define INTERRUPT_POLLS 10000u

enum port_state { PORT_UNKNOWN, PORT_READY, PORT_ABSENT };

struct port {
	uint16_t base;
	uint8_t state;         /* enum port_state */
	uint8_t received_byte; /* what uart_channel_init()'s receive hands out */
	uint8_t burst;         /* bytes an empty transmitter takes */
	uint8_t enabled;       /* interrupts; guarded by enable_lock */
	bool interrupted;      /* an interrupt has come; atomic */
	bool returned;         /* the carriage return before a line feed is out; of the sender's */
	uint32_t busy_polls;   /* since the port took a byte; of the sender's */
	size_t sent;           /* not yet counted; of the sender's */
	void (*interrupt)(void); /* set at boot */
};

static struct port com1 = { .base = COM1 }, com2 = { .base = COM2 };
static struct spinlock enable_lock = SPINLOCK_INIT(TERMINAL);

static bool port_probe(struct port *port)
{
	uint16_t base = port->base;
	outb(base + UART_SCRATCH, 0x5a);
	port->state = inb(base + UART_SCRATCH) == 0x5a ? PORT_READY : PORT_ABSENT;
	if (port->state == PORT_ABSENT)
		return false;
	outb(base + UART_INTERRUPT_ENABLE, 0);
	outb(base + UART_LINE_CONTROL, 0x80); /* divisor latch */
	outb(base + UART_DATA, 1);
	outb(base + UART_INTERRUPT_ENABLE, 0);
	outb(base + UART_LINE_CONTROL, 0x03); /* 8 data bits, no parity, 1 stop bit */
	outb(base + UART_FIFO_CONTROL,
		0xc7); /* FIFOs on and empty; interrupt at 14 bytes, or when a few wait */
	outb(base + UART_MODEM_CONTROL, 0x0b); /* DTR, RTS, interrupt line connected */
	port->burst =
		(inb(base + UART_INTERRUPT_IDENTITY) & FIFO_WORKS) == FIFO_WORKS ? FIFO_BYTES : 1;
	return true;
}

static bool port_status(const struct port *port, uint8_t status)
{
	return inb(port->base + UART_LINE_STATUS) & status;
}

static bool port_wait(const struct port *port, uint8_t status)
{
	for (unsigned i = 0; i < READY_POLLS; i++) {
		if (port_status(port, status))
			return true;
		/* A byte takes long on a real line, and other CPUs may wait for an answer. */
		if (!panic_begun())
			tlb_serve();
		cpu_relax();
	}
	return false;
}

static void port_enable(struct port *port, uint8_t interrupt, bool wanted)
{
	spin_lock(&enable_lock);
	uint8_t enabled =
		(uint8_t)(wanted ? port->enabled | interrupt : port->enabled & ~interrupt);
	if (enabled != port->enabled) {
		port->enabled = enabled;
		outb(port->base + UART_INTERRUPT_ENABLE, enabled);
	}
	spin_unlock(&enable_lock);
}

static void port_interrupt(void *argument)
{
	struct port *port = argument;
	__atomic_store_n(&port->interrupted, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < INTERRUPT_ROUNDS; i++) {
		port->interrupt();
		if (inb(port->base + UART_INTERRUPT_IDENTITY) & IDENTITY_NONE)
			return;
	}
}

/* Whether an interrupt arrives when the empty transmitter asks for one. */
static bool port_try_interrupt(struct port *port)
{
	port_enable(port, ENABLE_TRANSMIT_EMPTY, true);
	for (unsigned i = 0; i < INTERRUPT_POLLS; i++) {
		sched_preemption_point();
		if (__atomic_load_n(&port->interrupted, __ATOMIC_RELAXED))
			break;
	}
	port_enable(port, ENABLE_TRANSMIT_EMPTY, false);
	return port->interrupted;
}

/* A portion, if the transmitter is empty. One that never is counts as absent, and takes anything.
 */
static size_t port_send(struct port *port, const uint8_t *bytes, size_t size, bool text)
{
	if (port->state != PORT_READY)
		return size;
	if (!port_status(port, LINE_STATUS_TRANSMIT_EMPTY)) {
		if (++port->busy_polls == READY_POLLS)
			port->state = PORT_ABSENT;
		return 0;
	}
	port->busy_polls = 0;
	size_t taken = 0;
	for (unsigned room = port->burst; room && taken < size; room--) {
		bool breaks = text && bytes[taken] == '\n' && !port->returned;
		outb(port->base + UART_DATA, breaks ? '\r' : bytes[taken]);
		taken += !breaks;
		port->returned = breaks;
	}
	return taken;
}

static const uint8_t *port_receive(struct port *port, size_t max, size_t *got)
{
	bool room = max != 0;
	if (port->state != PORT_READY)
		return NULL;
	if (room != !!(port->enabled & ENABLE_RECEIVED))
		port_enable(port, ENABLE_RECEIVED, room);
	if (!room || !port_status(port, LINE_STATUS_RECEIVED))
		return NULL;
	port->received_byte = inb(port->base + UART_DATA);
	*got = 1;
	return &port->received_byte;
}

/* ---- COM1: text ---- */

static void log_put(uint8_t byte)
{
	if (port_wait(&com1, LINE_STATUS_TRANSMIT_EMPTY))
		outb(COM1 + UART_DATA, byte);
	else
		com1.state = PORT_ABSENT;
}

static bool log_present(void)
{
	if (com1.state == PORT_UNKNOWN)
		port_probe(&com1);
	return com1.state == PORT_READY;
}

void uart_log_write(const char *text, size_t size)
{
	bool present = log_present();
	for (size_t i = 0; i < size && present; i++) {
		if (text[i] == '\n')
			log_put('\r');
		log_put((uint8_t)text[i]);
		present = com1.state == PORT_READY;
	}
}

bool uart_log_interrupts(void (*handler)(void))
{
	const struct interrupt_handler interrupt = { port_interrupt, &com1 };
	com1.interrupt = handler;
	return log_present() && isa_interrupt_register(COM1_LINE, interrupt) &&
		port_try_interrupt(&com1);
}

void uart_log_listen(void)
{
	if (log_present())
		port_enable(&com1, ENABLE_RECEIVED, true);
}

void uart_log_notify(bool wanted)
{
	port_enable(&com1, ENABLE_TRANSMIT_EMPTY, wanted);
}

size_t uart_log_send(const uint8_t *text, size_t size)
{
	return log_present() ? port_send(&com1, text, size, true) : size;
}

bool uart_log_receive(uint8_t *byte)
{
	size_t got;
	const uint8_t *received = port_receive(&com1, 1, &got);
	if (received)
		*byte = *received;
	return received;
}

bool uart_log_idle(void)
{
	return com1.state != PORT_READY || port_status(&com1, LINE_STATUS_IDLE);
}

/* ---- COM2: the host channel ---- */

static size_t com2_send(const uint8_t *bytes, size_t size)
{
	size_t taken = port_send(&com2, bytes, size, false);
	com2.sent += taken;
	return taken;
}

static size_t com2_sent(void)
{
	size_t sent = com2.sent;
	com2.sent = 0;
	return sent;
}

static void com2_notify(bool wanted)
{
	port_enable(&com2, ENABLE_TRANSMIT_EMPTY, wanted);
}

static bool com2_idle(void)
{
	return com2.state != PORT_READY || port_status(&com2, LINE_STATUS_IDLE);
}

static const uint8_t *com2_receive(size_t max, size_t *got)
{
	return port_receive(&com2, max, got);
}

static void com2_nothing(void)
{
}

bool uart_channel_init(struct transport *transport, void (*handler)(void))
{
	const struct interrupt_handler interrupt = { port_interrupt, &com2 };
	com2.interrupt = handler;
	if (!port_probe(&com2) || !interrupt_register(COM2_GSI, false, interrupt))
		return false;
	*transport = (struct transport){
		.polled = !port_try_interrupt(&com2),
		.send = com2_send,
		.flush = com2_nothing,
		.sent = com2_sent,
		.notify = com2_notify,
		.idle = com2_idle,
		.receive = com2_receive,
		.receive_done = com2_nothing,
	};
	port_enable(&com2, ENABLE_RECEIVED, true);
	return true;
}
