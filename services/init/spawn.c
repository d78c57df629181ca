/* Arguments and environment lie in the manifest as the kernel wants them, so nothing is copied but
 * the list of grants, which is in static memory: init does not grow. */
#include "spawn.h"

#include <stdio.h>
#include <string.h>

#include <capos/boot.h>
#include <capos/caps.h>
#include <capos/stubs.h>

#include "devices.h"
#include "endpoints.h"
#include "log.h"
#include "processes.h"
#include "streams.h"

static struct capos_spawn_grant grants[CAPOS_SPAWN_GRANTS_MAX];
static uint32_t grant_count;

static void add_grant(const void *name, size_t size, capos_cap_t cap)
{
	struct capos_spawn_grant *grant = &grants[grant_count++];

	memset(grant, 0, sizeof(*grant));
	grant->cap = cap;
	memcpy(grant->name, name, size);
}

static int64_t find_capability(const struct manifest *manifest, uint32_t index, capos_cap_t *cap)
{
	const struct capos_manifest_grant *grant = &manifest->grants[index];

	switch (grant->kind) {
	case CAPOS_MANIFEST_GRANT_KIND_SERVE:
		return endpoint_owner(grant->endpoint, cap);
	case CAPOS_MANIFEST_GRANT_KIND_USE:
		return endpoint_facet(grant->endpoint, grant->tag, cap);
	case CAPOS_MANIFEST_GRANT_KIND_LOG:
		return log_facet(cap);
	case CAPOS_MANIFEST_GRANT_KIND_PROCESSES:
		return processes_facet(cap);
	case CAPOS_MANIFEST_GRANT_KIND_OUTPUT:
		return stream_writer(index, cap);
	case CAPOS_MANIFEST_GRANT_KIND_DEVICE:
		return device_open((uint32_t)grant->tag, grant->endpoint, cap);
	case CAPOS_MANIFEST_GRANT_KIND_REGISTERS:
		return registers_open((uint32_t)grant->tag, grant->endpoint, cap);
	default:
		*cap = capos_cap((const char *)grant->name);
		return *cap != 0 ? 0 : CAPOS_E(NOT_FOUND);
	}
}

static void add_events(const struct service_events *events)
{
	static const char ready[] = "ready", heartbeat[] = "heartbeat";

	if (events->ready != 0)
		add_grant(ready, sizeof(ready), events->ready);
	if (events->heartbeat != 0)
		add_grant(heartbeat, sizeof(heartbeat), events->heartbeat);
}

/* What the console's service reads: an end of each pipe of the service. A pipe whose writer is gone
 * for good is among them, because it may have bytes. */
static int64_t add_streams(
	const struct manifest *manifest, const struct capos_manifest_service *entry)
{
	for (uint32_t i = 0; i < entry->grant_count; i++) {
		uint32_t index = entry->first_grant + i;
		const struct capos_manifest_grant *grant = &manifest->grants[index];
		char name[sizeof(grant->name)];
		capos_cap_t reader;

		if (grant->kind != CAPOS_MANIFEST_GRANT_KIND_OUTPUT)
			continue;
		int64_t status = stream_reader(index, &reader);
		if (status < 0)
			return status;
		if (grant_count == CAPOS_SPAWN_GRANTS_MAX)
			return CAPOS_E(LIMIT_REACHED);
		snprintf(name, sizeof(name), "%s:%s", (const char *)grant->name,
			(const char *)entry->name);
		add_grant(name, sizeof(name), reader);
	}
	return 0;
}

static int64_t list_streams(
	const struct manifest *manifest, const struct capos_manifest_service *console)
{
	int64_t status = 0;

	if (!(console->flags & CAPOS_MANIFEST_CONSOLE))
		return 0;
	for (uint32_t i = 0; status == 0 && i < manifest->service_count; i++)
		status = add_streams(manifest, &manifest->services[i]);
	return status;
}

static int64_t list_grants(const struct manifest *manifest,
	const struct capos_manifest_service *entry, const char **what)
{
	for (uint32_t i = 0; i < entry->grant_count; i++) {
		const struct capos_manifest_grant *grant =
			&manifest->grants[entry->first_grant + i];
		capos_cap_t cap = 0;
		int64_t status = find_capability(manifest, entry->first_grant + i, &cap);

		*what = (const char *)grant->name;
		if (status == CAPOS_E(NOT_FOUND) &&
			(grant->kind == CAPOS_MANIFEST_GRANT_KIND_DEVICE ||
				grant->kind == CAPOS_MANIFEST_GRANT_KIND_REGISTERS))
			devices_tell((const char *)entry->name, *what);
		if (status < 0)
			return status;
		add_grant(grant->name, sizeof(grant->name), cap);
	}
	*what = "a pipe";
	return list_streams(manifest, entry);
}

/* The service has its own copies now. A facet that init kept would hide from the server that its
 * client is gone, and a device would not be reset when its driver is. first: of the list, behind
 * the events. */
static void release_copied(
	const struct manifest *manifest, const struct capos_manifest_service *entry, uint32_t first)
{
	const struct capos_manifest_grant *named = &manifest->grants[entry->first_grant];

	for (uint32_t i = 0; i < entry->grant_count && first + i < grant_count; i++) {
		uint32_t kind = named[i].kind;

		if (kind == CAPOS_MANIFEST_GRANT_KIND_USE ||
			kind == CAPOS_MANIFEST_GRANT_KIND_LOG ||
			kind == CAPOS_MANIFEST_GRANT_KIND_DEVICE ||
			kind == CAPOS_MANIFEST_GRANT_KIND_REGISTERS ||
			kind == CAPOS_MANIFEST_GRANT_KIND_PROCESSES)
			capos_release(grants[first + i].cap);
	}
}

static bool shares_memory(const struct capos_manifest_service *entry)
{
	return entry->memory_pages == 0 || (entry->shared & 1u << CAPOS_BUDGET_MEMORY) != 0;
}

static uint64_t spawn_flags(const struct capos_manifest_service *entry)
{
	return (shares_memory(entry) ? CAPOS_SPAWN_SHARED : 0) |
		(entry->flags & CAPOS_MANIFEST_REMEMBER_CALLS ? CAPOS_SPAWN_REMEMBER_CALLS : 0);
}

int64_t spawn_service(const struct manifest *manifest, const struct capos_manifest_service *entry,
	const struct service_events *events, capos_cap_t *process, const char **what)
{
	uint64_t offset, size;
	const struct capos_spawn_limits limits = { .threads = entry->threads,
		.capabilities = entry->capabilities,
		.calls = entry->calls,
		.cpu = entry->cpu,
		.shared = entry->shared & ~(1u << CAPOS_BUDGET_MEMORY) };

	grant_count = 0;
	add_events(events);
	uint32_t first = grant_count;
	int64_t status = list_grants(manifest, entry, what);
	if (status == 0) {
		*what = (const char *)manifest->bytes + entry->path_offset;
		status = capos_boot_find(*what, &offset, &size);
	}
	if (status == 0)
		status = capos_process_spawner_spawn(capos_caps.process_spawner, capos_caps.boot,
			offset, size, manifest->bytes + entry->args_offset, entry->args_size,
			manifest->bytes + entry->env_offset, entry->env_size, grants,
			grant_count * sizeof(grants[0]), entry->memory_pages, spawn_flags(entry),
			&limits, sizeof(limits), process);
	release_copied(manifest, entry, first);
	return status;
}
