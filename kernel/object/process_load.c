/* The program loader.
 *
 * Pages of read-only segments that lie wholly inside the program's bytes are mapped from the boot
 * image, because a machine of 16 MiB has no room for a second copy. Other pages are committed and
 * written: partial pages at the end, because other bytes follow them in the image, all writable
 * pages, and all pages of a program that is in a MemoryObject, because who holds that can change
 * it. Large zero areas are demand-zero.
 *
 * After loading the segments are at their own addresses. TLS block, stack with unmapped pages below
 * it, ring page, CapSet page and clock page are wherever the address space put them. */
#include "object/process_load.h"

#include "call/call.h"
#include "core/log.h"
#include "core/string.h"
#include "kernel/methods.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "dev/entropy.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "arch/trap_frame.h"
#include "machine/clock.h"
#include "sched/thread.h"

#define STACK_BYTES (8ul << 20)
#define STACK_GUARD_BYTES (64ul << 10) /* never mapped, below the stack */
/* Zero areas above this are not worth a charge before they are touched. */
#define DEMAND_ZERO_BYTES (1ul << 20)
#define THREAD_CONTROL_BLOCK_BYTES 64u
#define RANDOM_BYTES 16u
#define STACK_BATCH_WORDS 16u
#define COPY_BYTES (64ul << 10) /* written before others may run */

enum auxiliary_type {
	AUX_NULL = 0,
	AUX_PHDR = 3,
	AUX_PHENT = 4,
	AUX_PHNUM = 5,
	AUX_PAGESZ = 6,
	AUX_ENTRY = 9,
	AUX_RANDOM = 25,
};
#define AUX_PAIRS_MAX 7u
#define ELF_PROGRAM_HEADER_BYTES 56u

/* Everything known while a process is being loaded. */
struct loading {
	struct process *process;
	struct aspace *space;
	const struct program *program;
	struct elf_image image;
	uint64_t thread_pointer; /* 0 without TLS */
	uint64_t stack_pointer;
	uint64_t capset_address, clock_address;
	const char *reason;
};

_Static_assert(sizeof(struct capos_cap_set_header) +
				CAPOS_SPAWN_GRANTS_MAX * sizeof(struct capos_cap_set_entry) <=
			PAGE_SIZE &&
		CAPOS_GRANT_COUNT <= CAPOS_SPAWN_GRANTS_MAX,
	"the CapSet is one page");

static uint64_t page_down(uint64_t address)
{
	return address & ~(PAGE_SIZE - 1);
}

static uint64_t page_up(uint64_t address)
{
	return page_down(address + PAGE_SIZE - 1);
}

/* Passes a step's status on. Where it is no success, the reason is the text. */
static status_t explain(struct loading *loading, status_t status, const char *reason)
{
	if (status != STATUS_OK)
		loading->reason = reason;
	return status;
}

/* ---- segments ---- */

/* The number of the segment's pages, from its first, that can be used in the image. */
static uint64_t shared_end(const struct loading *loading, const struct elf_segment *segment)
{
	uint64_t start = page_down(segment->address),
		 file_end = segment->address + segment->file_size;
	if (segment->prot & CAPOS_PROT_WRITE || !loading->program->mappable)
		return start;
	uint64_t tail_in_file =
		segment->offset + segment->file_size + (page_up(file_end) - file_end);
	if (segment->file_size == segment->memory_size &&
		tail_in_file <= loading->program->elf.size)
		return page_up(file_end);
	return page_down(file_end) > start ? page_down(file_end) : start;
}

/* Writes bytes of the executable to an address of the process. */
static status_t write_bytes(
	struct loading *loading, uint64_t address, uint64_t offset, uint64_t size)
{
	const struct elf_source *elf = &loading->program->elf;
	status_t status = STATUS_OK;
	for (uint64_t done = 0, length; done < size && status == STATUS_OK; done += length) {
		const void *from = elf->at(elf, offset + done, &length);
		if (length > size - done)
			length = size - done;
		if (length > COPY_BYTES)
			length = COPY_BYTES;
		status = aspace_write(loading->space, user_ptr(address + done), from, length);
		sched_preemption_point();
	}
	return status;
}

/* Commits [start, end) and copies the part of it that is in the file. */
static status_t load_private(
	struct loading *loading, const struct elf_segment *segment, uint64_t start, uint64_t end)
{
	uint64_t address, file_end = segment->address + segment->file_size;
	uint64_t filled_end = file_end > start ? page_up(file_end) : start;
	status_t status = aspace_reserve(loading->space, start, end - start, &address);
	if (status == STATUS_OK && address != start)
		status = STATUS(OVERLAP);
	if (status == STATUS_OK && filled_end > start)
		status = aspace_commit(loading->space, start, filled_end - start, segment->prot);
	if (status == STATUS_OK && end > filled_end) {
		uint32_t mode = end - filled_end > DEMAND_ZERO_BYTES ? CAPOS_COMMIT_DEMAND_ZERO : 0;
		status = aspace_commit(
			loading->space, filled_end, end - filled_end, segment->prot | mode);
	}
	uint64_t first = start > segment->address ? start : segment->address;
	if (status == STATUS_OK && file_end > first)
		status = write_bytes(loading, first, segment->offset + (first - segment->address),
			file_end - first);
	return status;
}

static status_t load_segment(struct loading *loading, const struct elf_segment *segment)
{
	uint64_t start = page_down(segment->address),
		 end = page_up(segment->address + segment->memory_size);
	uint64_t shared = shared_end(loading, segment), address;
	status_t status = STATUS_OK;
	if (shared > start)
		status = aspace_map_frames(loading->space, start, true,
			virt_to_phys((const uint8_t *)loading->program->elf.bytes +
				page_down(segment->offset)),
			shared - start, segment->prot, false, &address);
	if (status == STATUS_OK && end > shared)
		status = load_private(loading, segment, shared, end);
	return explain(loading, status, "no memory for the program's segments");
}

static status_t load_tls(struct loading *loading)
{
	const struct elf_tls *tls = &loading->image.tls;
	if (!tls->memory_size)
		return STATUS_OK;
	uint64_t size = elf_tls_size(tls), base;
	uint64_t align =
		tls->align > THREAD_CONTROL_BLOCK_BYTES ? tls->align : THREAD_CONTROL_BLOCK_BYTES;
	status_t status =
		aspace_map(loading->space, 0, page_up(size + align + THREAD_CONTROL_BLOCK_BYTES),
			CAPOS_PROT_READ | CAPOS_PROT_WRITE, &base);
	if (status == STATUS_OK) {
		uint64_t pointer = (base + size + align - 1) & ~(align - 1);
		loading->thread_pointer = pointer;
		status = aspace_write(loading->space, user_ptr(pointer), &pointer, sizeof pointer);
		if (status == STATUS_OK && tls->file_size)
			status = write_bytes(loading, pointer - size, tls->offset, tls->file_size);
	}
	return explain(loading, status, "no memory for the TLS block");
}

/* ---- stack ---- */

/* Writes words upwards, some at a time. */
struct word_writer {
	struct aspace *space;
	struct user_ptr end; /* of what is written */
	uint32_t count;
	status_t status;
	uint64_t words[STACK_BATCH_WORDS];
};

static void words_flush(struct word_writer *writer)
{
	if (writer->count && writer->status == STATUS_OK)
		writer->status = aspace_write(writer->space, writer->end, writer->words,
			writer->count * sizeof(uint64_t));
	writer->end = user_ptr_add(writer->end, writer->count * sizeof(uint64_t));
	writer->count = 0;
}

static void words_add(struct word_writer *writer, uint64_t word)
{
	writer->words[writer->count++] = word;
	if (writer->count == STACK_BATCH_WORDS)
		words_flush(writer);
}

/* Addresses of strings that lie at `base`, then 0. */
static void words_add_strings(
	struct word_writer *writer, const struct boot_image_strings *strings, uint64_t base)
{
	uint64_t offset = 0;
	for (uint32_t i = 0; i < strings->count; i++) {
		words_add(writer, base + offset);
		offset += strlen(strings->bytes + offset) + 1;
	}
	words_add(writer, 0);
}

static void words_add_auxiliary(
	struct word_writer *writer, const struct loading *loading, uint64_t random_address)
{
	const struct elf_image *image = &loading->image;
	const uint64_t pairs[AUX_PAIRS_MAX - 1][2] = {
		{ AUX_PAGESZ, PAGE_SIZE },
		{ AUX_ENTRY, image->entry },
		{ AUX_PHDR, image->headers_address },
		{ AUX_PHENT, image->headers_address ? ELF_PROGRAM_HEADER_BYTES : 0 },
		{ AUX_PHNUM, image->headers_address ? image->header_count : 0 },
		{ AUX_RANDOM, random_address },
	};
	for (unsigned i = 0; i < AUX_PAIRS_MAX - 1; i++) {
		if (!pairs[i][1])
			continue; /* no such thing in this process */
		words_add(writer, pairs[i][0]);
		words_add(writer, pairs[i][1]);
	}
	words_add(writer, AUX_NULL);
	words_add(writer, 0);
}

/* Strings at the top, under them random bytes, under them the pointer arrays: docs/abi.md. */
static status_t fill_stack(struct loading *loading, uint64_t top)
{
	const struct boot_image_strings *args = &loading->program->args,
					*env = &loading->program->env;
	uint8_t random[RANDOM_BYTES];
	uint64_t env_base = top - env->size, args_base = env_base - args->size;
	uint64_t random_address = (args_base - RANDOM_BYTES) & ~15ul;
	uint64_t words = 1 + args->count + 1 + env->count + 1 + 2 * AUX_PAIRS_MAX;
	struct word_writer writer = { .space = loading->space,
		.end = user_ptr((random_address - words * sizeof(uint64_t)) & ~15ul) };
	loading->stack_pointer = writer.end.address;

	status_t status = env->size
		? aspace_write(loading->space, user_ptr(env_base), env->bytes, env->size)
		: STATUS_OK;
	if (status == STATUS_OK && args->size)
		status = aspace_write(loading->space, user_ptr(args_base), args->bytes, args->size);
	if (!entropy_fill(random, sizeof random))
		random_address = 0; /* none is better than the same bytes every time */
	else if (status == STATUS_OK)
		status = aspace_write(
			loading->space, user_ptr(random_address), random, sizeof random);
	memset(random, 0, sizeof random);
	if (status != STATUS_OK)
		return status;
	words_add(&writer, args->count);
	words_add_strings(&writer, args, args_base);
	words_add_strings(&writer, env, env_base);
	words_add_auxiliary(&writer, loading, random_address);
	words_flush(&writer);
	return writer.status;
}

static status_t load_stack(struct loading *loading)
{
	uint64_t base;
	status_t status = aspace_reserve(loading->space, 0, STACK_GUARD_BYTES + STACK_BYTES, &base);
	if (status == STATUS_OK) /* the lowest page stays uncommitted, so that an overflow faults */
		status = aspace_commit(loading->space, base + STACK_GUARD_BYTES, STACK_BYTES,
			CAPOS_PROT_READ | CAPOS_PROT_WRITE | CAPOS_COMMIT_DEMAND_ZERO);
	if (status == STATUS_OK)
		status = fill_stack(loading, base + STACK_GUARD_BYTES + STACK_BYTES);
	return explain(loading, status, "no memory for the stack and arguments");
}

/* ---- capabilities ---- */

static bool has_timer(const struct program *program)
{
	for (uint32_t i = 0; i < program->grant_count; i++)
		if (program->grants[i].object == &object_timer)
			return true;
	return false;
}

static status_t load_clock_page(struct loading *loading)
{
	if (!has_timer(loading->program))
		return STATUS_OK;
	status_t status = aspace_map_frames(loading->space, 0, false, clock_page_frame(), PAGE_SIZE,
		CAPOS_PROT_READ, true, &loading->clock_address);
	return explain(loading, status, "no memory for the clock page");
}

static status_t grant_capabilities(struct loading *loading, struct capos_cap_set_header *header)
{
	struct capos_cap_set_entry *entry = (struct capos_cap_set_entry *)(header + 1);
	for (uint32_t i = 0; i < loading->program->grant_count; i++) {
		const struct grant *grant = &loading->program->grants[i];
		cap_id_t cap;
		status_t status = cap_table_insert(&loading->process->caps, grant->object, &cap);
		if (status != STATUS_OK)
			return status;
		object_retain(grant->object); /* the caller's own kept it so far */
		entry->cap = cap;
		entry->interface_id = grant->object->interface->id;
		text_copy((char *)entry->name, grant->name, sizeof entry->name);
		entry++;
		header->count++;
	}
	loading->process->capset_count = header->count;
	return STATUS_OK;
}

static status_t load_capset(struct loading *loading)
{
	struct process *process = loading->process;
	process->capset_frame = frame_alloc(ledger_of_records(process->ledger), 0, FRAME_ZERO);
	if (!process->capset_frame)
		return explain(loading, STATUS(NO_MEMORY), "no memory for the CapSet page");
	struct capos_cap_set_header *header = phys_to_virt(process->capset_frame);
	const struct elf_tls *tls = &loading->image.tls;
	*header = (struct capos_cap_set_header){
		.magic = CAPOS_CAP_SET_MAGIC,
		.version = CAPOS_ABI_VERSION,
		.process_id = process->id,
		.clock_address = loading->clock_address,
		.tls_image = tls->address,
		.tls_file_size = tls->file_size,
		.tls_mem_size = tls->memory_size,
		.tls_align = (uint32_t)tls->align,
	};
	status_t status = grant_capabilities(loading, header);
	if (status == STATUS_OK)
		status = aspace_map_frames(loading->space, 0, false, process->capset_frame,
			PAGE_SIZE, CAPOS_PROT_READ, true, &loading->capset_address);
	return explain(loading, status,
		status == STATUS(NO_SLOTS) ? "more capabilities are granted than its limit allows"
					   : "no memory for the capabilities");
}

/* The last step that can fail: from here on the process has a thread. */
static status_t load_thread(struct loading *loading, struct thread **result)
{
	struct thread *thread;
	status_t status =
		thread_create(loading->process, loading->process->name, NULL, NULL, &thread);
	if (status != STATUS_OK)
		return explain(loading, status, "no memory for the first thread");
	struct capos_cap_set_header *header = phys_to_virt(loading->process->capset_frame);
	header->ring_address = thread->ring_address;
	thread->object.interface = &interface_descs[INTERFACE_THREAD_HANDLE];
	trap_frame_begin(thread_frame(thread), loading->image.entry, loading->stack_pointer,
		thread->ring_address, loading->process->id, loading->capset_address);
	thread->context.thread_pointer = loading->thread_pointer;
	*result = thread;
	return STATUS_OK;
}

void version_text(uint32_t version, char *text, size_t size)
{
	text_format(text, size,
		"built for version %u of the interface, this kernel has version %u: build it again",
		version, (unsigned)CAPOS_ABI_VERSION);
}

const char *version_reason(uint32_t version)
{
	static char text[128];
	version_text(version, text, sizeof text);
	return text;
}

static status_t load_steps(struct loading *loading, struct thread **thread)
{
	status_t status = elf_parse(&loading->program->elf, &loading->image, &loading->reason);
	/* A spawn shows no reason, and several at once would write the text together. */
	if (status == STATUS(WRONG_STATE) && !loading->process->parent)
		loading->reason = version_reason(loading->image.abi_version);
	for (uint32_t i = 0; i < loading->image.segment_count && status == STATUS_OK; i++)
		status = load_segment(loading, &loading->image.segments[i]);
	if (status == STATUS_OK)
		status = load_tls(loading);
	if (status == STATUS_OK)
		status = load_stack(loading);
	if (status == STATUS_OK)
		status = load_clock_page(loading);
	if (status == STATUS_OK)
		status = load_capset(loading);
	if (status == STATUS_OK)
		status = load_thread(loading, thread);
	return status;
}

status_t process_load(struct process *process, const struct program *program,
	struct thread **thread, const char **reason)
{
	struct ledger *payer = ledger_of_records(process->ledger);
	struct loading *loading =
		kmem_alloc(payer, sizeof *loading); /* too large for a kernel stack */
	*reason = "no memory to load a program";
	if (!loading)
		return STATUS(NO_MEMORY);
	process->image_offset = program->image_offset;
	loading->process = process;
	loading->space = process->space;
	loading->program = program;
	status_t status = load_steps(loading, thread);
	*reason = loading->reason;
	kmem_free(payer, loading);
	return status;
}

const char *program_name(const struct boot_image_strings *args)
{
	if (!args->count)
		return "program";
	const char *name = args->bytes;
	for (const char *letter = name; *letter; letter++)
		if (*letter == '/' && letter[1])
			name = letter + 1;
	return name;
}
