/* Pipes between services and the console's service. init holds both ends while the service may run,
 * so that neither side's restart is seen by the other. The caller holds the lock of service.c. */
#ifndef INIT_STREAMS_H
#define INIT_STREAMS_H

#include <stdint.h>

#include <capos/call.h>

#include "manifest.h"

void streams_init(const struct manifest *manifest);

/* The end to write to, which stays init's. The pipe is made when one of its ends is first asked
 * for. grant: the index of one of kind output. 0 or an error. */
int64_t stream_writer(uint32_t grant, capos_cap_t *writer);

/* Likewise, the end to read from. */
int64_t stream_reader(uint32_t grant, capos_cap_t *reader);

/* A service has ended for good. What it has written can be read. If it is the console's service, no
 * pipe is read any more, and a write to one fails. */
void streams_service_over(uint32_t service);

#endif
