/* Reading an executable: static ELF64 for this processor, as docs/abi.md describes it. Pure. It
 * uses no number that it has not checked. */
#ifndef CAPOS_PROC_ELF_H
#define CAPOS_PROC_ELF_H

#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"

#define ELF_SEGMENTS_MAX 16u
#define ELF_HEADERS_MAX 64u
#define ELF_TLS_ALIGN_MAX 4096u
#define ELF_ADDRESS_MIN 0x10000ul

/* A loadable segment. Guaranteed: file_size <= memory_size; the file range lies inside the image,
 * and the memory between ELF_ADDRESS_MIN and CAPOS_USER_TOP; address and offset are congruent
 * modulo the page; segments are in ascending order and share no page. */
struct elf_segment {
	uint64_t address, memory_size;
	uint64_t offset, file_size;
	uint32_t prot; /* CAPOS_PROT_* */
};

struct elf_tls {
	uint64_t address; /* of the initial image, in a segment's file bytes; 0: no PT_TLS */
	uint64_t offset, file_size;
	uint64_t memory_size, align;
};

struct elf_image {
	uint64_t entry;           /* inside an executable segment */
	uint64_t headers_address; /* of the program headers as loaded; 0: in no segment */
	uint32_t header_count;
	uint32_t segment_count;
	uint32_t abi_version; /* for which the program was built; 0: not known */
	struct elf_tls tls;
	struct elf_segment segments[ELF_SEGMENTS_MAX];
};

/* Where an executable's bytes are: pieces, each in one place of the kernel's memory. They may
 * change while they are read, because a program can share them. */
struct elf_source {
	uint64_t size;
	/* The bytes from an offset below size on; *length: how many are in one place, at least one
	 * and at most what is left. Any context. */
	const void *(*at)(const struct elf_source *source, uint64_t offset, uint64_t *length);
	const void *bytes; /* for elf_bytes_at, all of them; for others what they need */
};

/* For elf_source.at: all bytes in one place. */
const void *elf_bytes_at(const struct elf_source *source, uint64_t offset, uint64_t *length);

/* Checks the image and describes it. On failure (INVALID_ARGUMENT, OUT_OF_RANGE, OVERLAP,
 * PROTECTION_DENIED, LIMIT_REACHED, WRONG_STATE) *reason is a text that says why. WRONG_STATE: the
 * program is for another version of the interface, image->abi_version. */
status_t elf_parse(
	const struct elf_source *source, struct elf_image *image, const char **reason) MUST_CHECK;

/* From the start of a TLS block to the thread pointer behind it: variant II, as linkers compute
 * local-exec offsets. */
uint64_t elf_tls_size(const struct elf_tls *tls);

#endif
