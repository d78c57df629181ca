/* The capabilities that the process was given: the CapSet page, and look-up by name. */
#ifndef CAPOS_CAPS_H
#define CAPOS_CAPS_H

#include <capos/call.h>
#include <capos/grants.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The capability of that name, or 0 when the process was not given it. */
capos_cap_t capos_cap(const char *name);

/* The same, with the interface's id for a check or a listing; NULL when there is none. */
const struct capos_cap_set_entry *capos_cap_entry(const char *name);

/* What the manifest of a service has to say for it to hold a capability of that name
 * ("grants: [\"vm\"]"), for a message. The result is text, which is cut off at size. */
char *capos_manifest_line(const char *name, char *text, size_t size);

/* Writes a message to standard error, past stdio: the library's own last words. Standard error may
 * be a pipe, which is waited for when it is full, but only a second. Without standard error the
 * message is lost. Safe in handlers. */
void capos_report(const char *text, size_t size);

const struct capos_cap_set_header *capos_cap_set(void);
const struct capos_cap_set_entry *capos_cap_entries(void);

/* The capabilities of $C.grants in abi/schema, looked up before main. */
extern struct capos_caps capos_caps;

/* The value of an auxiliary vector entry (AT_x), or 0. */
uint64_t capos_auxiliary(uint64_t type);

#ifdef __cplusplus
}
#endif

#endif
