/* Endpoints and their facets: see endpoints.h. */
#include "endpoints.h"

#include <capos/caps.h>
#include <capos/stubs.h>
#include <capos/thread.h>

#define STACK_BYTES (16 * 1024)

static const struct manifest *manifest;
static capos_cap_t owners[CAPOS_MANIFEST_ENDPOINTS_MAX]; /* 0: not made, or closed */

void endpoints_init(const struct manifest *opened)
{
	manifest = opened;
}

int64_t endpoint_owner(uint32_t index, capos_cap_t *owner)
{
	int64_t status = 0;

	if (owners[index] == 0)
		status = capos_endpoint_factory_create(capos_caps.endpoint_factory,
			manifest->endpoints[index].calls_max, &owners[index]);
	*owner = owners[index];
	return status;
}

int64_t endpoint_facet(uint32_t index, uint64_t tag, capos_cap_t *facet)
{
	capos_cap_t owner;
	int64_t status = endpoint_owner(index, &owner);

	return status < 0 ? status : capos_endpoint_make_facet(owner, tag, facet);
}

void endpoints_server_ended(uint32_t server, bool again)
{
	for (uint32_t i = 0; i < manifest->endpoint_count; i++) {
		const struct capos_manifest_endpoint *endpoint = &manifest->endpoints[i];

		if (endpoint->server != server || owners[i] == 0 ||
			(again && endpoint->flags & CAPOS_MANIFEST_PERSISTENT))
			continue;
		capos_release(owners[i]);
		owners[i] = 0;
	}
}

static int64_t open_own(struct own_endpoint *own)
{
	const struct capos_thread_options options = { .stack_size_bytes = STACK_BYTES,
		.name = own->name };
	struct capos_thread *thread;
	int64_t status = capos_endpoint_factory_create(
		capos_caps.endpoint_factory, own->calls_max, &own->owner);

	if (status < 0)
		return status;
	status = capos_thread_start(&thread, own->serve, own, &options);
	if (status < 0) {
		capos_release(own->owner);
		own->owner = 0;
	}
	return status;
}

int64_t own_endpoint_facet(struct own_endpoint *own, capos_cap_t *facet)
{
	int64_t status = own->owner != 0 ? 0 : open_own(own);

	return status < 0 ? status : capos_endpoint_make_facet(own->owner, 0, facet);
}
