/* Xen public/arch-x86/hvm/start_info.h, version 1 and later: a structure with the addresses of a
 * module list, a command line, the ACPI root pointer and a memory map. The first module is the boot
 * image. */
#include "machine/pc/pvh.h"

#include "core/string.h"

#define START_INFO_MAGIC 0x336ec578u
#define MEMORY_RAM 1
#define MEMORY_MAP_ENTRIES_MAX 4096u

struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};

struct boot_module {
	uint64_t start, size, command_line, reserved;
};

struct memory_map_entry {
	uint64_t start, size;
	uint32_t type, reserved;
};

static bool inside(uint64_t address, uint64_t size, uint64_t reach)
{
	return address <= reach && size <= reach - address;
}

static const char *read_memory_map(
	const struct start_info *info, uint64_t reach, struct boot_info *boot)
{
	if (info->memory_map_entries > MEMORY_MAP_ENTRIES_MAX ||
		!inside(info->memory_map,
			info->memory_map_entries * sizeof(struct memory_map_entry), reach))
		return "the loader's memory map is out of reach";
	const uint8_t *map = phys_to_virt(info->memory_map);
	struct memory_map_entry entry;
	for (int usable = 1; usable >= 0; usable--) {
		for (uint32_t i = 0; i < info->memory_map_entries; i++) {
			memcpy(&entry, map + i * sizeof entry, sizeof entry);
			if (usable && entry.type == MEMORY_RAM)
				boot_info_add_ram(boot, entry.start, entry.size);
			else if (!usable && entry.type != MEMORY_RAM)
				boot_info_remove_ram(boot, entry.start, entry.size);
		}
	}
	return NULL;
}

static const char *read_command_line(
	const struct start_info *info, uint64_t reach, struct boot_info *boot)
{
	if (!info->command_line)
		return NULL;
	if (info->command_line >= reach)
		return "the loader's command line is out of reach";
	uint64_t room = reach - info->command_line;
	const char *line = phys_to_virt(info->command_line);
	size_t length = strnlen(line, room < COMMAND_LINE_MAX ? room : COMMAND_LINE_MAX);
	if (length == room || length == COMMAND_LINE_MAX)
		return "the kernel's command line has 2048 bytes or more";
	memcpy(boot->command_line, line, length + 1);
	return NULL;
}

const char *pvh_read(paddr_t start_info, uint64_t reach, struct boot_info *boot)
{
	struct start_info info;
	if (!inside(start_info, sizeof info, reach))
		return "the loader's start information is out of reach";
	memcpy(&info, phys_to_virt(start_info), sizeof info);
	if (info.magic != START_INFO_MAGIC)
		return "not started by a PVH or Multiboot2 loader";
	if (info.version < 1)
		return "the loader gives no memory map (start information of version 0)";
	const char *problem = read_memory_map(&info, reach, boot);
	if (!problem)
		problem = read_command_line(&info, reach, boot);
	if (problem)
		return problem;
	if (info.module_count) {
		struct boot_module module;
		if (!inside(info.modules, sizeof module, reach))
			return "the loader's module list is out of reach";
		memcpy(&module, phys_to_virt(info.modules), sizeof module);
		if (!inside(module.start, module.size, reach))
			return "the boot image is out of reach";
		boot->image = module.start;
		boot->image_size = module.size;
	}
	boot->has_root_pointer = info.rsdp && inside(info.rsdp, sizeof boot->root_pointer, reach);
	if (boot->has_root_pointer)
		memcpy(boot->root_pointer, phys_to_virt(info.rsdp), sizeof boot->root_pointer);
	return boot->usable_count ? NULL : "the loader reports no usable memory";
}
