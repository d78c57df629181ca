/* The endpoint at which init gives the processes of services, where a manifest grants it. */
#ifndef INIT_PROCESSES_H
#define INIT_PROCESSES_H

#include <capos/call.h>

/* A facet of it for a service, which the caller has to release. The first call makes the endpoint.
 * The caller holds the lock of service.c. 0 or an error. */
int64_t processes_facet(capos_cap_t *facet);

#endif
