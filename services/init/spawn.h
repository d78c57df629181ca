/* Starting the process of a service. */
#ifndef INIT_SPAWN_H
#define INIT_SPAWN_H

#include <stdint.h>

#include <capos/call.h>

#include "manifest.h"

/* Events that init makes for a service; 0: it has none. */
struct service_events {
	capos_cap_t ready, heartbeat;
};

/* Starts a process with what the manifest names and nothing else; the events go to it as "ready"
 * and "heartbeat". The caller holds the lock of service.c. 0 or an error; *what then is what it
 * happened to. */
int64_t spawn_service(const struct manifest *manifest, const struct capos_manifest_service *entry,
	const struct service_events *events, capos_cap_t *process, const char **what);

#endif
