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

/* The end of a process is told a moment before its capabilities are gone, and then some devices
 * take 100 ms to reset. */
#define BUSY_MS 300

static int64_t device_type(uint32_t number, uint32_t *type)
{
	return capos_device_manager_type_of(capos_caps.devices, number, type);
}

static int64_t registers_type(uint32_t number, uint32_t *type)
{
	struct capos_pci_description description;
	int64_t status = capos_register_manager_describe(
		capos_caps.trusted_devices, number, &description, sizeof(description));

	*type = status < 0 ? 0 : (uint32_t)description.vendor << 16 | description.device;
	return status < 0 ? status : 0;
}

/* One of the two kinds of devices. */
struct kind {
	int64_t (*type)(uint32_t number, uint32_t *type);
	int64_t (*open)(capos_cap_t manager, uint32_t number, capos_cap_t *device);
};
static const struct kind devices = { device_type, capos_device_manager_open };
static const struct kind registers = { registers_type, capos_register_manager_open };

static int64_t find(const struct kind *kind, uint32_t type, uint32_t index, uint32_t *number)
{
	uint32_t found;
	int64_t status;

	for (*number = 0;; ++*number) {
		status = kind->type(*number, &found);
		if (status < 0)
			return status;
		if (found == type && index-- == 0)
			return 0;
	}
}

static int64_t take(const struct kind *kind, capos_cap_t manager, uint32_t type, uint32_t index,
	capos_cap_t *device)
{
	uint32_t number;
	int64_t status = find(kind, type, index, &number);

	if (status < 0)
		return status;
	for (uint32_t i = 0; i < BUSY_MS; i++) {
		status = kind->open(manager, number, device);
		if (status != CAPOS_E(BUSY))
			break;
		capos_sleep_ns(NS_PER_MS);
	}
	return status;
}

int64_t device_open(uint32_t type, uint32_t index, capos_cap_t *device)
{
	return take(&devices, capos_caps.devices, type, index, device);
}

int64_t registers_open(uint32_t type, uint32_t index, capos_cap_t *device)
{
	return take(&registers, capos_caps.trusted_devices, type, index, device);
}

void devices_tell(const char *service, const char *device)
{
	char text[128];
	size_t length = 0;
	uint32_t type;

	text[0] = 0;
	for (uint32_t i = 0; length < sizeof(text) && device_type(i, &type) == 0; i++)
		length += (size_t)snprintf(
			text + length, sizeof(text) - length, " virtio's type %" PRIu32, type);
	for (uint32_t i = 0; length < sizeof(text) && registers_type(i, &type) == 0; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
			" pci:%04" PRIx32 ":%04" PRIx32, type >> 16, type & 0xffff);
	log_line("%s: the machine has no device %s; it has:%s", service, device,
		length > 0 ? text : " none");
}
