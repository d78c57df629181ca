/* Fuzzer of the input from loaders and firmware. The first byte chooses how the rest is
 * interpreted. */
#include <stdlib.h>
#include <string.h>

#include "machine/pc/multiboot.h"
#include "machine/pc/pvh.h"
#include "core/boot_info.h"
#include "dev/line_input.h"
#include "dev/screen.h"
#include "memory.h"

static void check_boot(struct boot_info *boot)
{
	if (boot->usable_count > BOOT_RANGES_MAX)
		abort();
	for (unsigned i = 0; i < boot->usable_count; i++) {
		struct memory_range a = boot->usable[i];
		if (a.start >= a.end || a.start % PAGE_SIZE || a.end % PAGE_SIZE ||
			a.end > BOOT_RAM_END_MAX)
			abort();
		for (unsigned j = 0; j < i; j++)
			if (boot->usable[j].start < a.end && a.start < boot->usable[j].end)
				abort();
	}
	boot_info_take(boot, boot->image, boot->image_size);
	boot_info_take_pages(boot, 4);
	boot_info_take_pages(boot, 512);
	for (unsigned i = 0; i < boot->taken_count; i++)
		for (unsigned j = 0; j < i; j++)
			if (boot->taken[j].start < boot->taken[i].end &&
				boot->taken[i].start < boot->taken[j].end)
				abort();
}

static void fuzz_screen(const uint8_t *data, size_t size)
{
	static uint8_t font[SCREEN_FONT_BYTES];
	struct screen_info info;
	if (size < sizeof info)
		return;
	memcpy(&info, data, sizeof info);
	info.kind = data[0] & 1 ? SCREEN_TEXT : SCREEN_PIXELS;
	info.address &= 63;
	info.width %= 700;
	info.height %= 500;
	info.pitch %= 3000;
	info.pixel_bytes %= 6;
	for (int i = 0; i < 3; i++)
		info.colour_bits[i] %= 40;
	uint64_t reach = (uint64_t)info.pitch * info.height + (data[1] & 63);
	memory_new(reach);
	if (screen_init(&info, data[2] & 1 ? font : NULL, reach))
		screen_write((const char *)data + sizeof info, size - sizeof info);
	else
		screen_write("not shown", 9);
}

static void fuzz_typing(const uint8_t *data, size_t size)
{
	struct line_input input = { 0 };
	char echo[LINE_ECHO_MAX];
	size_t got;
	for (size_t i = 0; i < size; i++) {
		if (line_input_type(&input, data[i], echo) > sizeof echo)
			abort();
		if (data[i] % 16 == 5 && line_input_take(&input, data[i] / 4, &got) &&
			got > data[i] / 4u)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_info *boot = calloc(1, sizeof *boot);
	if (!size || !boot)
		return free(boot), 0;
	uint8_t *memory = memory_new(size - 1);
	memcpy(memory, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		if (!multiboot_read(memory, size - 1, boot))
			check_boot(boot);
		break;
	case 1:
		if (!pvh_read(0, size - 1, boot))
			check_boot(boot);
		break;
	case 2:
		fuzz_screen(data + 1, size - 1);
		break;
	default:
		fuzz_typing(data + 1, size - 1);
		break;
	}
	memory_free();
	free(boot);
	return 0;
}
