/* Register calls and the small objects: system call numbers, capability ids, Console, Timer,
 * EntropySource, BootImage, SystemInfo, HostShare, each method with its errors, in compact and in
 * message form. */
// test: env CALLS_VARIABLE=what others must not read
#include <capos/capos.h>
#include <stdlib.h>

#include "check.h"

#define UNMAPPED ((void *)8)
#define KERNEL_ADDRESS ((void *)0xffff800000000000)

static int64_t raw(uint64_t rax, uint64_t rdi, uint64_t rsi)
{
	return capos_syscall(rax, rdi, rsi, 0, 0, 0, 0);
}

static void syscall_numbers_are_checked(void)
{
	const uint64_t wrong[] = { 2, 3, 0xff, 0x10001, 0x100000001, 0x8000000000000001, ~0ull,
		0x100, 0x10000 };
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		CHECK_FAILS(SYS_CAP_ENTER, INVALID_REQUEST, raw(wrong[i], 0, 0));
	for (uint64_t opcode = CAPOS_OPCODE_CANCEL + 1; opcode < 256; opcode++)
		CHECK_FAILS(SYS_CAP_ENTER, UNSUPPORTED_OPCODE,
			raw(CAPOS_SYS_CAP_ENTER | opcode << 8, 0, 0));
	CHECK_FAILS(SYS_CAP_ENTER, UNSUPPORTED_OPCODE,
		raw(CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_CALL << 8, 0, 0));
	CHECK_FAILS(SYS_EXIT, INVALID_REQUEST, raw(CAPOS_SYS_EXIT, 0, 2)); /* no such scope */
	CHECK_EQUAL(raw(CAPOS_SYS_CAP_ENTER, 0, 0), 0);
}

static void registers_are_kept(void)
{
	uint64_t rbx = 1, r12 = 2, r13 = 3, r14 = 4, r15 = 5, rsi = 7, rdx = 8,
		 rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8;
	uint64_t rdi = capos_caps.thread_control | (uint64_t)CAPOS_THREAD_CONTROL_YIELD << 32;
	register uint64_t r8 __asm__("r8") = 9, r9 __asm__("r9") = 10, r10 __asm__("r10") = 11;
	register uint64_t q12 __asm__("r12") = r12, q13 __asm__("r13") = r13,
			      q14 __asm__("r14") = r14, q15 __asm__("r15") = r15;
	uint64_t rdi_before = rdi;
	__asm__ volatile("syscall"
		: "+a"(rax), "+b"(rbx), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r8), "+r"(r9),
		"+r"(r10), "+r"(q12), "+r"(q13), "+r"(q14), "+r"(q15)
		:
		: "rcx", "r11", "memory");
	CHECK_EQUAL(rax, 0);
	CHECK(rbx == 1 && q12 == 2 && q13 == 3 && q14 == 4 && q15 == 5 && rdi == rdi_before &&
		rsi == 7 && rdx == 8);
	CHECK(r8 == 9 && r9 == 10 && r10 == 11);
}

static void capability_ids_are_checked(void)
{
	capos_cap_t timer = capos_caps.timer;
	const uint32_t forged[] = { 0, 1, 0xffffffff, 0xffff, timer ^ 0x10000, timer ^ 0x80000000,
		timer + 64, timer | 0xf000 };
	for (unsigned i = 0; i < sizeof forged / sizeof forged[0]; i++) {
		CHECK_FAILS(OPCODE_COMPACT, INVOKE_FAILED, capos_call(forged[i], 0, 0, 0, 0, 0, 0));
		CHECK_FAILS(OPCODE_RELEASE, INVOKE_FAILED, capos_release(forged[i]));
		CHECK_FAILS(OPCODE_PARK, INVOKE_FAILED, capos_park_in(forged[i], &timer, 0, 0));
		CHECK_FAILS(OPCODE_UNPARK, INVOKE_FAILED, capos_unpark_in(forged[i], &timer, 1));
	}
	CHECK_FAILS(OPCODE_COMPACT, INVOKE_FAILED, capos_call(timer, 4, 0, 0, 0, 0, 0));
	CHECK_FAILS(OPCODE_COMPACT, INVOKE_FAILED, capos_call(timer, 0xffff, 0, 0, 0, 0, 0));
	CHECK_FAILS(OPCODE_COMPACT, INVALID_REQUEST,
		raw(CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8, timer | 1ull << 48, 0));
	const uint64_t above = 1ull << 32; /* bits that a CapId does not have */
	CHECK_FAILS(OPCODE_PARK, INVALID_REQUEST,
		raw(CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_PARK << 8, capos_caps.park | above, 0));
	CHECK_FAILS(OPCODE_UNPARK, INVALID_REQUEST,
		raw(CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_UNPARK << 8, capos_caps.park | above, 0));
	CHECK_FAILS(OPCODE_RELEASE, INVALID_REQUEST,
		raw(CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_RELEASE << 8, timer | above, 0));
	CHECK_FAILS(OPCODE_PARK, INVOKE_FAILED,
		capos_park_in(timer, &timer, 0, 0)); /* not a park space */
}

static void narrow_arguments_are_checked(void)
{
	CHECK_FAILS(OPCODE_COMPACT, INVALID_ARGUMENT,
		capos_call(capos_caps.vm, CAPOS_VIRTUAL_MEMORY_MAP, 0, 4096,
			1ull << 32 | CAPOS_PROT_READ, 0, 0));
	CHECK_FAILS(OPCODE_COMPACT, INVALID_ARGUMENT,
		capos_call(capos_caps.entropy, CAPOS_ENTROPY_SOURCE_FILL, 1ull << 32, 0, 0, 0, 0));
	CHECK_EQUAL(
		capos_park_in(capos_caps.park, &check_failures, 0, 0), CAPOS_PARK_RESULT_TIMED_OUT);
	CHECK_FAILS(OPCODE_PARK, INVALID_ARGUMENT,
		capos_register_call(CAPOS_OPCODE_PARK, capos_caps.park, (uintptr_t)&check_failures,
			1ull << 32, 0, 0, 0));
}

static void released_ids_stay_dead(void)
{
	capos_cap_t first, cap = 0;
	CHECK_EQUAL(capos_memory_allocator_create(capos_caps.memory_allocator, 4096, &first), 0);
	CHECK_EQUAL(capos_release(first), 0);
	for (int i = 0; i < 1000; i++) {
		uint64_t pages;
		CHECK_EQUAL(
			capos_memory_allocator_create(capos_caps.memory_allocator, 4096, &cap), 0);
		CHECK(cap != first);
		CHECK_EQUAL(
			capos_memory_object_info(first, &pages), CAPOS_TRANSPORT_E(INVOKE_FAILED));
		CHECK_EQUAL(capos_memory_object_info(cap, &pages), 0);
		CHECK_EQUAL(capos_release(cap), 0);
	}
}

static uint32_t held[CAPOS_CAP_SLOTS_MAX];

/* Every method that returns a capability, with the table full: nothing is made and nothing
 * charged. */
static void every_maker_needs_a_slot(void)
{
	struct capos_memory_usage before, after;
	struct capos_process_info info;
	capos_cap_t made = 0, spawner = capos_caps.thread_spawner;
	uint64_t entry = (uintptr_t)&every_maker_needs_a_slot; /* nothing starts there */
	CHECK_EQUAL(
		capos_virtual_memory_usage(capos_caps.vm, &before, sizeof before), sizeof before);
	CHECK_FAILS(THREAD_CONTROL_SELF, NO_SLOTS,
		capos_thread_control_self_message(capos_caps.thread_control, &made));
	CHECK_FAILS(MEMORY_ALLOCATOR_CREATE, NO_SLOTS,
		capos_memory_allocator_create(capos_caps.memory_allocator, 4096, &made));
	CHECK_FAILS(MEMORY_ALLOCATOR_CREATE, NO_SLOTS,
		capos_memory_allocator_create_message(capos_caps.memory_allocator, 4096, &made));
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_SLOTS,
		capos_thread_spawner_spawn(spawner, entry, 0, 0, 0, 0, "", &made));
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, NO_SLOTS,
		capos_thread_spawner_spawn_message(spawner, entry, 0, 0, 0, 0, "", &made));
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	CHECK_EQUAL(info.threads, 1);
	CHECK_EQUAL(info.capabilities, CAPOS_CAP_SLOTS_MAX - 1); /* slot 0 is never used */
	CHECK_EQUAL(capos_virtual_memory_usage(capos_caps.vm, &after, sizeof after), sizeof after);
	CHECK_EQUAL(after.committed_pages, before.committed_pages);
	CHECK_EQUAL(after.reserved_pages, before.reserved_pages);
}

static void capability_table_fills_up(void)
{
	unsigned count = 0;
	int64_t status = 0;
	while (count < CAPOS_CAP_SLOTS_MAX &&
		(status = capos_thread_control_self(capos_caps.thread_control, &held[count])) == 0)
		count++;
	CHECK_EQUAL(status, CAPOS_E(NO_SLOTS));
	CHECK(count > CAPOS_CAP_SLOTS_MAX - 64);
	every_maker_needs_a_slot();
	for (unsigned i = 0; i < count; i++)
		CHECK_EQUAL(capos_release(held[i]), 0);
	CHECK_EQUAL(capos_thread_control_self(capos_caps.thread_control, &held[0]), 0);
	CHECK_EQUAL(capos_release(held[0]), 0);
}

static void console_errors(void)
{
	char byte;
	CHECK_FAILS(
		CONSOLE_WRITE, NO_RIGHTS, capos_console_write(capos_caps.standard_input, "x", 1));
	CHECK_FAILS(CONSOLE_WRITE, NO_RIGHTS,
		capos_console_write_message(capos_caps.standard_input, "x", 1));
	CHECK_FAILS(CONSOLE_WRITE_LINE, NO_RIGHTS,
		capos_console_write_line(capos_caps.standard_input, "x"));
	CHECK_FAILS(CONSOLE_WRITE_LINE, NO_RIGHTS,
		capos_console_write_line_message(capos_caps.standard_input, "x"));
	CHECK_FAILS(CONSOLE_READ, NO_RIGHTS,
		capos_console_read(capos_caps.standard_output, 1, &byte, 1));
	CHECK_FAILS(CONSOLE_READ, NO_RIGHTS,
		capos_console_read_message(capos_caps.standard_output, 1, &byte, 1));
	CHECK_FAILS(CONSOLE_READ, NO_RIGHTS,
		capos_console_read(capos_caps.standard_error, 1, UNMAPPED, 1));
	CHECK_FAILS(CONSOLE_READ, INVALID_ARGUMENT,
		capos_console_read_message(capos_caps.standard_input, 0, &byte, 1));
	CHECK_FAILS(CONSOLE_READ, INVALID_ARGUMENT,
		capos_console_read(capos_caps.standard_input, 0, &byte, 1));
	CHECK_FAILS(CONSOLE_READ, INVALID_ARGUMENT,
		capos_console_read(capos_caps.standard_input, 1, &byte, 0));
	CHECK_FAILS(CONSOLE_WRITE, BAD_ADDRESS,
		capos_console_write(capos_caps.standard_output, UNMAPPED, 1));
	CHECK_FAILS(CONSOLE_WRITE, BAD_ADDRESS,
		capos_console_write(capos_caps.standard_output, KERNEL_ADDRESS, 1));
	CHECK_FAILS(CONSOLE_WRITE, BAD_ADDRESS,
		capos_console_write(capos_caps.standard_output, UNMAPPED, ~0ull));
	CHECK_EQUAL(capos_console_write(capos_caps.standard_output, UNMAPPED, 0), 0);
	CHECK_FAILS(CONSOLE_WRITE_LINE, BAD_ADDRESS,
		capos_call(capos_caps.standard_output, CAPOS_CONSOLE_WRITE_LINE,
			(uintptr_t)UNMAPPED, 1, 0, 0, 0));
}

static void console_writes(void)
{
	static char text[20001];
	memset(text, '.', sizeof text);
	text[sizeof text - 1] = '\n';
	CHECK_EQUAL(capos_console_write(capos_caps.standard_error, text, sizeof text), 0);
	CHECK_EQUAL(capos_console_write_message(capos_caps.standard_error, text, sizeof text), 0);
	CHECK_EQUAL(capos_console_write_line(capos_caps.standard_error, "a line"), 0);
	CHECK_EQUAL(capos_console_write_line_message(capos_caps.standard_error, "a line"), 0);
	CHECK_EQUAL(capos_console_write_line(capos_caps.standard_error, ""), 0);
}

/* Programs of the machine tests have an empty standard input: every read gives no bytes at once. */
static void console_reads_the_end(void)
{
	char bytes[32] = "untouched";
	for (int i = 0; i < 3; i++) {
		CHECK_EQUAL(capos_console_read(
				    capos_caps.standard_input, sizeof bytes, bytes, sizeof bytes),
			0);
		CHECK_EQUAL(capos_console_read_message(
				    capos_caps.standard_input, sizeof bytes, bytes, sizeof bytes),
			0);
		CHECK_EQUAL(capos_console_read(capos_caps.standard_input, 0xffffffff, bytes, 1), 0);
	}
	CHECK(strcmp(bytes, "untouched") == 0);
}

static void timer_runs(void)
{
	uint64_t first, second, tick;
	CHECK_EQUAL(capos_timer_now(capos_caps.timer, &first, &tick), 0);
	CHECK_EQUAL(capos_timer_sleep(capos_caps.timer, 2000000), 0);
	CHECK_EQUAL(capos_timer_now_message(capos_caps.timer, &second, &tick), 0);
	CHECK(second - first >= 2000000);
	CHECK_EQUAL(capos_timer_sleep_until(capos_caps.timer, first), 0); /* past */
	CHECK_EQUAL(capos_timer_sleep(capos_caps.timer, 0), 0);
	CHECK_EQUAL(capos_timer_sleep_message(capos_caps.timer, 0), 0);
	CHECK_EQUAL(capos_timer_now(capos_caps.timer, &first, &tick), 0);
	CHECK_EQUAL(capos_timer_sleep_message(capos_caps.timer, 2000000), 0);
	CHECK_EQUAL(capos_timer_now(capos_caps.timer, &second, &tick), 0);
	CHECK(second - first >= 2000000);
	CHECK_EQUAL(capos_timer_sleep_until_message(capos_caps.timer, second + 2000000), 0);
	CHECK_EQUAL(capos_timer_now(capos_caps.timer, &first, &tick), 0);
	CHECK(first - second >= 2000000);
	uint64_t page = capos_now_ns();
	CHECK_EQUAL(capos_timer_now(capos_caps.timer, &first, &tick), 0);
	CHECK(first >= page && first - page < 1000000000);
	int64_t wall = 0;
	CHECK_EQUAL(capos_timer_wall_message(capos_caps.timer, &wall), 0);
	CHECK(wall > 1700000000000000000 && wall < 4102444800000000000); /* 2023 to 2100 */
	CHECK(capos_wall_ns() - wall < 1000000000);
}

static void entropy_fills(void)
{
	static uint8_t bytes[65536 + 8], again[64];
	uint32_t sources = 0, in_message = 99;
	CHECK_EQUAL(capos_entropy_source_status(capos_caps.entropy, &sources), 0);
	CHECK_EQUAL(capos_entropy_source_status_message(capos_caps.entropy, &in_message), 0);
	CHECK_EQUAL(in_message, sources);
	CHECK_EQUAL(sources & ~15u, 0);
	if (!sources)
		return;
	CHECK_EQUAL(capos_entropy_source_fill(capos_caps.entropy, 64, bytes, sizeof bytes), 64);
	CHECK_EQUAL(capos_entropy_source_fill(capos_caps.entropy, 64, again, sizeof again), 64);
	CHECK(memcmp(bytes, again, 64) != 0);
	CHECK_EQUAL(bytes[64], 0);
	CHECK_EQUAL(
		capos_entropy_source_fill(capos_caps.entropy, 65536, bytes, sizeof bytes), 65536);
	CHECK_EQUAL(capos_entropy_source_fill(capos_caps.entropy, 0, bytes, 0), 0);
	CHECK_FAILS(ENTROPY_SOURCE_FILL, INVALID_ARGUMENT,
		capos_entropy_source_fill(capos_caps.entropy, 65537, bytes, sizeof bytes));
	CHECK_FAILS(ENTROPY_SOURCE_FILL, INVALID_ARGUMENT,
		capos_entropy_source_fill(capos_caps.entropy, 2, bytes, 1));
	CHECK_FAILS(ENTROPY_SOURCE_FILL, BAD_ADDRESS,
		capos_entropy_source_fill(capos_caps.entropy, 2, UNMAPPED, 2));
	CHECK_FAILS(ENTROPY_SOURCE_FILL, BAD_ADDRESS,
		capos_entropy_source_fill(capos_caps.entropy, 2, KERNEL_ADDRESS, 2));
}

static void boot_image_is_mapped(void)
{
	uint64_t size = 0, first = 0, second = 0, in_message = 0;
	struct capos_boot_image_header header;
	CHECK_EQUAL(capos_boot_image_manifest_size(capos_caps.boot, &size), 0);
	CHECK_EQUAL(capos_boot_image_manifest_size_message(capos_caps.boot, &in_message), 0);
	CHECK_EQUAL(in_message, size);
	CHECK(size >= sizeof header);
	CHECK_EQUAL(capos_boot_image_read_manifest(
			    capos_caps.boot, 0, sizeof header, &header, sizeof header),
		sizeof header);
	CHECK_EQUAL(header.magic, CAPOS_BOOT_IMAGE_MAGIC);
	CHECK_EQUAL(
		capos_boot_image_read_manifest_message(capos_caps.boot, size, 16, &header, 16), 0);
	CHECK_FAILS(BOOT_IMAGE_READ_MANIFEST, OUT_OF_RANGE,
		capos_boot_image_read_manifest(capos_caps.boot, size + 1, 16, &header, 16));
	CHECK_FAILS(BOOT_IMAGE_READ_MANIFEST, OUT_OF_RANGE,
		capos_boot_image_read_manifest(capos_caps.boot, ~0ull, 16, &header, 16));
	CHECK_FAILS(BOOT_IMAGE_READ_MANIFEST, BAD_ADDRESS,
		capos_boot_image_read_manifest(capos_caps.boot, 0, 16, UNMAPPED, 16));
	CHECK_EQUAL(capos_boot_image_map(capos_caps.boot, &first), 0);
	CHECK_EQUAL(capos_boot_image_map(capos_caps.boot, &second), 0);
	CHECK_EQUAL(first, second);
	CHECK_EQUAL(capos_boot_image_map_message(capos_caps.boot, &second), 0);
	CHECK_EQUAL(first, second);
	CHECK_EQUAL(*(uint64_t *)first, CAPOS_BOOT_IMAGE_MAGIC);
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, PROTECTION_DENIED,
		capos_virtual_memory_protect(
			capos_caps.vm, first, 4096, CAPOS_PROT_READ | CAPOS_PROT_WRITE));
	CHECK_FAILS(VIRTUAL_MEMORY_UNMAP, PROTECTION_DENIED,
		capos_virtual_memory_unmap(capos_caps.vm, first, 4096));
}

/* The variable is this program's own, which is in the boot image like those of others; the text is
 * not in the executable, of which a comment is no part. */
static void boot_image_shows_no_arguments(void)
{
	struct capos_boot_image_header header;
	struct capos_region_info info = { 0 };
	uint64_t address = 0;
	const char *variable = getenv("CALLS_VARIABLE");
	CHECK(variable != NULL);
	CHECK_EQUAL(capos_boot_image_map(capos_caps.boot, &address), 0);
	memcpy(&header, (const void *)address, sizeof header);
	CHECK_EQUAL(capos_virtual_memory_query(capos_caps.vm, address, 0, &info, sizeof info),
		sizeof info);
	CHECK(info.size >= header.total_size);
	if (check_why[0])
		return;
	const char *bytes = (const char *)address;
	size_t size = strlen(variable) + 1;
	for (uint64_t i = 0; i + size <= info.size; i++) {
		if (bytes[i] == variable[0] && memcmp(bytes + i, variable, size) == 0)
			CHECK_EQUAL(i, -1); /* the image shows it there */
	}
	const struct capos_boot_program *programs = (const void *)(bytes + header.programs_offset);
	for (uint32_t i = 0; i < header.program_count; i++) {
		CHECK(programs[i].args_offset >= header.total_size);
		CHECK(programs[i].env_offset >= header.total_size);
	}
}

static void system_info_tells(void)
{
	struct capos_process_info info = { 0 }, in_message = { 0 };
	char text[64] = "";
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	CHECK_EQUAL(info.process_id, capos_cap_set()->process_id);
	CHECK_EQUAL(info.threads, 1);
	CHECK_EQUAL(info.capabilities, capos_cap_set()->count);
	CHECK(info.cpus_online >= 1);
	CHECK_EQUAL(capos_system_info_process_message(
			    capos_caps.system, &in_message, sizeof in_message),
		sizeof in_message);
	CHECK(in_message.process_id == info.process_id && in_message.threads == 1 &&
		in_message.capabilities == info.capabilities);
	CHECK_EQUAL(in_message.cpus_online, info.cpus_online);
	CHECK_FAILS(SYSTEM_INFO_PROCESS, BAD_ADDRESS,
		capos_system_info_process(capos_caps.system, UNMAPPED, sizeof info));
	CHECK_FAILS(SYSTEM_INFO_RELEASE, BAD_ADDRESS,
		capos_system_info_release(capos_caps.system, KERNEL_ADDRESS, 16));
	CHECK(capos_system_info_release(capos_caps.system, text, sizeof text - 1) > 0);
	CHECK(strncmp(text, "capOS", 5) == 0);
	CHECK_EQUAL(capos_system_info_release_message(capos_caps.system, text, 4),
		4); /* as much as there is room for */
}

static void host_share_names_are_checked(void)
{
	static const char *const wrong[] = { "", "/x", "x/", "a//b", ".", "..", "a/..", "../a",
		"a/./b", "./a" };
	static char long_name[257];
	memset(long_name, 'n', sizeof long_name - 1);
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		CHECK_FAILS(HOST_SHARE_WRITE, INVALID_ARGUMENT,
			capos_host_share_write(capos_caps.host, wrong[i], 0, "x", 1));
		CHECK_FAILS(HOST_SHARE_WRITE, INVALID_ARGUMENT,
			capos_host_share_write_message(capos_caps.host, wrong[i], 0, "x", 1));
		CHECK_FAILS(HOST_SHARE_REMOVE, INVALID_ARGUMENT,
			capos_host_share_remove(capos_caps.host, wrong[i]));
		CHECK_FAILS(HOST_SHARE_REMOVE, INVALID_ARGUMENT,
			capos_host_share_remove_message(capos_caps.host, wrong[i]));
	}
	CHECK_FAILS(HOST_SHARE_REMOVE, INVALID_ARGUMENT,
		capos_host_share_remove(capos_caps.host, long_name));
	CHECK_FAILS(HOST_SHARE_REMOVE, BAD_ADDRESS,
		capos_call(
			capos_caps.host, CAPOS_HOST_SHARE_REMOVE, (uint64_t)UNMAPPED, 1, 0, 0, 0));
	CHECK_EQUAL(capos_host_share_remove(capos_caps.host, "calls.txt"), 0);
	CHECK_FAILS(HOST_SHARE_WRITE, INVALID_ARGUMENT,
		capos_host_share_write(capos_caps.host, long_name, 0, "x", 1));
	CHECK_FAILS(HOST_SHARE_WRITE, INVALID_ARGUMENT,
		capos_host_share_write(capos_caps.host, "x", 0, long_name, 65537));
	CHECK_FAILS(HOST_SHARE_WRITE, INVALID_ARGUMENT,
		capos_host_share_write(capos_caps.host, "x", ~0ull, "x", 1));
	CHECK_FAILS(HOST_SHARE_WRITE, BAD_ADDRESS,
		capos_host_share_write(capos_caps.host, "x", 0, UNMAPPED, 1));
	CHECK_FAILS(HOST_SHARE_WRITE, INVALID_ARGUMENT,
		capos_host_share_write_message(capos_caps.host, long_name, 0, "x", 1));
	CHECK_FAILS(HOST_SHARE_WRITE, INVALID_ARGUMENT,
		capos_host_share_write_message(capos_caps.host, "x", ~0ull, "x", 1));
	CHECK_EQUAL(capos_host_share_write_message(capos_caps.host, "calls.txt", 0, "x", 1),
		0); /* a file that ./capos was not asked for */
}

static void capset_is_read_only(void)
{
	uint64_t page = (uintptr_t)capos_cap_set();
	CHECK_FAILS(VIRTUAL_MEMORY_PROTECT, PROTECTION_DENIED,
		capos_virtual_memory_protect(
			capos_caps.vm, page, 4096, CAPOS_PROT_READ | CAPOS_PROT_WRITE));
	CHECK_FAILS(VIRTUAL_MEMORY_UNMAP, PROTECTION_DENIED,
		capos_virtual_memory_unmap(capos_caps.vm, page, 4096));
	CHECK_FAILS(VIRTUAL_MEMORY_UNMAP, PROTECTION_DENIED,
		capos_virtual_memory_unmap(capos_caps.vm, (uintptr_t)capos_ring(), 4096));
	CHECK_EQUAL(capos_cap_set()->magic, CAPOS_CAP_SET_MAGIC);
	for (unsigned i = 0; i < capos_cap_set()->count; i++)
		CHECK(capos_cap_entries()[i].cap >> 16 != 0 &&
			(capos_cap_entries()[i].cap & 0xffff) != 0);
}

int main(void)
{
	RUN(syscall_numbers_are_checked);
	RUN(registers_are_kept);
	RUN(capability_ids_are_checked);
	RUN(narrow_arguments_are_checked);
	RUN(released_ids_stay_dead);
	RUN(capability_table_fills_up);
	RUN(console_errors);
	RUN(console_writes);
	RUN(console_reads_the_end);
	RUN(timer_runs);
	RUN(entropy_fills);
	RUN(boot_image_is_mapped);
	RUN(boot_image_shows_no_arguments);
	RUN(system_info_tells);
	RUN(host_share_names_are_checked);
	RUN(capset_is_read_only);
	return check_result();
}
