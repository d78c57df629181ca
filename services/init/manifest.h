/* The packed manifest, as it lies in the boot image: abi/schema/manifest.capnp. */
#ifndef INIT_MANIFEST_H
#define INIT_MANIFEST_H

#include <stdint.h>

#include <capos/abi.h>

struct manifest {
	const uint8_t *bytes;
	uint32_t size;
	uint32_t service_count, endpoint_count;
	const struct capos_manifest_service *services;
	const struct capos_manifest_grant *grants;
	const struct capos_manifest_endpoint *endpoints;
	const uint32_t *dependencies;
};

/* Opens the file of that name. NULL, or what is wrong with it: after NULL everything that the
 * manifest says is within its bounds, every string ends, and a service depends on earlier ones
 * only. */
const char *manifest_open(struct manifest *manifest, const char *path);

#endif
