/* The pure parts: ChaCha20 against RFC 8439, kernel parameters, clock registers, host file names,
 * channel input, ELF and image validation. */
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "core/chacha.h"
#include "dev/channel_input.h"
#include "dev/command_line.h"
#include "dev/rtc.h"
#include "images.h"
#include "object/host_share.h"
#include "proc/boot_image.h"

static void chacha_rfc8439_2_3_2(void)
{
	static const uint8_t wanted[64] = { 0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50,
		0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68,
		0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07,
		0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c,
		0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e };
	static const uint8_t nonce[12] = { 0, 0, 0, 9, 0, 0, 0, 0x4a };
	uint8_t key[32], block[64];
	for (unsigned i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
	chacha20_block(key, 1, nonce, block);
	CHECK(memcmp(block, wanted, 64) == 0);
}

static void chacha_rfc8439_a_1(void)
{
	static const uint8_t first[16] = { 0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40,
		0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28 };
	static const uint8_t second[16] = { 0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a, 0x98,
		0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08, 0x0d };
	uint8_t key[32] = { 0 }, nonce[12] = { 0 }, block[64];
	chacha20_block(key, 0, nonce, block);
	CHECK(memcmp(block, first, 16) == 0);
	chacha20_block(key, 1, nonce, block);
	CHECK(memcmp(block, second, 16) == 0);
}

static void command_line_words(void)
{
	const char *line = "  trace channel=com2 tracer=1 virtio_mmio.device=512@0xfeb00e00:12"
			   " virtio_mmio.device=1K@4096:3 stats=";
	const char *rest = line, *value;
	size_t length;
	struct mmio_device_parameter device;
	CHECK(command_line_has(line, "trace", NULL) && !command_line_has(line, "race", NULL) &&
		!command_line_has(line, "trac", NULL));
	CHECK(command_line_has(line, "channel", "com2") &&
		!command_line_has(line, "channel", "com") &&
		!command_line_has(line, "channel", "com22"));
	CHECK(command_line_has(line, "stats", NULL) && command_line_has(line, "stats", ""));
	CHECK(command_line_next(&rest, "virtio_mmio.device", &value, &length) &&
		command_line_mmio_device(value, length, &device));
	CHECK(device.base == 0xfeb00e00 && device.size == 512 && device.gsi == 12);
	CHECK(command_line_next(&rest, "virtio_mmio.device", &value, &length) &&
		command_line_mmio_device(value, length, &device));
	CHECK(device.base == 4096 && device.size == 1024 && device.gsi == 3);
	CHECK(!command_line_next(&rest, "virtio_mmio.device", &value, &length));
	static const char *const rejected[] = { "", "512", "512@", "512@1", "512@1:", "@1:1",
		"512@1:256", "512@99999999999999999999:1", "x@1:1" };
	for (unsigned i = 0; i < sizeof rejected / sizeof rejected[0]; i++)
		CHECK(!command_line_mmio_device(rejected[i], strlen(rejected[i]), &device));
}

static void rtc_registers(void)
{
	int64_t unix_s;
	struct rtc_time bcd = { 0x56, 0x34, 0x12, 0x29, 0x02, 0x24 };
	CHECK(rtc_to_unix(bcd, 0x02, &unix_s) && unix_s == 1709210096);
	struct rtc_time binary = { 59, 59, 23, 31, 12, 99 };
	CHECK(rtc_to_unix(binary, 0x06, &unix_s) && unix_s == 4102444799);
	struct rtc_time noon = { 0, 0, 0x80 | 0x12, 1, 1, 0 };
	CHECK(rtc_to_unix(noon, 0x00, &unix_s) && unix_s == 946684800 + 12 * 3600);
	struct rtc_time midnight = { 0, 0, 0x12, 1, 1, 0 };
	CHECK(rtc_to_unix(midnight, 0x00, &unix_s) && unix_s == 946684800);
	struct rtc_time march = { 0, 0, 0, 1, 3, 0 };
	CHECK(rtc_to_unix(march, 0x06, &unix_s) && unix_s == 951868800);
	struct rtc_time wrong = { 0x7a, 0, 0, 1, 1, 0 };
	CHECK(!rtc_to_unix(wrong, 0x02, &unix_s));
	struct rtc_time floating = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	CHECK(!rtc_to_unix(floating, 0xff, &unix_s));
}

static bool name_allowed(const char *name)
{
	return host_name_allowed(name, strlen(name));
}

static void host_names(void)
{
	CHECK(name_allowed("a") && name_allowed("a/b") && name_allowed("...") &&
		name_allowed(".a/..b"));
	CHECK(!name_allowed("") && !name_allowed("/a") && !name_allowed("a/") &&
		!name_allowed("a//b") && !name_allowed(".."));
	CHECK(!name_allowed("a/..") && !name_allowed("./a") && !host_name_allowed("a\0b", 3));
}

static void feed_message(
	struct channel_input *input, uint8_t type, const void *payload, uint32_t size)
{
	uint8_t header[8] = { type };
	memcpy(header + 4, &size, 4);
	channel_input_feed(input, header, 8);
	channel_input_feed(input, payload, size);
}

static void channel_messages(void)
{
	struct channel_input input;
	uint8_t buffer[64], got[64], key = CAPOS_NOTIFICATION_KIND_INTERRUPT, wild = 200;
	uint32_t credit = 70000;
	channel_input_init(&input, buffer, sizeof buffer);
	feed_message(&input, CAPOS_HOST_MESSAGE_STDIN, "hello", 5);
	feed_message(&input, CAPOS_HOST_MESSAGE_KEY, &key, 1);
	feed_message(&input, CAPOS_HOST_MESSAGE_KEY, &wild, 1);
	feed_message(&input, 99, "skipped", 7);
	feed_message(&input, CAPOS_HOST_MESSAGE_CREDIT, &credit, sizeof credit);
	feed_message(&input, CAPOS_HOST_MESSAGE_CREDIT, &credit, sizeof credit);
	feed_message(&input, CAPOS_HOST_MESSAGE_STDIN, " you", 4);
	CHECK(input.keys == 1ull << CAPOS_NOTIFICATION_KIND_INTERRUPT && !input.ended);
	CHECK(channel_input_take(&input, got, 6) == 6 && memcmp(got, "hello ", 6) == 0);
	CHECK(input.granted == 2 * credit);
	channel_input_put_back(&input, got + 4, 2);
	channel_input_keep(&input, 4);
	CHECK(channel_input_take(&input, got, 64) == 5 && memcmp(got, "o you", 5) == 0);
	CHECK(input.held == 5);
	feed_message(&input, CAPOS_HOST_MESSAGE_STDIN_END, NULL, 0);
	CHECK(input.ended);
}

/* Bytes that have been taken and may still come back keep their room: two readers have taken all
 * that fits, the host fills what it may, and both give everything back. */
static void channel_put_back_loses_nothing(void)
{
	struct channel_input input;
	uint8_t buffer[64], first[40], second[40], got[64], bytes[64];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	channel_input_init(&input, buffer, sizeof buffer);
	feed_message(&input, CAPOS_HOST_MESSAGE_STDIN, bytes, sizeof bytes);
	CHECK(channel_input_take(&input, first, 40) == 40);
	CHECK(channel_input_take(&input, second, 40) == 24);
	const uint8_t header[8] = { CAPOS_HOST_MESSAGE_STDIN, 0, 0, 0, 1 };
	channel_input_feed(&input, header, sizeof header);
	CHECK(channel_input_room(&input) == 0);
	channel_input_put_back(&input, second, 24);
	channel_input_put_back(&input, first, 40);
	CHECK(channel_input_take(&input, got, 64) == 64 && memcmp(got, bytes, 64) == 0);
	channel_input_keep(&input, 64);
	CHECK(channel_input_room(&input) == 1);
}

/* A stream of numbered bytes through a small buffer, in random pieces, some of which are put back:
 * no byte is lost or duplicated. */
static void channel_stream(void)
{
	struct channel_input input;
	uint8_t buffer[97], got[97];
	uint8_t next_in = 0, next_out = 0;
	uint32_t message_left = 0, header_left = 0;
	uint8_t header[8];
	channel_input_init(&input, buffer, sizeof buffer);
	srand(1);
	for (int i = 0; i < 200000; i++) {
		size_t room = channel_input_room(&input);
		if (room && rand() % 2) {
			if (!message_left && !header_left) {
				message_left = (uint32_t)(rand() % 300);
				memset(header, 0, 8);
				header[0] = CAPOS_HOST_MESSAGE_STDIN;
				memcpy(header + 4, &message_left, 4);
				header_left = 8;
			}
			uint8_t byte = header_left ? header[8 - header_left] : next_in;
			channel_input_feed(&input, &byte, 1);
			if (header_left)
				header_left--;
			else
				message_left--, next_in++;
		} else {
			size_t count = channel_input_take(&input, got, (size_t)(rand() % 20));
			if (count && rand() % 4 == 0) {
				channel_input_put_back(&input, got, count);
				continue;
			}
			channel_input_keep(&input, count);
			for (size_t k = 0; k < count; k++)
				CHECK(got[k] == next_out++);
		}
	}
	CHECK(next_out > 0);
}

static void elf_good(void)
{
	struct test_elf elf = elf_sample();
	struct elf_image image;
	const char *reason;
	const struct elf_source whole = { sizeof elf, elf_bytes_at, &elf };
	CHECK(elf_parse(&whole, &image, &reason) == STATUS_OK && image.segment_count == 2);
	CHECK(parse_bytes(&elf, sizeof elf, &image, &reason) == STATUS_OK);
	CHECK(image.segment_count == 2 && image.entry == 0x201000 && image.tls.memory_size == 0x20);
	CHECK(image.headers_address == 0x200040 && image.header_count == 3);
	CHECK(elf_tls_size(&image.tls) == 0x20);
	image.tls.memory_size = 0x21;
	CHECK(elf_tls_size(&image.tls) == 0x40);
}

/* Programs that were built before: for version 1, without a mark, and for any later version. */
static void elf_of_another_version_is_rejected(void)
{
	struct elf_image image;
	const char *reason;
	for (uint32_t version = 1; version < CAPOS_ABI_VERSION + 3; version++) {
		struct test_elf elf = elf_sample();
		elf.mark.version = version;
		if (version == 1) /* code, where the mark would be */
			memset(&elf.mark, 0x90, sizeof elf.mark);
		status_t wanted = version == CAPOS_ABI_VERSION ? STATUS_OK : STATUS(WRONG_STATE);
		CHECK(parse_bytes(&elf, sizeof elf, &image, &reason) == wanted);
		CHECK(image.abi_version == version);
	}
	struct test_elf cut = elf_sample();
	cut.entry = 0x201000 + 0x20 - 8; /* no room for a mark */
	CHECK(parse_bytes(&cut, sizeof cut, &image, &reason) == STATUS(WRONG_STATE));
	CHECK(image.abi_version == 1);
}

struct elf_mistake {
	size_t offset;
	uint64_t value;
	unsigned size;
	status_t status;
};

static const struct elf_mistake elf_mistakes[] = {
	{ 0, 0, 1, STATUS(INVALID_ARGUMENT) },    /* magic */
	{ 4, 1, 1, STATUS(INVALID_ARGUMENT) },    /* 32 bits */
	{ 5, 2, 1, STATUS(INVALID_ARGUMENT) },    /* big endian */
	{ 7, 3, 1, STATUS(INVALID_ARGUMENT) },    /* OSABI Linux */
	{ 16, 3, 2, STATUS(INVALID_ARGUMENT) },   /* ET_DYN */
	{ 18, 183, 2, STATUS(INVALID_ARGUMENT) }, /* aarch64 */
	{ 24, 0x200000, 8,
		STATUS(OUT_OF_RANGE) }, /* entry in a segment that is not executable... */
	{ 24, 0x900000, 8, STATUS(OUT_OF_RANGE) }, /* ... in none */
	{ 32, ~0ull, 8, STATUS(OUT_OF_RANGE) },    /* program headers far away */
	{ 32, sizeof(struct test_elf) - 8, 8,
		STATUS(OUT_OF_RANGE) },                       /* program headers over the end */
	{ 54, 32, 2, STATUS(INVALID_ARGUMENT) },              /* entry size */
	{ 56, 0, 2, STATUS(INVALID_ARGUMENT) },               /* no headers */
	{ 56, 65, 2, STATUS(LIMIT_REACHED) },                 /* too many headers */
	{ PHDR(0, type), 3, 4, STATUS(INVALID_ARGUMENT) },    /* interpreter */
	{ PHDR(0, offset), 0x1000, 8, STATUS(OUT_OF_RANGE) }, /* bytes over the end */
	{ PHDR(0, offset), ~0ull - 4095, 8, STATUS(OUT_OF_RANGE) }, /* wraps */
	{ PHDR(0, offset), 8, 8, STATUS(INVALID_ARGUMENT) },        /* not congruent */
	{ PHDR(0, address), 0, 8, STATUS(OUT_OF_RANGE) },           /* page zero */
	{ PHDR(0, address), 0xf000, 8, STATUS(OUT_OF_RANGE) },      /* below 64 KiB */
	{ PHDR(0, address), 0x7fffffffe000, 8,
		STATUS(OVERLAP) }, /* above the second: not in order */
	{ PHDR(1, address), 0x7ffffffff000, 8, STATUS(OUT_OF_RANGE) },     /* at the top */
	{ PHDR(1, address), 0xffffffff80001000, 8, STATUS(OUT_OF_RANGE) }, /* the kernel's */
	{ PHDR(1, address), 0x200000, 8, STATUS(OVERLAP) },
	{ PHDR(0, memory_size), 0x1001, 8, STATUS(OVERLAP) },    /* one byte into the next page */
	{ PHDR(0, memory_size), 0x10, 8, STATUS(OUT_OF_RANGE) }, /* less than the file's */
	{ PHDR(1, memory_size), ~0ull, 8, STATUS(OUT_OF_RANGE) },
	{ PHDR(1, flags), 7, 4, STATUS(PROTECTION_DENIED) },
	{ PHDR(2, align), 3, 8, STATUS(INVALID_ARGUMENT) },
	{ PHDR(2, align), 8192, 8, STATUS(INVALID_ARGUMENT) },
	{ PHDR(2, file_size), 0x21, 8, STATUS(OUT_OF_RANGE) },
	{ PHDR(2, memory_size), 1ull << 60, 8, STATUS(OUT_OF_RANGE) },
	{ PHDR(2, address), 0x900000, 8, STATUS(OUT_OF_RANGE) }, /* image not loaded */
	{ PHDR(2, offset), 0x40, 8, STATUS(OUT_OF_RANGE) },      /* other bytes than those loaded */
};

static void elf_mistakes_are_rejected(void)
{
	for (unsigned i = 0; i < sizeof elf_mistakes / sizeof elf_mistakes[0]; i++) {
		struct test_elf elf = elf_sample();
		struct elf_image image;
		const char *reason;
		memcpy((char *)&elf + elf_mistakes[i].offset, &elf_mistakes[i].value,
			elf_mistakes[i].size);
		status_t status = parse_bytes(&elf, sizeof elf, &image, &reason);
		if (status != elf_mistakes[i].status && !check_why[0])
			snprintf(check_why, sizeof check_why, "mistake %u: status %d, not %d (%s)",
				i, status, elf_mistakes[i].status, reason);
		CHECK(status == STATUS_OK || reason[0]);
	}
}

static void boot_image_good(void)
{
	struct test_boot_image bytes = boot_image_sample();
	struct boot_image image;
	struct boot_image_program program;
	const char *reason;
	CHECK(boot_image_open(&bytes, sizeof bytes, &image, &reason) == STATUS_OK);
	CHECK(image.program_count == 1 && image.size == sizeof bytes);
	CHECK(boot_image_program(&image, 0, &program, &reason) == STATUS_OK);
	CHECK(program.args.count == 2 && program.args.size == 5 && program.env.count == 1 &&
		program.grants ==
			(1 << CAPOS_GRANT_COUNT) - 1 - (1 << CAPOS_GRANT_TRUSTED_DEVICES));
	CHECK(boot_image_program(&image, 1, &program, &reason) == STATUS(NOT_FOUND));
	CHECK(boot_image_open(&bytes, sizeof bytes - 1, &image, &reason) != STATUS_OK);
	CHECK(boot_image_open(&bytes, 63, &image, &reason) != STATUS_OK);
	bytes.header.version = 1;
	CHECK(boot_image_open(&bytes, sizeof bytes, &image, &reason) == STATUS(WRONG_STATE));
	CHECK(image.version == 1);
	bytes.header.version = CAPOS_ABI_VERSION;
	CHECK(boot_image_open(&bytes, sizeof bytes, &image, &reason) == STATUS_OK);
	CHECK(!image.input);
	bytes.header.input_offset = 64;
	bytes.header.input_size = sizeof bytes - 64;
	CHECK(boot_image_open(&bytes, sizeof bytes, &image, &reason) == STATUS_OK);
	CHECK(image.input == (const uint8_t *)&bytes + 64 && image.input_size == sizeof bytes - 64);
	bytes.header.input_size++;
	CHECK(boot_image_open(&bytes, sizeof bytes, &image, &reason) != STATUS_OK);
}

/* What programs do not see lies behind the end that the header names, inside what was loaded. */
static void boot_image_private_part(void)
{
	struct {
		struct test_boot_image shared;
		uint8_t rest[2 * 4096 - sizeof(struct test_boot_image) % 4096];
	} bytes = { .shared = boot_image_sample() };
	const uint64_t end = sizeof bytes - 4096;
	struct boot_image image;
	struct boot_image_program program;
	const char *reason;
	memcpy((char *)&bytes + end, "in\0pro\0", 8);
	bytes.shared.header.total_size = end;
	bytes.shared.header.input_offset = end;
	bytes.shared.header.input_size = 2;
	bytes.shared.program.args_offset = end + 3;
	CHECK(boot_image_open(&bytes, sizeof bytes, &image, &reason) == STATUS_OK);
	CHECK(image.size == end && image.input_size == 2 && memcmp(image.input, "in", 2) == 0);
	CHECK(boot_image_program(&image, 0, &program, &reason) == STATUS_OK);
	CHECK(program.args.count == 2 && strcmp(program.args.bytes, "pro") == 0);
	bytes.shared.program.args_offset = sizeof bytes - 4;
	CHECK(boot_image_program(&image, 0, &program, &reason) != STATUS_OK);
	bytes.shared.program.args_offset = end + 3;
	/* An executable there would be mapped. */
	bytes.shared.program.elf_offset = end;
	bytes.shared.program.elf_size = 1;
	CHECK(boot_image_program(&image, 0, &program, &reason) != STATUS_OK);
	bytes.shared.header.input_size = sizeof bytes - end + 1;
	CHECK(boot_image_open(&bytes, sizeof bytes, &image, &reason) != STATUS_OK);
	bytes.shared.header.input_size = 2;
	bytes.shared.header.total_size = end + 3; /* the page would show what is private */
	CHECK(boot_image_open(&bytes, sizeof bytes, &image, &reason) != STATUS_OK);
	bytes.shared.header.total_size = end;
	bytes.shared.header.files_offset = end; /* a table for programs that they would not see */
	CHECK(boot_image_open(&bytes, sizeof bytes, &image, &reason) != STATUS_OK);
}

static void boot_image_mistakes_are_rejected(void)
{
	static const struct {
		size_t offset;
		uint64_t value;
		unsigned size;
	} mistakes[] = {
		{ 0, 1, 8 }, /* magic */
		{ 8, CAPOS_ABI_VERSION + 1, 4 },
		{ 12, 70000, 4 },      /* programs */
		{ 16, ~7ull, 8 },      /* programs far away */
		{ 16, 65, 8 },         /* misaligned */
		{ 24, 1ull << 60, 8 }, /* files */
		{ 32, ~7ull, 8 },
		{ 40, 1 << 20, 8 }, /* total size above what is there */
		{ 40, 0, 8 },
		{ 48, ~0ull, 8 }, /* input from outside */
		{ 56, 1ull << 60, 8 },
		{ PROGRAM(elf_offset), 64, 8 }, /* not a page */
		{ PROGRAM(elf_offset), ~4095ull, 8 },
		{ PROGRAM(elf_size), ~0ull, 8 },
		{ PROGRAM(args_offset), ~0ull, 8 },
		{ PROGRAM(args_size), 4, 8 }, /* the last one does not end */
		{ PROGRAM(args_size), 3, 8 }, /* one too few */
		{ PROGRAM(args_size), 5 << 20, 8 },
		{ PROGRAM(args_count), 3, 4 },
		{ PROGRAM(env_size), ~0ull, 8 },
		{ PROGRAM(env_count), 0, 4 },
		{ PROGRAM(grants), 1 << CAPOS_GRANT_COUNT, 8 },
		{ PROGRAM(flags), 2, 4 },
	};
	for (unsigned i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
		struct test_boot_image bytes = boot_image_sample();
		struct boot_image image;
		struct boot_image_program program;
		const char *reason;
		memcpy((char *)&bytes + mistakes[i].offset, &mistakes[i].value, mistakes[i].size);
		status_t status = boot_image_open(&bytes, sizeof bytes, &image, &reason);
		if (status == STATUS_OK)
			status = boot_image_program(&image, 0, &program, &reason);
		if ((status == STATUS_OK || !reason[0]) && !check_why[0])
			snprintf(check_why, sizeof check_why, "mistake %u was accepted", i);
	}
}

int main(void)
{
	RUN(chacha_rfc8439_2_3_2);
	RUN(chacha_rfc8439_a_1);
	RUN(command_line_words);
	RUN(rtc_registers);
	RUN(host_names);
	RUN(channel_messages);
	RUN(channel_put_back_loses_nothing);
	RUN(channel_stream);
	RUN(elf_good);
	RUN(elf_of_another_version_is_rejected);
	RUN(elf_mistakes_are_rejected);
	RUN(boot_image_good);
	RUN(boot_image_private_part);
	RUN(boot_image_mistakes_are_rejected);
	return check_failures != 0;
}
