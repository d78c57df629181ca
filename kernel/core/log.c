/* The text log on the machine's own terminal. The terminal registers itself, because the log is in
 * a lower layer than every device. */
#include "core/log.h"

#include "core/lock.h"
#include "core/panic.h"

static struct spinlock log_lock = SPINLOCK_INIT(LOG);
static void (*log_output)(const char *text, size_t size); /* set once at boot */

void log_set_output(void (*output)(const char *text, size_t size))
{
	log_output = output;
}

void log_printf(const char *format, ...)
{
	char line[256];
	va_list arguments;
	bool alone = panic_begun(); /* the other CPUs have stopped, perhaps with the lock */
	va_start(arguments, format);
	int length = text_vformat(line, sizeof line - 1, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof line - 2)
		length = sizeof line - 2;
	line[length] = '\n';
	if (!log_output)
		return;
	if (!alone)
		spin_lock(&log_lock);
	log_output(line, (size_t)length + 1);
	if (!alone)
		spin_unlock(&log_lock);
}
