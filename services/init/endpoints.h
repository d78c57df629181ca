/* The endpoints of the manifest, and those that init serves itself. init holds the owner's side of
 * each while its server may run, so that it can make facets, and so that one that is persistent
 * outlives a server that is started again. The caller holds the lock of service.c. */
#ifndef INIT_ENDPOINTS_H
#define INIT_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include <capos/call.h>

#include "manifest.h"

void endpoints_init(const struct manifest *manifest);

/* The owner's side, which stays init's. The endpoint is made when it is first asked for. 0 or an
 * error. */
int64_t endpoint_owner(uint32_t index, capos_cap_t *owner);

/* A new facet, for the caller to release. 0 or an error. */
int64_t endpoint_facet(uint32_t index, uint64_t tag, capos_cap_t *facet);

/* A server has ended: calls at its endpoints end with disconnected. Where it will be started again,
 * those at endpoints that are persistent wait for that instead. */
void endpoints_server_ended(uint32_t server, bool again);

/* An endpoint that a thread of init serves, from its first facet on. */
struct own_endpoint {
	const char *name;            /* of the thread */
	uint32_t calls_max;          /* that wait; others get busy */
	int64_t (*serve)(void *own); /* gets this record */
	capos_cap_t owner;           /* 0: no service has a facet */
};

/* A new facet, for the caller to release. 0 or an error. */
int64_t own_endpoint_facet(struct own_endpoint *own, capos_cap_t *facet);

#endif
