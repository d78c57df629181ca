/* The boot image as the kernel reads it: header and programs. Files are for programs to read; the
 * kernel only checks that their table lies inside. Pure. It checks everything, like the ELF reader,
 * because the image comes from outside. */
#ifndef CAPOS_PROC_BOOT_IMAGE_H
#define CAPOS_PROC_BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "mm/budget.h"

/* Arguments and environment of one program together. */
#define PROGRAM_STRINGS_BYTES_MAX (4u << 20)
#define PROGRAM_STRINGS_MAX 65536u
#define PROGRAMS_MAX 65536u

struct boot_image {
	uint32_t version; /* of the interface it was made for */
	const uint8_t *bytes;
	uint64_t size;        /* of what programs see, as the header says: at most loaded_size */
	uint64_t loaded_size; /* with the input, arguments and environments behind that */
	uint32_t program_count;
	uint64_t programs_offset;
	const uint8_t *input; /* messages from the host; NULL: they come over the channel */
	uint64_t input_size;
	/* Through the end of the program and file tables: what BootImage.readManifest shows. */
	uint64_t manifest_size;
};

/* count NUL-terminated strings, one after the other; the number is checked. */
struct boot_image_strings {
	const char *bytes;
	uint64_t size;
	uint32_t count;
};

struct boot_image_program {
	const uint8_t *elf; /* page-aligned within the image */
	uint64_t elf_size;
	struct boot_image_strings args, env;
	uint64_t grants; /* mask of CAPOS_GRANT_x; never 0: 0 has become all */
	struct ledger_limits limits;
	bool together; /* with the program before it */
};

/* On failure *reason is a text that says why. WRONG_STATE: the image is for another version of the
 * interface, image->version. */
status_t boot_image_open(
	const void *bytes, size_t size, struct boot_image *image, const char **reason) MUST_CHECK;
status_t boot_image_program(const struct boot_image *image, uint32_t index,
	struct boot_image_program *program, const char **reason) MUST_CHECK;

#endif
