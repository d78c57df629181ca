/* A trusted driver in its first and second life: reads and writes the registers of QEMU's edu
 * device (docs/specs/edu.rst of QEMU), or of its NVMe controller (NVMe 1.4, section 3.1), and then
 * ends by a fault with the registers mapped. What it left in the controller is gone in the next
 * life, because that device has a reset of its own. The edu device interrupts, too, and asks for an
 * interrupt when its driver ends. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <capos/capos.h>

#define EDU_BYTES 0x1000u
#define NVME_BYTES 0x2000u
#define FACTORIAL_INTERRUPTS 0x80u
#define EDU_FACTORIAL 8u
#define EDU_STATUS 0x20u
#define EDU_ASKS 0x24u /* for an interrupt: the reasons, as bits */
#define EDU_ASK 0x60u
#define EDU_ASK_NO_MORE 0x64u
#define BIT 2u /* of the event */
#define SOON_NS 5000000ull
#define LATE_NS 2000000000ull
#define NVME_VERSION 8u
#define NVME_MASK 0xcu
#define NVME_CONTROL 0x14u
#define NVME_STATUS 0x1cu /* 1: it works */
#define ENABLED 0x460001u /* with entries of 64 and 16 bytes */
#define MASKED 5u
#define NVME_BUFFER 2u /* the region of the controller's memory buffer */
#define BUFFER_BYTES 0x10000u
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
	return (description.flags & CAPOS_DEVICE_INTERRUPTS) != 0 &&
		(description.flags & CAPOS_DEVICE_RESETS_ITSELF) == resets_itself;
}

/* Whether the device interrupts before that time. */
static bool interrupts(capos_cap_t event, uint64_t within_ns)
{
	uint64_t bits = 0;

	return capos_event_wait(event, BIT, capos_now_ns() + within_ns, &bits) == 0 && bits == BIT;
}

/* One interrupt, none before it is acknowledged, another because the device still asks for it, and
 * none when it does no more. */
static void take_interrupts(capos_cap_t device, capos_cap_t event, bool came[4])
{
	came[0] = interrupts(event, LATE_NS);
	came[1] = interrupts(event, SOON_NS);
	capos_device_registers_acknowledge(device);
	came[2] = interrupts(event, LATE_NS);
	set(EDU_ASK_NO_MORE, get(EDU_ASKS));
	capos_device_registers_acknowledge(device);
	came[3] = interrupts(event, SOON_NS);
}

/* An event that is bound through a copy: none comes any more when that has been taken back. */
static bool comes_through_a_copy(capos_cap_t device, capos_cap_t event, bool revoked)
{
	capos_cap_t lease = 0, copy = 0;

	if (capos_lease_factory_create(capos_caps.lease_factory, device, &lease) < 0 ||
		capos_lease_copy(lease, &copy) < 0 ||
		capos_device_registers_bind(copy, event, BIT) < 0)
		return !revoked;
	if (revoked)
		capos_lease_revoke(lease);
	set(EDU_ASK, 2);
	bool came = interrupts(event, revoked ? SOON_NS : LATE_NS);
	set(EDU_ASK_NO_MORE, get(EDU_ASKS));
	capos_device_registers_acknowledge(device);
	capos_release(copy);
	capos_release(lease);
	return came;
}

static int drive_edu(void)
{
	capos_cap_t device = capos_cap("pci:1234:11e8"), event = 0;
	bool came[6];

	if (!map("pci:1234:11e8", EDU_BYTES, false) ||
		capos_event_factory_create(capos_caps.event_factory, &event) < 0 ||
		capos_device_registers_bind(device, event, BIT) < 0)
		return 1;
	set(4, 0x12345678);
	uint32_t inverted = get(4);
	set(EDU_ASK_NO_MORE, get(EDU_ASKS)); /* as an earlier driver has left it */
	capos_device_registers_acknowledge(device);
	set(EDU_STATUS, FACTORIAL_INTERRUPTS);
	set(EDU_FACTORIAL, 10);
	take_interrupts(device, event, came);
	came[4] = comes_through_a_copy(device, event, false);
	came[5] = comes_through_a_copy(device, event, true);
	fprintf(stderr,
		"edu: id %" PRIx32 ", %" PRIx32 ", 10! is %" PRIu32
		", interrupts %d %d %d %d %d %d\n",
		get(0) & 0xff, inverted, get(EDU_FACTORIAL), came[0], came[1], came[2], came[3],
		came[4], came[5]);
	set(EDU_ASK, 4);
	return 0;
}

/* Writes the controller's memory through a write-combining mapping, and reads what is there. */
static bool buffer_keeps_words(capos_cap_t device)
{
	const uint32_t prot = CAPOS_PROT_READ | CAPOS_PROT_WRITE | CAPOS_DEVICE_COMBINE;
	struct capos_pci_description description;
	uint64_t address;

	if (capos_device_registers_info(device, &description, sizeof(description)) < 0 ||
		description.prefetchable != 1u << NVME_BUFFER ||
		capos_device_registers_map(
			device, NVME_BUFFER, 0, 0, BUFFER_BYTES, prot, &address) < 0)
		return false;
	volatile uint32_t *words = (volatile uint32_t *)address;
	uint32_t count = BUFFER_BYTES / sizeof(*words), same = 0;
	for (uint32_t i = 0; i < count; i++)
		words[i] = i * 2654435761u;
	__asm__ volatile("sfence" : : : "memory");
	for (uint32_t i = 0; i < count; i++)
		same += words[i] == i * 2654435761u;
	return same == count;
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
		", now %" PRIx32 ", buffer %d\n",
		get(NVME_VERSION), status, get(NVME_STATUS), mask, get(NVME_MASK),
		buffer_keeps_words(capos_cap("pci:1b36:0010")));
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
