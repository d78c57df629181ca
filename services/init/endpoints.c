/* Endpoints and their facets: see endpoints.h. */
#include "endpoints.h"

#include <capos/caps.h>
#include <capos/stubs.h>

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
