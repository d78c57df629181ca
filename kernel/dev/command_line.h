/* Kernel parameters: the command line holds `name` or `name=value`, separated by blanks. Pure. */
#ifndef CAPOS_DEV_COMMAND_LINE_H
#define CAPOS_DEV_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next parameter called name, at or after *line, which moves behind it. value and length
 * describe the text after the '=' (length 0 without one). Start with *line at the beginning of the
 * line. False when none is left. */
bool command_line_next(const char **line, const char *name, const char **value, size_t *length);
/* Whether the parameter is there, with this value (NULL: any value or none). */
bool command_line_has(const char *line, const char *name, const char *value);

/* The number that is the parameter's value, decimal or 0x; without the parameter, or a number
 * there, what is given. */
uint64_t command_line_number(const char *line, const char *name, uint64_t without);

/* "SIZE@BASE:IRQ" of a virtio_mmio.device parameter; sizes may end in K or M. */
struct mmio_device_parameter {
	uint64_t base, size;
	unsigned gsi;
};
bool command_line_mmio_device(
	const char *value, size_t length, struct mmio_device_parameter *device);

#endif
