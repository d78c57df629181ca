/* Loader information, typed lines and the screen, with correct and with wrong input. */
#include <stdint.h>
#include <string.h>

#include "machine/pc/multiboot.h"
#include "machine/pc/pvh.h"
#define CHECK_GROUP "boot"
#include "check.h"
#include "core/boot_info.h"
#include "dev/line_input.h"
#include "dev/screen.h"
#include "kernel/methods.h"
#include "memory.h"

#define MIB 0x100000ull

static struct boot_info boot;

/* ---- memory ranges ---- */

static bool has_range(uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < boot.usable_count; i++)
		if (boot.usable[i].start == start && boot.usable[i].end == end)
			return true;
	return false;
}

static void ranges_whole_pages(void)
{
	boot = (struct boot_info){ 0 };
	boot_info_add_ram(&boot, 0x1001, 0x1fff); /* to 0x3000: one whole page */
	CHECK(boot.usable_count == 1 && has_range(0x2000, 0x3000));
	boot_info_add_ram(&boot, 0x5001, 0x1000);
	CHECK(boot.usable_count == 1);
	boot_info_add_ram(&boot, 0x3000, 0x1000);
	boot_info_add_ram(&boot, 0x1000, 0x1000);
	CHECK(boot.usable_count == 1 && has_range(0x1000, 0x4000));
	boot_info_add_ram(&boot, UINT64_MAX - 0x800, 0x10000);
	boot_info_add_ram(&boot, 0, 0);
	CHECK(boot.usable_count == 1);
	boot_info_add_ram(&boot, MIB, UINT64_MAX);
	CHECK(has_range(MIB, BOOT_RAM_END_MAX) && boot_info_ram_end(&boot) == BOOT_RAM_END_MAX);
}

static void ranges_removed(void)
{
	boot = (struct boot_info){ 0 };
	boot_info_add_ram(&boot, 0, 16 * MIB);
	boot_info_add_ram(&boot, 32 * MIB, MIB);
	boot_info_remove_ram(&boot, 0x9fc00, 0x60400);
	CHECK(boot.usable_count == 3 && has_range(0, 0x9f000) && has_range(MIB, 16 * MIB));
	boot_info_remove_ram(&boot, 5 * MIB + 1, 1);
	CHECK(has_range(MIB, 5 * MIB) && has_range(5 * MIB + 0x1000, 16 * MIB));
	boot_info_remove_ram(&boot, 15 * MIB, UINT64_MAX);
	CHECK(boot.usable_count == 3 && has_range(5 * MIB + 0x1000, 15 * MIB));
	boot_info_remove_ram(&boot, 0, 0);
	boot_info_remove_ram(&boot, UINT64_MAX, 5);
	CHECK(boot.usable_count == 3);
	CHECK(boot_info_is_ram(&boot, 0x8000, 0x9000) &&
		!boot_info_is_ram(&boot, 0x9e000, 0xa0000));
}

static void ranges_more_than_fit(void)
{
	boot = (struct boot_info){ 0 };
	for (uint64_t i = 0; i < BOOT_RANGES_MAX; i++)
		boot_info_add_ram(&boot, (2 * i + 1) * MIB, PAGE_SIZE * (i + 1));
	boot_info_add_ram(&boot, 1000 * MIB, 100 * MIB);
	CHECK(boot.usable_count == BOOT_RANGES_MAX && has_range(1000 * MIB, 1100 * MIB) &&
		!has_range(MIB, MIB + PAGE_SIZE));
	boot_info_add_ram(&boot, 2000 * MIB, PAGE_SIZE);
	CHECK(!has_range(2000 * MIB, 2000 * MIB + PAGE_SIZE));
}

static void pages_taken(void)
{
	boot = (struct boot_info){ 0 };
	boot_info_add_ram(&boot, 0, MIB);
	boot_info_add_ram(&boot, MIB, 2 * MIB);
	CHECK(boot_info_take(&boot, MIB, MIB - 1) && !boot_info_take(&boot, 2 * MIB - 1, 1) &&
		boot_info_take(&boot, 2 * MIB, 1));
	CHECK(!boot_info_take(&boot, 3 * MIB, 0) && !boot_info_take(&boot, UINT64_MAX, 2));
	CHECK(boot_info_take_pages(&boot, 254) == 2 * MIB + PAGE_SIZE);
	CHECK(boot_info_take_pages(&boot, 2) == 0 &&
		boot_info_take_pages(&boot, 1) == 3 * MIB - PAGE_SIZE);
	CHECK(boot_info_take_pages(&boot, 1) == 0 && boot_info_take_pages(&boot, 0) == 0);
	boot_info_add_ram(&boot, BOOT_REACH - PAGE_SIZE, 2 * PAGE_SIZE);
	CHECK(boot_info_take_pages(&boot, 2) == 0 &&
		boot_info_take_pages(&boot, 1) == BOOT_REACH - PAGE_SIZE);
	while (boot.taken_count < BOOT_TAKEN_MAX)
		CHECK(boot_info_take(&boot, (100 + boot.taken_count) * MIB, 1));
	CHECK(!boot_info_take(&boot, 200 * MIB, 1));
}

/* ---- Multiboot2 ---- */

static void tag_begin(struct bytes *info, uint32_t type, uint32_t size)
{
	bytes_align(info, 8);
	bytes_add(info, type, 4);
	bytes_add(info, size, 4);
}

static void text_tag(struct bytes *info, uint32_t type, const char *text)
{
	tag_begin(info, type, 8 + (uint32_t)strlen(text) + 1);
	for (size_t i = 0; i <= strlen(text); i++)
		bytes_add(info, (uint8_t)text[i], 1);
}

static void module_tag(struct bytes *info, uint32_t start, uint32_t end, const char *text)
{
	tag_begin(info, 3, 16 + (uint32_t)strlen(text) + 1);
	bytes_add(info, start, 4);
	bytes_add(info, end, 4);
	for (size_t i = 0; i <= strlen(text); i++)
		bytes_add(info, (uint8_t)text[i], 1);
}

static void map_tag(struct bytes *info, uint32_t entry_size)
{
	const uint64_t entries[][3] = { { 0xf0000, 0x10000, 2 }, { 0, 0xa0000, 1 },
		{ MIB, 31 * MIB, 1 }, { 0x9fc00, 0x400, 2 }, { 30 * MIB, MIB, 3 } };
	tag_begin(info, 6, 16 + 5 * entry_size);
	bytes_add(info, entry_size, 4);
	bytes_add(info, 0, 4);
	for (int i = 0; i < 5; i++) {
		bytes_add(info, entries[i][0], 8);
		bytes_add(info, entries[i][1], 8);
		bytes_add(info, entries[i][2], 8);
		for (uint32_t more = 24; more < entry_size; more++)
			bytes_add(info, 0xee, 1);
	}
}

static struct bytes good_information(uint32_t entry_size)
{
	struct bytes info = { .size = 8 };
	text_tag(&info, 1, "channel=plain x");
	text_tag(&info, 2, "loader");
	map_tag(&info, entry_size);
	module_tag(&info, 0x400000, 0x412345, "image");
	module_tag(&info, 0x500000, 0x501000, "font");
	tag_begin(&info, 8, 38);
	bytes_add(&info, 0xfd000000, 8);
	bytes_add(&info, 4096, 4);
	bytes_add(&info, 1024, 4);
	bytes_add(&info, 768, 4);
	bytes_add(&info, 32, 1);
	bytes_add(&info, 1, 3);
	bytes_add(&info, 0x080808080810, 6);
	for (uint32_t size = 36; size >= 20; size -= 16) {
		tag_begin(&info, size == 36 ? 15 : 14, 8 + size);
		for (uint32_t i = 0; i < size; i++)
			bytes_add(&info, size + i, 1);
	}
	tag_begin(&info, 0, 8);
	return info;
}

/* In a block of the exact size. */
static const char *read_information(struct bytes *info)
{
	memcpy(info->data, &info->size, 4);
	uint8_t *exact = malloc(info->size);
	memcpy(exact, info->data, info->size);
	boot = (struct boot_info){ 0 };
	const char *reason = multiboot_read(exact, info->size, &boot);
	free(exact);
	return reason;
}

static void multiboot_good(void)
{
	for (uint32_t entry_size = 24; entry_size <= 40; entry_size += 8) {
		struct bytes info = good_information(entry_size);
		CHECK(read_information(&info) == NULL);
		CHECK(strcmp(boot.command_line, "channel=plain x") == 0);
		CHECK(boot.usable_count == 3 && has_range(0, 0x9f000) && has_range(MIB, 30 * MIB) &&
			has_range(31 * MIB, 32 * MIB));
		CHECK(boot.image == 0x400000 && boot.image_size == 0x12345 &&
			boot.font == 0x500000 && boot.font_size == 4096);
		CHECK(boot.screen.kind == SCREEN_PIXELS && boot.screen.address == 0xfd000000 &&
			boot.screen.pixel_bytes == 4);
		CHECK(boot.has_root_pointer && boot.root_pointer[0] == 36 &&
			boot.root_pointer[35] == 71);
		CHECK(boot.screen.colour_shift[0] == 16 && boot.screen.colour_shift[2] == 8 &&
			boot.screen.colour_bits[1] == 8);
	}
}

static void multiboot_cut_short(void)
{
	struct bytes whole = good_information(24);
	for (uint32_t size = 0; size < whole.size; size++) {
		struct bytes cut = whole;
		cut.size = size < 4 ? 4 : size;
		CHECK(read_information(&cut) != NULL);
	}
	uint32_t lie = whole.size + 1;
	memcpy(whole.data, &lie, 4);
	CHECK(multiboot_read(whole.data, whole.size, &boot) != NULL);
}

/* Each adds one bad tag to an otherwise good sequence. */
static bool rejected(void (*add)(struct bytes *))
{
	struct bytes info = good_information(24);
	info.size -= 8;
	add(&info);
	tag_begin(&info, 0, 8);
	return read_information(&info) != NULL;
}

static void second_boot_image(struct bytes *info)
{
	module_tag(info, 0x600000, 0x601000, "");
}
static void backward_module(struct bytes *info)
{
	module_tag(info, 0x601000, 0x600000, "x");
}
static void nameless_module(struct bytes *info)
{
	tag_begin(info, 3, 16), bytes_add(info, 0, 8);
}
static void endless_module(struct bytes *info)
{
	tag_begin(info, 3, 17), bytes_add(info, 0, 8), bytes_add(info, 'x', 1);
}
static void endless_line(struct bytes *info)
{
	tag_begin(info, 1, 9), bytes_add(info, 'x', 1);
}
static void empty_line(struct bytes *info)
{
	tag_begin(info, 1, 8);
}
static void tiny_tag(struct bytes *info)
{
	tag_begin(info, 99, 7);
}
static void zero_tag(struct bytes *info)
{
	tag_begin(info, 99, 0);
}
static void huge_tag(struct bytes *info)
{
	tag_begin(info, 99, UINT32_MAX);
}
static void headless_map(struct bytes *info)
{
	tag_begin(info, 6, 8);
}
static void small_entries(struct bytes *info)
{
	tag_begin(info, 6, 16), bytes_add(info, 23, 8);
}
static void unknown_tag(struct bytes *info)
{
	tag_begin(info, 99, 12), bytes_add(info, 7, 4);
}
static void empty_map(struct bytes *info)
{
	tag_begin(info, 6, 16), bytes_add(info, UINT32_MAX, 8);
}
static void odd_screen(struct bytes *info)
{
	tag_begin(info, 8, 8);
}

static void long_line(struct bytes *info)
{
	char text[COMMAND_LINE_MAX + 1];
	memset(text, 'x', sizeof text - 1);
	text[COMMAND_LINE_MAX] = '\0';
	text_tag(info, 1, text);
}

static void multiboot_rejections(void)
{
	CHECK(rejected(second_boot_image) && rejected(backward_module) &&
		rejected(nameless_module) && rejected(endless_module));
	CHECK(rejected(endless_line) && rejected(empty_line) && rejected(long_line));
	CHECK(rejected(tiny_tag) && rejected(zero_tag) && rejected(huge_tag) &&
		rejected(headless_map) && rejected(small_entries));
	CHECK(!rejected(unknown_tag) && !rejected(empty_map) && !rejected(odd_screen));
	struct bytes empty = { .size = 8 };
	tag_begin(&empty, 0, 8);
	CHECK(read_information(&empty) != NULL); /* no memory */
}

/* ---- PVH ---- */

static void pvh(void)
{
	uint8_t *memory = memory_new(0x2000);
	const uint64_t info[] = { 0x1336ec578, 1ull << 32, 0x200, 0x300, 0, 0x400, 2 };
	const uint64_t module[] = { 0x1000, 0x800, 0, 0 };
	const uint64_t map[] = { 0, 0x2000, 1, 0x1800, 0x100, 2 };
	memcpy(memory + 0x100, info, sizeof info);
	memcpy(memory + 0x200, module, sizeof module);
	strcpy((char *)memory + 0x300, "channel=com2");
	memcpy(memory + 0x400, map, sizeof map);
	boot = (struct boot_info){ 0 };
	CHECK(pvh_read(0x100, 0x2000, &boot) == NULL);
	CHECK(has_range(0, 0x1000) && boot.usable_count == 1 && boot.image == 0x1000 &&
		boot.image_size == 0x800);
	CHECK(strcmp(boot.command_line, "channel=com2") == 0 && !boot.has_root_pointer);
	/* Every field with an address out of reach. */
	const struct {
		unsigned offset;
		uint64_t value;
	} lies[] = { { 0, 0 }, { 4, 0 }, { 16, 0x1ff0 }, { 16, UINT64_MAX }, { 24, 0x2000 },
		{ 24, UINT64_MAX }, { 40, 0x1fff }, { 40, UINT64_MAX }, { 48, 4097 },
		{ 48, UINT32_MAX } };
	for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		memcpy(memory + 0x100, info, sizeof info);
		memcpy(memory + 0x100 + lies[i].offset, &lies[i].value,
			lies[i].offset < 16 || lies[i].offset == 48 ? 4 : 8);
		boot = (struct boot_info){ 0 };
		CHECK(pvh_read(0x100, 0x2000, &boot) != NULL);
	}
	CHECK(pvh_read(0x1ff0, 0x2000, &boot) != NULL &&
		pvh_read(UINT64_MAX, 0x2000, &boot) != NULL);
	memcpy(memory + 0x100, info, sizeof info);
	memset(memory + 0x300, 'x', 0x1d00); /* the command line does not end */
	boot = (struct boot_info){ 0 };
	CHECK(pvh_read(0x100, 0x2000, &boot) != NULL);
	memory_free();
}

/* ---- typing ---- */

static struct line_input typed;
static char shown[4096];

static void type(const char *text, size_t size)
{
	size_t end = strlen(shown);
	for (size_t i = 0; i < size && end < sizeof shown - LINE_ECHO_MAX; i++)
		end += line_input_type(&typed, (uint8_t)text[i], shown + end);
	shown[end] = '\0';
}

static bool next_message(uint8_t kind, const char *payload, size_t size)
{
	uint8_t message[2048];
	size_t have = 0, got;
	const uint8_t *bytes;
	while (have < 8 + size &&
		(bytes = line_input_take(&typed, have < 8 ? 8 - have : 8 + size - have, &got)) !=
			NULL) {
		memcpy(message + have, bytes, got);
		have += got;
	}
	uint32_t length;
	memcpy(&length, message + 4, 4);
	return have == 8 + size && message[0] == kind && length == size &&
		memcmp(message + 8, payload, size) == 0;
}

static void typing_lines(void)
{
	size_t got;
	typed = (struct line_input){ 0 };
	shown[0] = '\0';
	type("heßx\x7f\bllo\r\n", 12);
	CHECK(strcmp(shown, "heßx\b \b\b \bllo\n") == 0 &&
		next_message(CAPOS_HOST_MESSAGE_STDIN, "hello\n", 6));
	type("gone\x15"
	     "a\tb\x01\nlast\x04",
		15);
	CHECK(next_message(CAPOS_HOST_MESSAGE_STDIN, "a\tb\n", 4) &&
		next_message(CAPOS_HOST_MESSAGE_STDIN, "last", 4));
	CHECK(line_input_take(&typed, 100, &got) == NULL);
	type("\b\x04", 2);
	CHECK(next_message(CAPOS_HOST_MESSAGE_STDIN_END, "", 0));
	type("abc\x03\x1c\n", 6);
	CHECK(typed.keys ==
		(1ull << CAPOS_NOTIFICATION_KIND_INTERRUPT | 1ull << CAPOS_NOTIFICATION_KIND_QUIT));
	CHECK(next_message(CAPOS_HOST_MESSAGE_STDIN, "\n", 1) &&
		line_input_take(&typed, 1, &got) == NULL);
}

static void typing_too_much(void)
{
	char line[LINE_BYTES_MAX], echo[LINE_ECHO_MAX];
	typed = (struct line_input){ 0 };
	memset(line, 'x', sizeof line);
	for (int i = 0; i < 3; i++) {
		for (unsigned n = 0; n < LINE_BYTES_MAX - 1; n++)
			CHECK(line_input_type(&typed, 'x', echo) == 1 && echo[0] == 'x');
		CHECK(line_input_type(&typed, 'x', echo) == 1 && echo[0] == '\a');
		CHECK(line_input_type(&typed, '\n', echo) == 1 && echo[0] == '\n');
	}
	for (unsigned n = 0; n < LINE_BYTES_MAX - 1; n++)
		line_input_type(&typed, 'y', echo);
	CHECK(line_input_type(&typed, '\n', echo) == 1 &&
		echo[0] == '\a'); /* no room: the line stays */
	typed.keys = 0;           /* a key gets through all the same, and ends the line */
	CHECK(line_input_type(&typed, 3, echo) > 0 &&
		typed.keys == 1ull << CAPOS_NOTIFICATION_KIND_INTERRUPT);
	for (unsigned n = 0; n < LINE_BYTES_MAX - 1; n++)
		line_input_type(&typed, 'y', echo);
	line[LINE_BYTES_MAX - 1] = '\n';
	CHECK(next_message(CAPOS_HOST_MESSAGE_STDIN, line, sizeof line));
	CHECK(line_input_type(&typed, '\n', echo) == 1 && echo[0] == '\n');
	CHECK(next_message(CAPOS_HOST_MESSAGE_STDIN, line, sizeof line) &&
		next_message(CAPOS_HOST_MESSAGE_STDIN, line, sizeof line));
	memset(line, 'y', sizeof line - 1);
	CHECK(next_message(CAPOS_HOST_MESSAGE_STDIN, line, sizeof line));
}

/* ---- screen ---- */

static uint8_t *text_memory;

static bool row_is(unsigned row, const char *text)
{
	for (unsigned i = 0; i < 10; i++) {
		uint8_t wanted = i < strlen(text) ? (uint8_t)text[i] : ' ';
		if (text_memory[row * 20 + 2 * i] != wanted ||
			text_memory[row * 20 + 2 * i + 1] != 7)
			return false;
	}
	return true;
}

static void screen_text(void)
{
	struct screen_info info = { .kind = SCREEN_TEXT, .pitch = 20, .width = 10, .height = 3 };
	text_memory = memory_new(60);
	memset(text_memory, 0xff, 60);
	CHECK(!screen_init(&info, NULL, 59) && screen_init(&info, NULL, 60));
	CHECK(row_is(0, "") && row_is(2, ""));
	screen_write("ab\tc\r\n0123456789", 16);
	CHECK(row_is(0, "ab      c") && row_is(1, "0123456789") && row_is(2, ""));
	screen_write("x\b\x1b[31;1my\xc3\x9f\xe2\x82\xac\xff\n", 17);
	CHECK(row_is(0, "0123456789") && row_is(1, "y???") && row_is(2, ""));
	screen_write("\xe2\x82z\x1b(z\x07\x7f", 8);
	CHECK(row_is(2, "?zz"));
	info.width = 11; /* wider than its lines */
	CHECK(screen_init(&info, NULL, 60));
	screen_write("0123456789X", 11);
	CHECK(row_is(0, "0123456789") && row_is(1, "X"));
}

static void screen_pixels(void)
{
	static uint8_t font[SCREEN_FONT_BYTES];
	font['A' * 16] = 0x80;
	font['A' * 16 + 15] = 0x01;
	font[0xdf * 16 + 1] = 0xff;
	for (unsigned bytes = 2; bytes <= 4; bytes++) {
		struct screen_info info = { .kind = SCREEN_PIXELS,
			.address = 8,
			.pitch = 17 * bytes + bytes,
			.width = 17,
			.height = 33,
			.pixel_bytes = (uint8_t)bytes,
			.colour_shift = { 0, 5, 11 },
			.colour_bits = { 5, 6, 5 } };
		uint8_t *memory = memory_new(8 + info.pitch * info.height), *base = memory + 8;
		CHECK(!screen_init(&info, font, 7 + info.pitch * info.height) &&
			!screen_init(&info, NULL, 1 << 20));
		CHECK(screen_init(&info, font, 8 + info.pitch * info.height));
		screen_write("A\xc3\x9f"
			     "AA",
			5);
		CHECK(base[0] == 0xff && base[1] == 0xff && base[bytes] == 0 &&
			base[15 * info.pitch + 7 * bytes] == 0xff);
		CHECK(base[info.pitch + 8 * bytes] == 0xff &&
			base[info.pitch + 15 * bytes] == 0xff && base[info.pitch + 7 * bytes] == 0);
		CHECK(base[16 * info.pitch] == 0xff && base[16 * info.pitch + 8 * bytes] == 0xff);
		screen_write("\n\n", 2);
		CHECK(base[0] == 0 && base[16 * info.pitch] == 0);
		CHECK(base[16 * bytes] == 0 &&
			base[32 * info.pitch] == 0); /* not a whole character's place */
	}
}

static void screen_rejections(void)
{
	static uint8_t font[SCREEN_FONT_BYTES];
	const struct screen_info good = { .kind = SCREEN_PIXELS,
		.pitch = 64,
		.width = 16,
		.height = 16,
		.pixel_bytes = 4,
		.colour_bits = { 8, 8, 8 },
		.colour_shift = { 0, 8, 16 } };
	struct screen_info bad[10];
	memory_new(4096);
	for (int i = 0; i < 10; i++)
		bad[i] = good;
	bad[0].pixel_bytes = 1;
	bad[1].pixel_bytes = 5;
	bad[2].width = 17;
	bad[3].height = 15;
	bad[4].colour_shift[2] = 25;
	bad[5].address = UINT64_MAX - 1;
	bad[6].pitch = UINT32_MAX;
	bad[7].height = UINT32_MAX;
	bad[8].address = 2;
	bad[9].width = 7;
	CHECK(screen_init(&good, font, 4096));
	for (int i = 0; i < 10; i++)
		CHECK(!screen_init(&bad[i], font, 4096) && !screen_present());
	memory_free();
}

int main(void)
{
	RUN(ranges_whole_pages);
	RUN(ranges_removed);
	RUN(ranges_more_than_fit);
	RUN(pages_taken);
	RUN(multiboot_good);
	RUN(multiboot_cut_short);
	RUN(multiboot_rejections);
	RUN(pvh);
	RUN(typing_lines);
	RUN(typing_too_much);
	RUN(screen_text);
	RUN(screen_pixels);
	RUN(screen_rejections);
	return check_failures != 0;
}
