/* See terminal.h. Typed bytes come from the serial port. They are made into lines and echoed when
 * the host channel's input asks for more, under its lock. */
#include "dev/terminal.h"

#include <capos/abi.h>

#include "arch/ports.h"
#include "core/boot_info.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/string.h"
#include "dev/line_input.h"
#include "dev/screen.h"
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

void terminal_write(const char *text, size_t size)
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

static void write_end(const struct capos_exit_record *record)
{
	char text[128];
	const char *how = record->kind == CAPOS_EXIT_KIND_EXITED ? "exited with status"
		: record->kind == CAPOS_EXIT_KIND_FAULTED        ? "was ended by a fault of kind"
		: record->kind == CAPOS_EXIT_KIND_KILLED
		? "was ended by a key or for lack of memory, kind"
		: "was refused, error";
	int length = text_format(
		text, sizeof text, "capos: program %u %s %d\n", record->program, how, record->code);
	terminal_write(text, (size_t)length);
	if (record->frames_before != record->frames_after ||
		record->objects_before != record->objects_after) {
		length = text_format(text, sizeof text,
			"capos: leak: free frames %lu, then %lu; objects %lu, then %lu\n",
			record->frames_before, record->frames_after, record->objects_before,
			record->objects_after);
		terminal_write(text, (size_t)length);
	}
}

void terminal_message(
	uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size)
{
	struct capos_exit_record record;
	switch (type) {
	case CAPOS_HOST_MESSAGE_STDOUT:
	case CAPOS_HOST_MESSAGE_STDERR:
	case CAPOS_HOST_MESSAGE_TRACE:
	case CAPOS_HOST_MESSAGE_STATS:
		terminal_write(head, head_size);
		terminal_write(body, body_size);
		break;
	case CAPOS_HOST_MESSAGE_EXIT:
		memcpy(&record, head, sizeof record);
		write_end(&record);
		break;
	default:
		break; /* logged as well, or for a host only */
	}
}

/* ---- input ---- */

static const uint8_t *terminal_receive(size_t max, size_t *got)
{
	char echo[LINE_ECHO_MAX];
	uint8_t byte;
	while (uart_log_receive(&byte))
		terminal_write(echo, line_input_type(&typed, byte, echo));
	return line_input_take(&typed, max, got);
}

static void nothing(void)
{
}

static void write_nothing(const void *bytes, size_t size)
{
	(void)bytes, (void)size;
}

void terminal_input_init(struct transport *transport, void (*received)(void))
{
	*transport = (struct transport){
		.write = write_nothing, /* output is not framed: terminal_message() */
		.flush = nothing,
		.receive = terminal_receive,
		.receive_done = nothing,
		.drain = uart_log_drain,
	};
	uart_log_listen(received);
}

void terminal_linger(uint64_t seconds)
{
	if (!screen_present() || !seconds)
		return;
	log_printf("capos: the machine is switched off in %lu s", seconds);
	status_t status = thread_sleep_until(clock_now_ns() + seconds * NS_PER_S, false);
	(void)status;
}
