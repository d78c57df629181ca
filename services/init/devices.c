/* A device is opened for each process of its service, so that it begins reset. init keeps no
 * capability for it: the end of the service's is the device's reset. */
#include "devices.h"

#include <inttypes.h>
#include <stdio.h>

#include <capos/caps.h>
#include <capos/stubs.h>
#include <capos/time.h>

#include "log.h"

#define NS_PER_MS 1000000ull

/* The end of a process is told a moment before its capabilities are gone. */
#define BUSY_MS 100

static int64_t find(uint32_t type, uint32_t index, uint32_t *number)
{
	uint32_t found;
	int64_t status;

	for (*number = 0;; ++*number) {
		status = capos_device_manager_type_of(capos_caps.devices, *number, &found);
		if (status < 0)
			return status;
		if (found == type && index-- == 0)
			return 0;
	}
}

int64_t device_open(uint32_t type, uint32_t index, capos_cap_t *device)
{
	uint32_t number;
	int64_t status = find(type, index, &number);

	if (status < 0)
		return status;
	for (uint32_t i = 0; i < BUSY_MS; i++) {
		status = capos_device_manager_open(capos_caps.devices, number, device);
		if (status != CAPOS_E(BUSY))
			break;
		capos_sleep_ns(NS_PER_MS);
	}
	return status;
}

void devices_tell(const char *service, const char *device)
{
	char text[128] = "none";
	size_t length = 0;
	uint32_t type;

	for (uint32_t i = 0; length < sizeof(text) &&
		capos_device_manager_type_of(capos_caps.devices, i, &type) == 0;
		i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%" PRIu32,
			length > 0 ? ", " : "", type);
	log_line("%s: the machine has no device %s; virtio's types of those it has: %s", service,
		device, text);
}
