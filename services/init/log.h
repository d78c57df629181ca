/* What init tells: lines on the console, labelled, and a log of events that services can read and
 * that is printed at the end if that is wanted (abi/schema/init.capnp). */
#ifndef INIT_LOG_H
#define INIT_LOG_H

#include <stdint.h>

#include <capos/call.h>

/* Writes "init: TEXT" as one line, cut off at 200 bytes. Any thread. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Keeps an event of a service: a CAPOS_INIT_EVENT_KIND_x. Any thread. */
void log_event(const char *service, uint32_t kind, int32_t code);

/* A new facet by which the kept events can be read, for the caller to release. The first call makes
 * the endpoint and the thread that serves it. By one thread at a time. 0 or an error. */
int64_t log_facet(capos_cap_t *facet);

/* Writes all events that are kept, a line each. */
void log_print(void);

#endif
