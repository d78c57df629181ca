/* A small correct executable and a small correct boot image, for tests and fuzzers to break. */
#ifndef TEST_CALL_IMAGES_H
#define TEST_CALL_IMAGES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <capos/abi.h>

#include "proc/elf.h"

struct test_phdr {
	uint32_t type, flags;
	uint64_t offset, address, physical, file_size, memory_size, align;
};

struct test_elf {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, program_offset, section_offset;
	uint32_t flags;
	uint16_t header_size, program_entry_size, program_count, section_entry_size, section_count,
		section_names;
	struct test_phdr headers[3];
	uint8_t tail[0x1000 - 64 - 3 * 56];
	struct capos_program_mark mark;
	uint8_t code[16];
};

#define PHDR(index, field) (64 + 56 * (index) + offsetof(struct test_phdr, field))

/* Headers and TLS image in the first segment, code in the second. */
static inline struct test_elf elf_sample(void)
{
	struct test_elf elf = {
		.ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 },
		.type = 2,
		.machine = 62,
		.version = 1,
		.entry = 0x201000,
		.program_offset = 64,
		.header_size = 64,
		.program_entry_size = 56,
		.program_count = 3,
		.headers = {
			{
				.type = 1,
				.flags = 4,
				.offset = 0,
				.address = 0x200000,
				.file_size = 0x200,
				.memory_size = 0x200,
				.align = 4096,
			},
			{
				.type = 1,
				.flags = 5,
				.offset = 0x1000,
				.address = 0x201000,
				.file_size = 0x20,
				.memory_size = 0x20,
				.align = 4096,
			},
			{
				.type = 7,
				.flags = 4,
				.offset = 0x100,
				.address = 0x200100,
				.file_size = 0x10,
				.memory_size = 0x20,
				.align = 32,
			},
		},
		.mark = {
			.jump = CAPOS_PROGRAM_MARK_JUMP,
			.name = "capOS",
			.version = CAPOS_ABI_VERSION,
		},
	};
	return elf;
}

struct test_boot_image {
	struct capos_boot_image_header header;
	struct capos_boot_program program;
	struct capos_boot_file root;
	char args[5], env[4];
	uint8_t padding[4096 - 64 - 128 - 64 - 9];
	struct test_elf elf;
};

#define PROGRAM(field) (64 + offsetof(struct capos_boot_program, field))

static inline struct test_boot_image boot_image_sample(void)
{
	struct test_boot_image image = {
		.header = {
			.magic = CAPOS_BOOT_IMAGE_MAGIC,
			.version = CAPOS_ABI_VERSION,
			.program_count = 1,
			.programs_offset = 64,
			.file_count = 1,
			.files_offset = 192,
			.total_size = sizeof image,
		},
		.program = {
			.elf_offset = 4096,
			.elf_size = sizeof(struct test_elf),
			.args_offset = offsetof(struct test_boot_image, args),
			.args_size = 5,
			.args_count = 2,
			.env_offset = offsetof(struct test_boot_image, env),
			.env_size = 4,
			.env_count = 1,
		},
		.root = { .mode = 040755 },
		.args = { 'p', 'r', 'o', 0, 0 },
		.env = { 'A', '=', 'b', 0 },
		.elf = elf_sample(),
	};
	return image;
}

/* In pieces of a few bytes, as where a program's pages are apart. */
static inline const void *piece_at(
	const struct elf_source *source, uint64_t offset, uint64_t *length)
{
	uint64_t left = source->size - offset, piece = 37 - offset % 37;
	*length = piece < left ? piece : left;
	return (const uint8_t *)source->bytes + offset;
}

static inline status_t parse_bytes(
	const void *bytes, size_t size, struct elf_image *image, const char **reason)
{
	const struct elf_source source = { size, piece_at, bytes };
	return elf_parse(&source, image, reason);
}

#endif
