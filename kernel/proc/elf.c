/* ELF validation: see elf.h. Structures and numbers are those of the ELF specification, generic ABI
 * chapters 4 and 5. */
#include "proc/elf.h"

#include <stdbool.h>

#include "arch/identity.h"
#include "core/string.h"

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, program_offset, section_offset;
	uint32_t flags;
	uint16_t header_size, program_entry_size, program_count, section_entry_size, section_count,
		section_names;
};

struct elf_program_header {
	uint32_t type, flags;
	uint64_t offset, address, physical, file_size, memory_size, align;
};

_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_program_header) == 56,
	"ELF64 layouts");

enum {
	CLASS_64 = 2,
	DATA_LITTLE = 1,
	TYPE_EXECUTABLE = 2,
	SEGMENT_LOAD = 1,
	SEGMENT_INTERPRETER = 3,
	SEGMENT_TLS = 7,
	FLAG_EXECUTE = 1,
	FLAG_WRITE = 2,
	FLAG_READ = 4,
};

#define UNMARKED_VERSION 1u /* programs have had a mark since version 2 */

#define PAGE_MASK (CAPOS_PAGE_SIZE - 1ull)

struct parse {
	const struct elf_source *source;
	uint64_t size;
	const char *reason;
};

const void *elf_bytes_at(const struct elf_source *source, uint64_t offset, uint64_t *length)
{
	*length = source->size - offset;
	return (const uint8_t *)source->bytes + offset;
}

/* Copies bytes that lie inside, once. */
static void source_read(struct parse *parse, uint64_t offset, void *to, uint64_t size)
{
	for (uint64_t done = 0, length; done < size; done += length) {
		const void *from = parse->source->at(parse->source, offset + done, &length);
		if (length > size - done)
			length = size - done;
		memcpy((uint8_t *)to + done, from, length);
	}
}

static status_t reject(struct parse *parse, status_t status, const char *reason)
{
	parse->reason = reason;
	return status;
}

static bool range_inside(uint64_t offset, uint64_t length, uint64_t size)
{
	return offset <= size && length <= size - offset;
}

static status_t check_header(struct parse *parse, struct elf_header *header)
{
	if (parse->size < sizeof *header)
		return reject(
			parse, STATUS(INVALID_ARGUMENT), "the file is shorter than an ELF header");
	source_read(parse, 0, header, sizeof *header);
	if (memcmp(header->ident, "\177ELF", 4) != 0)
		return reject(parse, STATUS(INVALID_ARGUMENT), "not an ELF file");
	if (header->ident[4] != CLASS_64 || header->ident[5] != DATA_LITTLE ||
		header->ident[6] != 1)
		return reject(
			parse, STATUS(INVALID_ARGUMENT), "not a 64-bit little-endian ELF file");
	if (header->ident[7] != 0)
		return reject(parse, STATUS(INVALID_ARGUMENT),
			"built for another operating system (OSABI is not 0)");
	if (header->machine != ELF_MACHINE)
		return reject(parse, STATUS(INVALID_ARGUMENT), "not for " ARCHITECTURE_NAME);
	if (header->type != TYPE_EXECUTABLE)
		return reject(parse, STATUS(INVALID_ARGUMENT),
			"not a static executable (type is not ET_EXEC)");
	if (header->program_entry_size != sizeof(struct elf_program_header) ||
		header->program_count == 0)
		return reject(parse, STATUS(INVALID_ARGUMENT), "no program headers");
	if (header->program_count > ELF_HEADERS_MAX)
		return reject(parse, STATUS(LIMIT_REACHED), "too many program headers");
	if (!range_inside(header->program_offset,
		    (uint64_t)header->program_count * sizeof(struct elf_program_header),
		    parse->size))
		return reject(parse, STATUS(OUT_OF_RANGE), "program headers outside the file");
	return STATUS_OK;
}

static uint32_t segment_prot(uint32_t flags)
{
	uint32_t prot = 0;
	if (flags & FLAG_READ)
		prot |= CAPOS_PROT_READ;
	if (flags & FLAG_WRITE)
		prot |= CAPOS_PROT_READ | CAPOS_PROT_WRITE;
	if (flags & FLAG_EXECUTE)
		prot |= CAPOS_PROT_READ | CAPOS_PROT_EXEC;
	return prot;
}

static uint64_t page_end(const struct elf_segment *segment)
{
	return (segment->address + segment->memory_size + PAGE_MASK) & ~PAGE_MASK;
}

static status_t add_segment(
	struct parse *parse, const struct elf_program_header *header, struct elf_image *image)
{
	if (header->memory_size == 0)
		return STATUS_OK;
	if (header->file_size > header->memory_size ||
		!range_inside(header->offset, header->file_size, parse->size))
		return reject(
			parse, STATUS(OUT_OF_RANGE), "a segment's bytes lie outside the file");
	if (header->address < ELF_ADDRESS_MIN ||
		!range_inside(header->address, header->memory_size, CAPOS_USER_TOP))
		return reject(parse, STATUS(OUT_OF_RANGE),
			"a segment lies outside the user address space");
	if ((header->address ^ header->offset) & PAGE_MASK)
		return reject(parse, STATUS(INVALID_ARGUMENT),
			"a segment's address and file offset differ within the page");
	if ((header->flags & FLAG_WRITE) && (header->flags & FLAG_EXECUTE))
		return reject(
			parse, STATUS(PROTECTION_DENIED), "a segment is writable and executable");
	if (image->segment_count == ELF_SEGMENTS_MAX)
		return reject(parse, STATUS(LIMIT_REACHED), "too many loadable segments");
	if (image->segment_count &&
		page_end(&image->segments[image->segment_count - 1]) >
			(header->address & ~PAGE_MASK))
		return reject(parse, STATUS(OVERLAP),
			"loadable segments overlap, share a page or are not in order");
	image->segments[image->segment_count++] = (struct elf_segment){
		.address = header->address,
		.memory_size = header->memory_size,
		.offset = header->offset,
		.file_size = header->file_size,
		.prot = segment_prot(header->flags),
	};
	return STATUS_OK;
}

static status_t add_tls(
	struct parse *parse, const struct elf_program_header *header, struct elf_image *image)
{
	if (image->tls.memory_size)
		return reject(parse, STATUS(INVALID_ARGUMENT), "two TLS segments");
	if (header->memory_size == 0)
		return STATUS_OK;
	uint64_t align = header->align ? header->align : 1;
	if (align > ELF_TLS_ALIGN_MAX || (align & (align - 1)))
		return reject(parse, STATUS(INVALID_ARGUMENT),
			"TLS alignment is not a power of two up to a page");
	if (header->file_size > header->memory_size ||
		!range_inside(header->offset, header->file_size, parse->size))
		return reject(parse, STATUS(OUT_OF_RANGE), "the TLS image lies outside the file");
	if (header->memory_size > CAPOS_USER_TOP / 2)
		return reject(parse, STATUS(OUT_OF_RANGE), "the TLS block is too large");
	image->tls = (struct elf_tls){
		.address = header->address,
		.offset = header->offset,
		.file_size = header->file_size,
		.memory_size = header->memory_size,
		.align = align,
	};
	return STATUS_OK;
}

/* The segment whose file bytes hold [address, address + length), or NULL. */
static const struct elf_segment *segment_holding(
	const struct elf_image *image, uint64_t address, uint64_t length)
{
	for (uint32_t i = 0; i < image->segment_count; i++) {
		const struct elf_segment *segment = &image->segments[i];
		if (address >= segment->address &&
			range_inside(address - segment->address, length, segment->file_size))
			return segment;
	}
	return NULL;
}

/* The address of the program headers in memory, where programs read them. */
static uint64_t headers_address(const struct elf_header *header, const struct elf_image *image)
{
	uint64_t length = (uint64_t)header->program_count * sizeof(struct elf_program_header);
	for (uint32_t i = 0; i < image->segment_count; i++) {
		const struct elf_segment *segment = &image->segments[i];
		if (header->program_offset >= segment->offset &&
			range_inside(header->program_offset - segment->offset, length,
				segment->file_size))
			return segment->address + (header->program_offset - segment->offset);
	}
	return 0;
}

/* The entry point is in the segment. */
static status_t check_version(
	struct parse *parse, struct elf_image *image, const struct elf_segment *text)
{
	struct capos_program_mark mark = { .jump = 0 };
	uint64_t offset = image->entry - text->address;
	if (range_inside(offset, sizeof mark, text->file_size))
		source_read(parse, text->offset + offset, &mark, sizeof mark);
	bool marked = mark.jump == CAPOS_PROGRAM_MARK_JUMP &&
		memcmp(mark.name, "capOS", sizeof mark.name) == 0;
	image->abi_version = marked ? mark.version : UNMARKED_VERSION;
	if (image->abi_version != CAPOS_ABI_VERSION)
		return reject(
			parse, STATUS(WRONG_STATE), "built for another version of the interface");
	return STATUS_OK;
}

static status_t check_whole(struct parse *parse, struct elf_image *image)
{
	if (!image->segment_count)
		return reject(parse, STATUS(INVALID_ARGUMENT), "nothing to load");
	const struct elf_segment *text = segment_holding(image, image->entry, 1);
	if (!text || !(text->prot & CAPOS_PROT_EXEC))
		return reject(parse, STATUS(OUT_OF_RANGE),
			"the entry point is not in an executable segment");
	if (image->tls.memory_size) {
		const struct elf_segment *holder =
			segment_holding(image, image->tls.address, image->tls.file_size);
		if (image->tls.file_size &&
			(!holder ||
				holder->offset + (image->tls.address - holder->address) !=
					image->tls.offset))
			return reject(parse, STATUS(OUT_OF_RANGE),
				"the TLS image is not part of a loaded segment");
	}
	return check_version(parse, image, text);
}

static status_t parse_image(struct parse *parse, struct elf_image *image)
{
	struct elf_header header;
	*image = (struct elf_image){ .entry = 0 };
	status_t status = check_header(parse, &header);
	if (status != STATUS_OK)
		return status;
	for (uint32_t i = 0; i < header.program_count && status == STATUS_OK; i++) {
		struct elf_program_header program;
		source_read(parse, header.program_offset + i * sizeof program, &program,
			sizeof program);
		if (program.type == SEGMENT_LOAD)
			status = add_segment(parse, &program, image);
		else if (program.type == SEGMENT_TLS)
			status = add_tls(parse, &program, image);
		else if (program.type == SEGMENT_INTERPRETER)
			status = reject(parse, STATUS(INVALID_ARGUMENT),
				"dynamically linked (it names an interpreter)");
	}
	if (status != STATUS_OK)
		return status;
	image->entry = header.entry;
	image->header_count = header.program_count;
	image->headers_address = headers_address(&header, image);
	return check_whole(parse, image);
}

status_t elf_parse(const struct elf_source *source, struct elf_image *image, const char **reason)
{
	struct parse parse = { .source = source, .size = source->size, .reason = "" };
	status_t status = parse_image(&parse, image);
	*reason = parse.reason;
	return status;
}

uint64_t elf_tls_size(const struct elf_tls *tls)
{
	return tls->memory_size + ((-tls->address - tls->memory_size) & (tls->align - 1));
}
