/* Text on the machine's screen: characters in a PC's text mode, or pixels in a framebuffer that the
 * loader has set up, with a font it has loaded. Output only, and pure. Callers must not call these
 * functions at the same time. */
#ifndef CAPOS_DEV_SCREEN_H
#define CAPOS_DEV_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/boot_info.h"

/* 256 glyphs of 8 by 16 pixels, a byte for each line, numbered as in ISO 8859-1. */
#define SCREEN_GLYPH_HEIGHT 16
#define SCREEN_FONT_BYTES (256 * SCREEN_GLYPH_HEIGHT)

/* Begins to use a screen that lies wholly below reach. font has SCREEN_FONT_BYTES or is NULL;
 * pixels need one. False when the screen cannot be used; screen_write() then does nothing. */
bool screen_init(const struct screen_info *info, const void *font, uint64_t reach);
bool screen_present(void);
/* The memory that a screen of pixels or text takes. */
struct memory_range screen_memory(const struct screen_info *info);
/* Text in UTF-8; sequences that set colours and the like are left out. */
void screen_write(const char *text, size_t size);

#endif
