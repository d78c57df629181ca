/* Takes devices with registers as their drivers let it, and provokes the errors of the calls. */
#include <inttypes.h>
#include <stdio.h>

#include <capos/capos.h>

#define PAGE CAPOS_PAGE_SIZE
#define RW (CAPOS_PROT_READ | CAPOS_PROT_WRITE)
#define POLL_NS 1000000ull

static int64_t find(uint16_t vendor, uint32_t *number)
{
	struct capos_pci_description description;
	int64_t status;

	for (*number = 0;; ++*number) {
		status = capos_register_manager_describe(
			capos_caps.trusted_devices, *number, &description, sizeof(description));
		if (status < 0 || description.vendor == vendor)
			return status < 0 ? status : 0;
	}
}

static void expect(const char *what, int64_t status, int64_t wanted)
{
	if (status != wanted)
		printf("other: %s: %s\n", what, capos_error_name(status));
}

static int64_t map(capos_cap_t device, uint32_t bar, uint64_t hint, uint64_t offset, uint64_t size,
	uint32_t prot)
{
	uint64_t address;

	return capos_device_registers_map(device, bar, hint, offset, size, prot, &address);
}

static void provoke(capos_cap_t device)
{
	capos_cap_t manager = capos_caps.trusted_devices, none;

	expect("describe", capos_register_manager_describe(manager, 99, &none, 64),
		CAPOS_E(NOT_FOUND));
	expect("describe to nowhere", capos_register_manager_describe(manager, 0, (void *)8, 64),
		CAPOS_E(BAD_ADDRESS));
	expect("info to nowhere", capos_device_registers_info(device, (void *)8, 64),
		CAPOS_E(BAD_ADDRESS));
	expect("open", capos_register_manager_open(manager, 99, &none), CAPOS_E(NOT_FOUND));
	expect("no such region", map(device, 5, 0, 0, PAGE, RW), CAPOS_E(NOT_FOUND));
	expect("far region", map(device, 99, 0, 0, PAGE, RW), CAPOS_E(NOT_FOUND));
	expect("exec", map(device, 0, 0, 0, PAGE, CAPOS_PROT_EXEC | CAPOS_PROT_READ),
		CAPOS_E(NO_RIGHTS));
	expect("nothing", map(device, 0, 0, 0, 0, RW), CAPOS_E(INVALID_ARGUMENT));
	expect("crooked", map(device, 0, 0, 8, PAGE, RW), CAPOS_E(MISALIGNED));
	expect("beyond", map(device, 0, 0, 1ull << 30, PAGE, RW), CAPOS_E(OUT_OF_RANGE));
	expect("too much", map(device, 0, 0, 0, 1ull << 30, RW), CAPOS_E(OUT_OF_RANGE));
}

/* The device stays taken while its registers are mapped. */
static void keep(uint32_t number, capos_cap_t device)
{
	capos_cap_t manager = capos_caps.trusted_devices, again;

	expect("map", map(device, 0, 0, 0, PAGE, RW), 0);
	expect("release", capos_release(device), 0);
	expect("open of one mapped", capos_register_manager_open(manager, number, &again),
		CAPOS_E(BUSY));
}

int main(void)
{
	uint32_t number;
	capos_cap_t device;
	int64_t status = find(0x1b36, &number);
	unsigned busy = 0;

	if (status < 0)
		return 1;
	/* The driver is alive twice, and the device is free in between and afterwards. */
	while ((status = capos_register_manager_open(
			capos_caps.trusted_devices, number, &device)) == CAPOS_E(BUSY)) {
		busy++;
		capos_sleep_ns(POLL_NS);
	}
	if (status < 0)
		return 2;
	provoke(device);
	keep(number, device);
	printf("other: the device was %s, then free\n", busy > 0 ? "taken" : "free");
	return 0;
}
