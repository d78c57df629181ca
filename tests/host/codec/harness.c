/* See harness.h. */
#include "harness.h"

#include <string.h>

uint8_t window[WINDOW_BYTES];

static bool in_window(uint64_t address, size_t n)
{
	return address >= WINDOW_BASE && address - WINDOW_BASE <= WINDOW_BYTES &&
		n <= WINDOW_BYTES - (address - WINDOW_BASE);
}

status_t copy_from_user(void *dst, struct user_ptr src, size_t n)
{
	if (!in_window(src.address, n))
		return STATUS(BAD_ADDRESS);
	if (n > 0)
		memcpy(dst, window + (src.address - WINDOW_BASE), n);
	return STATUS_OK;
}

status_t copy_to_user(struct user_ptr dst, const void *src, size_t n)
{
	if (!in_window(dst.address, n))
		return STATUS(BAD_ADDRESS);
	if (n > 0)
		memcpy(window + (dst.address - WINDOW_BASE), src, n);
	return STATUS_OK;
}

const struct method_desc *find_method(const char *name)
{
	const char *dot = strchr(name, '.');

	for (int i = 0; dot != NULL && i < INTERFACE_COUNT; i++) {
		const struct interface_desc *desc = &interface_descs[i];

		if (strlen(desc->name) != (size_t)(dot - name) ||
			strncmp(desc->name, name, strlen(desc->name)) != 0)
			continue;
		for (uint32_t m = 0; m < desc->method_count; m++) {
			if (strcmp(desc->methods[m].name, dot + 1) == 0)
				return &desc->methods[m];
		}
	}
	return NULL;
}
