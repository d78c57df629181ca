/* What the kernel needs to know from any loader: memory, the boot image, the command line, and on a
 * PC the addresses of its tables and its screen. Readers of the loaders' own formats
 * (machine/pc/pvh.c, multiboot.c) fill it in. It is pure and checks every bound. */
#ifndef CAPOS_CORE_BOOT_INFO_H
#define CAPOS_CORE_BOOT_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/address.h"

#define BOOT_RANGES_MAX 64
#define BOOT_TAKEN_MAX 8
#define COMMAND_LINE_MAX 2048
#define ROOT_POINTER_BYTES 36
/* The direct map holds this much RAM; RAM above is not used. */
#define BOOT_RAM_END_MAX (512ul << 30)
/* Loaders place everything below this address, because the boot page tables reach no further. */
#define BOOT_REACH (4ul << 30)

enum screen_kind { SCREEN_NONE, SCREEN_TEXT, SCREEN_PIXELS };

/* Text: width and height in characters, two bytes each. Pixels: 16, 24 or 32 bits with three colour
 * fields. */
struct screen_info {
	enum screen_kind kind;
	paddr_t address;
	uint32_t pitch, width, height; /* pitch: bytes from one line to the next */
	uint8_t pixel_bytes;
	uint8_t colour_shift[3], colour_bits[3]; /* red, green, blue */
};

struct boot_info {
	struct memory_range usable[BOOT_RANGES_MAX]; /* whole pages, disjoint, unsorted */
	struct memory_range taken[BOOT_TAKEN_MAX];   /* whole pages, disjoint */
	unsigned usable_count, taken_count;
	paddr_t image;
	uint64_t image_size; /* 0: none */
	paddr_t font;
	uint64_t font_size; /* 0: none */
	bool has_root_pointer;
	uint8_t root_pointer[ROOT_POINTER_BYTES]; /* of ACPI (RSDP), unchecked */
	struct screen_info screen;
	char command_line[COMMAND_LINE_MAX];
};

/* Adds RAM that may be used, and address ranges that may not, even where another range says RAM.
 * All RAM comes first, then all other ranges. */
void boot_info_add_ram(struct boot_info *boot, uint64_t start, uint64_t size);
void boot_info_remove_ram(struct boot_info *boot, uint64_t start, uint64_t size);
uint64_t boot_info_ram_end(const struct boot_info *boot);
bool boot_info_is_ram(const struct boot_info *boot, paddr_t start, paddr_t end);

/* Marks bytes as in use, in whole pages. False when they overlap bytes in use, or there are too
 * many such ranges. */
bool boot_info_take(struct boot_info *boot, paddr_t start, uint64_t size);
/* Finds and takes contiguous pages of RAM between 1 MiB and BOOT_REACH; 0 when there are none. */
paddr_t boot_info_take_pages(struct boot_info *boot, size_t count);

#endif
