/* Looks at the whole manifest before anything in it is used. The tool that packed it has checked
 * what it means; here only what would make init itself go wrong is looked for. */
#include "manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <capos/boot.h>
#include <capos/call.h>

static bool inside(const struct manifest *manifest, uint32_t offset, uint32_t count, size_t size)
{
	return offset <= manifest->size && count <= (manifest->size - offset) / size;
}

static bool table(const struct manifest *manifest, uint32_t offset, uint32_t count, size_t size)
{
	return offset % sizeof(uint64_t) == 0 && inside(manifest, offset, count, size);
}

/* Bytes that end with a NUL. */
static bool strings(const struct manifest *manifest, uint32_t offset, uint32_t size)
{
	return inside(manifest, offset, size, 1) &&
		(size == 0 || manifest->bytes[offset + size - 1] == 0);
}

static bool named(const uint8_t *name, size_t size)
{
	return name[0] != 0 && name[size - 1] == 0;
}

static bool grants_good(const struct manifest *manifest, uint32_t first, uint32_t count)
{
	for (const struct capos_manifest_grant *grant = manifest->grants + first;
		grant < manifest->grants + first + count; grant++) {
		if (!named(grant->name, sizeof(grant->name)) ||
			grant->kind > CAPOS_MANIFEST_GRANT_KIND_PROCESSES)
			return false;
		if ((grant->kind == CAPOS_MANIFEST_GRANT_KIND_SERVE ||
			    grant->kind == CAPOS_MANIFEST_GRANT_KIND_USE) &&
			grant->endpoint >= manifest->endpoint_count)
			return false;
	}
	return true;
}

static bool service_good(
	const struct manifest *manifest, const struct capos_manifest_header *header, uint32_t index)
{
	const struct capos_manifest_service *service = &manifest->services[index];
	uint32_t events = (service->flags & CAPOS_MANIFEST_SIGNALS_READY ? 1 : 0) +
		(service->heartbeat_ms != 0 ? 1 : 0);
	bool good = named(service->name, sizeof(service->name)) &&
		inside(manifest, service->path_offset, 1, 1) &&
		memchr(manifest->bytes + service->path_offset, 0,
			manifest->size - service->path_offset) != NULL &&
		strings(manifest, service->args_offset, service->args_size) &&
		strings(manifest, service->env_offset, service->env_size) &&
		service->restart <= CAPOS_MANIFEST_RESTART_ALWAYS &&
		service->first_grant <= header->grant_count &&
		service->grant_count <= header->grant_count - service->first_grant &&
		service->grant_count <= CAPOS_SPAWN_GRANTS_MAX - events &&
		service->first_dependency <= header->dependency_count &&
		service->dependency_count <= header->dependency_count - service->first_dependency;

	for (uint32_t i = 0; good && i < service->dependency_count; i++)
		good = manifest->dependencies[service->first_dependency + i] < index;
	return good && grants_good(manifest, service->first_grant, service->grant_count);
}

static const char *open_tables(struct manifest *manifest)
{
	const struct capos_manifest_header *header = (const void *)manifest->bytes;

	if (manifest->size < sizeof(*header) || header->magic != CAPOS_MANIFEST_MAGIC)
		return "it is no manifest";
	if (header->version != CAPOS_ABI_VERSION)
		return "it is for another version of the interface";
	if (header->size > manifest->size || header->service_count > CAPOS_MANIFEST_SERVICES_MAX ||
		header->endpoint_count > CAPOS_MANIFEST_ENDPOINTS_MAX)
		return "it has too much of something";
	manifest->size = header->size;
	if (!table(manifest, header->services_offset, header->service_count,
		    sizeof(manifest->services[0])) ||
		!table(manifest, header->grants_offset, header->grant_count,
			sizeof(manifest->grants[0])) ||
		!table(manifest, header->endpoints_offset, header->endpoint_count,
			sizeof(manifest->endpoints[0])) ||
		!table(manifest, header->dependencies_offset, header->dependency_count,
			sizeof(manifest->dependencies[0])))
		return "its tables are not inside it";
	manifest->service_count = header->service_count;
	manifest->endpoint_count = header->endpoint_count;
	manifest->services = (const void *)(manifest->bytes + header->services_offset);
	manifest->grants = (const void *)(manifest->bytes + header->grants_offset);
	manifest->endpoints = (const void *)(manifest->bytes + header->endpoints_offset);
	manifest->dependencies = (const void *)(manifest->bytes + header->dependencies_offset);
	for (uint32_t i = 0; i < manifest->service_count; i++)
		if (!service_good(manifest, header, i))
			return "a service has something that cannot be";
	for (uint32_t i = 0; i < manifest->endpoint_count; i++)
		if (manifest->endpoints[i].server >= manifest->service_count)
			return "an endpoint has no server";
	return NULL;
}

const char *manifest_open(struct manifest *manifest, const char *path)
{
	uint64_t offset, size;
	const uint8_t *image;
	int64_t status = capos_boot_find(path, &offset, &size);

	if (status == 0)
		status = capos_boot_map(&image);
	if (status < 0)
		return capos_error_name(status);
	if (size > CAPOS_MANIFEST_SIZE_MAX)
		return "it is too large";
	manifest->bytes = image + offset;
	manifest->size = (uint32_t)size;
	return open_tables(manifest);
}
