/* A trusted driver in its first and second life: reads and writes the registers of QEMU's edu
 * device (docs/specs/edu.rst of QEMU), or of its NVMe controller (NVMe 1.4, section 3.1), and then
 * ends by a fault with the registers mapped. What it left in the controller is gone in the next
 * life, because that device has a reset of its own. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <capos/capos.h>

#define EDU_BYTES 0x1000u
#define NVME_BYTES 0x2000u
#define FACTORIAL_BUSY 1u
#define NVME_VERSION 8u
#define NVME_MASK 0xcu
#define NVME_CONTROL 0x14u
#define NVME_STATUS 0x1cu /* 1: it works */
#define ENABLED 0x460001u /* with entries of 64 and 16 bytes */
#define MASKED 5u
#define ALIVE_NS 300000000ull

static volatile uint32_t *registers;

static uint32_t get(unsigned offset)
{
	return registers[offset / sizeof(*registers)];
}

static void set(unsigned offset, uint32_t value)
{
	registers[offset / sizeof(*registers)] = value;
}

static int map(const char *name, uint64_t bytes, bool resets_itself)
{
	struct capos_pci_description description;
	uint64_t address;
	capos_cap_t device = capos_cap(name);
	int64_t status = capos_device_registers_info(device, &description, sizeof(description));

	if (status >= 0)
		status = capos_device_registers_map(
			device, 0, 0, 0, bytes, CAPOS_PROT_READ | CAPOS_PROT_WRITE, &address);
	if (status < 0) {
		fprintf(stderr, "driver: %s: %s\n", name, capos_error_name(status));
		return 0;
	}
	registers = (volatile uint32_t *)address;
	return (description.flags & CAPOS_DEVICE_RESETS_ITSELF) == resets_itself;
}

static int drive_edu(void)
{
	if (!map("pci:1234:11e8", EDU_BYTES, false))
		return 1;
	set(4, 0x12345678);
	uint32_t inverted = get(4);
	set(8, 10);
	while (get(0x20) & FACTORIAL_BUSY)
		;
	fprintf(stderr, "edu: id %" PRIx32 ", %" PRIx32 ", 10! is %" PRIu32 "\n", get(0) & 0xff,
		inverted, get(8));
	return 0;
}

static int drive_nvme(void)
{
	if (!map("pci:1b36:0010", NVME_BYTES, true))
		return 1;
	uint32_t status = get(NVME_STATUS), mask = get(NVME_MASK);
	set(NVME_CONTROL, ENABLED);
	set(NVME_MASK, MASKED);
	fprintf(stderr,
		"nvme: version %" PRIx32 ", status %" PRIx32 ", now %" PRIx32 ", mask %" PRIx32
		", now %" PRIx32 "\n",
		get(NVME_VERSION), status, get(NVME_STATUS), mask, get(NVME_MASK));
	return 0;
}

int main(int argc, char **argv)
{
	int status = argc > 1 && strcmp(argv[1], "edu") == 0 ? drive_edu() : drive_nvme();

	if (status != 0)
		return status;
	capos_event_signal(capos_cap("ready"), 1);
	capos_sleep_ns(ALIVE_NS); /* the device is taken meanwhile */
	return *(volatile int *)(uintptr_t)argc;
}
