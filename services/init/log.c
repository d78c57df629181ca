/* Each line is one write, so that lines of services do not come in between. */
#include "log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <capos/caps.h>
#include <capos/stubs.h>

#define LINE_BYTES 200

void log_line(const char *format, ...)
{
	char line[LINE_BYTES] = "init: ";
	size_t length = sizeof("init: ") - 1;
	va_list list;

	va_start(list, format);
	int written = vsnprintf(line + length, sizeof(line) - length - 1, format, list);
	va_end(list);
	if (written > 0)
		length += (size_t)written;
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	/* There is nowhere to tell of a line that cannot be written. */
	(void)capos_console_write(capos_caps.standard_error, line, length);
}
