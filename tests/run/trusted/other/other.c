/* Takes devices with registers as their drivers let it, and provokes the errors of the calls. */
#include <inttypes.h>
#include <stdio.h>

#include <capos/capos.h>

#define PAGE CAPOS_PAGE_SIZE
#define RW (CAPOS_PROT_READ | CAPOS_PROT_WRITE)
#define POLL_NS 1000000ull
#define EVENTS_MAX 128u
#define BUFFER 2u /* the region of the NVMe controller that is memory */
#define EDU_ASK 0x60u
#define ROUNDS 100u

#define DESCRIBE "RegisterManager.describe"
#define OPEN "RegisterManager.open"
#define INFO "DeviceRegisters.info"
#define MAP "DeviceRegisters.map"
#define BIND "DeviceRegisters.bind"
#define ACKNOWLEDGE "DeviceRegisters.acknowledge"

enum { NVME, EDU, PLAIN, KINDS };
static const struct {
	uint16_t vendor, device;
} kinds[KINDS] = { { 0x1b36, 0x10 }, { 0x1234, 0x11e8 }, { 0x1b36, 5 } };

static int64_t find(unsigned kind, uint32_t *number)
{
	struct capos_pci_description description;
	int64_t status;

	for (*number = 0;; ++*number) {
		status = capos_register_manager_describe(
			capos_caps.trusted_devices, *number, &description, sizeof(description));
		if (status < 0 ||
			(description.vendor == kinds[kind].vendor &&
				description.device == kinds[kind].device))
			return status < 0 ? status : 0;
	}
}

static void expect(const char *what, int64_t status, int64_t wanted)
{
	if (status != wanted)
		printf("other: %s: %s\n", what, capos_error_name(status));
}

/* The schema lists the error under this name, which the step machine/errors wants to see. */
static void provoke_error(const char *name, int64_t status, int64_t wanted)
{
	if (status == wanted)
		printf("provoked %s %s\n", name, capos_error_name(status));
	else
		expect(name, status, wanted);
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

	provoke_error(DESCRIBE, capos_register_manager_describe(manager, 99, &none, 64),
		CAPOS_E(NOT_FOUND));
	provoke_error(DESCRIBE, capos_register_manager_describe(manager, 0, (void *)8, 64),
		CAPOS_E(BAD_ADDRESS));
	provoke_error(
		INFO, capos_device_registers_info(device, (void *)8, 64), CAPOS_E(BAD_ADDRESS));
	provoke_error(OPEN, capos_register_manager_open(manager, 99, &none), CAPOS_E(NOT_FOUND));
	provoke_error(MAP, map(device, 5, 0, 0, PAGE, RW), CAPOS_E(NOT_FOUND));
	expect("far region", map(device, 99, 0, 0, PAGE, RW), CAPOS_E(NOT_FOUND));
	provoke_error(MAP, map(device, 0, 0, 0, PAGE, CAPOS_PROT_EXEC | CAPOS_PROT_READ),
		CAPOS_E(NO_RIGHTS));
	expect("combine registers", map(device, 0, 0, 0, PAGE, RW | CAPOS_DEVICE_COMBINE),
		CAPOS_E(NO_RIGHTS));
	expect("combine", map(device, BUFFER, 0, 0, PAGE, RW | CAPOS_DEVICE_COMBINE), 0);
	provoke_error(MAP, map(device, BUFFER, 0, 0, PAGE, RW), CAPOS_E(WRONG_STATE));
	expect("combine more", map(device, BUFFER, 0, PAGE, PAGE, RW | CAPOS_DEVICE_COMBINE), 0);
	provoke_error(MAP, map(device, 0, 0, 0, 0, RW), CAPOS_E(INVALID_ARGUMENT));
	provoke_error(MAP, map(device, 0, 0, 8, PAGE, RW), CAPOS_E(MISALIGNED));
	provoke_error(MAP, map(device, 0, 0, 1ull << 30, PAGE, RW), CAPOS_E(OUT_OF_RANGE));
	provoke_error(BIND, capos_device_registers_bind(device, manager, 1), CAPOS_E(NOT_FOUND));
	expect("too much", map(device, 0, 0, 0, 1ull << 30, RW), CAPOS_E(OUT_OF_RANGE));
}

/* A device without an interrupt line. */
static void provoke_plain(void)
{
	uint32_t number;
	capos_cap_t device;

	if (find(PLAIN, &number) < 0 ||
		capos_register_manager_open(capos_caps.trusted_devices, number, &device) < 0) {
		printf("other: no device without interrupts\n");
		return;
	}
	provoke_error(BIND, capos_device_registers_bind(device, device, 1), CAPOS_E(WRONG_STATE));
	provoke_error(
		ACKNOWLEDGE, capos_device_registers_acknowledge(device), CAPOS_E(WRONG_STATE));
	capos_release(device);
}

/* The device stays taken while its registers are mapped. */
static void keep(uint32_t number, capos_cap_t device)
{
	capos_cap_t manager = capos_caps.trusted_devices, again;

	expect("map", map(device, 0, 0, 0, PAGE, RW), 0);
	expect("release", capos_release(device), 0);
	provoke_error(OPEN, capos_register_manager_open(manager, number, &again), CAPOS_E(BUSY));
}

/* Of a device that is free. Events take the capabilities that the service may hold, and are
 * released again. */
static void fill_slots(uint32_t number)
{
	static capos_cap_t events[EVENTS_MAX];
	uint32_t count = 0;
	capos_cap_t device;

	while (count < EVENTS_MAX &&
		capos_event_factory_create(capos_caps.event_factory, &events[count]) == 0)
		count++;
	provoke_error(OPEN,
		capos_register_manager_open(capos_caps.trusted_devices, number, &device),
		CAPOS_E(NO_SLOTS));
	while (count > 0)
		capos_release(events[--count]);
}

/* Takes the edu device again and again, and lets go of it while it asks for an interrupt, which may
 * have come, be on its way, or be kept back. */
static void let_go_while_it_asks(uint32_t number)
{
	capos_cap_t device, event;
	uint64_t address, bits;

	expect("event", capos_event_factory_create(capos_caps.event_factory, &event), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		expect("again",
			capos_register_manager_open(capos_caps.trusted_devices, number, &device),
			0);
		expect("registers", capos_device_registers_map(device, 0, 0, 0, PAGE, RW, &address),
			0);
		expect("bind", capos_device_registers_bind(device, event, 1), 0);
		if (round % 4 != 0)
			capos_device_registers_acknowledge(device);
		((volatile uint32_t *)address)[EDU_ASK / sizeof(uint32_t)] = 1;
		if (round % 4 == 1)
			expect("interrupt", capos_event_wait(event, 1, CAPOS_WAIT_FOREVER, &bits),
				0);
		if (round % 4 == 2)
			capos_release(event);
		capos_release(device);
		expect("unmap", capos_virtual_memory_unmap(capos_caps.vm, address, PAGE), 0);
		if (round % 4 == 2)
			expect("another",
				capos_event_factory_create(capos_caps.event_factory, &event), 0);
	}
	capos_release(event);
}

/* The last that the program does. Endpoints have records of the size of a device's, so at the end
 * there is no room for one more. */
static void fill_memory(capos_cap_t device)
{
	uint64_t address;
	int64_t status;
	capos_cap_t none;

	while (capos_virtual_memory_map(capos_caps.vm, 0, PAGE, RW, &address) == 0)
		;
	while ((status = map(device, 0, 0, 0, PAGE, RW)) == 0)
		;
	provoke_error(MAP, status, CAPOS_E(NO_MEMORY));
	while ((status = capos_endpoint_factory_create(capos_caps.endpoint_factory, 1, &none)) == 0)
		;
	expect("endpoint", status, CAPOS_E(NO_MEMORY));
	provoke_error(OPEN, capos_register_manager_open(capos_caps.trusted_devices, 0, &none),
		CAPOS_E(NO_MEMORY));
}

/* Waits until its driver has let go of it. *busy: how often it had not. */
static int64_t take(unsigned kind, uint32_t *number, capos_cap_t *device, unsigned *busy)
{
	int64_t status = find(kind, number);

	while (status == 0 &&
		(status = capos_register_manager_open(
			 capos_caps.trusted_devices, *number, device)) == CAPOS_E(BUSY)) {
		++*busy;
		capos_sleep_ns(POLL_NS);
		status = 0;
	}
	return status;
}

int main(void)
{
	uint32_t number;
	capos_cap_t device;
	unsigned busy = 0;

	/* The driver is alive twice, and the device is free in between and afterwards. */
	if (take(NVME, &number, &device, &busy) < 0)
		return 1;
	provoke(device);
	provoke_plain();
	keep(number, device);
	printf("other: the device was %s, then free\n", busy > 0 ? "taken" : "free");
	if (take(EDU, &number, &device, &busy) < 0)
		return 2;
	capos_release(device);
	let_go_while_it_asks(number);
	fill_slots(number);
	if (take(EDU, &number, &device, &busy) < 0)
		return 3;
	fill_memory(device);
	return 0;
}
