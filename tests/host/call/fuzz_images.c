/* Fuzzer of the input that the kernel reads from outside before a program runs: the boot image, the
 * executables in it, the command line, the host channel's input. Accepted input must have the
 * properties that the readers' headers state. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "machine/pc/acpi.h"
#include "core/log.h"
#include "dev/channel_input.h"
#include "dev/command_line.h"
#include "images.h"
#include "proc/boot_image.h"

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static void check_elf(const uint8_t *bytes, size_t size)
{
	struct elf_image image;
	const char *reason;
	if (parse_bytes(bytes, size, &image, &reason) != STATUS_OK) {
		MUST(reason[0]);
		return;
	}
	MUST(image.segment_count > 0 && image.segment_count <= ELF_SEGMENTS_MAX);
	uint64_t end = 0;
	for (uint32_t i = 0; i < image.segment_count; i++) {
		const struct elf_segment *segment = &image.segments[i];
		uint64_t start = segment->address & ~4095ull;
		MUST(start >= end && segment->address >= ELF_ADDRESS_MIN);
		MUST(segment->memory_size &&
			segment->memory_size <= CAPOS_USER_TOP - segment->address);
		MUST(segment->file_size <= segment->memory_size && segment->offset <= size &&
			segment->file_size <= size - segment->offset);
		MUST(segment->address % 4096 == segment->offset % 4096);
		MUST((segment->prot & (CAPOS_PROT_WRITE | CAPOS_PROT_EXEC)) !=
			(CAPOS_PROT_WRITE | CAPOS_PROT_EXEC));
		end = (segment->address + segment->memory_size + 4095) & ~4095ull;
	}
	if (image.tls.memory_size) {
		MUST(image.tls.file_size <= image.tls.memory_size && image.tls.align &&
			!(image.tls.align & (image.tls.align - 1)));
		uint64_t size = elf_tls_size(&image.tls);
		MUST(size >= image.tls.memory_size &&
			size - image.tls.memory_size < image.tls.align);
	}
}

static void check_strings(const struct boot_image *image, const struct boot_image_strings *strings)
{
	const char *cursor = strings->bytes;
	for (uint32_t i = 0; i < strings->count; i++)
		cursor += strlen(cursor) + 1;
	MUST(cursor == strings->bytes + strings->size);
	MUST((const uint8_t *)cursor <= image->bytes + image->loaded_size);
}

static void check_boot_image(const uint8_t *bytes, size_t size)
{
	struct boot_image image;
	const char *reason;
	if (boot_image_open(bytes, size, &image, &reason) != STATUS_OK) {
		MUST(reason[0]);
		return;
	}
	MUST(image.loaded_size == size && image.size <= size && image.manifest_size <= image.size);
	MUST(image.size % CAPOS_PAGE_SIZE == 0 || image.size == size);
	for (uint32_t i = 0; i < image.program_count && i < 64; i++) {
		struct boot_image_program program;
		if (boot_image_program(&image, i, &program, &reason) != STATUS_OK)
			continue;
		MUST(program.elf >= bytes &&
			program.elf_size <= (uint64_t)(bytes + size - program.elf));
		check_strings(&image, &program.args);
		check_strings(&image, &program.env);
		check_elf(program.elf, program.elf_size);
	}
}

static void check_command_line(const uint8_t *bytes, size_t size)
{
	char *line = malloc(size + 1);
	memcpy(line, bytes, size);
	line[size] = '\0';
	const char *cursor = line, *value;
	size_t length;
	while (command_line_next(&cursor, "virtio_mmio.device", &value, &length)) {
		struct mmio_device_parameter device;
		MUST(value + length <= line + size);
		if (command_line_mmio_device(value, length, &device))
			MUST(device.gsi < 256);
	}
	command_line_has(line, "channel", "virtio");
	free(line);
}

_Noreturn void panic(const char *format, ...)
{
	(void)format;
	abort();
}

static void check_input(const uint8_t *bytes, size_t size)
{
	struct channel_input input;
	uint8_t buffer[48], taken[48];
	channel_input_init(&input, buffer, sizeof buffer);
	while (size) {
		size_t room = channel_input_room(&input), part = size < 7 ? size : 7;
		if (room < part)
			part = room;
		channel_input_feed(&input, bytes, part);
		bytes += part;
		size -= part;
		MUST(input.count + input.held <= input.size);
		if (channel_input_room(&input))
			continue;
		size_t count = channel_input_take(&input, taken, 5);
		MUST(count > 0);
		channel_input_keep(&input, count);
	}
}

static const uint8_t *acpi_bytes;
static size_t acpi_size;

static const void *reach_input(uint64_t address, size_t size)
{
	return address <= acpi_size && size <= acpi_size - address ? acpi_bytes + address : NULL;
}

static void check_acpi(const uint8_t *bytes, size_t size)
{
	struct acpi_machine machine;
	acpi_bytes = bytes;
	acpi_size = size;
	for (uint64_t rsdp = 1; rsdp < 64; rsdp += 7) {
		acpi_read(reach_input, rsdp, &machine);
		MUST(machine.cpu_count <= CAPOS_CPUS_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	/* An exact copy on the heap, so that the sanitizer sees a read past its end. */
	uint8_t *copy = aligned_alloc(4096, (size - 1 + 4095) & ~4095ul);
	memcpy(copy, data + 1, size - 1);
	switch (data[0] % 5) {
	case 0:
		check_elf(copy, size - 1);
		break;
	case 1:
		check_boot_image(copy, size - 1);
		break;
	case 2:
		check_command_line(copy, size - 1);
		break;
	case 3:
		check_acpi(copy, size - 1);
		break;
	default:
		check_input(copy, size - 1);
	}
	free(copy);
	return 0;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* Half of the time starts from a correct image, so that the fuzzer gets past magic numbers. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct test_boot_image image = boot_image_sample();
	struct test_elf elf = elf_sample();
	if (seed % 4 == 0 && max > sizeof elf) {
		memcpy(data + 1, &elf, size = sizeof elf);
		data[0] = 0;
		size++;
	} else if (seed % 4 == 1 && max > sizeof image) {
		memcpy(data + 1, &image, size = sizeof image);
		data[0] = 1;
		size++;
	}
	size_t changes = 1 + seed / 4 % 3;
	size_t header = data[0] % 4 == 1 ? 265 : 64 + 3 * 56;
	for (size_t i = 0; i < changes && size > header + 1; i++)
		LLVMFuzzerMutate(data + 1 + (seed >> (4 + i)) % header, 8 < size ? 8 : size, 8);
	return LLVMFuzzerMutate(data, size, max);
}
