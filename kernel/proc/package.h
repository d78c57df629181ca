/* The boot package as the kernel reads it: header and programs. Files are for programs to read; the
 * kernel only checks that their table lies inside. Pure, and as suspicious as the ELF reader: the
 * package comes from outside. */
#ifndef CAPOS_PROC_PACKAGE_H
#define CAPOS_PROC_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"

#define PROGRAM_STRINGS_BYTES_MAX                                       \
	(4u << 20) /* arguments and environment of one program together \
	            */
#define PROGRAM_STRINGS_MAX 65536u
#define PROGRAMS_MAX 65536u

struct package {
	const uint8_t *bytes;
	uint64_t size; /* as the header says: at most what was loaded */
	uint32_t program_count;
	uint64_t programs_offset;
	uint64_t manifest_size; /* through the end of the program and file tables: what
	                           BootPackage.readManifest shows */
};

/* NUL-terminated strings one after the other; checked to be exactly count of them. */
struct package_strings {
	const char *bytes;
	uint64_t size;
	uint32_t count;
};

struct package_program {
	const uint8_t *elf; /* page-aligned within the package */
	uint64_t elf_size;
	struct package_strings args, env;
	uint64_t grants; /* GrantBit mask; never 0: 0 has become all */
	uint64_t committed_limit;
	bool together; /* with the program before it */
};

/* Refusals carry a reason in words. */
status_t package_open(
	const void *bytes, size_t size, struct package *package, const char **reason) MUST_CHECK;
status_t package_program(const struct package *package, uint32_t index,
	struct package_program *program, const char **reason) MUST_CHECK;

#endif
