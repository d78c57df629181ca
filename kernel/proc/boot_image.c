/* Boot image validation: see boot_image.h. Every offset is checked against the image before
 * anything behind it is read. */
#include "proc/boot_image.h"

#include <stdbool.h>

#include "core/string.h"

#define GRANTS_ALL ((1ull << CAPOS_GRANT_COUNT) - 1)

/* What a program has of which nothing says what it has. Only a manifest calls a driver trusted. */
#define GRANTS_UNSAID (GRANTS_ALL & ~(1ull << CAPOS_GRANT_TRUSTED_DEVICES))

static bool table_inside(uint64_t offset, uint64_t count, uint64_t entry_size, uint64_t size)
{
	return offset <= size && count <= (size - offset) / entry_size;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What is wrong with the header of an image of that size; "" when nothing is. */
static const char *header_mistake(const struct capos_boot_image_header *header, size_t size)
{
	if (header->total_size < sizeof *header || header->total_size > size)
		return "truncated";
	if (header->total_size < size && header->total_size % CAPOS_PAGE_SIZE)
		return "what programs see ends within a page";
	if (header->program_count > PROGRAMS_MAX)
		return "too many programs";
	if (header->programs_offset % 8 || header->files_offset % 8)
		return "misaligned tables";
	if (!table_inside(header->programs_offset, header->program_count,
		    sizeof(struct capos_boot_program), header->total_size))
		return "program table outside the image";
	if (!table_inside(header->files_offset, header->file_count, sizeof(struct capos_boot_file),
		    header->total_size))
		return "file table outside the image";
	if (!table_inside(header->input_offset, header->input_size, 1, size))
		return "input outside the image";
	return "";
}

status_t boot_image_open(
	const void *bytes, size_t size, struct boot_image *image, const char **reason)
{
	struct capos_boot_image_header header;
	*reason = "shorter than its header";
	if (size < sizeof header)
		return STATUS(OUT_OF_RANGE);
	memcpy(&header, bytes, sizeof header);
	*reason = "no boot image (wrong magic)";
	if (header.magic != CAPOS_BOOT_IMAGE_MAGIC)
		return STATUS(OUT_OF_RANGE);
	*reason = "made for another version of the interface";
	image->version = header.version;
	if (header.version != CAPOS_ABI_VERSION)
		return STATUS(WRONG_STATE);
	*reason = header_mistake(&header, size);
	if (**reason)
		return STATUS(OUT_OF_RANGE);
	*image = (struct boot_image){
		.version = header.version,
		.bytes = bytes,
		.size = header.total_size,
		.loaded_size = size,
		.program_count = header.program_count,
		.programs_offset = header.programs_offset,
		.input = header.input_offset ? (const uint8_t *)bytes + header.input_offset : NULL,
		.input_size = header.input_size,
		.manifest_size = larger(sizeof header,
			larger(header.programs_offset +
					header.program_count * sizeof(struct capos_boot_program),
				header.files_offset +
					header.file_count * sizeof(struct capos_boot_file))),
	};
	return STATUS_OK;
}

static bool open_strings(const struct boot_image *image, uint64_t offset, uint64_t size,
	uint32_t count, struct boot_image_strings *strings)
{
	if (!table_inside(offset, size, 1, image->loaded_size) ||
		size > PROGRAM_STRINGS_BYTES_MAX || count > PROGRAM_STRINGS_MAX)
		return false;
	const char *bytes = (const char *)image->bytes + offset;
	uint32_t found = 0;
	for (uint64_t position = 0; position < size; found++) {
		size_t length = strnlen(bytes + position, size - position);
		if (length == size - position)
			return false; /* the last one does not end */
		position += length + 1;
	}
	*strings = (struct boot_image_strings){ .bytes = bytes, .size = size, .count = count };
	return found == count;
}

status_t boot_image_program(const struct boot_image *image, uint32_t index,
	struct boot_image_program *program, const char **reason)
{
	struct capos_boot_program entry;
	*reason = "";
	if (index >= image->program_count) {
		*reason = "no such program";
		return STATUS(NOT_FOUND);
	}
	memcpy(&entry, image->bytes + image->programs_offset + index * sizeof entry, sizeof entry);
	*program = (struct boot_image_program){
		.elf = image->bytes,
		.elf_size = entry.elf_size,
		.grants = entry.grants ? entry.grants : GRANTS_UNSAID,
		.limits = { .pages = entry.committed_limit,
			.counts = { [CAPOS_BUDGET_THREADS - 1] = entry.thread_limit,
				[CAPOS_BUDGET_CAPABILITIES - 1] = entry.capability_limit,
				[CAPOS_BUDGET_CALLS - 1] = entry.call_limit,
				[CAPOS_BUDGET_CPU - 1] = entry.cpu_limit } },
		.together = index && entry.flags & CAPOS_BOOT_PROGRAM_TOGETHER,
	};
	if (entry.elf_offset % CAPOS_PAGE_SIZE ||
		!table_inside(entry.elf_offset, entry.elf_size, 1, image->size))
		*reason = "the program's bytes lie outside the image or are not page-aligned";
	else if (entry.grants & ~GRANTS_ALL)
		*reason = "unknown grants";
	else if (entry.flags & ~CAPOS_BOOT_PROGRAM_TOGETHER)
		*reason = "unknown flags";
	else if (!open_strings(image, entry.args_offset, entry.args_size, entry.args_count,
			 &program->args))
		*reason = "arguments that are not that many terminated strings, or too many";
	else if (!open_strings(
			 image, entry.env_offset, entry.env_size, entry.env_count, &program->env))
		*reason = "environment that is not that many terminated strings, or too many";
	else if (entry.args_size + entry.env_size > PROGRAM_STRINGS_BYTES_MAX)
		*reason = "arguments and environment above 4 MiB";
	if (**reason)
		return STATUS(OUT_OF_RANGE);
	program->elf += entry.elf_offset;
	return STATUS_OK;
}
