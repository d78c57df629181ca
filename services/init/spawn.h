/* Starting the process of a service. */
#ifndef INIT_SPAWN_H
#define INIT_SPAWN_H

#include <stdint.h>

#include <capos/call.h>

#include "manifest.h"

/* Starts a process with what the manifest names and nothing else; the event goes to it as "ready"
 * where it is not 0. The caller holds the lock of service.c. 0 or an error; *what then is what it
 * happened to. */
int64_t spawn_service(const struct manifest *manifest, const struct capos_manifest_service *entry,
	capos_cap_t ready_event, capos_cap_t *process, const char **what);

#endif
