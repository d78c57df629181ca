/* Multiboot2 Specification, version 2.0, section 3.6: a total size, then tags of a type and a size,
 * each at a multiple of 8 bytes, the last of type 0. Tags of other types than those read here are
 * skipped. Every field is copied before it is used, because tags are not aligned as C requires. */
#include "machine/pc/multiboot.h"

#include "core/string.h"

enum tag_type {
	TAG_END = 0,
	TAG_COMMAND_LINE = 1,
	TAG_MODULE = 3,
	TAG_MEMORY_MAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_RSDP_OLD = 14,
	TAG_RSDP_NEW = 15,
};

#define INFO_BYTES_MAX 0x100000u
#define MEMORY_RAM 1
#define FRAMEBUFFER_COLOURS 1
#define FRAMEBUFFER_TEXT 2

struct tag {
	uint32_t type, size;
};

struct module_tag {
	struct tag tag;
	uint32_t start, end; /* the command line follows */
};

struct map_tag {
	struct tag tag;
	uint32_t entry_size, entry_version;
};

struct map_entry {
	uint64_t start, size;
	uint32_t type, reserved;
};

struct framebuffer_tag {
	struct tag tag;
	uint64_t address;
	uint32_t pitch, width, height;
	uint8_t bits, type;
	uint16_t reserved;
};

static const char *read_command_line(const char *line, size_t room, struct boot_info *boot)
{
	size_t length = strnlen(line, room);
	if (length == room)
		return "the loader's command line does not end";
	if (length >= COMMAND_LINE_MAX)
		return "the kernel's command line has 2048 bytes or more";
	memcpy(boot->command_line, line, length + 1);
	return NULL;
}

static const char *read_module(const uint8_t *bytes, uint32_t size, struct boot_info *boot)
{
	struct module_tag module;
	const char *name = (const char *)bytes + sizeof module;
	if (size <= sizeof module || strnlen(name, size - sizeof module) == size - sizeof module)
		return "the loader describes a module without an end";
	memcpy(&module, bytes, sizeof module);
	if (module.end < module.start)
		return "the loader describes a module that ends before it begins";
	if (strcmp(name, MULTIBOOT_FONT_MODULE) == 0) {
		boot->font = module.start;
		boot->font_size = module.end - module.start;
		return NULL;
	}
	if (boot->image_size)
		return "the loader gives two boot images";
	boot->image = module.start;
	boot->image_size = module.end - module.start;
	return NULL;
}

static const char *read_memory_map(const uint8_t *bytes, uint32_t size, struct boot_info *boot)
{
	struct map_tag map;
	struct map_entry entry;
	if (size < sizeof map)
		return "the loader's memory map is cut short";
	memcpy(&map, bytes, sizeof map);
	if (map.entry_size < sizeof entry)
		return "the loader's memory map has entries of an unknown form";
	for (int usable = 1; usable >= 0; usable--) {
		for (uint32_t offset = sizeof map; map.entry_size <= size - offset;
			offset += map.entry_size) {
			memcpy(&entry, bytes + offset, sizeof entry);
			if (usable && entry.type == MEMORY_RAM)
				boot_info_add_ram(boot, entry.start, entry.size);
			else if (!usable && entry.type != MEMORY_RAM)
				boot_info_remove_ram(boot, entry.start, entry.size);
		}
	}
	return NULL;
}

/* A screen of an unknown kind is ignored; the machine still has its serial port. */
static void read_framebuffer(const uint8_t *bytes, uint32_t size, struct boot_info *boot)
{
	struct framebuffer_tag tag;
	uint8_t colours[6];
	if (size < sizeof tag)
		return;
	memcpy(&tag, bytes, sizeof tag);
	struct screen_info screen = {
		.address = tag.address,
		.pitch = tag.pitch,
		.width = tag.width,
		.height = tag.height,
		.pixel_bytes = (uint8_t)((tag.bits + 7) / 8),
	};
	if (tag.type == FRAMEBUFFER_TEXT) {
		screen.kind = SCREEN_TEXT;
	} else if (tag.type == FRAMEBUFFER_COLOURS && size >= sizeof tag + sizeof colours) {
		screen.kind = SCREEN_PIXELS;
		memcpy(colours, bytes + sizeof tag, sizeof colours);
		for (int i = 0; i < 3; i++) {
			screen.colour_shift[i] = colours[2 * i];
			screen.colour_bits[i] = colours[2 * i + 1];
		}
	}
	boot->screen = screen;
}

/* A copy of it, in one of two sizes; the larger one is kept. */
static void read_root_pointer(const uint8_t *bytes, uint32_t size, struct boot_info *boot)
{
	if (boot->has_root_pointer && size < sizeof boot->root_pointer)
		return;
	memcpy(boot->root_pointer, bytes,
		size < sizeof boot->root_pointer ? size : sizeof boot->root_pointer);
	boot->has_root_pointer = true;
}

static const char *read_tag(const uint8_t *bytes, struct tag tag, struct boot_info *boot)
{
	switch (tag.type) {
	case TAG_COMMAND_LINE:
		return read_command_line(
			(const char *)bytes + sizeof tag, tag.size - sizeof tag, boot);
	case TAG_MODULE:
		return read_module(bytes, tag.size, boot);
	case TAG_MEMORY_MAP:
		return read_memory_map(bytes, tag.size, boot);
	case TAG_FRAMEBUFFER:
		read_framebuffer(bytes, tag.size, boot);
		return NULL;
	case TAG_RSDP_OLD:
	case TAG_RSDP_NEW:
		read_root_pointer(bytes + sizeof tag, tag.size - sizeof tag, boot);
		return NULL;
	default:
		return NULL;
	}
}

const char *multiboot_read(const void *info, uint64_t reach, struct boot_info *boot)
{
	const uint8_t *bytes = info;
	uint32_t total;
	struct tag tag;
	if (reach < 8)
		return "the loader's boot information is out of reach";
	memcpy(&total, bytes, sizeof total);
	if (total > reach || total > INFO_BYTES_MAX)
		return "the loader's boot information is out of reach";
	for (uint32_t offset = 8;; offset += (tag.size + 7) & ~7u) {
		if (offset > total || total - offset < sizeof tag)
			return "the loader's boot information does not end";
		memcpy(&tag, bytes + offset, sizeof tag);
		if (tag.size < sizeof tag || tag.size > total - offset)
			return "a part of the loader's boot information is larger than the whole";
		if (tag.type == TAG_END)
			break;
		const char *problem = read_tag(bytes + offset, tag, boot);
		if (problem)
			return problem;
	}
	return boot->usable_count ? NULL : "the loader reports no usable memory";
}
