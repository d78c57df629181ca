/* A screen of rows and columns that scrolls. Its contents are kept in cells as well, because
 * reading a framebuffer is slow. Scrolling redraws only cells whose character changes. Characters
 * are those of ISO 8859-1; others appear as a question mark. */
#include "dev/screen.h"

#include "core/string.h"

#define GLYPH_WIDTH 8u
#define COLUMNS_MAX 160u
#define ROWS_MAX 64u
#define SIDE_PIXELS_MAX 0x8000u /* pixels */
#define TEXT_ATTRIBUTE 0x0700u  /* light grey on black */
#define TAB 8u
#define UNKNOWN '?'
#define ESCAPE 0x1b

enum text_state { TEXT_PLAIN, TEXT_ESCAPE, TEXT_SEQUENCE };

static struct {
	enum screen_kind kind;
	uint8_t *memory;
	size_t pitch;
	uint32_t columns, rows, scale, pixel_bytes, ink;
	/* Where the next character goes; column may be one past the last. */
	uint32_t column, row;
	enum text_state state;
	uint32_t code_point, continuations; /* of a character begun */
} screen;
static uint8_t cells[ROWS_MAX][COLUMNS_MAX];
static uint8_t glyphs[SCREEN_FONT_BYTES];

struct memory_range screen_memory(const struct screen_info *info)
{
	if (info->kind == SCREEN_NONE || info->height > SIDE_PIXELS_MAX ||
		info->pitch > SIDE_PIXELS_MAX * 4)
		return (struct memory_range){ 0, 0 };
	return (struct memory_range){ info->address,
		info->address + (uint64_t)info->pitch * info->height };
}

/* ---- drawing ---- */

static void put_pixels(uint8_t *pixels, uint32_t value, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (screen.pixel_bytes == 4)
			*(uint32_t *)pixels = value;
		else
			memcpy(pixels, &value, screen.pixel_bytes);
		pixels += screen.pixel_bytes;
	}
}

static void draw_glyph(uint32_t row, uint32_t column, uint8_t character)
{
	const uint8_t *glyph = &glyphs[character * SCREEN_GLYPH_HEIGHT];
	uint32_t scale = screen.scale;
	uint8_t *line = screen.memory + (size_t)row * SCREEN_GLYPH_HEIGHT * scale * screen.pitch +
		(size_t)column * GLYPH_WIDTH * scale * screen.pixel_bytes;
	for (uint32_t y = 0; y < SCREEN_GLYPH_HEIGHT * scale; y++) {
		uint8_t bits = glyph[y / scale];
		for (uint32_t x = 0; x < GLYPH_WIDTH; x++)
			put_pixels(line + (size_t)x * scale * screen.pixel_bytes,
				bits & 0x80 >> x ? screen.ink : 0, scale);
		line += screen.pitch;
	}
}

static void set_cell(uint32_t row, uint32_t column, uint8_t character)
{
	if (cells[row][column] == character)
		return;
	cells[row][column] = character;
	if (screen.kind == SCREEN_PIXELS)
		draw_glyph(row, column, character);
	else
		*(uint16_t *)(screen.memory + row * screen.pitch + column * 2) =
			(uint16_t)(TEXT_ATTRIBUTE | character);
}

static void clear(void)
{
	for (uint32_t row = 0; row < screen.rows; row++) {
		for (uint32_t column = 0; column < screen.columns; column++) {
			cells[row][column] =
				0; /* differs from every character, so that the cell is drawn */
			set_cell(row, column, ' ');
		}
	}
}

/* ---- text ---- */

static void next_line(void)
{
	screen.column = 0;
	if (screen.row + 1 < screen.rows) {
		screen.row++;
		return;
	}
	for (uint32_t row = 0; row < screen.rows; row++)
		for (uint32_t column = 0; column < screen.columns; column++)
			set_cell(row, column, row + 1 < screen.rows ? cells[row + 1][column] : ' ');
}

static void put_character(uint32_t code_point)
{
	bool known = (code_point >= 0x20 && code_point < 0x7f) ||
		(code_point >= 0xa0 && code_point <= 0xff && screen.kind == SCREEN_PIXELS);
	if (screen.column == screen.columns)
		next_line();
	set_cell(screen.row, screen.column++, known ? (uint8_t)code_point : UNKNOWN);
}

static void put_control(uint8_t byte)
{
	if (byte == '\n') {
		next_line();
	} else if (byte == '\r') {
		screen.column = 0;
	} else if (byte == '\b') {
		screen.column -= screen.column > 0;
	} else if (byte == '\t') {
		do
			put_character(' ');
		while (screen.column % TAB && screen.column < screen.columns);
	} else if (byte == ESCAPE) {
		screen.state = TEXT_ESCAPE;
	}
}

/* How many bytes follow the first one of a character of several bytes. */
static unsigned continuations_after(uint8_t first)
{
	if (first < 0xe0)
		return 1;
	return first < 0xf0 ? 2 : 3;
}

/* A character of several bytes that is cut short shows as one unknown character. */
static void put_byte(uint8_t byte)
{
	if (screen.continuations) {
		if ((byte & 0xc0) == 0x80) {
			screen.code_point = screen.code_point << 6 | (byte & 0x3f);
			if (--screen.continuations == 0)
				put_character(screen.code_point);
			return;
		}
		screen.continuations = 0;
		put_character(UNKNOWN);
	}
	if (byte < 0x20 || byte == 0x7f) {
		put_control(byte);
	} else if (byte < 0x80) {
		put_character(byte);
	} else if (byte >= 0xc2 && byte < 0xf5) {
		screen.continuations = continuations_after(byte);
		screen.code_point = byte & (0x3fu >> screen.continuations);
	} else {
		put_character(UNKNOWN);
	}
}

void screen_write(const char *text, size_t size)
{
	if (screen.kind == SCREEN_NONE)
		return;
	for (size_t i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)text[i];
		if (screen.state == TEXT_PLAIN)
			put_byte(byte);
		else if (screen.state == TEXT_ESCAPE)
			screen.state = byte == '[' ? TEXT_SEQUENCE : TEXT_PLAIN;
		else if (byte >= 0x40 && byte < 0x7f)
			screen.state = TEXT_PLAIN;
	}
}

/* ---- beginning ---- */

static uint32_t at_most(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit;
}

/* White, in this screen's order of colours; 0 when that makes no sense. */
static uint32_t white(const struct screen_info *info)
{
	uint64_t value = 0;
	for (int i = 0; i < 3; i++) {
		if (info->colour_shift[i] + info->colour_bits[i] > 8 * info->pixel_bytes)
			return 0;
		value |= ((1ull << info->colour_bits[i]) - 1) << info->colour_shift[i];
	}
	return (uint32_t)value;
}

bool screen_init(const struct screen_info *info, const void *font, uint64_t reach)
{
	struct memory_range memory = screen_memory(info);
	screen.kind = SCREEN_NONE;
	if (memory.start >= memory.end || memory.end > reach || info->width > SIDE_PIXELS_MAX)
		return false;
	screen.memory = phys_to_virt(info->address);
	screen.pitch = info->pitch;
	if (info->kind == SCREEN_TEXT) {
		if ((info->address | info->pitch) % 2)
			return false;
		screen.columns = at_most(at_most(info->width, info->pitch / 2), COLUMNS_MAX);
		screen.rows = at_most(info->height, ROWS_MAX);
	} else {
		if (!font || info->pixel_bytes < 2 || info->pixel_bytes > 4 ||
			(uint64_t)info->width * info->pixel_bytes > info->pitch ||
			(info->pixel_bytes == 4 && (info->address | info->pitch) % 4))
			return false;
		memcpy(glyphs, font, sizeof glyphs);
		screen.pixel_bytes = info->pixel_bytes;
		screen.ink = white(info);
		screen.scale = info->width / (COLUMNS_MAX * GLYPH_WIDTH);
		screen.scale += screen.scale == 0;
		screen.columns = at_most(info->width / (GLYPH_WIDTH * screen.scale), COLUMNS_MAX);
		screen.rows =
			at_most(info->height / (SCREEN_GLYPH_HEIGHT * screen.scale), ROWS_MAX);
	}
	if (!screen.columns || !screen.rows || (info->kind == SCREEN_PIXELS && !screen.ink))
		return false;
	screen.kind = info->kind;
	screen.column = screen.row = 0;
	screen.state = TEXT_PLAIN;
	screen.continuations = 0;
	clear();
	return true;
}

bool screen_present(void)
{
	return screen.kind != SCREEN_NONE;
}
