/* init's look at the packed manifest: one that is right is taken, and whatever a changed or a
 * shorter one says, nothing outside it is read. The file lies in a block of exactly its size, so
 * the sanitizer sees every byte that is read behind it. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/boot.h>
#include <capos/call.h>

#include "manifest.h"

static int failures;

static void report(const char *name, bool good)
{
	printf("%s init %s\n", good ? "ok" : "FAIL", name);
	failures += !good;
}

/* ---- the boot image ---- */

static const uint8_t *image;
static uint64_t image_size;

int64_t capos_boot_map(const uint8_t **mapped)
{
	*mapped = image;
	return 0;
}

int64_t capos_boot_find(const char *path, uint64_t *offset, uint64_t *size)
{
	*offset = 0;
	*size = image_size;
	return strcmp(path, "/manifest") == 0 ? 0 : CAPOS_E(NOT_FOUND);
}

const char *capos_error_name(int64_t status)
{
	return status == CAPOS_E(NOT_FOUND) ? "notFound" : "another error";
}

/* ---- a manifest ---- */

struct file {
	struct capos_manifest_header header;
	struct capos_manifest_service services[2];
	struct capos_manifest_grant grants[3];
	struct capos_manifest_endpoint endpoints[1];
	uint32_t dependencies[1];
	char strings[20]; /* path, arguments, environment */
};

#define AT(member) ((uint32_t)offsetof(struct file, member))

static void fill_service(struct file *file, uint32_t index, const char *name)
{
	struct capos_manifest_service *service = &file->services[index];

	strcpy((char *)service->name, name);
	service->path_offset = AT(strings);
	service->args_offset = AT(strings);
	service->args_size = 9; /* "/bin/p", "x" */
	service->env_offset = AT(strings) + 9;
	service->env_size = 11;
	service->first_grant = index;
	service->grant_count = index + 1;
	service->dependency_count = index;
}

static struct file right(void)
{
	static const char strings[20] = "/bin/p\0x\0A=1\0LONG=2";
	struct file file = { .header = { .magic = CAPOS_MANIFEST_MAGIC,
				     .version = CAPOS_ABI_VERSION,
				     .size = sizeof(file),
				     .service_count = 2,
				     .services_offset = AT(services),
				     .grant_count = 3,
				     .grants_offset = AT(grants),
				     .endpoint_count = 1,
				     .endpoints_offset = AT(endpoints),
				     .dependency_count = 1,
				     .dependencies_offset = AT(dependencies) } };

	memcpy(file.strings, strings, sizeof(strings));
	fill_service(&file, 0, "server");
	fill_service(&file, 1, "client");
	strcpy((char *)file.grants[0].name, "e");
	file.grants[0].kind = CAPOS_MANIFEST_GRANT_KIND_SERVE;
	strcpy((char *)file.grants[1].name, "vm");
	strcpy((char *)file.grants[2].name, "e");
	file.grants[2].kind = CAPOS_MANIFEST_GRANT_KIND_USE;
	strcpy((char *)file.endpoints[0].name, "e");
	return file;
}

/* ---- reading it ---- */

static uint64_t seen; /* so that reads are not left out */

static void read_strings(const struct manifest *manifest, uint32_t offset, uint32_t size)
{
	for (uint32_t end = offset + size; offset < end;) {
		size_t length = strlen((const char *)manifest->bytes + offset) + 1;

		seen += length;
		offset += (uint32_t)length;
	}
}

static bool read_service(const struct manifest *manifest, uint32_t index)
{
	const struct capos_manifest_service *service = &manifest->services[index];
	bool good = true;

	seen += strlen((const char *)service->name) +
		strlen((const char *)manifest->bytes + service->path_offset);
	read_strings(manifest, service->args_offset, service->args_size);
	read_strings(manifest, service->env_offset, service->env_size);
	for (uint32_t i = 0; i < service->dependency_count; i++)
		good = good && manifest->dependencies[service->first_dependency + i] < index;
	for (uint32_t i = 0; i < service->grant_count; i++) {
		const struct capos_manifest_grant *grant =
			&manifest->grants[service->first_grant + i];
		seen += strlen((const char *)grant->name);
		good = good &&
			((grant->kind != CAPOS_MANIFEST_GRANT_KIND_SERVE &&
				 grant->kind != CAPOS_MANIFEST_GRANT_KIND_USE) ||
				grant->endpoint < manifest->endpoint_count);
	}
	return good;
}

/* Everything that init reads. False: an index names nothing. */
static bool read_all(const struct manifest *manifest)
{
	bool good = true;

	for (uint32_t i = 0; i < manifest->service_count; i++)
		good = read_service(manifest, i) && good;
	for (uint32_t i = 0; i < manifest->endpoint_count; i++)
		good = good && manifest->endpoints[i].server < manifest->service_count;
	return good;
}

/* Opens the first bytes of a file, and reads what is taken. *good: nothing in it names nothing. */
static bool taken(const struct file *file, size_t size, bool *good)
{
	struct manifest manifest;
	uint8_t *copy = malloc(size + (size == 0));

	memcpy(copy, file, size);
	image = copy;
	image_size = size;
	bool opened = manifest_open(&manifest, "/manifest") == NULL;
	if (opened)
		*good = read_all(&manifest) && *good;
	free(copy);
	return opened;
}

/* ---- tests ---- */

static void test_right(void)
{
	struct file file = right();
	struct manifest manifest;
	bool good = true;

	report("right_is_taken", taken(&file, sizeof(file), &good) && good);
	report("no_file", strcmp(manifest_open(&manifest, "/other"), "notFound") == 0);
}

static void test_shorter(void)
{
	struct file file = right();
	bool good = true, none = true;

	for (size_t size = 0; size < sizeof(file); size++)
		none = !taken(&file, size, &good) && none;
	report("shorter_is_rejected", none && good);
}

/* Each word of the file in turn has values at the borders of what it can mean. */
static void test_changed(void)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 4, 63, 64, 65, sizeof(struct file) - 1,
		sizeof(struct file), sizeof(struct file) + 1, 0x7fffffff, 0x80000000, 0xffffff80,
		0xfffffff8, UINT32_MAX };
	unsigned opened = 0, rejected = 0;
	bool good = true;

	for (size_t at = 0; at < sizeof(struct file); at += sizeof(uint32_t)) {
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			struct file file = right();

			memcpy((char *)&file + at, &values[i], sizeof(values[i]));
			if (taken(&file, sizeof(file), &good))
				opened++;
			else
				rejected++;
		}
	}
	report("changed_is_bounded", good && opened > 0 && rejected > 0);
}

static void test_wrong(void)
{
	bool good = true;
	struct file own = right(), endpoint = right(), open_end = right(), many = right();

	own.dependencies[0] = 1;
	endpoint.grants[2].endpoint = 1;
	open_end.strings[19] = 'x';
	many.header.service_count = CAPOS_MANIFEST_SERVICES_MAX + 1;
	report("own_dependency", !taken(&own, sizeof(own), &good));
	report("no_such_endpoint", !taken(&endpoint, sizeof(endpoint), &good));
	report("string_without_end", !taken(&open_end, sizeof(open_end), &good));
	report("too_many_services", !taken(&many, sizeof(many), &good));
}

int main(void)
{
	test_right();
	test_shorter();
	test_changed();
	test_wrong();
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
