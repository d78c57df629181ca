/* See terminal.h. What is typed comes from the serial port; it is made into lines and echoed when
 * the host channel's input asks for more, under that one's lock.
 *
 * Text goes straight to port and screen until terminal_open() has given it a queue, and after a
 * panic has begun. */
#include "dev/terminal.h"

#include <capos/abi.h>

#include "arch/ports.h"
#include "core/boot_info.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/percpu.h"
#include "core/string.h"
#include "dev/line_input.h"
#include "dev/screen.h"
#include "dev/sender.h"
#include "dev/uart.h"
#include "machine/clock.h"
#include "sched/thread.h"

#define PIECE_BYTES_MAX 128u
#define NS_PER_S 1000000000ul
#define VGA_INDEX 0x3d4
#define VGA_DATA 0x3d5
#define VGA_CURSOR 0x0a
#define VGA_CURSOR_OFF 0x20

static struct spinlock terminal_lock = SPINLOCK_INIT(TERMINAL);
static struct line_input typed; /* guarded by the input lock of the channel */
static bool queued;             /* set once at boot */
static size_t output_count;     /* bytes sent and not yet counted; of the sender's */

void terminal_use_screen(const struct boot_info *boot, uint64_t reach)
{
	bool has_font = boot->font_size == SCREEN_FONT_BYTES &&
		boot->font <= BOOT_REACH - SCREEN_FONT_BYTES;
	if (screen_present() ||
		!screen_init(&boot->screen, has_font ? phys_to_virt(boot->font) : NULL, reach))
		return;
	if (boot->screen.kind == SCREEN_TEXT) {
		outb(VGA_INDEX, VGA_CURSOR);
		outb(VGA_DATA, VGA_CURSOR_OFF);
	}
}

/* The length of the piece up to the end of a line, at most PIECE_BYTES_MAX. */
static size_t piece_of(const char *text, size_t size)
{
	size_t piece = 0;
	while (piece < size && piece < PIECE_BYTES_MAX && text[piece] != '\n')
		piece++;
	return piece < size && piece < PIECE_BYTES_MAX ? piece + 1 : piece;
}

static void write_directly(const char *text, size_t size)
{
	bool alone = percpu()->in_panic; /* the other CPUs have stopped, perhaps with the lock */
	while (size) {
		size_t piece = piece_of(text, size);
		if (!alone)
			spin_lock(&terminal_lock);
		uart_log_write(text, piece);
		screen_write(text, piece);
		if (!alone)
			spin_unlock(&terminal_lock);
		text += piece;
		size -= piece;
	}
}

void terminal_write(const char *text, size_t size)
{
	if (!queued) {
		write_directly(text, size);
	} else if (!panic_begun()) {
		sender_send_now(text, size);
	} else {
		queued = false; /* what was said before comes first */
		sender_drain_alone();
		write_directly(text, size);
	}
}

/* ---- output in a queue ---- */

/* At most to the end of a line, because a line feed at the screen's bottom is much work. */
static size_t output_send(const uint8_t *bytes, size_t size)
{
	size_t piece = uart_log_send(bytes, piece_of((const char *)bytes, size));
	spin_lock(&terminal_lock);
	screen_write((const char *)bytes, piece);
	spin_unlock(&terminal_lock);
	output_count += piece;
	return piece;
}

static size_t output_sent(void)
{
	size_t sent = output_count;
	output_count = 0;
	return sent;
}

static status_t send_text(const void *head, size_t head_size, const void *body, size_t body_size)
{
	const struct sender_piece pieces[] = { { head, head_size }, { body, body_size } };
	if (queued)
		return head_size + body_size ? sender_send(pieces, 2, true) : STATUS_OK;
	write_directly(head, head_size);
	write_directly(body, body_size);
	return STATUS_OK;
}

/* What a number follows: the exit record's code. */
static const char *end_text(uint32_t kind)
{
	switch (kind) {
	case CAPOS_EXIT_KIND_EXITED:
		return "exited with status";
	case CAPOS_EXIT_KIND_FAULTED:
		return "was ended by a fault of kind";
	case CAPOS_EXIT_KIND_KILLED:
		return "was ended by a key or for lack of memory, kind";
	default:
		return "was not started, error";
	}
}

static status_t send_end(const struct capos_exit_record *record)
{
	char text[256];
	int length = text_format(text, sizeof text, "capos: program %u %s %d\n", record->program,
		end_text(record->kind), record->code);
	if (record->frames_before != record->frames_after ||
		record->objects_before != record->objects_after)
		length += text_format(text + length, sizeof text - (size_t)length,
			"capos: leak: free messages %lu, then %lu; objects %lu, then %lu\n",
			record->frames_before, record->frames_after, record->objects_before,
			record->objects_after);
	return send_text(text, (size_t)length, NULL, 0);
}

status_t terminal_message(
	uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size)
{
	struct capos_exit_record record;
	switch (type) {
	case CAPOS_HOST_MESSAGE_STDOUT:
	case CAPOS_HOST_MESSAGE_STDERR:
	case CAPOS_HOST_MESSAGE_TRACE:
	case CAPOS_HOST_MESSAGE_STATS:
		return send_text(head, head_size, body, body_size);
	case CAPOS_HOST_MESSAGE_EXIT:
		memcpy(&record, head, sizeof record);
		return send_end(&record);
	default:
		return STATUS_OK; /* logged as well, or meant for a host only */
	}
}

/* ---- input ---- */

static const uint8_t *terminal_receive(size_t max, size_t *got)
{
	char echo[LINE_ECHO_MAX];
	uint8_t byte;
	while (uart_log_receive(&byte)) {
		size_t size = line_input_type(&typed, byte, echo);
		if (size)
			terminal_write(echo, size);
	}
	return line_input_take(&typed, max, got);
}

static uint64_t terminal_keys(void)
{
	uint64_t keys = typed.keys;
	typed.keys = 0;
	return keys;
}

static void nothing(void)
{
}

void terminal_open(struct transport *transport, void (*handler)(void), bool listen)
{
	*transport = (struct transport){
		.polled = !uart_log_interrupts(handler),
		.send = output_send, /* output is not framed: terminal_message() */
		.flush = nothing,
		.sent = output_sent,
		.notify = uart_log_notify,
		.idle = uart_log_idle,
		.receive = terminal_receive,
		.receive_done = nothing,
		.keys = terminal_keys,
	};
	queued = sender_init(transport);
	if (listen)
		uart_log_listen();
}

void terminal_linger(uint64_t seconds)
{
	if (!screen_present() || !seconds)
		return;
	log_printf("capos: the machine is switched off in %lu s", seconds);
	status_t status = thread_sleep_until(clock_now_ns() + seconds * NS_PER_S, false);
	(void)status;
}
